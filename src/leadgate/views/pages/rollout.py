"""The rollout: who answers, where the challenger is, what stops it, what it is worth, and what can be done.

Nothing is judged here: the page shows the last evaluation and says from when it is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from leadgate.leads.project import Project
from leadgate.leads.rollout_rules import LiveStage
from leadgate.records import Route
from leadgate.rollout.history import History, history_of
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import (
    PostMortem,
    Rollout,
    judgement,
    last_judgement,
    last_steps,
    looks_between,
    post_mortems_of,
    rollouts_of,
    sign_offs_of,
    steps_of,
)
from leadgate.storage.postgres.routes import present_route
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.freshness import freshness_of
from leadgate.views.rollout_acts import Offers, offers_of
from leadgate.views.rollout_course import (
    Answerer,
    Due,
    Former,
    StageBox,
    answerers_of,
    boxes_of,
    due_of,
    former_of,
    headline_of,
    span_of,
)
from leadgate.views.rollout_gates import Judged, judged_of
from leadgate.views.rollout_trial import SideRow, TrialView, sides_of, trial_view
from leadgate.views.rollout_worth import Contest, Worth, worth_of
from leadgate.views.sources import Sources

_LOOKS = 60
"""Points of a chart."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One evaluation whole, for who has to prove it."""

    judged: Judged
    sides: Sequence[SideRow]
    text: str
    """The evidence as JSON."""


