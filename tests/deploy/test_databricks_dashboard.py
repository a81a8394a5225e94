"""The dashboard for Databricks: its format, and its queries in PostgreSQL, translated from Databricks' dialect."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any, LiteralString

import jsonschema
import psycopg
import pytest
import sqlglot
import yaml
from furnished import MODEL, furnished
from psycopg.rows import dict_row
from sqlglot import exp

from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.storage.postgres.views import SCHEMA, VIEWS

Json = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "deploy" / "databricks"
FILE = FOLDER / "leadgate.lvdash.json"
BOARD: Json = json.loads(FILE.read_text())
FORMAT: Json = json.loads(Path(__file__).with_name("lvdash.schema.json").read_text())
DATASETS: dict[str, str] = {dataset["name"]: "".join(dataset["queryLines"]) for dataset in BOARD["datasets"]}
WIDGETS: list[Json] = [place["widget"] for page in BOARD["pages"] for place in page["layout"]]
SHOWING = [widget for widget in WIDGETS if "spec" in widget]


def alerts() -> dict[str, str]:
    """By name, the queries for alerts."""
    parts = re.split(r"^-- (\w+)$", (FOLDER / "alerts.sql").read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def translated(sql: str) -> LiteralString:
    """A query of Databricks as PostgreSQL takes it."""
    found = sqlglot.transpile(sql, read="databricks", write="postgres", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def reader(server: str, template: str) -> Iterator["psycopg.Connection[Json]"]:
    """As the connection of a foreign catalog reads; the schema is the dashboard's."""
    from conftest import _database  # noqa: PLC0415

    databases = _database(server, template)
    with psycopg.connect(furnished(databases), row_factory=dict_row, autocommit=True) as connection:
        connection.execute("SET ROLE leadgate_reader")
        connection.execute("SET search_path = leadgate_views")
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    next(databases, None)


def test_the_format_is_that_of_the_documentation() -> None:
    """Databricks refuses a file whose widgets have keys or versions that it does not know, or shows nothing."""
    jsonschema.Draft202012Validator.check_schema(FORMAT)
    jsonschema.validate(BOARD, FORMAT)


@pytest.mark.parametrize(
    "path",
    (
        ("pages", 0, "layout", 0, "widget", "spec", "version"),
        ("pages", 0, "layout", 0, "position", "width"),
        ("datasets", 0, "queryLines"),
        ("pages", 1, "layout", 1, "widget", "spec", "encodings", "y"),
    ),
)
def test_a_damaged_file_is_found_out(path: tuple[str | int, ...]) -> None:
    """The schema can fail: a wrong version, a widget that is too wide, a dataset without query, a chart without y."""
    board = deepcopy(BOARD)
    inside: Any = board
    for key in path[:-1]:
        inside = inside[key]
    if isinstance(inside[path[-1]], int):
        inside[path[-1]] = 99
    else:
        del inside[path[-1]]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(board, FORMAT)


@pytest.mark.parametrize("name", DATASETS)
def test_a_query_runs_and_has_what_its_widgets_show(reader: "psycopg.Connection[Json]", name: str) -> None:
    """Every column that a widget names is one of the query, which finds rows; the filter finds its model in each."""
    cursor = reader.execute(translated(DATASETS[name]))
    assert cursor.description
    columns, rows = {column.name for column in cursor.description}, cursor.fetchall()
    assert rows
    assert {row["model_name"] for row in rows} == {MODEL}
    for widget in SHOWING:
        for query in widget["queries"]:
            if query["query"]["datasetName"] == name:
                shown = {field["expression"].strip("`") for field in query["query"]["fields"]}
                assert shown <= columns, widget["name"]


def named_in(encodings: Any) -> Iterator[str]:
    """The fields that a widget draws."""
    if isinstance(encodings, dict):
        yield from [encodings["fieldName"]] if "fieldName" in encodings else []
        for value in encodings.values():
            yield from named_in(value)
    elif isinstance(encodings, list):
        for value in encodings:
            yield from named_in(value)


def test_widgets_draw_what_they_ask_for() -> None:
    """A field that is drawn and not asked for makes an empty widget; one that is not drawn is read for nothing."""
    for widget in SHOWING:
        fields = {field["name"] for query in widget["queries"] for field in query["query"]["fields"]}
        assert set(named_in(widget["spec"]["encodings"])) == fields, widget["name"]
        assert all(query["query"]["datasetName"] in DATASETS for query in widget["queries"])


def test_each_dataset_is_shown_and_filtered() -> None:
    """A model is chosen once, for every widget of every page."""
    chosen = next(widget for widget in SHOWING if widget["name"] == "filter-model")
    filtered = {query["query"]["datasetName"]: query["name"] for query in chosen["queries"]}
    assert set(filtered) == set(DATASETS)
    assert [field["queryName"] for field in chosen["spec"]["encodings"]["fields"]] == list(filtered.values())
    shown = {q["query"]["datasetName"] for widget in SHOWING if widget is not chosen for q in widget["queries"]}
    assert shown == set(DATASETS)


