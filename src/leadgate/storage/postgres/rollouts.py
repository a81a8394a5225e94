"""Rollouts: their acts, evidence, sign-offs, post-mortems, and what people have to be told."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from leadgate.errors import RefusedError
from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class NewRollout:
    """A challenger that is to be sent on its way."""

    model_name: str
    champion: str
    champion_digest: str
    challenger: str
    challenger_digest: str
    challenger_author: str
    """Who trained it."""
    salt: str
    rules: dict[str, Any]
    """As leadgate.yaml had them at the start; they hold to its end."""
    design: dict[str, Any] | None
    """What the experiment can see; None where the baseline was not known."""
    started_at: datetime
    started_by: str


@dataclass(frozen=True, kw_only=True)
class Rollout(NewRollout):
    """A challenger on its way, or one that was."""

    rollout_id: int
    ended_at: datetime | None
    """None while it lives."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """An act of a rollout, and its state after it."""

    rollout_id: int
    step: int
    """1, 2, 3."""
    act: str
    stage: str
    paused_at: datetime | None
    stage_since: datetime
    extra_days: float
    paused_days: float
    extensions: int
    finished: bool
    acted_at: datetime
    acted_by: str
    comment: str
    evidence_id: int | None
    """None for an act that asked for none."""
    route_epoch: int | None
    """The route that the act put in force; None where it changed none."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was known, what the gates said of it, and what followed. The first three are JSON."""

    evidence_id: int
    rollout_id: int
    gathered_at: datetime
    evidence: str
    verdicts: str
    act: str
    """hold where nothing followed."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """What an evaluation saw of an experiment; None where it was too early for it."""

    evidence_id: int
    gathered_at: datetime
    control_matured: int
    """Leads of the champion's side whose horizon had passed, with an outcome."""
    treatment_matured: int
    difference: float | None
    """Of the conversion rates, challenger minus champion..."""
    low: float | None
    """...and the ends of its interval, which holds at every look."""
    high: float | None
    harm: float | None
    """Evidence of harm, as the logarithm of a likelihood ratio..."""
    harm_threshold: float
    """...and where the challenger goes back."""


@dataclass(frozen=True, kw_only=True)
class SignOff:
    """A person's approval."""

    stage: str
    stage_since: datetime
    approved_by: str
    approved_at: datetime
    comment: str


@dataclass(frozen=True, kw_only=True)
class PostMortem:
    """What is asked after a challenger came back."""

    post_mortem_id: int
    rollout_id: int
    step: int
    opened_at: datetime
    cause: str
    evidence_id: int | None
    closed_at: datetime | None
    closed_by: str | None
    findings: str | None


def alive_rollout(connection: Connection, model_name: str) -> Rollout | None:
    """The rollout that is under way; None without one."""
    with connection.cursor(row_factory=class_row(Rollout)) as cursor:
        return cursor.execute(statement("rollouts", "alive_rollout"), {"model_name": model_name}).fetchone()


def alive_rollouts(connection: Connection) -> list[Rollout]:
    """The rollouts of all models that are under way, the oldest first."""
    with connection.cursor(row_factory=class_row(Rollout)) as cursor:
        return cursor.execute(statement("rollouts", "alive_rollouts")).fetchall()


def rollouts_of(connection: Connection, model_name: str, *, most: int = 100) -> list[Rollout]:
    """The rollouts of a model, the last first."""
    with connection.cursor(row_factory=class_row(Rollout)) as cursor:
        return cursor.execute(statement("rollouts", "rollouts_of"), {"model_name": model_name, "most": most}).fetchall()


def lock_rollout(connection: Connection, rollout_id: int) -> bool:
    """Wait until nobody else moves a rollout, to the end of the transaction; gives whether it still lives."""
    row = connection.execute(statement("rollouts", "lock_rollout"), {"rollout_id": rollout_id}).fetchone()
    return bool(row and row[0])


def add_rollout(connection: Connection, new: NewRollout) -> int:
    """Write a rollout down; gives its number. Raises RefusedError while another one of the model is under way."""
    values = {**asdict(new), "rules": Jsonb(new.rules), "design": Jsonb(new.design) if new.design else None}
    row = connection.execute(statement("rollouts", "add_rollout"), values).fetchone()
    if row is None:
        raise RefusedError(
            f"A rollout of {new.model_name!r} is under way already; one at a time. Look at it with "
            "`leadgate rollout status`, or end it with `leadgate rollout reject` or `leadgate rollout rollback`."
        )
    return int(row[0])


def end_rollout(connection: Connection, rollout_id: int, at: datetime) -> None:
    """Say that a rollout is over."""
    connection.execute(statement("rollouts", "end_rollout"), {"rollout_id": rollout_id, "ended_at": at})


def steps_of(connection: Connection, rollout_id: int) -> list[Step]:
    """The acts of a rollout, the first first."""
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        return cursor.execute(statement("rollouts", "steps_of"), {"rollout_id": rollout_id}).fetchall()


def step_of_route(connection: Connection, model_name: str, epoch: int) -> Step | None:
    """The act that put a route in force; None where no rollout did."""
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        values = {"model_name": model_name, "epoch": epoch}
        return cursor.execute(statement("rollouts", "step_of_route"), values).fetchone()


def last_steps(connection: Connection, model_name: str) -> dict[int, Step]:
    """The last act of each rollout of a model, by the rollout's number."""
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        steps = cursor.execute(statement("rollouts", "last_steps"), {"model_name": model_name}).fetchall()
    return {step.rollout_id: step for step in steps}


