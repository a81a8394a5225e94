"""A database with a few rows of everything that a dashboard shows, written as Leadgate writes them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import uuid_utils
from findings import write_findings

from leadgate.leads.rollout_rules import LiveStage
from leadgate.records import Interval, Outcome, Prediction, Route
from leadgate.rollout.evidence import Evidence, ExperimentEvidence, Figure, MarginEvidence, Side, encode
from leadgate.rollout.stages import State
from leadgate.rollout.verdicts import Verdict
from leadgate.storage.postgres.alerts import AlertRow, add_alert
from leadgate.storage.postgres.connection import Connection, connect
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from leadgate.storage.postgres.profiles import HourKey, add_part
from leadgate.storage.postgres.ratings import Rating, add_rating
from leadgate.storage.postgres.rollouts import NewRollout, Step, add_judgement, add_rollout, add_step
from leadgate.storage.postgres.routes import add_route
from leadgate.storage.postgres.runs import end_run, start_run

MODEL = "o'hara"
"""A quote in the name of a project must not end a dashboard's string."""
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LAST_RUN = str(uuid_utils.uuid7())


def furnished(databases: Iterator[str]) -> str:
    """The URL of a database that now has rows."""
    url = next(databases)
    with connect(url) as connection:
        _routes(connection)
        write_findings(connection, MODEL, str(uuid_utils.uuid7()), NOW - 2 * HOUR)
        write_findings(connection, MODEL, LAST_RUN, NOW - HOUR)
        _alerts(connection)
        _rollout(connection)
        _scores(connection)
        _service(connection)
        _ratings(connection)
        _jobs(connection)
    return url


def _routes(connection: Connection) -> None:
    stages: tuple[tuple[LiveStage, str | None, int, int], ...] = (
        ("full", None, 0, 70),
        ("shadow", "2", 0, 20),
        ("ab_test", "2", 5_000, 8),
    )
    for epoch, (stage, challenger, share, days) in enumerate(stages, 1):
        add_route(
            connection,
            Route(
                model_name=MODEL,
                epoch=epoch,
                stage=stage,
                champion="1",
                champion_digest="a" * 64,
                challenger=challenger,
                challenger_digest=challenger and "b" * 64,
                share=share,
                salt="salt",
                changed_at=NOW - days * DAY,
                changed_by="Ada",
                reason="the plan's next stage",
            ),
        )


def _alerts(connection: Connection) -> None:
    for subject, severity, resolved in (("engagement", "red", None), ("region", "yellow", NOW - HOUR)):
        add_alert(
            connection,
            AlertRow(
                alert_id=0,
                model_name=MODEL,
                area="drift",
                check_name="feature drift",
                subject=subject,
                cause="data drift",
                state="resolved" if resolved else "firing",
                severity=severity,
                severity_since=NOW - 3 * HOUR,
                sentence="KS 0.310 of at most 0.15",
                opened_at=NOW - 3 * HOUR,
                raised_by=[604_800.0],
                told_severity=None,
                told_at=None,
                acknowledged_at=None,
                acknowledged_by=None,
                resolved_at=resolved,
            ),
        )


def _rollout(connection: Connection) -> None:
    new = NewRollout(
        model_name=MODEL,
        champion="1",
        champion_digest="a" * 64,
        challenger="2",
        challenger_digest="b" * 64,
        challenger_author="Ada",
        salt="salt",
        rules={},
        design=None,
        started_at=NOW - 20 * DAY,
        started_by="Ada",
    )
    rollout_id = add_rollout(connection, new)
    at = NOW - 2 * HOUR
    verdicts = (
        Verdict(gate="p99", answer="pass", sentence="1 ms", value=1.0, threshold=200.0, sample=10_000),
        Verdict(
            gate="lift",
            answer="wait",
            sentence="9,000 of 24,000 leads",
            value=0.06,
            interval=Interval(low=-0.01, high=0.13),
        ),
        Verdict(gate="segments", answer="fail", sentence="region=north loses", red=True),
    )
    evidence_id = add_judgement(
        connection,
        rollout_id=rollout_id,
        at=at,
        evidence=encode(_evidence(at)),
        verdicts=msgspec.json.encode(verdicts).decode(),
        act="hold",
        reason="the test is under way",
    )
    for number, (act, stage, days) in enumerate(
        (("start", "shadow", 20), ("advance", "canary", 12), ("advance", "ab_test", 8)), 1
    ):
        add_step(
            connection,
            Step(
                rollout_id=rollout_id,
                step=number,
                act=act,
                stage=stage,
                paused_at=None,
                stage_since=NOW - days * DAY,
                extra_days=0,
                paused_days=0,
                extensions=0,
                finished=False,
                acted_at=NOW - days * DAY,
                acted_by="Ada",
                comment="",
                evidence_id=evidence_id if number == 3 else None,
                route_epoch=None,
            ),
        )


