"""An act of a rollout and everything that hangs on it, in the caller's transaction.

The step, the route, the audit entry, the event, the post-mortem: all of them or none.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from leadgate.errors import RefusedError
from leadgate.records import Route
from leadgate.records import Stage as RouteStage
from leadgate.rollout.decisions import Decision
from leadgate.rollout.evidence import Evidence
from leadgate.rollout.history import History, step_of
from leadgate.rollout.routing import BUCKETS, Named, change
from leadgate.rollout.routing import Act as RouteAct
from leadgate.rollout.stages import ANSWERING, Act, Stage, State, move
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import add_event, add_step, end_rollout, event_is_known, open_post_mortem
from leadgate.storage.postgres.routes import add_route, present_route, routes_of

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


def carry_out(
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
    """Move a rollout and all that hangs on it; gives its state and the route that was put in force, if one was.

    ``days`` is for an extension. Raises IllegalMoveError; then nothing was written.
    """
    by_itself = person.name == CONTROLLER
    after = move(before, act, person.at, days=days or history.rules.extension_days, by_itself=by_itself)
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
    audit(
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
    _refuse_strange_route(present, history, after)
    act = RouteAct(by=person.name, at=person.at, reason=f"rollout {rollout.rollout_id}: {person.comment}"[:2_000])
    if after.stage in ("full", "rolled_back", "rejected"):
        alone = new if after.stage == "full" else old
        route = change(present, act, stage="full", champion=alone, challenger=None)
        if alone is old:
            route = _with_old_thresholds(connection, route)
    else:
        stage, share = _share_of(after, history)
        route = change(
            present, act, stage=stage, champion=old, challenger=new, share=round(share * BUCKETS), salt=rollout.salt
        )
        route = _with_old_thresholds(connection, route)
        if rules.priority == "quantiles" and after.stage in ANSWERING:
            route = _matched(route, present, evidence)
    add_route(connection, route)
    return route


def _refuse_strange_route(present: Route, history: History, after: State) -> None:
    """Raises RefusedError where somebody else moved the route: a challenger must not go forward on it.

    The way back is always open.
    """
    rollout = history.rollout
    if after.stage in ("rolled_back", "rejected", "rolling_back"):
        return
    if history.steps:
        strange = present.epoch != history.last_epoch
    else:
        strange = (present.champion_digest, present.challenger) != (rollout.champion_digest, None)
    if strange:
        raise RefusedError(
            f"Route {present.epoch} (champion {present.champion}, challenger {present.challenger or 'none'}, by "
            f"{present.changed_by}) is not this rollout's own, so nothing was moved: somebody changed the route "
            "meanwhile. Look at `leadgate route show`; `leadgate rollout rollback` brings the champion back alone."
        )


def _with_old_thresholds(connection: Connection, route: Route) -> Route:
    """With the thresholds that the champion of a route had when it last was one."""
    earlier = routes_of(connection, route.model_name)
    last = next((r for r in earlier if r.champion_digest == route.champion_digest), None)
    if last is None:
        return route
    return replace(route, champion_high=last.champion_high, champion_medium=last.champion_medium)


def _matched(route: Route, present: Route, evidence: Evidence | None) -> Route:
    """Both versions mark the same share of the leads high, so that neither takes the other's attention.

    Without scores to match by, the thresholds stay that the challenger has, in whichever role.
    """
    if evidence is not None and evidence.scores is not None:
        scores = evidence.scores
        return replace(route, challenger_high=scores.matched_high, challenger_medium=scores.matched_medium)
    if present.champion_digest == route.challenger_digest:
        return replace(route, challenger_high=present.champion_high, challenger_medium=present.champion_medium)
    return replace(route, challenger_high=present.challenger_high, challenger_medium=present.challenger_medium)


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


def audit(connection: Connection, history: History, act: str, person: Person, details: dict[str, object]) -> None:
    """Write an entry of the audit log."""
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


def tell_overdue(connection: Connection, history: History, decision: Decision, now: datetime) -> None:
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
