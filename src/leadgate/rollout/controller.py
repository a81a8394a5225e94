"""The controller: the only one that moves a rollout, and with it the route.

An act and everything that follows from it is one transaction. Whoever moves a rollout holds the lock of its row, so two
controllers move it once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec

from leadgate.errors import RefusedError
from leadgate.leads.project import Project
from leadgate.records import Route
from leadgate.rollout.decisions import Decision, decide
from leadgate.rollout.design import design_of
from leadgate.rollout.evidence import Evidence, encode
from leadgate.rollout.gates import judge
from leadgate.rollout.history import History, history_of
from leadgate.rollout.moving import CONTROLLER, Person, audit, carry_out, tell_overdue
from leadgate.rollout.reading import baseline_of, gather, horizon_days
from leadgate.rollout.stages import Act, State, acts_of, start_state
from leadgate.rollout.verdicts import Verdict
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import (
    NewRollout,
    Rollout,
    SignOff,
    add_judgement,
    add_rollout,
    add_sign_off,
    alive_rollout,
    last_evidence,
    lock_rollout,
    set_design,
    sign_offs_of,
    steps_of,
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an evaluation found and did."""

    rollout_id: int
    evidence: Evidence
    verdicts: tuple[Verdict, ...]
    decision: Decision
    before: State
    after: State
    route: Route | None
    """The route that it put in force; None where it moved nothing."""


def start(connection: Connection, new: NewRollout, person: Person) -> History:
    """Send a challenger into the shadow. Raises RefusedError while another rollout of the model is under way."""
    with connection.transaction():
        rollout_id = add_rollout(connection, new)
        rollout = Rollout(**vars(new), rollout_id=rollout_id, ended_at=None)
        history = history_of(rollout, (), ())
        carry_out(connection, history, "start", person, start_state(new.started_at))
        return _history(connection, rollout)


def evaluate(connection: Connection, project: Project, now: datetime, *, held_by: str | None = None) -> Judged | None:
    """Judge the rollout that is under way and do what follows; None without one.

    1. Read the evidence, which takes a while, and keep nobody from acting meanwhile.
    2. Lock the rollout. Where somebody moved it since, begin again.
    3. Judge the evidence and decide. ``held_by`` is a reason for which nothing but the way back is open.
    4. Write down what was known, said and decided; move the rollout and the route where the decision says so.
    """
    while True:
        seen = _alive(connection, project.name)
        if seen is None:
            return None
        evidence = gather(connection, project, seen, now)
        with connection.transaction():
            history = _locked(connection, project.name)
            if history is None or history.steps != seen.steps or history.sign_offs != seen.sign_offs:
                continue
            return _judge(connection, project, history, evidence, held_by)


def _judge(
    connection: Connection, project: Project, history: History, evidence: Evidence, held_by: str | None
) -> Judged:
    """The second half of an evaluation, under the lock."""
    verdicts = judge(evidence, history.rules)
    decision = decide(evidence, verdicts, history.rules)
    if held_by is not None and decision.act not in ("hold", "roll_back"):
        decision = Decision(act="hold", reason=held_by, overdue=decision.overdue)
    evidence_id = _record(connection, history, evidence, verdicts, decision)
    before, after, route = history.state, history.state, None
    if decision.act != "hold":
        person = Person(name=CONTROLLER, at=evidence.as_of, comment=decision.reason)
        _plan_experiment(connection, project, history, decision.act, evidence.as_of)
        after, route = carry_out(
            connection, history, decision.act, person, before, evidence=evidence, evidence_id=evidence_id
        )
    elif decision.overdue:
        tell_overdue(connection, history, decision, evidence.as_of)
    return Judged(
        rollout_id=history.rollout.rollout_id,
        evidence=evidence,
        verdicts=verdicts,
        decision=decision,
        before=before,
        after=after,
        route=route,
    )


def _plan_experiment(connection: Connection, project: Project, history: History, act: str, now: datetime) -> None:
    """Plan the A/B test when it begins, where there was nothing to plan it from when the rollout started."""
    if act != "advance" or history.state.stage != "canary" or history.rollout.design is not None:
        return
    days = horizon_days(project, history.rules)
    design = design_of(baseline_of(connection, project, history.rules, now), history.rules, days)
    set_design(connection, history.rollout.rollout_id, asdict(design))


def look(connection: Connection, project: Project, now: datetime) -> tuple[History, Evidence, tuple[Verdict, ...]]:
    """The rollout under way and what its gates say now; writes nothing. Raises RefusedError without one."""
    history = alive(connection, project.name)
    evidence = gather(connection, project, history, now)
    return history, evidence, judge(evidence, history.rules)


