"""The forms of a report, and reports of a project without a past."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from leadgate.app import reports
from leadgate.app.reports import reader
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.views.reports import making
from leadgate.views.reports.markdown import to_markdown
from leadgate.views.reports.reading import Reader
from leadgate.views.reports.report import Cited, Code, Report, Section, Source, Table
from leadgate.views.reports.web import to_html
from leadgate.views.reports.wording import clean

SOURCE = Source(origin="sql", title="one", command="leadgate audit list", sql="SELECT 1")


def report_of(typed: str) -> Report:
    """A report in which somebody's words stand everywhere."""
    cited = Cited(text=typed, value=typed, source=replace(SOURCE, title=typed, sql=f"SELECT '{typed}'"), at=(0, typed))
    cell = (typed, " ", cited, " ", Code(text=typed))
    return Report(
        kind="kpi",
        title=typed,
        model_name="m",
        period=typed,
        versions=(),
        made_at=datetime(2026, 6, 1, tzinfo=UTC),
        changed=(cell,),
        actions=((typed,),),
        sections=(
            Section(
                title=typed,
                blocks=(cell, (typed,), Table(title=typed, columns=(typed, "b"), rows=((cell, (typed,)),))),
            ),
        ),
        reads=(typed,),
    )


TYPED = st.text(st.sampled_from("<>&|`*_[]()!#-+=.~\\$@:/\"'\n 1aw\u202e\u0007"), min_size=1, max_size=12).filter(
    lambda typed: clean(typed).strip() != ""
)


@settings(max_examples=80)
@given(TYPED)
@example("[a](http://x.example)")
@example("<img src=x onerror=alert(1)>")
@example("1. a")
@example("# a")
@example("#")
@example(" -")
@example("--- | ---")
@example("``` a")
@example("&lt;b&gt;")
def test_words_survive_as_text(typed: str) -> None:
    """Whatever is typed is read again as it was, on one line, and makes no markup: a reader of CommonMark judges."""
    tokens = MarkdownIt("commonmark").enable("table").parse(to_markdown(report_of(typed)))
    kinds = [token.type for token in tokens]
    assert kinds.count("table_open") == 1
    assert kinds.count("td_open") == 2
    assert kinds.count("ordered_list_open") == kinds.count("blockquote_open") == kinds.count("hr") == 0
    assert kinds.count("bullet_list_open") == 3
    inner = [child for token in tokens for child in token.children or ()]
    html = [child.content for child in inner if child.type == "html_inline"]
    assert html == ['<a id="source-1">', "</a>"]
    links = [child.attrs["href"] for child in inner if child.type == "link_open"]
    assert links == ["#source-1"] * 3
    heading = tokens[kinds.index("heading_open") + 1]
    words = "".join(child.content for child in heading.children or ())
    assert words.split() == clean(typed).split()


@settings(max_examples=25)
@given(TYPED)
@example("</title><script>alert(1)</script>")
@example('" onmouseover="alert(1)')
def test_a_page_has_the_tags_of_its_template_alone(typed: str) -> None:
    """Whatever is typed, the page has as many tags as one with harmless words."""
    assert to_html(report_of(typed)).count("<") == to_html(report_of("a")).count("<")


@pytest.mark.parametrize(
    "make",
    (
        making.deployment,
        lambda r: making.review(r, "weekly"),
        lambda r: making.review(r, "monthly"),
        making.experiment,
        making.post_mortem,
        making.kpi,
    ),
)
def test_a_project_without_a_past_gets_a_sentence(workshop: Home, make: Callable[[Reader], Report]) -> None:
    """Nothing answers yet: each report says so, and what to do."""
    with reader(workshop, None) as asking:
        report = make(asking)
    assert report.sections == ()
    assert report.changed
    assert report.actions
    assert to_markdown(report)
    assert "<h1>" in to_html(report)


def test_a_browser_that_prints_nothing_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it says; a browser that prints gives the file."""
    _browser(tmp_path, monkeypatch, "echo 'no fonts here' >&2; exit 1")
    with pytest.raises(RefusedError, match="no fonts here"):
        reports.write(report_of("a"), tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()
    _browser(tmp_path, monkeypatch, 'for a in "$@"; do case $a in --print-to-pdf=*) echo %PDF > ${a#*=};; esac; done')
    reports.write(report_of("a"), tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_text() == "%PDF\n"


def _browser(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """Put a browser that does something else first on the path."""
    program = folder / "bin" / reports.BROWSERS[0]
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
