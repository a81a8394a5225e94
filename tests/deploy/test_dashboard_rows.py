"""What the views for dashboards say of rows whose figures are known."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from furnished import DAY, LAST_RUN, MODEL, NOW, furnished
from psycopg.rows import dict_row

from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.measurements import service_use
from leadgate.storage.postgres.views import VIEWS

Row = dict[str, Any]


@pytest.fixture(scope="module")
def database_url(server: str, template: str) -> Iterator[str]:
    """A database with rows that is only read."""
    from conftest import _database  # noqa: PLC0415

    databases = _database(server, template)
    yield furnished(databases)
    next(databases, None)


@pytest.fixture
def reader(database_url: str) -> Iterator["psycopg.Connection[Row]"]:
    """As a dashboard connects."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("SET ROLE leadgate_reader")
        connection.execute("SET search_path = leadgate_views")
        yield connection


@pytest.fixture
def rows(reader: "psycopg.Connection[Row]") -> dict[str, Row]:
    """The rows of the dashboard in the last run, by name."""
    found = reader.execute("SELECT * FROM dashboard_rows WHERE run_id = %s", [LAST_RUN]).fetchall()
    return {row["row_name"]: row for row in found}


@pytest.mark.parametrize(
    ("name", "value", "target", "target_is", "status"),
    (
        ("latency p95", 12.0, 100.0, "at most", "green"),
        ("coverage", 0.93, 0.95, "at least", "yellow"),
        ("AUC", 0.88, 0.85, "at least", "green"),
        ("missing values", 0.004, 0.01, "at most", "green"),
        ("feature drift KS", 0.31, 0.15, "at most", "red"),
        ("distribution delta", 0.14, 0.10, "at most", "yellow"),
        ("feature shift", 2, 0, "at most", "red"),
        ("conversion rate", 0.21, 0.20, "near", "green"),
        ("lift over baseline", 0.05, 0.10, "within", "green"),
        ("average deal size", 12_400.0, 12_150.0, "near", "green"),
        ("model usage", 1_210.0, None, "at least", "unknown"),
        ("prediction drift", 0.02, 0.05, "at most", "green"),
        ("prediction percentiles", 0.08, None, "at most", "green"),
    ),
)
def test_a_row_has_its_figure_and_its_target(  # noqa: PLR0917
    rows: dict[str, Row], name: str, value: float, target: float | None, target_is: str, status: str
) -> None:
    """Of several features the furthest; the challenger's figures are not the model's; no target where none is known."""
    row = rows[name]
    assert (row["value"], row["target"], row["target_is"], row["status"]) == (value, target, target_is, status)


def test_the_worst_feature_speaks_for_a_row(rows: dict[str, Row]) -> None:
    """Its sentence is what somebody has to read."""
    assert rows["feature drift KS"]["sentence"] == "engagement: feature drift red"
    assert rows["AUC"]["sentence"] == "AUC green"


def test_targets_are_those_that_the_checks_had(rows: dict[str, Row]) -> None:
    """A view has no thresholds of its own: the rows say what the findings said, here Leadgate's defaults."""
    rules = MonitoringRules()
    assert rows["latency p99"]["target"] == rules.system.p99_ms.yellow
    assert rows["calibration error"]["target"] == rules.model.calibration.yellow
    assert rows["sales satisfaction"]["target"] == rules.business.rating


def test_a_run_is_as_bad_as_its_worst_finding(reader: "psycopg.Connection[Row]") -> None:
    """The badge on top of the page; the challenger's findings count, too."""
    row = reader.execute("SELECT * FROM check_runs WHERE run_id = %s", [LAST_RUN]).fetchone()
    assert row
    assert row["status"] == "red"
    assert (row["num_red"], row["num_yellow"], row["num_unknown"], row["num_green"]) == (2, 2, 1, 20)


def test_a_run_is_known_when_some_of_it_is(database_url: str) -> None:
    """By default nobody says how many scores a day are counted on: that must not hide what other checks say."""
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM leadgate.check_results WHERE severity IN ('red', 'yellow')")
        found = connection.execute("SELECT status, num_unknown FROM leadgate_views.check_runs").fetchall()
        assert found == [("green", 1)] * 2
        connection.execute("DELETE FROM leadgate.check_results WHERE severity = 'green'")
        assert connection.execute("SELECT status FROM leadgate_views.check_runs").fetchall() == [("unknown",)] * 2
        connection.rollback()


