"""What `leadgate init` writes can be read back word for word, and teaches its reader."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from leadgate.leads.inspection import Column, Inspection, Role, inspect
from leadgate.leads.project import Project, parse_project
from leadgate.leads.proposal import quote, summarise, write_yaml
from leadgate.leads.schema import Feature, FeatureType
from leadgate.leads.worker_rules import KeepDays, Schedule, WorkerRules

NAMES = (
    *("Lead Source", "What is your current occupation", "a: b", "yes", "123", "null", "~", "1e3", "-", "# x", "Größe"),
    *(
        "it's",
        'say "so"',
        "東京 🚀",
        "a,b",
        "{x}",
        "[x]",
        "&x",
        "*x",
        "!x",
        "%x",
        "@x",
        "tab\there",
        "line\nend",
        "\u2028",
    ),
)
ANY_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def column(name: str, role: Role = Role.FEATURE, **more: Any) -> Column:
    """A column of the findings; a plain category unless told otherwise."""
    plain = Column(
        name=name,
        role=role,
        type=FeatureType.CATEGORICAL if role in (Role.FEATURE, Role.SUSPECT) else None,
        missing=0.0,
        distinct=3,
        auc=None,
        reasons=(),
        allowed_missing=0.02,
    )
    return replace(plain, **more)


def findings(*columns: Column, **more: Any) -> Inspection:
    """Findings with these columns beside an id and a target."""
    own = (column("lead id", Role.ID), column("won?", Role.TARGET))
    plain = Inspection(
        rows=1_000,
        converted=100,
        labelled=900,
        id="lead id",
        timestamp=None,
        target="won?",
        converted_when=None,
        columns=(*own, *columns),
        segments=(),
    )
    return replace(plain, **more)


def read_back(inspection: Inspection, **options: Any) -> Project:
    """The project that the written text says."""
    return parse_project(write_yaml(inspection, source="leads.csv", **options), "leadgate.yaml")


@given(ANY_TEXT)
def test_any_text_is_quoted_so_that_it_reads_back(text: str) -> None:
    """On one line, as a key, as an item and as a value."""
    quoted = quote(text)
    assert "\n" not in quoted
    assert yaml.safe_load(f"{quoted}: {{v: [{quoted}, x]}}  # c") == {text: {"v": [text, "x"]}}


def test_awkward_names_read_back() -> None:
    """As features, categories, segments, id, target and the value that means converted."""
    features = [column(name, categories=NAMES) for name in NAMES]
    project = read_back(findings(*features, converted_when="no", segments=NAMES[:3]), name="a-1")
    assert tuple(feature.name for feature in project.lead.features) == NAMES
    assert {feature.categories for feature in project.lead.features} == {NAMES}
    assert (project.lead.id, project.lead.target, project.lead.converted_when) == ("lead id", "won?", "no")
    assert (project.lead.segments, project.name) == (NAMES[:3], "a-1")


@given(st.lists(ANY_TEXT, min_size=1, max_size=4, unique=True), ANY_TEXT)
def test_no_name_breaks_the_file(names: list[str], reason: str) -> None:
    """Whatever a file calls its columns, and whatever a reason quotes: left out, suspect or in use."""
    taken = {"lead id", "won?", "f"}
    names = [name for name in names if name not in taken]
    out = [column(name, Role.LEFT_OUT, reasons=(reason,)) for name in names[:2]]
    suspects = [column(name, Role.SUSPECT, reasons=(reason,)) for name in names[2:]]
    project = read_back(findings(column("f", reasons=(reason,)), *suspects, *out))
    assert [feature.name for feature in project.lead.features] == ["f", *names[2:]]
    text = write_yaml(findings(column("f")), source=reason, name="x")
    assert parse_project(text, "leadgate.yaml").name == "x"


@given(st.floats(-1e308, 1e308), st.floats(0, 1e308))
def test_ranges_read_back(low: float, width: float) -> None:
    """To fifteen digits, also where a number needs an exponent."""
    high = min(low + width, 1e308)
    (feature,) = read_back(findings(column("n", type=FeatureType.NUMERIC, range=(low, high)))).lead.features
    assert feature.range is not None
    assert feature.range == pytest.approx((low, high), rel=1e-14)


def test_suspects_stay_declared_and_unused_and_the_left_out_are_only_named() -> None:
    """`use: true` brings a suspect back; what is left out is a comment with its reason."""
    text = write_yaml(
        findings(
            column("source"),
            column("tags", Role.SUSPECT, reasons=("alone it ranks leads with AUC 0.91",)),
            column("email", Role.LEFT_OUT, reasons=("id-like (9 different values in 9 rows)",)),
        ),
        source="leads.csv",
    )
    lines = text.splitlines()
    suspect = next(i for i, line in enumerate(lines) if line.startswith("    tags: "))
    assert "AUC 0.91" in lines[suspect - 1]
    assert lines[suspect - 1].lstrip().startswith("#")
    assert any(re.match(r" *# +email: id-like", line) for line in lines)
    before = parse_project(text, "leadgate.yaml").lead
    assert [(feature.name, feature.use) for feature in before.features] == [("source", True), ("tags", False)]
    after = parse_project(text.replace("use: false, ", "use: true, "), "leadgate.yaml").lead
    assert [feature.name for feature in after.used] == ["source", "tags"]


def test_a_feature_worth_a_look_says_so() -> None:
    """Above its line."""
    text = write_yaml(findings(column("status", reasons=("its name tells of the outcome (status)",))), source="x")
    assert re.search(r"# check: its name tells of the outcome \(status\)\n +status: \{", text)


def test_only_short_lists_of_categories_are_written() -> None:
    """Thirty at most: a longer list is no reading."""
    many = tuple(f"c{i:02}" for i in range(31))
    project = read_back(findings(column("a", categories=many), column("b", categories=many[:30])))
    assert [feature.categories for feature in project.lead.features] == [None, many[:30]]


def test_what_is_not_said_has_its_default() -> None:
    """The written sections are the defaults themselves, so that reading them teaches what holds anyway."""
    project = read_back(findings(column("f")))
    bare = Project(lead=project.lead)
    assert project == bare
    assert set(yaml.safe_load(write_yaml(findings(column("f")), source="x"))) == set(Project.model_fields)


def test_every_line_of_a_section_is_explained() -> None:
    """Each key of the sections after `lead` has a comment, and each section one above it."""
    lines = write_yaml(findings(column("f")), source="x").splitlines()
    start = lines.index("imports:") - 1
    assert [line for line in lines[start:] if line and "#" not in line and not line.endswith(":")] == []
    sections = [i for i, line in enumerate(lines) if re.fullmatch(r"\w+:", line)]
    assert [lines[i] for i in sections if not lines[i - 1].startswith("#")] == []


def test_an_inspected_file_reads_back_as_it_was_found() -> None:
    """Types, ranges, limits and categories of a real inspection, a line a feature."""
    rng = np.random.default_rng(4)
    frame = pl.DataFrame(
        {
            "Lead Number": [f"N{i}" for i in range(300)],
            "Created Date": ["2026-01-05 10:00"] * 300,
            "Lead Source": rng.choice(["Web: form", "no", "Größe"], 300),
            "opted in": rng.choice(["Yes", "No", ""], 300),
            "size, m²": rng.integers(-50, 50, 300).astype(str),
            "Result": rng.choice(["Won", "Lost"], 300),
            "Constant": ["#1: x"] * 300,
        }
    )
    found = inspect(frame, "leads.csv", target="Result")
    text = write_yaml(found, source="leads.csv")
    lead = parse_project(text, "leadgate.yaml").lead
    declared = [c for c in found.columns if c.role in (Role.FEATURE, Role.SUSPECT)]
    assert lead.features == tuple(
        Feature(
            name=c.name,
            type=c.type or FeatureType.NUMERIC,
            use=c.role is Role.FEATURE,
            range=c.range,
            missing=c.allowed_missing or 0,
            categories=c.categories,
        )
        for c in sorted(declared, key=lambda c: c.role is Role.SUSPECT)
    )
    assert (lead.id, lead.timestamp, lead.target) == ("Lead Number", "Created Date", "Result")
    assert lead.converted_when == "Won"
    assert sum(line.startswith("    ") and "{type" in line for line in text.splitlines()) == len(declared)


def test_the_summary_has_a_row_a_column() -> None:
    """Roles first, then features, suspects and what is left out; a figure where there is one."""
    rows = summarise(
        findings(
            column("out", Role.LEFT_OUT, reasons=("constant (always 'x')",)),
            column("tags", Role.SUSPECT, auc=0.914, missing=0.125, reasons=("a", "b")),
            column("f", auc=0.5),
        )
    )
    assert rows == [
        ("lead id", "id", "0.0%", "", ""),
        ("won?", "target", "0.0%", "", ""),
        ("f", "feature, categorical", "0.0%", "0.50", ""),
        ("tags", "leakage suspect, categorical", "12.5%", "0.91", "a; b"),
        ("out", "left out", "0.0%", "", "constant (always 'x')"),
    ]


def test_what_the_worker_does_is_written_with_its_defaults_and_a_word_to_each() -> None:
    """Whoever reads the file knows what happens by itself, and changes nothing by leaving it as it is."""
    text = write_yaml(findings(column("age")), source="leads.csv")
    assert parse_project(text, "leadgate.yaml").worker == WorkerRules()
    section = text[text.index("\nworker:") :]
    for rules in (Schedule, KeepDays):
        for name in rules.model_fields:
            assert re.search(rf"^    {name}: [^#]+ # \w+", section, re.MULTILINE), name
