"""What is old leaves, and nothing that history names."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest

from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.checks import CheckResult, add_results
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.upkeep import drop_measurements, drop_messages, drop_runs, thin_checks, thin_evidence

Connection = psycopg.Connection[Any]
MODEL = "lead-scoring"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BEFORE = NOW - 30 * DAY


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """To a migrated database."""
    with connect(database) as connection:
        yield connection


def numbers(connection: Connection, query: str) -> set[Any]:
    """The first column of an answer."""
    return {row[0] for row in connection.execute(query.encode()).fetchall()}


def add_rollout(connection: Connection, started: datetime, ended: datetime | None, model: str = MODEL) -> int:
    """A rollout of a model."""
    row = connection.execute(
        "INSERT INTO leadgate.rollouts (model_name, champion, champion_digest, challenger, challenger_digest, "
        "challenger_author, salt, rules, started_at, started_by, ended_at) "
        "VALUES (%s, '1', 'a', '2', 'b', 'anna', 's', '{}', %s, 'anna', %s) RETURNING rollout_id",
        [model, started, ended],
    ).fetchone()
    assert row is not None
    return int(row[0])


@dataclass
class Past:
    """Rollouts with their evaluations, as a random past left them."""

    evidence: dict[int, tuple[int, datetime, str]] = field(default_factory=dict)
    """By number: rollout, time, act."""
    named: set[int] = field(default_factory=set)
    """By a step, a post-mortem or the audit log."""
    tested: dict[int, int] = field(default_factory=dict)
    """By rollout the first evaluation that made the planned test."""
    thinned: set[int] = field(default_factory=set)
    """Rollouts that ended long ago."""


def random_past(connection: Connection, rng: np.random.Generator) -> Past:
    """Three rollouts that ended long ago, one of another model, one that ended lately, one that lives."""
    past = Past()
    long_ago, lately = BEFORE - 2 * DAY, BEFORE + DAY
    plans = [(MODEL, long_ago), (MODEL, long_ago), (MODEL, long_ago), ("other", long_ago), (MODEL, lately)]
    for model, ended in [*plans, (MODEL, None)]:
        start = long_ago - 10 * DAY
        rollout = add_rollout(connection, start, ended, model)
        if (model, ended) == (MODEL, long_ago):
            past.thinned.add(rollout)
        _evaluate(connection, past, rollout, start, rng)
    return past


def _evaluate(connection: Connection, past: Past, rollout: int, start: datetime, rng: np.random.Generator) -> None:
    times = sorted(start + timedelta(hours=float(h)) for h in rng.uniform(0, 96, 40))
    for step, at in enumerate(times):
        act = "hold" if rng.random() < 0.9 else "advance"
        test = {"p_value": 0.5} if rng.random() < 0.1 else None
        row = connection.execute(
            "INSERT INTO leadgate.rollout_evidence (rollout_id, gathered_at, evidence, verdicts, act, reason) "
            "VALUES (%s, %s, %s, '[]', %s, '') RETURNING evidence_id",
            [rollout, at, json.dumps({"experiment": {"test": test}}), act],
        ).fetchone()
        assert row is not None
        number = int(row[0])
        past.evidence[number] = (rollout, at, act)
        if test is not None and act == "hold":
            past.tested.setdefault(rollout, number)
        if act != "hold" or rng.random() < 0.15:
            _name(connection, past, number, step, str(rng.choice(["step", "post_mortem", "audit"])))


def _name(connection: Connection, past: Past, number: int, step: int, who: str) -> None:
    rollout, at, act = past.evidence[number]
    past.named.add(number)
    if who == "audit":
        details = {"comment": 'he said "evidence_id":1', "evidence_id": number, "stage": "shadow"}
        append_entry(
            connection, at=at, actor="anna", act="rollout.approve", subject=f"rollout {rollout}", details=details
        )
    elif who == "post_mortem":
        connection.execute(
            "INSERT INTO leadgate.post_mortems (rollout_id, step, opened_at, cause, evidence_id) "
            "VALUES (%s, %s, %s, '', %s)",
            [rollout, step, at, number],
        )
    else:
        connection.execute(
            "INSERT INTO leadgate.rollout_steps (rollout_id, step, act, stage, stage_since, extra_days, paused_days, "
            "extensions, finished, acted_at, acted_by, comment, evidence_id) "
            "VALUES (%s, %s, %s, 'shadow', %s, 0, 0, 0, false, %s, 'controller', '', %s)",
            [rollout, step, act, at, at, number],
        )


@pytest.mark.parametrize("seed", range(5))
def test_evidence_that_anything_names_stays_for_ever(connection: Connection, seed: int) -> None:
    """And that of living rollouts, of other models, and of each day the last; what else is left is nothing."""
    past = random_past(connection, np.random.default_rng(seed))
    last_of_day = {}
    for number, (rollout, at, act) in sorted(past.evidence.items()):
        if act == "hold":
            last_of_day[rollout, at.date()] = number
    kept = past.named | set(last_of_day.values()) | set(past.tested.values())
    kept |= {
        number for number, (rollout, _, act) in past.evidence.items() if rollout not in past.thinned or act != "hold"
    }

    gone = thin_evidence(connection, MODEL, before=BEFORE)

    assert numbers(connection, "SELECT evidence_id FROM leadgate.rollout_evidence") == kept
    assert gone == len(past.evidence) - len(kept) > 20
    assert thin_evidence(connection, MODEL, before=BEFORE) == 0


@pytest.mark.parametrize(
    "statement", ("DELETE FROM leadgate.rollout_evidence", "UPDATE leadgate.rollout_evidence SET act = ''")
)
def test_thinning_opens_the_guard_for_itself_alone(connection: Connection, statement: str) -> None:
    """The table's owner is refused as before, also in the transaction that thinned."""
    random_past(connection, np.random.default_rng(1))
    thin_evidence(connection, MODEL, before=BEFORE)
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        connection.execute(statement.encode())