def test_one_route_is_in_force(reader: "psycopg.Connection[Row]") -> None:
    """The last one; the others say until when they were."""
    found = reader.execute("SELECT * FROM routes ORDER BY epoch").fetchall()
    assert [row["changed_again_at"] for row in found] == [found[1]["changed_at"], found[2]["changed_at"], None]
    assert (found[2]["champion_share"], found[2]["challenger_share"]) == (0.5, 0.5)
    assert (found[1]["champion_share"], found[1]["challenger_share"]) == (1.0, 0.0)


def test_gates_stand_in_the_order_in_which_they_were_judged(reader: "psycopg.Connection[Row]") -> None:
    """With what each said and how sure it was."""
    found = reader.execute("SELECT * FROM rollout_gates ORDER BY place").fetchall()
    assert [(row["gate"], row["answer"], row["red"]) for row in found] == [
        ("p99", "pass", False),
        ("lift", "wait", False),
        ("segments", "fail", True),
    ]
    assert (found[1]["value"], found[1]["value_low"], found[1]["value_high"]) == (0.06, -0.01, 0.13)
    assert {row["stage"] for row in found} == {"ab_test"}


def test_a_look_at_the_experiment_has_both_sides_and_the_sequence(reader: "psycopg.Connection[Row]") -> None:
    """Before the planned size there is no test, and the sequence speaks."""
    row = reader.execute("SELECT * FROM rollout_looks").fetchone()
    assert row
    assert (row["champion_matured"], row["challenger_conversions"], row["planned_leads"]) == (9_000, 955, 24_000)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (0.006, -0.004, 0.016)
    assert (row["lift"], row["p_value"]) == (None, None)


def test_scores_of_an_hour_are_added_up(reader: "psycopg.Connection[Row]") -> None:
    """An hour has a row for each segment of the spool until they are merged; a dashboard sees one."""
    found = reader.execute("SELECT model_version, num_predictions FROM score_hours ORDER BY 1").fetchall()
    assert [(row["model_version"], row["num_predictions"]) for row in found] == [("1", 630), ("2", 640)]


def test_minutes_of_the_service_add_up_to_what_rollouts_judge(
    reader: "psycopg.Connection[Row]", database_url: str
) -> None:
    """Capacity by the view's columns is the one of the gates: workers, times requests over processor time."""
    row = reader.execute(
        "SELECT sum(span_seconds) / extract(epoch FROM max(measured_at) - min(since))::double precision AS workers, "
        "sum(requests)::bigint AS requests, sum(busy_seconds) AS busy FROM service_minutes"
    ).fetchone()
    with connect(database_url) as connection:
        use = service_use(connection, model_name=MODEL, since=NOW - DAY, until=NOW)
    assert row
    assert use
    assert (row["workers"], row["requests"], row["busy"]) == pytest.approx((use.workers, use.requests, use.busy_s))
    assert (row["workers"], row["requests"]) == (2, 12_000)


def test_views_tell_no_names_of_those_who_rated(reader: "psycopg.Connection[Row]") -> None:
    """Sales people say what they think only where their manager's dashboard does not name them."""
    found = reader.execute("SELECT * FROM sales_ratings").fetchall()
    assert [row["rating"] for row in found] == [9.0, 7.0]
    assert "Grace" not in repr(found)


def test_the_documentation_has_every_view_with_its_columns(reader: "psycopg.Connection[Row]") -> None:
    """Who writes a query by docs/own-tools.md finds what it says."""
    text = (Path(__file__).parents[2] / "docs" / "own-tools.md").read_text()
    lines = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", text, re.MULTILINE)
    told = {name: columns.split(", ") for name, columns in lines}
    found = reader.execute(
        "SELECT relname, array_agg(attname::text ORDER BY attnum) AS columns FROM pg_attribute JOIN pg_class "
        "ON attrelid = pg_class.oid WHERE relnamespace = 'leadgate_views'::regnamespace AND attnum > 0 GROUP BY 1"
    ).fetchall()
    assert told == {row["relname"]: row["columns"] for row in found}
    assert set(told) == set(VIEWS)