def _evidence(at: datetime) -> Evidence:
    """Of an A/B test under way, with nothing else."""
    margin = MarginEvidence(change=None, interval=None, verdict="not enough data", leads=0)
    experiment = ExperimentEvidence(
        control=Side(exposed=9_500, matured=9_000, conversions=900, silent=0, high=1_800, contacted=2_000),
        treatment=Side(exposed=9_480, matured=9_010, conversions=955, silent=0, high=1_810, contacted=2_010),
        left_out=20,
        planned=24_000,
        share=0.5,
        ratio_p=0.9,
        difference=0.006,
        variance=1e-5,
        reduction=0.1,
        sequence=Interval(low=-0.004, high=0.016),
        harm=-5.0,
        harm_threshold=3.2,
        test=None,
        silent_p=0.8,
        deal_size=margin,
        deal_size_ratio=None,
        deal_size_p=None,
        days_to_close=margin,
        slower_p=None,
        segments=(),
        auc=Figure(value=0.88, interval=None),
    )
    return Evidence(
        as_of=at,
        state=State(stage="ab_test", since=NOW - 8 * DAY),
        scored=9_480,
        system=None,
        recent=None,
        paired=None,
        scores=None,
        data=None,
        ratings=None,
        experiment=experiment,
        sustained=None,
        approvals=(),
    )


def _scores(connection: Connection) -> None:
    """Ten leads whose outcome window has passed, four of them won; and how many were scored by hour."""
    at = NOW - 65 * DAY
    predictions = [
        Prediction(
            prediction_id=str(uuid_utils.uuid7()),
            lead_id=f"L{i}",
            scored_at=at,
            model_name=MODEL,
            model_version="1",
            variant="champion",
            predicted_score=0.05 + 0.09 * i,
            priority="medium",
            features=b'{"engagement": 3.0, "region": "north"}',
            latency_ms=0.4,
            batch_size=1,
            request_id=f"r{i}",
            route_epoch=1,
        )
        for i in range(10)
    ]
    outcomes = [
        Outcome(
            lead_id=f"L{i}",
            converted=i >= 6,
            deal_size=10_000.0 if i >= 6 else None,
            days_to_close=10.0 if i >= 6 else None,
            outcome_at=at + 10 * DAY,
            source="crm",
        )
        for i in range(10)
    ]
    ensure_partitions(connection, [at.date()])
    copy_predictions(connection, predictions)
    record_outcomes(connection, outcomes, at + 11 * DAY)
    for version, variant, n in (("1", "champion", 600), ("1", "champion", 30), ("2", "challenger", 640)):
        hour = NOW.replace(minute=0) - 2 * HOUR
        key = HourKey(model_name=MODEL, model_version=version, variant=variant, hour=hour, layout="x")
        add_part(connection, key, n, b"")


def _service(connection: Connection) -> None:
    """Two workers for ten minutes: 12,000 requests that took 6 s of processor time."""
    begin = NOW.replace(minute=0) - 2 * HOUR
    for minute in range(10):
        for worker in ("0", "1"):
            add_measurement(
                connection,
                Measurement(
                    model_name=MODEL,
                    service="s",
                    worker=worker,
                    since=begin + timedelta(minutes=minute),
                    until=begin + timedelta(minutes=minute + 1),
                    requests=600,
                    failures=0,
                    busy_s=0.3,
                    peak_memory_bytes=95_000_000,
                    latencies={},
                ),
            )


def _ratings(connection: Connection) -> None:
    for day, rating in ((1, 9.0), (2, 7.0)):
        add_rating(
            connection,
            Rating(
                model_name=MODEL,
                rated_at=NOW - day * DAY,
                rated_by="Grace",
                rating=rating,
                model_version=None,
                comment="good ones on top",
                recorded_at=NOW - day * DAY,
            ),
        )


def _jobs(connection: Connection) -> None:
    run = start_run(connection, MODEL, "check", at=NOW - HOUR, by="worker")
    end_run(connection, run, at=NOW - HOUR + timedelta(seconds=4), result="ok", sentence="25 findings")
