"""Reports of a project that has been lived in: each number is what its source says, whoever typed what."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from html.parser import HTMLParser
from math import isclose
from pathlib import Path
from typing import Any

import lived_in
import psycopg
import pytest
from markdown_it import MarkdownIt
from psycopg.rows import dict_row
from scipy.stats import chi2_contingency
from typer.testing import CliRunner, Result

from leadgate.app.cli.root import app
from leadgate.app.reports import reader
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.stats.experiments import Arm, compare_arms
from leadgate.views.reports import making
from leadgate.views.reports.markdown import to_markdown
from leadgate.views.reports.reading import Reader
from leadgate.views.reports.report import Chart, Cited, Report, Table, cited_in, found_at, sources_of
from leadgate.views.reports.web import to_html
from prepared import copy_of

MAKERS: Mapping[str, Callable[[Reader], Report]] = {
    "deployment": lambda r: making.deployment(r, rollout=1),
    "deployment of what came back": making.deployment,
    "weekly": lambda r: making.review(r, "weekly"),
    "monthly": lambda r: making.review(r, "monthly"),
    "experiment": lambda r: making.experiment(r, rollout=1),
    "experiment without a result": lambda r: making.experiment(r, rollout=2),
    "postmortem": making.post_mortem,
    "kpi": making.kpi,
}
NAMES = (*MAKERS, "deployment without a rollout")
DIGIT = re.compile(r"\d")


@pytest.fixture(scope="module")
def home(server: str, made_workshop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Four weeks with two rollouts."""
    from conftest import _database  # noqa: PLC0415

    databases = _database(server, made_workshop.name)
    yield lived_in.live(copy_of(made_workshop, tmp_path_factory.mktemp("reports"), next(databases)))
    next(databases, None)


@pytest.fixture(scope="module")
def reports(home: Home) -> Mapping[str, Report]:
    """Each report once."""
    with reader(home, None) as asking:
        made = {name: make(asking) for name, make in MAKERS.items()}
    with reader(home, lived_in.START + timedelta(days=4)) as early:
        return {**made, "deployment without a rollout": making.deployment(early)}


@pytest.fixture(scope="module")
def forms(reports: Mapping[str, Report]) -> Mapping[str, tuple[str, str]]:
    """Each report as HTML and as Markdown."""
    return {name: (to_html(report), to_markdown(report)) for name, report in reports.items()}


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """``leadgate report``, in a folder of its own."""
    monkeypatch.setattr("leadgate.app.cli.report.open_home", lambda _: home)
    for noun in ("models", "rollout", "check"):
        monkeypatch.setattr(f"leadgate.app.cli.{noun}.open_home", lambda _: home)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_what_its_source_says(home: Home, reports: Mapping[str, Report], name: str) -> None:
    """The statement that a reader is shown, run as it stands, gives each number and each quotation at its place."""
    cited = cited_in(reports[name])
    assert len(cited) > 15
    with psycopg.connect(home.database_url, row_factory=dict_row) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        given = {
            source: connection.execute(source.sql.encode()).fetchall()
            for source in sources_of(reports[name])
            if source.origin == "sql"
        }
    for part in cited:
        if part.source.origin == "sql":
            assert given[part.source] or part.value == 0, part.source.title  # of nothing there are none
            assert part.how or _is(part, found_at(given[part.source], part.at)), part


@pytest.mark.parametrize("name", ("deployment", "monthly"))
def test_what_the_registry_says_is_what_the_command_prints(
    reports: Mapping[str, Report], run: Callable[..., Result], name: str
) -> None:
    """A source that is no statement is a command; its JSON has each number at its place."""
    cited = [part for part in cited_in(reports[name]) if part.source.origin == "registry"]
    printed = {
        source.command: json.loads(run(*source.command.split()[1:]).stdout) for source in {p.source for p in cited}
    }
    assert printed
    for part in cited:
        assert _is(part, found_at(printed[part.source.command], part.at)), part


def test_targets_are_those_of_the_settings(home: Home, reports: Mapping[str, Report]) -> None:
    """A report has no threshold of its own."""
    tree = home.project.model_dump(mode="json")
    named = [p for r in reports.values() for p in cited_in(r) if p.source.title.startswith("leadgate.yaml")]
    assert named
    assert all(_is(part, found_at(tree, part.at)) for part in named)


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_stands_without_a_source(reports: Mapping[str, Report], name: str) -> None:
    """In cells of numbers: a digit that is plain text would be a number that nobody can trace."""
    tables = [
        block.table if isinstance(block, Chart) else block
        for section in reports[name].sections
        for block in section.blocks
        if isinstance(block, Table | Chart)
    ]
    loose = [
        part
        for table in tables
        for row in table.rows
        for cell, right in zip(row, table.numeric, strict=True)
        for part in cell
        if right and isinstance(part, str) and DIGIT.search(part)
    ]
    assert loose == []


