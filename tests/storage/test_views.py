"""The views for people's own tools, and the plan's SQL on them, held against what the tables themselves say."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, cast

import msgspec
import numpy as np
import polars as pl
import psycopg
import pytest
from psycopg.rows import dict_row
from scipy.stats import ks_2samp
from sklearn.metrics import precision_score, roc_auc_score

from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.routing import set_route
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.snapshots import read_snapshot
from leadgate.records import Outcome
from leadgate.scoring.folding import log_predictions
from leadgate.simulator.drift import Drift
from leadgate.simulator.ids import uuid7_at
from leadgate.simulator.world import World
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.profiles import logged_between
from leadgate.storage.postgres.views import VIEWS
from prepared import copy_of

QUERIES = Path(__file__).parents[2] / "deploy" / "sql" / "plan.sql"
DAYS = 28
WINDOW_DAYS = 14
SHADOW_DAYS = 20
WORLD = World(leads_a_day=60, drift=Drift(day=21, engagement=25.0))

Row = dict[str, Any]


def queries() -> dict[str, LiteralString]:
    """By name, the texts that a team copies into its dashboards."""
    text = QUERIES.read_text()
    parts = re.split(r"^-- (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: cast("LiteralString", body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


@pytest.fixture(scope="module")
def home(made_workshop: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Four weeks that end last midnight: version 2 is the shadow of 1, then half of the leads are its own.

    In the last week leads are more engaged. Checks run each week. At the end thirty leads are scored again, and ten
    outcomes corrected.
    """
    from conftest import _database  # noqa: PLC0415

    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    folder = tmp_path_factory.mktemp("views")
    home = copy_of(made_workshop, folder, next(_database(server, made_workshop.name)))
    config = folder / CONFIG
    config.write_text(config.read_text().replace("window_days: 60", f"window_days: {WINDOW_DAYS}"))
    home = Home(folder, home.settings).on(SimulatedClock(start))
    set_route(home, stage="shadow", champion="1", challenger="2", share=0, reason="test")

    def each_day(now: datetime) -> None:
        days = (now - start).days
        if days == SHADOW_DAYS:
            set_route(home, stage="ab_test", champion="1", challenger="2", share=0.5, reason="test")
        if days % 7 == 0:
            run_checks(home)

    play(home, WORLD, DAYS, each_day=each_day, rng=np.random.default_rng(1))
    _score_again_and_correct(home, start)
    return home


def _score_again_and_correct(home: Home, start: datetime) -> None:
    rng = np.random.default_rng(2)
    with home.connection() as connection:
        logged = next(logged_between(connection, "lead-scoring", since=start, until=start + timedelta(days=5)))
        again = [
            msgspec.structs.replace(
                p,
                prediction_id=uuid7_at(p.scored_at + timedelta(microseconds=i + 1), rng),
                scored_at=p.scored_at + timedelta(microseconds=i + 1),
                predicted_score=1 - p.predicted_score,
            )
            for i, p in enumerate(logged[:30])
        ]
        log_predictions(connection, again)
        corrected = [
            Outcome(
                lead_id=p.lead_id,
                converted=True,
                deal_size=50_000.0 + i,
                days_to_close=3.0,
                # Some were decided before they were scored, and some after their window.
                outcome_at=p.scored_at + timedelta(days=(-1, 2, WINDOW_DAYS + 1)[i % 3]),
                source="correction",
            )
            for i, p in enumerate(logged[20:32])
        ]
        record_outcomes(connection, corrected, start + timedelta(days=DAYS))


@pytest.fixture
def session(home: Home) -> Iterator["psycopg.Connection[Row]"]:
    """As a dashboard connects; one transaction, so that CURRENT_TIMESTAMP stands still."""
    with psycopg.connect(home.database_url, row_factory=dict_row) as connection:
        connection.execute("SET search_path = leadgate_views")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET leadgate.window_days = {WINDOW_DAYS}")
        yield connection


