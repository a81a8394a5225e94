"""Where a rollout is: who answers now, and its four stages as they were planned and as they went (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from leadgate.leads.rollout_rules import LiveStage, RolloutRules, StageRules
from leadgate.records import Route
from leadgate.rollout.history import History
from leadgate.rollout.routing import BUCKETS
from leadgate.rollout.stages import Stage
from leadgate.storage.postgres.rollouts import Rollout, Step
from leadgate.views.wording import number, plain
from leadgate.views.wording import share as share_text

STAGES: tuple[LiveStage, ...] = ("shadow", "canary", "ab_test", "full")

Where = Literal["over", "now", "ahead", "left", "never"]
_WORDS: dict[Where, str] = {
    "over": "passed",
    "now": "is here now",
    "ahead": "to come",
    "left": "ended here",
    "never": "not reached",
}


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """A version and its part of the leads."""

    version: str
    role: Literal["champion", "challenger"]
    share: float
    """Of the leads that it answers."""
    says: str


@dataclass(frozen=True, kw_only=True)
class StageBox:
    """A stage on the way."""

    stage: LiveStage
    where: Where
    word: str
    """The same for people."""
    share: float
    """Of the leads that the challenger answers in it."""
    planned_from: datetime
    """At the earliest, had every stage before taken its least time."""
    planned_until: datetime
    began: datetime | None
    """None where it was not reached."""
    ended: datetime | None
    notes: Sequence[str]
    """Pauses, extensions, visits."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """When the present stage may end, and when it should have."""

    earliest: datetime
    overdue: datetime


@dataclass(frozen=True, kw_only=True)
class Former:
    """A rollout in a list."""

    rollout: Rollout
    outcome: str


def answerers_of(route: Route) -> list[Answerer]:
    """Who answers which share of the leads."""
    share = route.share / BUCKETS
    if route.challenger is None:
        return [Answerer(version=route.champion, role="champion", share=1.0, says="answers every lead")]
    champion = "answers every lead" if not route.share else f"answers {share_text(1 - share)} of the leads"
    challenger = (
        "scores every lead in its shadow; nobody is told"
        if not route.share
        else f"answers {share_text(share)} of the leads"
    )
    return [
        Answerer(version=route.champion, role="champion", share=1 - share, says=champion),
        Answerer(version=route.challenger, role="challenger", share=share, says=challenger),
    ]


def headline_of(history: History) -> str:
    """Where a rollout is, in a sentence."""
    state, rollout, rules = history.state, history.rollout, history.rules
    new, old = f"version {rollout.challenger}", f"version {rollout.champion}"
    paused = " It is paused: nothing goes forward until somebody resumes it." if state.paused_at else ""
    match state.stage:
        case "draft":
            said = f"{new} has not begun."
        case "shadow":
            said = f"{new} scores every lead in the shadow of {old}; nobody is told."
        case "canary":
            said = f"{new} answers {share_text(rules.canary.share)} of the leads, the canary; {old} the others."
        case "ab_test":
            said = f"{new} answers {share_text(rules.ab_test.share)} of the leads, the A/B test; {old} the others."
        case "full":
            watched = "the rollout is over" if state.finished else "it is still watched"
            said = f"{new} answers every lead; {watched}."
        case "rolling_back":
            said = (
                f"{new} is on its way back and keeps {share_text(rules.gradual_rollback.share)} of the leads for now."
            )
        case "rolled_back":
            said = f"{new} was rolled back; {old} answers every lead."
        case "rejected":
            said = f"{new} was rejected; {old} answers every lead."
    return said[0].upper() + said[1:] + paused


def boxes_of(history: History) -> list[StageBox]:
    """The four stages."""
    state = history.state
    reached = [step.stage for step in history.steps if step.stage in STAGES]
    last = reached[-1] if reached else None
    back = state.stage in ("rolling_back", "rolled_back", "rejected")
    planned, boxes = _planned(history), []
    for stage in STAGES:
        where = _where(stage, history, last if back else None)
        began, ended = _lived(stage, history.steps)
        boxes.append(
            StageBox(
                stage=stage,
                where=where,
                word=_WORDS[where],
                share=share_in(stage, history.rules),
                planned_from=planned[stage][0],
                planned_until=planned[stage][1],
                began=began,
                ended=ended,
                notes=_notes(stage, history.steps),
            )
        )
    return boxes


def share_in(stage: LiveStage, rules: RolloutRules) -> float:
    """The challenger's share of the leads in a stage."""
    return {"shadow": 0.0, "canary": rules.canary.share, "ab_test": rules.ab_test.share, "full": 1.0}[stage]