def measure(connection: Connection, until: datetime, model: str = MODEL) -> None:
    """A minute of a worker."""
    found: dict[str, Any] = {"requests": 0, "failures": 0, "busy_s": 0.0, "peak_memory_bytes": 0, "latencies": {}}
    found |= {"since": until - timedelta(minutes=1), "until": until, "model_name": model, "worker": model}
    add_measurement(connection, Measurement(service="s", **found))


def test_measurements_that_a_living_rollout_is_judged_by_stay(connection: Connection) -> None:
    """All since a day before it started, however old; those of other models are not touched."""
    add_rollout(connection, NOW - 100 * DAY, None)
    for days in (200, 150, 101.5, 100, 80, 1):
        measure(connection, NOW - days * DAY)
    measure(connection, NOW - 200 * DAY, "other")
    assert drop_measurements(connection, MODEL, before=NOW - 90 * DAY) == 3
    left = numbers(connection, "SELECT until FROM leadgate.service_measurements WHERE model_name = 'lead-scoring'")
    assert left == {NOW - days * DAY for days in (100, 80, 1)}
    assert drop_measurements(connection, "other", before=NOW) == 0  # a service that is gone is known to have been there


def check(connection: Connection, number: int, at: datetime, days: float, findings: int = 3) -> str:
    """A run of checks."""
    found = CheckResult(
        run_id=str(UUID(int=number)),
        model_name=MODEL,
        checked_at=at,
        since=at - days * DAY,
        until=at,
        area="system",
        check_name="coverage",
        subject="",
        severity="green",
        sentence="",
        value=None,
        threshold=None,
        low=None,
        high=None,
        level=None,
        sample=None,
        p_value=None,
        family=None,
        weight=1,
        details={},
    )
    add_results(connection, findings * [found])
    return found.run_id


def test_of_old_checks_the_last_of_each_day_and_window_stays(connection: Connection) -> None:
    """Whole, so that it can be shown again; what is younger stays altogether."""
    day = BEFORE - 5 * DAY
    for number, hours in enumerate((1, 2, 23)):
        check(connection, number, day + timedelta(hours=hours), 7)
    daily = check(connection, 10, day + timedelta(hours=3), 1)
    check(connection, 11, day + timedelta(hours=25), 7)
    check(connection, 12, BEFORE + timedelta(hours=1), 7)
    check(connection, 13, BEFORE + timedelta(hours=2), 7)
    assert thin_checks(connection, MODEL, before=BEFORE) == 6
    left = numbers(connection, "SELECT run_id::text FROM leadgate.check_results")
    assert left == {daily, *(str(UUID(int=n)) for n in (2, 11, 12, 13))}
    rows = connection.execute("SELECT count(*) FROM leadgate.check_results").fetchone()
    assert rows == (15,)


def test_the_last_run_of_each_job_stays(connection: Connection) -> None:
    """A job that was switched off a year ago still says how it went."""
    for job, days in (("checks", 100), ("checks", 95), ("checks", 1), ("rollout", 300), ("rollout", 200)):
        connection.execute(
            "INSERT INTO leadgate.job_runs (model_name, job, started_at, started_by) VALUES (%s, %s, %s, 'worker')",
            [MODEL, job, NOW - days * DAY],
        )
    assert drop_runs(connection, MODEL, before=NOW - 90 * DAY) == 3
    left = connection.execute("SELECT job, started_at FROM leadgate.job_runs ORDER BY job").fetchall()
    assert left == [("checks", NOW - DAY), ("rollout", NOW - 200 * DAY)]


def test_delivered_messages_leave_and_no_event_is_told_again(connection: Connection) -> None:
    """What waits, what was given up, and what marks an event as told stays."""
    old, young = NOW - 100 * DAY, NOW - DAY
    event = connection.execute(
        "INSERT INTO leadgate.events (happened_at, kind, severity, subject, message, details) "
        "VALUES (%s, 'rollout', 'red', '', '', '{}') RETURNING event_id",
        [old],
    ).fetchone()
    assert event is not None
    for title, state, settled, about in (
        ("old", "delivered", old, None),
        ("young", "delivered", young, None),
        ("waits", "waiting", None, None),
        ("dead", "dead", old, None),
        ("event", "delivered", old, event[0]),
    ):
        connection.execute(
            "INSERT INTO leadgate.alert_messages (message_id, model_name, channel, kind, severity, thread, about, "
            "title, body, written_at, state, due_at, attempts, settled_at, event_id) "
            "VALUES (%s, %s, 'team', 'firing', 'red', 't', '{}', %s, '', %s, %s, %s, 0, %s, %s)",
            [uuid4(), MODEL, title, old, state, old, settled, about],
        )
    assert drop_messages(connection, MODEL, before=NOW - 90 * DAY) == 1
    assert numbers(connection, "SELECT title FROM leadgate.alert_messages") == {"young", "waits", "dead", "event"}
    connection.execute("UPDATE leadgate.events SET delivered_at = now()")
    assert drop_messages(connection, MODEL, before=NOW - 90 * DAY) == 1