@pytest.fixture
def scores(session: "psycopg.Connection[Row]") -> pl.DataFrame:
    """The log itself."""
    rows = session.execute("SELECT * FROM leadgate.prediction_logs").fetchall()
    frame = pl.DataFrame(
        [{**row, "prediction_id": str(row["prediction_id"])} for row in rows], infer_schema_length=None
    )
    return frame.with_columns(pl.col("scored_at").dt.convert_time_zone("UTC"))


@pytest.fixture
def outcomes(session: "psycopg.Connection[Row]") -> pl.DataFrame:
    """What was recorded last of each lead."""
    rows = session.execute("SELECT * FROM leadgate.lead_outcomes ORDER BY outcome_id").fetchall()
    frame = pl.DataFrame(rows, infer_schema_length=None).unique("lead_id", keep="last", maintain_order=True)
    return frame.with_columns(pl.col("outcome_at").dt.convert_time_zone("UTC"))


def today(session: "psycopg.Connection[Row]") -> datetime:
    """Midnight, as the session's queries know it."""
    row = session.execute("SELECT CURRENT_DATE AS today").fetchone()
    assert row
    return datetime.combine(row["today"], datetime.min.time(), UTC)


def asked(session: "psycopg.Connection[Row]", name: str) -> list[Row]:
    """The answer to one of the plan's queries."""
    return session.execute(queries()[name]).fetchall()