def test_commands_of_sources_work(reports: Mapping[str, Report], run: Callable[..., Result]) -> None:
    """A reader can type what stands there."""
    sources = {s for r in reports.values() for s in sources_of(r)}
    for start in ("leadgate rollout history", "leadgate check show", "leadgate rollout list"):
        source = next(s for s in sources if s.command.startswith(start))
        done = run(*source.command.split()[1:])
        assert done.exit_code in (0, 10, 20), done.output
        assert done.stdout.strip()


def test_a_run_of_checks_that_a_report_names_is_shown(
    reports: Mapping[str, Report], run: Callable[..., Result]
) -> None:
    """The very run, not the last one; one that is not there is refused."""
    sentences = [p.text for p in cited_in(reports["monthly"]) if p.source.command.startswith("leadgate check show")]
    command = next(s.command for s in sources_of(reports["monthly"]) if s.command.startswith("leadgate check show"))
    shown = json.loads(run(*command.split()[1:], "--json").stdout)
    assert shown["run_id"] in command
    assert {f["sentence"] for f in shown["findings"]} & set(sentences)
    nobody = "01890000-0000-7000-8000-000000000000"
    assert nobody in str(run("check", "show", "--run", nobody).exception)


def test_what_people_typed_stays_text(forms: Mapping[str, tuple[str, str]]) -> None:
    """A script in a comment, a name or an industry is no markup of the page, and no link in Markdown."""
    seen = 0
    for html, text in forms.values():
        page, read = _Page(), _Page()
        page.feed(html)
        read.feed(MarkdownIt("commonmark").enable("table").render(text))
        typed = lived_in.HOSTILE in page.text
        seen += typed
        assert typed == (lived_in.HOSTILE in read.text)
        for found in (page, read):
            assert {"script", "iframe", "object", "img", "link", "base", "form", "b"}.isdisjoint(found.tags)
            assert all(target.startswith("#") for target in found.links), found.links
            assert not [name for name in found.attributes if name.startswith("on")]
        prose = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert not re.search("://|www[.]", prose), "GitHub makes links of addresses"
    assert seen >= 4


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_page_arrive(reports: Mapping[str, Report], forms: Mapping[str, tuple[str, str]], name: str) -> None:
    """Each number leads to its source; each chart has words for those who do not see it, and its figures as a table."""
    page = _Page()
    page.feed(forms[name][0])
    assert {link[1:] for link in page.links} <= page.ids
    assert len(page.links) >= len(cited_in(reports[name]))
    charts = [b for s in reports[name].sections for b in s.blocks if isinstance(b, Chart)]
    assert page.tags.count("figure") == len(charts)
    assert [label for label in page.labels if label in {chart.alt for chart in charts}] == [c.alt for c in charts]
    assert len(page.every_id) == len(page.ids)


def test_tables_of_markdown_have_as_many_cells_as_columns(forms: Mapping[str, tuple[str, str]]) -> None:
    """A bar in a lead's industry opens no column."""
    for _, text in forms.values():
        blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
        assert blocks
        for block in blocks:
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_leads_are_counted_as_by_hand(home: Home, reports: Mapping[str, Report]) -> None:
    """By week, version and band, from the rows themselves; leads whose window has not passed have no rate."""
    expected = _by_hand(home)
    table = next(t for t in _tables(reports["monthly"]) if t.columns[:3] == ("week of", "version", "priority"))
    found = {tuple(_text(cell) for cell in row[:3]): tuple(_value(cell) for cell in row[3:7]) for row in table.rows}
    assert found == expected


def test_the_result_of_the_experiment_is_that_of_the_rows(home: Home, reports: Mapping[str, Report]) -> None:
    """Sides counted by hand from the log and the outcomes; the lift of the planned test by its own counts."""
    counts = _sides_by_hand(home)
    table = next(t for t in _tables(reports["experiment"]) if t.title == "What the leads came to")
    shown = {
        _text(row[1]).split()[1]: tuple(_value(cell) for cell in row[2:5])
        for row in table.rows
        if _text(row[0]) == "A/B test"
    }
    assert shown == counts
    test = next(t for t in _tables(reports["experiment"]) if t.title == "The planned test")
    leads, old, new = (int(_value(row[1])) for row in test.rows[:3])
    lift = compare_arms(Arm(leads=leads, conversions=old), Arm(leads=leads, conversions=new))
    assert isclose(_value(test.rows[3][1]), lift.lift or 0.0, rel_tol=1e-9)


