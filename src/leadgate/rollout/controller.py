"""The controller: the only one that moves a rollout, and with it the route.

An act and everything that follows from it is one transaction: the step, the evidence, the route, the audit entry, the
event, the post-mortem. Whoever moves a rollout holds the lock of its row, so two controllers move it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from leadgate.errors import RefusedError
from leadgate.leads.project import Project
from leadgate.records import Route
from leadgate.records import Stage as RouteStage
from leadgate.rollout.decisions import Decision, decide
from leadgate.rollout.evidence import Evidence, encode
from leadgate.rollout.gates import judge
from leadgate.rollout.history import History, history_of, step_of
from leadgate.rollout.reading import gather
from leadgate.rollout.routing import BUCKETS, Named, change
from leadgate.rollout.routing import Act as RouteAct
from leadgate.rollout.stages import ANSWERING, Act, Stage, State, acts_of, move, start_state
from leadgate.rollout.verdicts import Verdict
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import (
    NewRollout,
    Rollout,
    SignOff,
    add_event,
    add_judgement,
    add_rollout,
    add_sign_off,
    add_step,
    alive_rollout,
    end_rollout,
    event_is_known,
    lock_rollout,
    open_post_mortem,
    sign_offs_of,
    steps_of,
)
from leadgate.storage.postgres.routes import add_route, present_route

CONTROLLER = "rollout controller"
"""Who acts when nobody does."""

_REMIND = timedelta(days=1)
"""How often people are told that a stage is overdue."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who acts, when and why."""

    name: str
    at: datetime
    """UTC."""
    comment: str


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
        _act(connection, history, "start", person, start_state(new.started_at))
        return _history(connection, rollout)


def evaluate(connection: Connection, project: Project, now: datetime) -> Judged | None:
    """Judge the rollout that is under way and do what follows; None without one.

    1. Lock the rollout, so that nobody moves it meanwhile.
    2. Read the evidence. 3. Judge it. 4. Decide.
    5. Write down what was known, said and decided; move the rollout and the route where the decision says so.
    """
    with connection.transaction():
        history = _locked(connection, project.name)
        if history is None:
            return None
        evidence = gather(connection, project, history, now)
        verdicts = judge(evidence, history.rules)
        decision = decide(evidence, verdicts, history.rules)
        evidence_id = _record(connection, history, evidence, verdicts, decision)
        before, after, route = history.state, history.state, None
        if decision.act != "hold":
            person = Person(name=CONTROLLER, at=now, comment=decision.reason)
            after, route = _act(
                connection, history, decision.act, person, before, evidence=evidence, evidence_id=evidence_id
            )
        elif decision.overdue:
            _tell_overdue(connection, history, decision, now)
    return Judged(
        rollout_id=history.rollout.rollout_id,
        evidence=evidence,
        verdicts=verdicts,
        decision=decision,
        before=before,
        after=after,
        route=route,
    )


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
        evidence = None
        if act in ("advance", "finish") and act in acts_of(history.state):
            evidence = _require_gates(connection, project, history, act, person)
        _, route = _act(connection, history, act, person, history.state, days=days, evidence=evidence)
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
        _audit(connection, history, "rollout.approve", person, {"stage": given.stage})
        return _history(connection, history.rollout)


def alive(connection: Connection, model_name: str) -> History:
    """The rollout under way. Raises RefusedError without one."""
    rollout = alive_rollout(connection, model_name)
    if rollout is None:
        raise RefusedError(_NOTHING.format(model=model_name))
    return _history(connection, rollout)


_NOTHING = "No rollout of {model!r} is under way; start one with `leadgate rollout start VERSION`."


def _locked(connection: Connection, model_name: str) -> History | None:
    """The rollout under way, kept from everybody else to the end of the transaction."""
    rollout = alive_rollout(connection, model_name)
    if rollout is None or not lock_rollout(connection, rollout.rollout_id):
        return None
    return _history(connection, rollout)


def _history(connection: Connection, rollout: Rollout) -> History:
    return history_of(rollout, steps_of(connection, rollout.rollout_id), sign_offs_of(connection, rollout.rollout_id))


def _require_gates(connection: Connection, project: Project, history: History, act: Act, person: Person) -> Evidence:
    """The evidence that carries an act; RefusedError where it does not."""
    evidence = gather(connection, project, history, person.at)
    decision = decide(evidence, judge(evidence, history.rules), history.rules)
    if decision.act != act:
        raise RefusedError(
            f"Not every gate of stage {history.state.stage} passes, so the challenger stays where it is: "
            f"{decision.reason}. `leadgate rollout evidence` shows all of them."
        )
    return evidence


def _refuse_approval(history: History, person: Person) -> None:
    stage, asked = history.state.stage, history.rules.sign_off
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