@dataclass(frozen=True, kw_only=True)
class RolloutPage:
    """What the page shows."""

    model_name: str
    route: Route | None
    answerers: Sequence[Answerer]
    history: History | None
    """The rollout that is shown; None before the first."""
    is_last: bool
    """Whether it is the last one."""
    headline: str
    boxes: Sequence[StageBox]
    due: Due | None
    judged: Judged | None
    """The last evaluation; None before the first."""
    stale: bool
    """Whether that is older than it should be."""
    trial: TrialView | None
    worth: Worth | None
    offers: Offers | None
    post_mortems: Sequence[PostMortem]
    former: Sequence[Former]
    paper: Paper | None
    """The evaluation that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Brief:
    """The same in short, for the first page."""

    answerers: Sequence[Answerer]
    route: Route | None
    headline: str
    """Where the last rollout is; empty before the first."""
    worth: Worth | None
    """Of the challenger that is under way; else of the version that answers, or of the last one that was tested."""
    judged: Judged | None
    """The last evaluation of a rollout that is under way."""


def gather(sources: Sources, ask: Ask) -> RolloutPage:
    """Read the route, the rollout with its evaluations, and those before it."""
    project, number, paper_number = sources.project(), ask.number("rollout"), ask.number("evidence")
    with sources.reader.connection() as connection:
        rollouts = rollouts_of(connection, project.name)
        paper = None if paper_number is None else _paper(connection, rollouts, paper_number)
        number = number if number is not None or paper is None else paper.judged.rollout_id
        history = _chosen(connection, rollouts, number)
        route = present_route(connection, project.name)
        judged = None if history is None else _last(connection, history, ask.now)
        last = last_steps(connection, project.name)
        return RolloutPage(
            model_name=project.name,
            route=route,
            answerers=answerers_of(route) if route else [],
            history=history,
            is_last=history is not None and history.rollout.rollout_id == rollouts[0].rollout_id,
            headline=headline_of(history) if history else "",
            boxes=boxes_of(history) if history else [],
            due=due_of(history) if history else None,
            judged=judged,
            stale=_is_stale(project, history, judged, ask.now),
            trial=None if history is None else _trial(connection, history, ask.now),
            worth=None if history is None else _worth(connection, history, ask.now),
            offers=None if history is None else offers_of(history),
            post_mortems=[] if history is None else post_mortems_of(connection, history.rollout.rollout_id),
            former=[former_of(rollout, last.get(rollout.rollout_id)) for rollout in rollouts],
            paper=paper,
        )


def gather_brief(connection: Connection, project: Project, route: Route | None, now: datetime) -> Brief:
    """Who answers, where the rollout is, and what the last challenger that was tested is worth."""
    rollouts = rollouts_of(connection, project.name, most=10)
    histories = [_history(connection, rollout) for rollout in rollouts]
    last = histories[0] if histories else None
    alive = last is not None and last.state.alive
    tested = last if alive else _tested(histories, route)
    return Brief(
        answerers=answerers_of(route) if route else [],
        route=route,
        headline=headline_of(last) if last else "",
        worth=_worth(connection, tested, now) if tested else None,
        judged=_last(connection, last, now) if last and alive else None,
    )


def _tested(histories: Sequence[History], route: Route | None) -> History | None:
    """The rollout that brought the version that answers now, where one did; else the last one with an A/B test."""
    known = [history for history in histories if history.epochs_of("ab_test")]
    mine = (h for h in known if route and h.rollout.challenger == route.champion and h.state.stage == "full")
    return next(mine, next(iter(known or histories), None))


def _chosen(connection: Connection, rollouts: Sequence[Rollout], number: int | None) -> History | None:
    """The rollout of a number, or the last one. Raises NoSuchPageError."""
    if number is None:
        return _history(connection, rollouts[0]) if rollouts else None
    return _history(connection, _find(rollouts, number))


def _find(rollouts: Sequence[Rollout], number: int) -> Rollout:
    found = next((rollout for rollout in rollouts if rollout.rollout_id == number), None)
    if found is None:
        known = ", ".join(str(rollout.rollout_id) for rollout in rollouts[:10]) or "none yet"
        raise NoSuchPageError(f"There is no rollout {number} of this model; there are: {known}.")
    return found


def _history(connection: Connection, rollout: Rollout) -> History:
    return history_of(rollout, steps_of(connection, rollout.rollout_id), sign_offs_of(connection, rollout.rollout_id))


def _last(connection: Connection, history: History, now: datetime) -> Judged | None:
    """The last evaluation, of whatever stage."""
    rollout = history.rollout
    found = last_judgement(connection, rollout.rollout_id, since=rollout.started_at, until=now)
    return None if found is None else judged_of(found, history)


def _is_stale(project: Project, history: History | None, judged: Judged | None, now: datetime) -> bool:
    if history is None or judged is None or not history.state.alive:
        return False
    return freshness_of(judged.at, project.worker.schedule.rollout, now).stale


def _of_stage(connection: Connection, history: History, stage: LiveStage, now: datetime) -> Judged | None:
    """The last evaluation of a stage; None without any."""
    span = span_of(history, stage, now)
    if span is None:
        return None
    found = last_judgement(connection, history.rollout.rollout_id, since=span[0], until=span[1])
    judged = None if found is None else judged_of(found, history)
    return judged if judged is not None and judged.stage == stage else None


def _trial(connection: Connection, history: History, now: datetime) -> TrialView | None:
    """The A/B test, or the canary before there is one."""
    for stage in ("ab_test", "canary"):
        judged, span = _of_stage(connection, history, stage, now), span_of(history, stage, now)
        if judged is not None and judged.evidence.experiment is not None and span is not None:
            number = history.rollout.rollout_id
            looks = looks_between(connection, number, since=span[0], until=span[1], most=_LOOKS)
            trial, rules = judged.evidence.experiment, history.rules.experiment
            return trial_view(trial, looks, rules, judged)
    return None


def _worth(connection: Connection, history: History, now: datetime) -> Worth:
    judged, rollout = _of_stage(connection, history, "ab_test", now), history.rollout
    found = Contest(
        rollout_id=rollout.rollout_id,
        challenger=rollout.challenger,
        champion=rollout.champion,
        design=rollout.design,
        rules=history.rules.experiment,
        trial=judged.evidence.experiment if judged else None,
        evidence_id=judged.evidence_id if judged else None,
        at=judged.at if judged else None,
        over=not history.state.alive,
    )
    return worth_of(found)


def _paper(connection: Connection, rollouts: Sequence[Rollout], number: int) -> Paper:
    """One evaluation. Raises NoSuchPageError for a number of none, or of another model's."""
    found = judgement(connection, number)
    if found is None or all(rollout.rollout_id != found.rollout_id for rollout in rollouts):
        raise NoSuchPageError(f"There is no evidence {number} of this model's rollouts.")
    judged = judged_of(found, _history(connection, _find(rollouts, found.rollout_id)))
    trial = judged.evidence.experiment
    return Paper(
        judged=judged,
        sides=sides_of(trial) if trial else [],
        text=json.dumps(json.loads(found.evidence), indent=2, ensure_ascii=False),
    )