def due_of(history: History) -> Due | None:
    """When the present stage may end by its rules, and after when it is overdue; None without one, and in a pause."""
    state = history.state
    if not state.alive or state.paused_at is not None or state.stage not in STAGES:
        return None
    asked = _rules_of(history.rules)[state.stage]
    waited = state.since + timedelta(days=state.paused_days)
    return Due(
        earliest=waited + timedelta(days=asked.min_days),
        overdue=waited + timedelta(days=asked.max_days + state.extra_days),
    )


def span_of(history: History, stage: LiveStage, now: datetime) -> tuple[datetime, datetime] | None:
    """From when to when a rollout was in a stage, the last time that it was; None where it never was."""
    visits = [step.stage_since for step in history.steps if step.stage == stage]
    if not visits:
        return None
    _, ended = _lived(stage, history.steps)
    return visits[-1], ended or now


def former_of(rollout: Rollout, last: Step | None) -> Former:
    """A rollout by its last step."""
    if rollout.ended_at is None:
        stage = "not begun" if last is None else f"under way, {plain(last.stage)}"
        return Former(rollout=rollout, outcome=stage)
    said = {"full": "promoted", "rolled_back": "rolled back"}
    return Former(rollout=rollout, outcome="" if last is None else said.get(last.stage, plain(last.stage)))


def _where(stage: LiveStage, history: History, came_from: Stage | None) -> Where:
    state = history.state
    if stage == came_from:
        return "left"
    if stage == state.stage and not state.finished:
        return "now"
    if came_from is not None:
        return "over" if STAGES.index(stage) < STAGES.index(came_from) else "never"
    if state.stage not in STAGES:
        return "never" if not state.alive else "ahead"
    return "over" if state.finished or STAGES.index(stage) < STAGES.index(state.stage) else "ahead"


def _rules_of(rules: RolloutRules) -> dict[Stage, StageRules]:
    return {"shadow": rules.shadow, "canary": rules.canary, "ab_test": rules.ab_test, "full": rules.full}


def _planned(history: History) -> dict[LiveStage, tuple[datetime, datetime]]:
    """The stages one after the other, each for its least time; the A/B test for what its plan takes if longer."""
    at, made = history.rollout.started_at, {}
    design = history.rollout.design or {}
    for stage in STAGES:
        days = _rules_of(history.rules)[stage].min_days
        if stage == "ab_test":
            days = max(days, float(design.get("days") or 0.0))
        made[stage] = (at, at + timedelta(days=days))
        at = made[stage][1]
    return made


def _lived(stage: LiveStage, steps: Sequence[Step]) -> tuple[datetime | None, datetime | None]:
    """When a stage first began and last ended; no end where it is the present one."""
    here = [i for i, step in enumerate(steps) if step.stage == stage]
    if not here:
        return None, None
    after = steps[here[-1] + 1 :]
    ended = after[0].acted_at if after else steps[-1].acted_at if steps[-1].finished else None
    return steps[here[0]].stage_since, ended


def _notes(stage: LiveStage, steps: Sequence[Step]) -> list[str]:
    """What made a stage longer."""
    here = [step for step in steps if step.stage == stage]
    if not here:
        return []
    last, notes = here[-1], []
    times = len({step.stage_since for step in here})
    if times > 1:
        notes.append(f"{times} times, after steps back")
    if last.extra_days:
        notes.append(f"extended by {number(last.extra_days, 2)} days")
    if last.paused_days >= 0.05:  # noqa: PLR2004  # below it is shown as 0.0
        notes.append(f"paused for {last.paused_days:.1f} days")
    if last.paused_at is not None:
        notes.append("paused" if last is steps[-1] else "paused when it ended")
    return notes