def test_goals_stand_as_the_rows_say(home: Home, reports: Mapping[str, Report]) -> None:
    """Met with a date, not met after its time, or not to be said and why."""
    goals = {_text(row[1]): row for row in _tables(reports["kpi"])[0].rows}
    stands = {name: _text(row[4]) for name, row in goals.items()}
    assert stands["A model runs in shadow mode"] == "met"
    assert stands["Full rollout"] == "met"
    assert stands["Automatic retraining runs"] == "not yet"
    test = next(t for t in _tables(reports["experiment"]) if t.title == "The planned test")
    leads, old, new = (int(_value(row[1])) for row in test.rows[:3])
    p_value = chi2_contingency([[old, leads - old], [new, leads - new]], correction=False).pvalue
    assert stands["Conversion lift"] == ("met" if new / old - 1 >= 0.05 and p_value < 0.05 else "not met")
    with reader(home, lived_in.START + timedelta(days=10)) as early:
        then = {_text(row[1]): row for row in _tables(making.kpi(early))[0].rows}
    assert _text(then["Conversion lift"][4]) == "cannot be said yet"
    assert _text(then["Conversion lift"][5]) == "there was no A/B test"
    assert _text(then["Full rollout"][4]) == "not yet"
    with reader(home, None) as asking:
        late = {_text(r[1]): r for r in _tables(making.kpi(asking, since=lived_in.START - timedelta(days=120)))[0].rows}
    assert _text(late["Full rollout"][4]) == "not met"
    assert _text(late["Automatic retraining runs"][4]) == "not met"


def test_a_report_of_the_past_knows_nothing_of_later(home: Home) -> None:
    """What was not there then is not in it: no later rollout, outcome or check."""
    at = lived_in.START + timedelta(days=10)
    with reader(home, at) as asking:
        told = [making.review(asking, "weekly"), making.deployment(asking), making.kpi(asking)]
    for report in told:
        times = [
            p.value for p in cited_in(report) if isinstance(p.value, str) and re.match(r"20\d\d-\d\d-\d\d ", p.value)
        ]
        assert times
        assert all(datetime.fromisoformat(str(time)) <= at for time in times)
    assert "rollout 2" not in to_markdown(told[0]) + to_markdown(told[2])


def test_a_version_that_has_answered_nobody_is_told_of(workshop: Home) -> None:
    """By its number or as the latest: a workflow reports on what it has just trained, beside the champion."""
    with reader(workshop, None) as asking:
        report = making.deployment(asking, version="latest")
        assert making.deployment(asking, version="2").title == report.title == "Deployment of version 2"
    assert "has answered nobody so far" in _text(report.changed[0])
    assert "rollout start 2" in _text(report.actions[0])
    compared = next(section for section in report.sections if section.title == "Comparison with the champion")
    assert [table.columns[1:] for table in compared.blocks if isinstance(table, Table)] == [("version 1", "version 2")]


def test_the_drifted_feature_leads_the_review(reports: Mapping[str, Report]) -> None:
    """What moved is first, and the summary says to look."""
    drift = next(t for t in _tables(reports["weekly"]) if t.title == "Features against the training leads")
    assert _text(drift.rows[0][0]) == "engagement_score"
    assert any("feature drift" in _text(action) for action in reports["weekly"].actions)


def test_a_post_mortem_tells_cause_and_cost(reports: Mapping[str, Report]) -> None:
    """In the words of who took it back; what it cost has an interval."""
    report = reports["postmortem"]
    assert "sales complain" in _text(report.changed[0])
    lost = [part for part in report.changed[1] if isinstance(part, Cited)]
    assert len(lost) == 3
    assert float(lost[1].value) < float(lost[0].value) < float(lost[2].value)
    assert any("--rollout=2" in _text(action) for action in report.actions)


def test_the_command_writes_what_the_ending_says(run: Callable[..., Result], tmp_path: Path) -> None:
    """Markdown to the screen, HTML to a file, data with --json: the same numbers."""
    printed = run("report", "experiment", "--rollout", "1")
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.startswith("# A/B test of version 2 against version 1\n")
    assert run("report", "experiment", "--rollout", "1", "--out", "test.html").exit_code == 0
    page = (tmp_path / "test.html").read_text()
    assert page.startswith("<!doctype html>")
    data = json.loads(run("report", "experiment", "--rollout", "1", "--json").stdout)
    texts = [part["text"] for text in data["changed"] for part in text if isinstance(part, dict) and "source" in part]
    assert texts
    assert all(f"[{text}]" in printed.stdout and f">{text}<" in page for text in texts)
    assert [source["number"] for source in data["sources"]] == list(range(1, len(data["sources"]) + 1))
    assert {part["source"] for text in data["changed"] for part in text if isinstance(part, dict)} <= {
        source["number"] for source in data["sources"] if source["sql"] or source["command"]
    }