def test_names_are_unique_and_widgets_cover_none() -> None:
    """Twelve columns; a name that is there twice replaces a widget."""
    names = [widget["name"] for widget in WIDGETS]
    assert len(names) == len(set(names))
    assert len(DATASETS) == len(BOARD["datasets"])
    for page in BOARD["pages"]:
        grid = [place["position"] for place in page["layout"]]
        assert all(g["x"] + g["width"] <= 12 for g in grid)
        for a, b in combinations(grid, 2):
            aside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert aside or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"], (a, b)


def test_catalog_and_schema_are_the_bundles() -> None:
    """Queries name views alone, ours; the bundle says where they are, by default where the migrations made them."""
    for sql in (*DATASETS.values(), *alerts().values()):
        for table in sqlglot.parse_one(sql, read="databricks").find_all(exp.Table):
            assert table.name in VIEWS
            assert not table.db
    bundle = yaml.safe_load((FOLDER / "databricks.yml").read_text())
    dashboard = bundle["resources"]["dashboards"]["leadgate"]
    assert (FOLDER / dashboard["file_path"]) == FILE
    assert dashboard["dataset_schema"] == "${var.schema}"
    assert bundle["variables"]["schema"]["default"] == SCHEMA


@pytest.mark.parametrize(
    ("name", "expected"), (("red_alerts", 1), ("auc_below_target", 0), ("features_drifted", 0), ("checks_stopped", 0))
)
def test_an_alert_counts_what_is_out(reader: "psycopg.Connection[Json]", name: str, expected: int) -> None:
    """One row; its first column is above zero when somebody has to look."""
    rows = reader.execute(translated(alerts()[name])).fetchall()
    assert len(rows) == 1
    assert int(next(iter(rows[0].values()))) == expected


def test_each_query_for_alerts_is_tested() -> None:
    """One that was added and is tried by nobody would be found out by a team."""
    assert set(alerts()) == {"red_alerts", "auc_below_target", "features_drifted", "checks_stopped"}


def test_figures_are_those_of_the_last_run(reader: "psycopg.Connection[Json]") -> None:
    """The wide row that the counters show is the long one of the table."""
    rows = {row["row_name"]: row["value"] for row in reader.execute(translated(DATASETS["rows"])).fetchall()}
    wide = reader.execute(translated(DATASETS["figures"])).fetchone()
    assert wide
    del wide["model_name"]
    assert len(rows) == 22
    assert sorted(v for v in wide.values() if v is not None) == sorted(v for k, v in rows.items() if k in shown_rows())
    assert (wide["auc"], wide["deal_size"], wide["feature_shift"]) == (0.88, 12_400.0, 2)


def shown_rows() -> set[str]:
    """The rows that the query of the counters picks."""
    return set(re.findall(r"row_name = '([^']+)'", DATASETS["figures"]))


def test_titles_name_leadgates_targets() -> None:
    """The same targets as everywhere: a default that changed would be found here."""
    judged = MonitoringRules()
    asked = {
        "latency_p95": f"< {judged.system.p95_ms.yellow:g} ms",
        "latency_p99": f"< {judged.system.p99_ms.yellow:g} ms",
        "uptime": f"> {judged.system.uptime:.1%}".replace("%", " %"),
        "auc": f"> {judged.model.auc_at_least:.2f}",
        "precision": f"> {judged.model.precision_at_least:.2f}",
        "recall": f"> {judged.model.recall_at_least:.2f}",
        "calibration_error": f"< {judged.model.calibration.yellow:.2f}",
        "data_freshness": f"< {judged.system.fresh_hours.yellow:g} h",
        "missing_values": f"< {judged.drift.missing_rise.yellow:.0%}".replace("%", " %"),
        "feature_drift_ks": f"< {judged.drift.ks.yellow:.2f}",
        "distribution_delta": f"< {judged.drift.js.yellow:.2f}",
        "coverage": f"> {judged.coverage:.0%}".replace("%", " %"),
        "satisfaction": f">= {judged.business.rating:g} of 10",
        "prediction_drift": f"< {judged.drift.median_shift.yellow:.2f}",
        "prediction_percentiles": f"< {judged.drift.percentile_change.yellow:.0%}".replace("%", " %"),
    }
    titles = {
        widget["spec"]["encodings"]["value"]["fieldName"]: widget["spec"]["frame"]["title"]
        for widget in SHOWING
        if widget["spec"]["widgetType"] == "counter"
    }
    assert {column: re.findall(r"\((.*)\)", titles[column])[0] for column in asked} == asked


def test_the_file_is_written_for_the_eye() -> None:
    """Sorted and indented, so that an export is a small difference in Git."""
    assert FILE.read_text() == json.dumps(BOARD, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