def of_day(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """The scores of a day."""
    return frame.filter(pl.col("scored_at").dt.date() == day)


def test_the_predictions_of_each_day(session: "psycopg.Connection[Row]", scores: pl.DataFrame) -> None:
    """Panel 1 and section 3.3: counts, shares, percentiles and the change of volume are those of the log's rows."""
    panel, drift = asked(session, "daily_predictions"), asked(session, "daily_prediction_drift")
    assert [row["date"] for row in panel] == [row["date"] for row in drift]
    assert len(panel) == DAYS
    before = None
    for row, more in sorted(zip(panel, drift, strict=True), key=lambda pair: pair[0]["date"]):
        own = of_day(scores, row["date"])["predicted_score"].to_numpy()
        assert row["predictions"] == more["num_predictions"] == len(own)
        assert float(row["pct_high_score"]) == pytest.approx(100 * (own > 0.7).mean(), abs=0.0051)
        found = [more[name] for name in ("q1", "median", "q3", "p90")]
        assert found == pytest.approx(np.quantile(own, [0.25, 0.5, 0.75, 0.9]))
        if before is not None:
            assert float(more["volume_change_pct"]) == pytest.approx(100 * len(own) / before - 100, abs=0.0051)
        before = len(own)


def test_the_alert_of_prediction_drift(session: "psycopg.Connection[Row]", scores: pl.DataFrame) -> None:
    """Section 3.3: the 90 % percentile of yesterday against the day before."""
    last, before = (
        np.quantile(of_day(scores, (today(session) - timedelta(days=n)).date())["predicted_score"], 0.9) for n in (1, 2)
    )
    expected = "ALERT" if abs(last / before - 1) > 0.2 else "OK"
    assert asked(session, "prediction_drift_alert") == [{"status": expected}]


def test_the_business_of_each_day(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """Section 3.5, as the plan has it: each score with the last outcome of its lead."""
    joined = scores.join(outcomes, on="lead_id", how="left").with_columns(
        won=pl.col("converted").fill_null(value=False)
    )
    found = asked(session, "daily_business")
    assert len(found) == DAYS
    for row in found:
        own = of_day(joined, row["date"])
        assert row["num_leads"] == own["lead_id"].n_unique()
        assert row["conversion_rate"] == pytest.approx(own["won"].mean())
        assert row["avg_deal_size"] == pytest.approx(own["deal_size"].mean())
        assert row["avg_days_to_close"] == pytest.approx(own.filter("won")["days_to_close"].mean())
        both = own["won"].n_unique() > 1
        correlation = np.corrcoef(own["predicted_score"], own["won"])[0, 1] if both else None
        assert row["score_conversion_correlation"] == pytest.approx(correlation)


def test_business_metrics_count_a_lead_once_by_what_followed_its_score(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """Second scores, outcomes before the score and those after the window count in the plan's join, and not here."""
    first = scores.sort("scored_at", "prediction_id").unique(
        [pl.col("lead_id"), pl.col("scored_at").dt.date().alias("day")], keep="first"
    )
    joined = first.join(outcomes, on="lead_id", how="left")
    after = joined.filter(pl.col("outcome_at").is_null() | (pl.col("outcome_at") >= pl.col("scored_at")))
    in_window = pl.col("outcome_at") <= pl.col("scored_at") + timedelta(days=WINDOW_DAYS)
    counted = after.with_columns(won=(pl.col("converted") & in_window).fill_null(value=False))
    rows = session.execute("SELECT * FROM business_metrics").fetchall()
    assert len(rows) > DAYS
    assert {row["matured"] for row in rows} == {True, False}
    assert joined.height - after.height == 4
    for row in rows:
        own = of_day(counted, row["date"]).filter(pl.col("model_version") == row["model_version"])
        known, won = own.filter(pl.col("outcome_at").is_not_null()), own.filter("won")
        assert (row["num_leads"], row["num_outcomes"], row["conversions"]) == (own.height, known.height, won.height)
        assert row["conversion_rate"] == pytest.approx(known["won"].mean())
        assert row["conversion_rate_of_all"] == pytest.approx(own["won"].mean())
        assert row["avg_deal_size"] == pytest.approx(won["deal_size"].mean())
        assert row["revenue"] == pytest.approx(won["deal_size"].sum() if won.height else None)
        assert row["avg_days_to_close"] == pytest.approx(won["days_to_close"].mean())
        assert row["matured"] == (row["date"] < (today(session) - timedelta(days=WINDOW_DAYS)).date())
        if 0 < won.height < known.height:
            correlation = np.corrcoef(known["predicted_score"], known["won"])[0, 1]
            assert row["score_conversion_correlation"] == pytest.approx(correlation)
    right = asked(session, "daily_business_done_right")
    assert [(row["date"], row["num_leads"]) for row in right] == [
        (row["date"], row["num_leads"]) for row in sorted(rows, key=lambda r: r["date"], reverse=True) if row["matured"]
    ]


def test_the_business_of_each_week(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """The weekly report by version and priority."""
    joined = scores.join(outcomes, on="lead_id", how="left").with_columns(
        week=pl.col("scored_at").dt.truncate("1w").dt.date(), won=pl.col("converted").fill_null(value=False)
    )
    found = asked(session, "weekly_business")
    assert sum(row["num_leads"] for row in found) >= scores["lead_id"].n_unique()
    assert len(found) == joined.select("week", "model_version", "priority").n_unique()
    for row in found:
        own = joined.filter(week=row["week"], model_version=row["model_version"], priority=row["priority"])
        assert row["num_leads"] == own["lead_id"].n_unique()
        assert row["conversions"] == own.filter("won")["lead_id"].n_unique()
        assert float(row["conversion_rate"]) == pytest.approx(own["won"].mean())
        assert row["avg_deal_size"] == pytest.approx(own["deal_size"].mean())
        assert (row["revenue"] or 0.0) == pytest.approx(own["deal_size"].sum())
        assert row["avg_days_to_close"] == pytest.approx(own.filter("won")["days_to_close"].mean())


def test_the_performance_of_each_version(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """Panel 2."""
    joined = scores.join(outcomes, on="lead_id", how="left")
    found = {row["model_version"]: row for row in asked(session, "model_performance")}
    assert set(found) == {"1", "2"}
    for version, row in found.items():
        own = joined.filter(model_version=version)
        won, lost = (own.filter(pl.col("converted") == fate)["predicted_score"].mean() for fate in (True, False))
        assert row["num_predictions"] == own.height
        rate = own["converted"].fill_null(value=False).mean()
        assert float(row["actual_conversion_rate"]) == pytest.approx(rate, abs=0.000051)
        assert float(row["avg_score_converted"]) == pytest.approx(won, abs=0.000051)
        assert float(row["avg_score_not_converted"]) == pytest.approx(lost, abs=0.000051)


def test_latency_by_hour(session: "psycopg.Connection[Row]", scores: pl.DataFrame) -> None:
    """Panel 3: the last day's hours, p50 to the longest."""
    now = session.execute("SELECT CURRENT_TIMESTAMP AS now").fetchone()
    assert now
    recent = scores.filter(pl.col("scored_at") >= now["now"] - timedelta(days=1))
    found = asked(session, "latency")
    assert len(found) == recent["scored_at"].dt.truncate("1h").n_unique()
    for row in found:
        own = recent.filter(pl.col("scored_at").dt.truncate("1h") == row["hour"])["latency_ms"].to_numpy()
        figures = [row[name] for name in ("p50_latency", "p95_latency", "p99_latency", "max_latency")]
        assert figures == pytest.approx([*np.quantile(own, [0.5, 0.95, 0.99]), own.max()])


def test_drift_by_rows(session: "psycopg.Connection[Row]", scores: pl.DataFrame) -> None:
    """Panel 4: the last week's medians against the three weeks before; text features have none."""
    midnight = today(session)
    week = pl.col("scored_at") >= midnight - timedelta(days=7)
    month = ~week & (pl.col("scored_at") >= midnight - timedelta(days=28))
    found = {row["feature_name"]: row for row in asked(session, "data_drift")}
    numeric = {name for name, value in scores["features"][0].items() if isinstance(value, int | float)}
    assert {"engagement_score"} <= set(found)
    assert set(found) >= numeric - {name for name in numeric if isinstance(scores["features"][0][name], bool)}
    for name, row in found.items():
        values = scores.with_columns(value=pl.col("features").struct.field(name).cast(pl.Float64))
        then, now = (values.filter(span)["value"].median() for span in (month, week))
        expected = None if not then else abs((now - then) / then)  # type: ignore[operator]
        assert row["median_drift_pct"] == pytest.approx(expected)
        assert row["drift_status"] == ("ALERT" if expected and expected > 0.15 else "OK")
    assert found["engagement_score"]["drift_status"] == "ALERT"


def test_drift_as_the_checks_found_it(home: Home, session: "psycopg.Connection[Row]", scores: pl.DataFrame) -> None:
    """The view's KS is scipy's over training leads and the champion's leads of the week; its verdicts are the run's."""
    found = {row["feature_name"]: row for row in asked(session, "data_drift_done_right")}
    _, training = read_snapshot(home.snapshots_uri, home.project.lead)
    training = training.filter(pl.col(home.project.lead.target).is_not_null())
    week = scores.filter(pl.col("scored_at") >= today(session) - timedelta(days=7), model_version="1")
    assert set(found) == {feature.name for feature in home.project.lead.used}
    numeric = {name: row for name, row in found.items() if row["ks_statistic"] is not None}
    assert len(numeric) >= 3
    for name, row in numeric.items():
        now = week["features"].struct.field(name).cast(pl.Float64).drop_nulls()
        exact = ks_2samp(training[name].drop_nulls(), now).statistic
        assert row["ks_statistic"] == pytest.approx(exact, abs=0.005)
    worst = found["engagement_score"]
    assert (worst["drifted"], worst["drift_status"], worst["drift_severity"]) == (True, "ALERT", "HIGH")
    verdicts = session.execute(
        "SELECT subject, severity FROM leadgate.check_results WHERE check_name = 'feature drift' "
        "AND checked_at = (SELECT max(checked_at) FROM leadgate.check_results)"
    ).fetchall()
    assert {n: r["drifted"] for n, r in found.items()} == {
        v["subject"]: v["severity"] in ("yellow", "red") for v in verdicts
    }
    versions = session.execute("SELECT DISTINCT model_version FROM feature_drift").fetchall()
    assert versions == [{"model_version": "1"}]


def test_model_metrics_name_the_version_that_was_judged(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame
) -> None:
    """AUC is scikit-learn's on the champion's matured leads as of the run; the challenger has rows of its own."""
    rows = session.execute("SELECT * FROM model_metrics").fetchall()
    assert len(rows) == 2 * DAYS // 7
    assert {(row["variant"], row["model_version"]) for row in rows} == {("champion", "1"), ("challenger", "2")}
    last = asked(session, "model_metrics")[0]
    # The outcomes that were corrected came as they had been when the checks ran.
    known = session.execute(
        "SELECT DISTINCT ON (lead_id) * FROM leadgate.lead_outcomes WHERE source <> 'correction' "
        "ORDER BY lead_id, outcome_id DESC"
    ).fetchall()
    window = timedelta(days=WINDOW_DAYS)
    first = scores.filter(model_version="1").sort("scored_at").unique("lead_id", keep="first")
    matured = first.filter(pl.col("scored_at") <= last["evaluated_at"] - window)
    joined = matured.join(pl.DataFrame(known, infer_schema_length=None), on="lead_id")
    won = joined["converted"] & (joined["outcome_at"] <= joined["scored_at"] + window)
    assert last["model_version"] == "1"
    assert last["auc"] == pytest.approx(roc_auc_score(won, joined["predicted_score"]), abs=0.001)
    assert last["auc_low"] < last["auc"] < last["auc_high"]
    own = next(row for row in rows if row["variant"] == "champion" and row["evaluated_at"] == last["evaluated_at"])
    assert own["num_leads"] == joined.height > 300
    verdicts = session.execute(
        "SELECT severity FROM leadgate.check_results WHERE run_id = %s AND area = 'model' AND subject = 'champion'",
        [own["run_id"]],
    ).fetchall()
    order = ["red", "yellow", "unknown", "green"]
    assert last["status"] == min((v["severity"] for v in verdicts), key=order.index)


def test_the_shadow_beside_the_outcomes(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """Section 2.3: scikit-learn has the same AUC and precision."""
    joined = scores.filter(pl.col("shadow_score").is_not_null()).join(outcomes, on="lead_id")
    found = {row["model_version"]: row for row in asked(session, "shadow_comparison")}
    assert set(found) == set(joined["shadow_version"])
    for version, row in found.items():
        own = joined.filter(shadow_version=version)
        assert row["num_leads"] == own.height
        assert float(row["shadow_auc"]) == pytest.approx(roc_auc_score(own["converted"], own["shadow_score"]))
        called = own["shadow_score"].to_numpy() > 0.5
        assert float(row["shadow_precision"]) == pytest.approx(precision_score(own["converted"], called))


def test_what_the_ab_test_compares(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """Section 2.4: leads and conversions of each variant."""
    recent = scores.filter(pl.col("scored_at") >= today(session) - timedelta(days=14)).join(
        outcomes, on="lead_id", how="left"
    )
    found = asked(session, "ab_test")
    assert [row["variant"] for row in found] == ["challenger", "champion"]
    for row in found:
        own = recent.filter(variant=row["variant"])
        assert row["size"] == own["lead_id"].n_unique() > 100
        assert row["conversions"] == own.filter(pl.col("converted"))["lead_id"].n_unique()


def test_calibration_by_tenths(
    session: "psycopg.Connection[Row]", scores: pl.DataFrame, outcomes: pl.DataFrame
) -> None:
    """Section 4.4."""
    joined = scores.join(outcomes, on="lead_id").filter(
        pl.col("outcome_at") >= today(session) - timedelta(days=30),
        pl.col("scored_at") >= today(session) - timedelta(30),
    )
    found = asked(session, "calibration")
    assert sum(row["count"] for row in found) == joined.height
    for row in found:
        tenth = float(row["score_bin"])
        own = joined.filter((pl.col("predicted_score") - tenth).abs() < 0.05)
        assert row["count"] == own.height
        assert float(row["actual_conversion_rate"]) == pytest.approx(own["converted"].mean())


def test_each_query_of_the_file_is_tested() -> None:
    """One that was added and is tried by nobody would be found out by a team."""
    tried = set(re.findall(r'asked\(session, "(\w+)"\)', Path(__file__).read_text()))
    assert tried == set(queries())


@pytest.mark.parametrize("zone", ("UTC", "America/New_York"))
@pytest.mark.parametrize(
    "query",
    (
        "SELECT * FROM lead_scores WHERE prediction_timestamp >= CURRENT_DATE - 1",
        "SELECT * FROM prediction_logs WHERE prediction_timestamp >= CURRENT_TIMESTAMP - INTERVAL '1 day'",
        "SELECT * FROM shadow_predictions WHERE shadow_timestamp >= CURRENT_DATE - 1",
        "SELECT * FROM feature_values WHERE prediction_timestamp >= CURRENT_DATE - 1",
        "SELECT * FROM lead_scores JOIN lead_outcomes USING (lead_id) WHERE prediction_timestamp >= CURRENT_DATE - 1",
    ),
)
def test_a_day_is_read_from_its_own_partitions(session: "psycopg.Connection[Row]", query: str, zone: str) -> None:
    """A dashboard of today must not read a year of predictions."""
    session.execute(f"SET TimeZone = '{zone}'")
    assert 1 <= len(partitions_read(session, query)) <= 3


def test_business_metrics_of_a_week_read_a_week(session: "psycopg.Connection[Row]") -> None:
    """The view has no time of a score; a condition on its date is enough."""
    week = partitions_read(session, "SELECT * FROM business_metrics WHERE date >= CURRENT_DATE - 7")
    assert len(week) == 7
    assert len(partitions_read(session, "SELECT * FROM business_metrics")) == DAYS


def partitions_read(session: "psycopg.Connection[Row]", query: str) -> set[str]:
    """The partitions that a query really reads, save the two ends that tell which days there are."""
    plan = session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}").fetchone()
    assert plan
    found = set()

    def walk(node: Row) -> None:
        name = node.get("Relation Name", "")
        if name.startswith("prediction_logs_") and node["Actual Loops"] > 0 and not node.get("_bound"):
            found.add(name)
        for child in node.get("Plans", ()):
            walk({**child, "_bound": node.get("_bound") or child.get("Parent Relationship") == "InitPlan"})

    walk(plan["QUERY PLAN"][0]["Plan"])
    return found


def test_one_leads_outcome_is_read_by_its_index(session: "psycopg.Connection[Row]") -> None:
    """With many outcomes a CRM's page about one lead must not scan them all."""
    session.execute("SET enable_seqscan = off")
    plan = session.execute("EXPLAIN SELECT * FROM lead_outcomes WHERE lead_id = 'L500001'").fetchall()
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert text.count("lead_outcomes_lead_id_outcome_id_idx") == 2
    assert "Seq Scan" not in text


def test_a_corrected_outcome_is_the_one_that_shows(session: "psycopg.Connection[Row]") -> None:
    """One row a lead: a join with it doubles nothing."""
    rows = session.execute(
        "SELECT lead_id, source FROM lead_outcomes "
        "WHERE lead_id IN (SELECT lead_id FROM leadgate.lead_outcomes WHERE source = 'correction')"
    ).fetchall()
    assert len(rows) == 12
    assert {row["source"] for row in rows} == {"correction"}


def test_readers_read_the_views_and_nothing_else(session: "psycopg.Connection[Row]") -> None:
    """The role for dashboards sees every view, no table, and can change nothing."""
    session.execute("SET ROLE leadgate_reader")
    for view in VIEWS:
        session.execute(f"SELECT count(*) FROM {view}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), session.transaction():
        session.execute("SELECT count(*) FROM leadgate.prediction_logs")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), session.transaction():
        session.execute("DELETE FROM lead_scores")