def _act(
    connection: Connection,
    history: History,
    act: Act,
    person: Person,
    before: State,
    *,
    days: float = 0.0,
    evidence: Evidence | None = None,
    evidence_id: int | None = None,
) -> tuple[State, Route | None]:
    """Move a rollout and all that hangs on it."""
    after = move(before, act, person.at, days=days or history.rules.extension_days)
    route = _reroute(connection, history, before, after, person, evidence)
    number = len(history.steps) + 1
    step = step_of(
        history.rollout.rollout_id,
        number,
        after,
        act=act,
        at=person.at,
        by=person.name,
        comment=person.comment,
        evidence_id=evidence_id,
        route_epoch=route.epoch if route else None,
    )
    add_step(connection, step)
    _audit(
        connection,
        history,
        f"rollout.{act}",
        person,
        {
            "step": number,
            "from": before.stage,
            "to": after.stage,
            "evidence_id": evidence_id,
            "route_epoch": step.route_epoch,
        },
    )
    _tell(connection, history, act, person, before, after)
    if not after.alive:
        end_rollout(connection, history.rollout.rollout_id, person.at)
    if after.stage in ("rolled_back", "rolling_back") and before.stage != "rolling_back":
        open_post_mortem(
            connection,
            rollout_id=history.rollout.rollout_id,
            step=number,
            at=person.at,
            cause=person.comment,
            evidence_id=evidence_id,
        )
    return after, route


def _reroute(  # noqa: PLR0917  # private
    connection: Connection,
    history: History,
    before: State,
    after: State,
    person: Person,
    evidence: Evidence | None,
) -> Route | None:
    """Put the route of the new stage in force; None where it stays as it is."""
    if after.stage == before.stage or (before.stage == "draft" and after.stage == "rejected"):
        return None
    rollout, rules = history.rollout, history.rules
    present = present_route(connection, rollout.model_name)
    if present is None:
        raise RefusedError(f"Model {rollout.model_name!r} has no route; `leadgate serve` makes the first one.")
    old = Named(version=rollout.champion, digest=rollout.champion_digest)
    new = Named(version=rollout.challenger, digest=rollout.challenger_digest)
    act = RouteAct(by=person.name, at=person.at, reason=f"rollout {rollout.rollout_id}: {person.comment}"[:2_000])
    if after.stage in ("full", "rolled_back", "rejected"):
        alone = new if after.stage == "full" else old
        route = change(present, act, stage="full", champion=alone, challenger=None)
    else:
        stage, share = _share_of(after, history)
        route = change(
            present, act, stage=stage, champion=old, challenger=new, share=round(share * BUCKETS), salt=rollout.salt
        )
        if rules.priority == "quantiles" and after.stage in ANSWERING and evidence and evidence.scores:
            # Both versions mark the same share of the leads high, so that neither takes the other's attention.
            scores = evidence.scores
            route = replace(route, challenger_high=scores.matched_high, challenger_medium=scores.matched_medium)
    add_route(connection, route)
    return route


def _share_of(state: State, history: History) -> tuple[RouteStage, float]:
    """Stage and share of the route of a stage in which two versions are there."""
    rules = history.rules
    shares: dict[Stage, tuple[RouteStage, float]] = {
        "shadow": ("shadow", 0.0),
        "canary": ("canary", rules.canary.share),
        "ab_test": ("ab_test", rules.ab_test.share),
        "rolling_back": ("canary", rules.gradual_rollback.share),
    }
    return shares[state.stage]


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


def _audit(connection: Connection, history: History, act: str, person: Person, details: dict[str, object]) -> None:
    rollout = history.rollout
    append_entry(
        connection,
        at=person.at,
        actor=person.name,
        act=act,
        subject=f"rollout {rollout.rollout_id}",
        details={
            "model": rollout.model_name,
            "champion": rollout.champion,
            "challenger": rollout.challenger,
            "comment": person.comment,
            **details,
        },
    )


def _tell(  # noqa: PLR0917  # private
    connection: Connection, history: History, act: Act, person: Person, before: State, after: State
) -> None:
    """Leave the event that people are told of."""
    rollout = history.rollout
    back = after.stage in ("rolled_back", "rolling_back")
    by_itself = person.name == CONTROLLER
    where = after.stage if after.stage != before.stage else f"{after.stage} ({act.replace('_', ' ')})"
    add_event(
        connection,
        at=person.at,
        kind=f"rollout.{act}",
        severity="red" if back and by_itself else "yellow" if back else "green",
        subject=f"rollout {rollout.rollout_id}",
        message=(
            f"Version {rollout.challenger} of {rollout.model_name}: {before.stage} -> {where}, by {person.name}. "
            f"{person.comment}"
        ),
        details={"from": before.stage, "to": after.stage, "by": person.name},
    )


def _tell_overdue(connection: Connection, history: History, decision: Decision, now: datetime) -> None:
    """Once a day, not at every look."""
    subject = f"rollout {history.rollout.rollout_id}"
    if event_is_known(connection, kind="rollout.overdue", subject=subject, since=now - _REMIND):
        return
    add_event(
        connection,
        at=now,
        kind="rollout.overdue",
        severity="yellow",
        subject=subject,
        message=(
            f"Version {history.rollout.challenger} has been in stage {history.state.stage} for "
            f"{history.state.days(now):.0f} days: {decision.reason}"
        ),
        details={"stage": history.state.stage},
    )
