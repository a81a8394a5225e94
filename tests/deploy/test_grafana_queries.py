"""The queries of Grafana's dashboards: PostgreSQL and Prometheus have what they ask for."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
import yaml
from boards import BOARDS, POSTGRES, PROMETHEUS, Json, asked, variables
from furnished import MODEL, NOW, furnished
from test_prometheus import exposed, promtool

from leadgate.scoring.metrics import Metrics

SINCE, UNTIL = NOW - timedelta(days=90), NOW + timedelta(hours=1)
QUERIES = [pytest.param(panel, target, id=f"{n}: {panel['title']}") for n, panel, target in asked(POSTGRES)]


def expanded(sql: str) -> LiteralString:
    """A query as Grafana sends it: its macros and variables replaced, by Grafana's documentation."""
    since, until = (f"'{t:%Y-%m-%dT%H:%M:%SZ}'" for t in (SINCE, UNTIL))
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {since} AND {until}", sql)
    text = text.replace("$__timeFrom()", since).replace("$__timeTo()", until)
    text = re.sub(r"\$__timeGroup\((\w+), '1h'\)", r"floor(extract(epoch from \1)/3600)*3600", text)
    for name, value in (("model", MODEL), ("feature", "engagement")):
        quoted = value.replace("'", "''")
        text = text.replace(f"${{{name}:sqlstring}}", f"'{quoted}'")
    assert "$" not in text, text
    return text


@pytest.fixture(scope="module")
def database_url(server: str, template: str) -> Iterator[str]:
    """A database with rows that is only read."""
    from conftest import _database  # noqa: PLC0415

    databases = _database(server, template)
    yield furnished(databases)
    next(databases, None)


@pytest.fixture(scope="module")
def reader(database_url: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """As Grafana connects, where nobody has set anything for its user, in a zone that is not UTC."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET ROLE leadgate_reader")
        connection.execute("SET TimeZone = 'America/New_York'")
        yield connection


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_a_query_gives_what_its_panel_needs(
    reader: "psycopg.Connection[tuple[Any, ...]]", panel: Json, target: Json
) -> None:
    """It runs as a reader and finds rows; a series has ascending times and figures; a table the columns it formats."""
    cursor = reader.execute(expanded(target["rawSql"]))
    assert cursor.description
    columns, rows = [column.name for column in cursor.description], cursor.fetchall()
    assert rows
    if target["format"] == "time_series":
        times = [seconds(row[columns.index("time")]) for row in rows]
        assert times == sorted(times)
        figures = [row[i] for row in rows for i, name in enumerate(columns) if name not in {"time", "metric"}]
        known = [float(figure) for figure in figures if figure is not None]
        assert known
    if panel["type"] == "annotation":
        assert {"time", "text"} <= set(columns)
    overrides = panel.get("fieldConfig", {}).get("overrides", ())
    assert {override["matcher"]["options"] for override in overrides} <= set(columns)


def seconds(time: Any) -> float:
    """Since 1970: Grafana takes a time, and a number that its own macro made of one."""
    return time.timestamp() if isinstance(time, datetime) else float(time)


def test_what_is_worth_knowing_stands_on_the_page(reader: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """The figures of the last run, and what stops the promotion, by the panels' own queries."""
    found = {
        panel["title"]: reader.execute(expanded(target["rawSql"])).fetchall() for _, panel, target in asked(POSTGRES)
    }
    assert found["Lead scoring, $environment"] == [("red",)]
    assert found["AUC (> 0.85)"][-1][1] == 0.88
    # Two workers answered 12,000 requests in 6 s of processor time.
    assert float(found["Throughput capacity (> 1000 req/s)"][0][1]) == pytest.approx(2 * 12_000 / 6)
    assert [(row[0], row[1]) for row in found["What stops the promotion"]] == [("segments", "fail"), ("lift", "wait")]
    assert [row[1] for row in found["Most important features that drifted"]] == ["engagement", "region"]
    assert [row[2:5] for row in found["Days"]] == [(10, 10, 4)]


def test_the_choices_of_variables_are_found(reader: "psycopg.Connection[tuple[Any, ...]]") -> None:
    """Grafana fills its lists of models and features from the views, too."""
    lists = [
        variable["query"]
        for board in BOARDS.values()
        for variable in variables(board).values()
        if variable["type"] == "query" and variable["datasource"]["uid"] == "${postgres}"
    ]
    assert len(lists) > len(BOARDS)
    for query in lists:
        assert reader.execute(expanded(query)).fetchall()


def test_pages_do_not_scan_the_log() -> None:
    """What is looked at once a minute reads what was added up; business_metrics reads the days that are chosen."""
    views = {view for _, _, target in asked(POSTGRES) for view in re.findall(r"\bleadgate\w*\.\w+", target["rawSql"])}
    assert not views & {f"leadgate_views.{n}" for n in ("prediction_logs", "lead_scores", "feature_values")}
    assert BOARDS["leadgate-business"]["refresh"] == ""
    others = [target["rawSql"] for name, _, target in asked(POSTGRES) if name != "leadgate-business"]
    assert not [query for query in others if "business_metrics" in query]


def filled(expression: str) -> str:
    """An expression as Grafana sends it."""
    text = expression.replace("$__rate_interval", "5m").replace("$__range", "6h").replace("$job", "leadgate")
    assert "$" not in text, text
    return text


EXPRESSIONS = [filled(target["expr"]) for _, _, target in asked(PROMETHEUS)]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_ask_for_series_that_the_service_has(expression: str) -> None:
    """A metric or label that was renamed would leave its panel empty for ever."""
    known = exposed()
    names = set(re.findall(r"\bleadgate_\w+", expression))
    assert names
    assert names <= set(known)
    labels = set(re.findall(r"(\w+)=~?\"", expression))
    labels |= {x.strip() for group in re.findall(r"(?:by|ignoring) \(([^)]*)\)", expression) for x in group.split(",")}
    assert labels <= set().union(*(known[name] for name in names)) | {"job", "instance"}


def test_the_job_variable_asks_for_a_series_that_the_service_has() -> None:
    """Without it nothing on the page has data."""
    asked = variables(BOARDS["leadgate-service"])["job"]["query"]["query"]
    assert re.fullmatch(r"label_values\((\w+), job\)", asked)
    assert re.findall(r"leadgate_\w+", asked)[0] in exposed()


def test_promtool_finds_figures_for_each_expression(tmp_path: Path) -> None:
    """Prometheus takes every expression, and each gives something of a service that works and one that fails."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": "0+7x400"} for name in series()],
        "promql_expr_test": [
            {
                "expr": f"clamp_max(count({expression}), 1)",
                "eval_time": "6h",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for expression in EXPRESSIONS
        ],
    }
    (tmp_path / "no.rules.yml").write_text("groups: []\n")
    made = tmp_path / "made.test.yml"
    made.write_text(yaml.safe_dump({"rule_files": ["no.rules.yml"], "evaluation_interval": "1m", "tests": [test]}))
    done = promtool("test", "rules", str(made))
    assert done.returncode == 0, done.stdout + done.stderr


def series() -> list[str]:
    """The series of a service in which everything has happened, as Prometheus names them."""
    metrics = Metrics()
    metrics.begin([("1", "champion"), ("2", "challenger")])
    metrics.prediction_seconds.observe(("1", "champion"), 0.01)
    metrics.shadow_skips.add(("2",))
    metrics.refusals.add(("422",))
    lines = [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    names = [line.rpartition(" ")[0].replace("{", '{job="leadgate",instance="a",') for line in lines]
    return [name if "{" in name else f'{name}{{job="leadgate",instance="a"}}' for name in names]