def act_by_hand(
    connection: Connection, project: Project, act: Act, person: Person, *, days: float = 0.0
) -> tuple[History, Route | None]:
    """A person's act, at once. Raises IllegalMoveError for one that the table does not have.

    ``advance`` goes through the gates like the controller's own: a person cannot push a challenger past them.
    """
    with connection.transaction():
        history = _locked(connection, project.name)
        if history is None:
            raise RefusedError(_NOTHING.format(model=project.name))
        evidence, evidence_id = None, last_evidence(connection, history.rollout.rollout_id)
        if act in ("advance", "finish") and act in acts_of(history.state):
            evidence, evidence_id = _require_gates(connection, project, history, act, person)
            _plan_experiment(connection, project, history, act, person.at)
        _, route = carry_out(
            connection, history, act, person, history.state, days=days, evidence=evidence, evidence_id=evidence_id
        )
        return _history(connection, history.rollout), route


def approve(connection: Connection, project: Project, person: Person) -> History:
    """Sign the present stage off. Raises RefusedError where no sign-off is asked for, or not from this person."""
    with connection.transaction():
        history = _locked(connection, project.name)
        if history is None:
            raise RefusedError(_NOTHING.format(model=project.name))
        _refuse_approval(history, person)
        given = SignOff(
            stage=history.state.stage,
            stage_since=history.state.since,
            approved_by=person.name,
            approved_at=person.at,
            comment=person.comment,
        )
        add_sign_off(connection, history.rollout.rollout_id, given)
        seen = last_evidence(connection, history.rollout.rollout_id)
        audit(connection, history, "rollout.approve", person, {"stage": given.stage, "evidence_id": seen})
        return _history(connection, history.rollout)


def alive(connection: Connection, model_name: str) -> History:
    """The rollout under way. Raises RefusedError without one."""
    history = _alive(connection, model_name)
    if history is None:
        raise RefusedError(_NOTHING.format(model=model_name))
    return history


def _alive(connection: Connection, model_name: str) -> History | None:
    rollout = alive_rollout(connection, model_name)
    return None if rollout is None else _history(connection, rollout)


_NOTHING = "No rollout of {model!r} is under way; start one with `leadgate rollout start VERSION`."


def _locked(connection: Connection, model_name: str) -> History | None:
    """The rollout under way, kept from everybody else to the end of the transaction."""
    rollout = alive_rollout(connection, model_name)
    if rollout is None or not lock_rollout(connection, rollout.rollout_id):
        return None
    return _history(connection, rollout)


def _history(connection: Connection, rollout: Rollout) -> History:
    return history_of(rollout, steps_of(connection, rollout.rollout_id), sign_offs_of(connection, rollout.rollout_id))


def _require_gates(
    connection: Connection, project: Project, history: History, act: Act, person: Person
) -> tuple[Evidence, int]:
    """The evidence that carries an act, written down; RefusedError where it does not carry it."""
    evidence = gather(connection, project, history, person.at)
    verdicts = judge(evidence, history.rules)
    decision = decide(evidence, verdicts, history.rules)
    if decision.act != act:
        raise RefusedError(
            f"Not every gate of stage {history.state.stage} passes, so the challenger stays where it is: "
            f"{decision.reason}. `leadgate rollout evidence` shows all of them."
        )
    return evidence, _record(connection, history, evidence, verdicts, decision)


def _refuse_approval(history: History, person: Person) -> None:
    stage, asked = history.state.stage, history.rules.sign_off
    if not person.comment.strip():
        raise RefusedError("A sign-off says what was looked at; give a comment that is not empty.")
    if stage not in asked:
        wanted = ", ".join(asked) or "none"
        raise RefusedError(f"Stage {stage} needs no sign-off (those that do: {wanted}); nothing was recorded.")
    author = history.rollout.challenger_author
    if not history.rules.approve_own_model and person.name == author:
        raise RefusedError(
            f"{person.name} trained version {history.rollout.challenger} and may not approve it "
            "(rollout.approve_own_model is false); somebody else has to."
        )
    if any(s.stage_since == history.state.since and s.approved_by == person.name for s in history.sign_offs):
        raise RefusedError(f"{person.name} has approved stage {stage} already; nothing was recorded.")


def _record(
    connection: Connection,
    history: History,
    evidence: Evidence,
    verdicts: Sequence[Verdict],
    decision: Decision,
) -> int:
    return add_judgement(
        connection,
        rollout_id=history.rollout.rollout_id,
        at=evidence.as_of,
        evidence=encode(evidence),
        verdicts=msgspec.json.encode(list(verdicts)).decode(),
        act=decision.act,
        reason=decision.reason,
    )