def add_step(connection: Connection, step: Step) -> None:
    """Append an act. Raises UniqueViolation when somebody else appended one with its number."""
    connection.execute(statement("rollouts", "add_step"), asdict(step))


def add_judgement(
    connection: Connection, *, rollout_id: int, at: datetime, evidence: str, verdicts: str, act: str, reason: str
) -> int:
    """Write down what was known and what followed; ``evidence`` and ``verdicts`` are JSON. Gives its number."""
    values = {
        "rollout_id": rollout_id,
        "gathered_at": at,
        "evidence": evidence,
        "verdicts": verdicts,
        "act": act,
        "reason": reason,
    }
    row = connection.execute(statement("rollouts", "add_evidence"), values).fetchone()
    assert row is not None
    return int(row[0])


def judgements_of(connection: Connection, rollout_id: int, *, most: int = 1_000_000) -> list[Judgement]:
    """What a rollout was judged by, the last first."""
    with connection.cursor(row_factory=class_row(Judgement)) as cursor:
        return cursor.execute(statement("rollouts", "evidence_of"), {"rollout_id": rollout_id, "most": most}).fetchall()


def judgement(connection: Connection, evidence_id: int) -> Judgement | None:
    """One evaluation; None for a number that there is not."""
    with connection.cursor(row_factory=class_row(Judgement)) as cursor:
        return cursor.execute(statement("rollouts", "judgement"), {"evidence_id": evidence_id}).fetchone()


def last_judgement(connection: Connection, rollout_id: int, *, since: datetime, until: datetime) -> Judgement | None:
    """The last evaluation of a rollout after ``since`` and up to ``until``; None without any."""
    values = {"rollout_id": rollout_id, "since": since, "until": until}
    with connection.cursor(row_factory=class_row(Judgement)) as cursor:
        return cursor.execute(statement("rollouts", "last_judgement"), values).fetchone()


def looks_between(
    connection: Connection, rollout_id: int, *, since: datetime, until: datetime, most: int
) -> list[Look]:
    """What evaluations after ``since`` and up to ``until`` saw of the experiment, thinned out to about ``most``."""
    every = max((until - since) / most, timedelta(seconds=1))
    values = {"rollout_id": rollout_id, "since": since, "until": until, "every": every}
    with connection.cursor(row_factory=class_row(Look)) as cursor:
        return cursor.execute(statement("rollouts", "looks_between"), values).fetchall()


def first_test(connection: Connection, rollout_id: int, since: datetime) -> str | None:
    """The planned test of the A/B test that began at ``since``, as it was first recorded (JSON); None before that."""
    row = connection.execute(statement("rollouts", "first_test"), {"rollout_id": rollout_id, "since": since}).fetchone()
    return row[0] if row else None


def last_evidence(connection: Connection, rollout_id: int) -> int | None:
    """The number of what a rollout was last judged by; None before that."""
    row = connection.execute(statement("rollouts", "last_evidence"), {"rollout_id": rollout_id}).fetchone()
    return row[0] if row else None


def set_design(connection: Connection, rollout_id: int, design: Mapping[str, Any]) -> None:
    """Give a rollout the plan of its experiment, where none could be made when it started."""
    connection.execute(statement("rollouts", "set_design"), {"rollout_id": rollout_id, "design": Jsonb(dict(design))})


def add_sign_off(connection: Connection, rollout_id: int, given: SignOff) -> None:
    """Write down a person's approval."""
    connection.execute(statement("rollouts", "add_approval"), {"rollout_id": rollout_id, **asdict(given)})


def sign_offs_of(connection: Connection, rollout_id: int) -> list[SignOff]:
    """The approvals of a rollout, the first first."""
    with connection.cursor(row_factory=class_row(SignOff)) as cursor:
        return cursor.execute(statement("rollouts", "approvals_of"), {"rollout_id": rollout_id}).fetchall()


def open_post_mortem(
    connection: Connection, *, rollout_id: int, step: int, at: datetime, cause: str, evidence_id: int | None
) -> None:
    """Ask why a challenger came back."""
    values = {"rollout_id": rollout_id, "step": step, "opened_at": at, "cause": cause, "evidence_id": evidence_id}
    connection.execute(statement("rollouts", "open_post_mortem"), values)


def post_mortems_of(connection: Connection, rollout_id: int) -> list[PostMortem]:
    """The post-mortems of a rollout."""
    with connection.cursor(row_factory=class_row(PostMortem)) as cursor:
        return cursor.execute(statement("rollouts", "post_mortems_of"), {"rollout_id": rollout_id}).fetchall()


def close_post_mortems(connection: Connection, rollout_id: int, *, at: datetime, by: str, findings: str) -> int:
    """Write down what people found; gives how many were open."""
    values = {"rollout_id": rollout_id, "closed_at": at, "closed_by": by, "findings": findings}
    return connection.execute(statement("rollouts", "close_post_mortem"), values).rowcount


def add_event(
    connection: Connection,
    *,
    at: datetime,
    kind: str,
    severity: str,
    subject: str,
    message: str,
    details: Mapping[str, Any],
) -> None:
    """Leave something that people have to be told of."""
    values = {
        "happened_at": at,
        "kind": kind,
        "severity": severity,
        "subject": subject,
        "message": message,
        "details": Jsonb(dict(details)),
    }
    connection.execute(statement("rollouts", "add_event"), values)


def event_is_known(connection: Connection, *, kind: str, subject: str, since: datetime) -> bool:
    """Whether people were told the same since a time."""
    values = {"kind": kind, "subject": subject, "since": since}
    row = connection.execute(statement("rollouts", "event_is_known"), values).fetchone()
    return bool(row and row[0])