def test_bad_calls_are_refused_in_sentences(run: Callable[..., Result]) -> None:
    """Before anything slow is done."""
    for arguments, said in (
        (("weekly", "--out", "review.docx"), "none of the endings"),
        (("weekly", "--out", "nowhere/review.md"), "no folder"),
        (("experiment", "--rollout", "99"), "no rollout 99; known: 2, 1"),
        (("postmortem", "--rollout", "99"), "no rollout 99"),
        (("deployment", "--version", "99"), "no version 99"),
        (("weekly", "--until", "2100-01-01"), "in the future"),
        (("weekly", "--since", "2100-01-01"), "earlier --since"),
        (("kpi", "--since", "2100-01-01"), "counted from a day before"),
    ):
        assert said in str(run("report", *arguments).exception), arguments


def test_without_chromium_a_pdf_is_refused_with_a_way_out(run: Callable[..., Result], monkeypatch: Any) -> None:
    """Any browser prints the page."""
    monkeypatch.setattr("leadgate.app.reports.shutil.which", lambda _: None)
    refused = run("report", "kpi", "--out", "kpi.pdf").exception
    assert isinstance(refused, RefusedError)
    assert ".html" in str(refused)


def _is(part: Cited, value: object) -> bool:
    """Whether a number or a quotation is what was found."""
    if isinstance(part.value, str):
        return str(value) == part.value
    return isinstance(value, int | float) and isclose(float(value), part.value, rel_tol=1e-12, abs_tol=1e-12)


def _tables(report: Report) -> list[Table]:
    blocks = [block for section in report.sections for block in section.blocks]
    return [b.table if isinstance(b, Chart) else b for b in blocks if isinstance(b, Table | Chart)]


def _text(text: Any) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in text)


def _value(cell: Any) -> float:
    return float(next(part.value for part in cell if isinstance(part, Cited)))


def _by_hand(home: Home) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Leads, too young, matured and converted ones by week, version and band, row by row."""
    with psycopg.connect(home.database_url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        scores = connection.execute(
            "SELECT lead_id, scored_at, model_version, priority FROM leadgate.prediction_logs ORDER BY scored_at"
        ).fetchall()
        outcomes = dict(_last_outcomes(connection))
    now, window = home.clock(), timedelta(days=3)
    counts: dict[tuple[str, ...], list[float]] = {}
    seen = set()
    for lead, at, version, band in scores:
        if lead in seen:
            continue
        seen.add(lead)
        week = f"{(at - timedelta(days=at.weekday())).date()}"
        row = counts.setdefault((week, version, band), [0.0] * 4)
        young = at + window > now
        won, when = outcomes.get(lead, (False, at))
        row[0] += 1
        row[1] += young
        row[2] += not young
        row[3] += not young and won and when <= at + window
    return {key: tuple(row) for key, row in counts.items()}


def _sides_by_hand(home: Home) -> dict[str, tuple[float, ...]]:
    """Leads, matured and converted ones of the first rollout's A/B test by version."""
    with psycopg.connect(home.database_url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        scores = connection.execute(
            """
            SELECT lead_id, scored_at, model_version FROM leadgate.prediction_logs
            WHERE route_epoch = (SELECT min(epoch) FROM leadgate.routes WHERE stage = 'ab_test') ORDER BY scored_at
            """
        ).fetchall()
        outcomes = dict(_last_outcomes(connection))
    counts: dict[str, list[float]] = {}
    for lead, at, version in scores:
        won, when = outcomes.get(lead, (False, at))
        row = counts.setdefault(version, [0.0] * 3)
        row[0] += 1
        row[1] += at + timedelta(days=3) <= home.clock()
        row[2] += won and when <= at + timedelta(days=3)
    return {version: tuple(row) for version, row in counts.items()}


def _last_outcomes(connection: "psycopg.Connection[Any]") -> dict[str, tuple[bool, datetime]]:
    rows = connection.execute("SELECT lead_id, converted, outcome_at FROM leadgate.lead_outcomes ORDER BY outcome_id")
    return {lead: (won, at) for lead, won, at in rows}


class _Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.every_id: list[str] = []
        self.attributes: set[str] = set()
        self.labels: list[str] = []
        self.text = ""

    @property
    def ids(self) -> set[str]:
        return set(self.every_id)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "xlink:href"):
                self.links.append(value or "")
            if name == "id":
                self.every_id.append(value or "")
            if name == "aria-label":
                self.labels.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data
