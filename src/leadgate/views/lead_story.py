"""What became of a lead, and how one of its scores came about (quiet)."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

from leadgate.leads.project import OutcomeRules
from leadgate.leads.schema import FeatureValue
from leadgate.models.card import Card
from leadgate.models.reasons import Reason, Reasons
from leadgate.models.wording import name_of, number_text
from leadgate.records import Route
from leadgate.rollout.routing import BUCKETS, has_challenger
from leadgate.storage.postgres.outcomes import LeadOutcome
from leadgate.storage.postgres.predictions import LeadScore
from leadgate.storage.postgres.rollouts import Rollout, SignOff, Step
from leadgate.views.charts import Axis, Chart, Series
from leadgate.views.wording import NONE, plain

Kind = Literal["model", "rollout", "sign-off", "route", "score"]

_SECOND = timedelta(seconds=1)
"""Commands take whole seconds."""
_SAME = 1e-9
"""Scores that differ by less are equal: the bar of the proof."""
_TO_SEE = 2
"""Scores that a line takes."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """The rollout that brought a version, as far as it had come at a moment."""

    rollout: Rollout
    steps: Sequence[Step]
    sign_offs: Sequence[SignOff]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something on the way to a score."""

    at: datetime
    kind: Kind
    what: str
    by: str
    """Empty for the score itself."""
    why: str
    """In the actor's own words; empty where none were asked for."""
    link: str
    where: str
    """What the link leads to."""


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """A value that was scored, and what it does."""

    feature: str
    name: str
    value: str
    effect: str
    """In points of the score: 14 is from 0.48 to 0.62; an en dash where it is not known."""
    used: bool
    """Whether the version uses it."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """The reasons of a score in words."""

    score: float
    average: float
    raising: Sequence[Reason]
    lowering: Sequence[Reason]
    agrees: bool
    """Whether the version gives the logged values the logged score again."""


def assignment_of(route: Route | None, lead_id: str) -> str:
    """Which version answers a lead now, in a sentence."""
    if route is None:
        return "No version answers yet: there is no route."
    if route.challenger is None:
        return f"Version {route.champion} answers every lead."
    if route.stage == "shadow":
        return (
            f"Version {route.champion} answers every lead; version {route.challenger} is scored beside it, unseen by "
            "anybody (shadow)."
        )
    share = f"{plain(route.stage)}, {100 * route.share / BUCKETS:g} % of the leads have the challenger"
    if has_challenger(route, lead_id):
        return f"This lead is assigned to the challenger, version {route.challenger} ({share}); it stays with it."
    return f"This lead is assigned to the champion, version {route.champion} ({share})."


def outcome_of(outcomes: Sequence[LeadOutcome], first: datetime | None, rules: OutcomeRules) -> str:
    """What became of the lead, in a sentence. Outcomes are newest first; ``first``: when it was scored first."""
    window = timedelta(days=rules.window_days)
    if not outcomes:
        if first is None:
            return "Nothing was reported of it."
        then = "counts as not converted" if rules.silence_means == "not_converted" else "is left out"
        return (
            f"Nothing was reported of it. Its outcome window ends {first + window:%Y-%m-%d}; where nothing "
            f"comes by then, it {then} when the scores are judged."
        )
    last = outcomes[0]
    said = "It converted" if last.converted else "It did not convert"
    if first is None:
        return f"{said}."
    days = (last.outcome_at - first) / timedelta(days=1)
    if days < 0:
        return f"{said}, before it was first scored: the score cannot have foreseen it, so it is left out."
    told = f"{said}, {days:.1f} days after its first score"
    if days > rules.window_days:
        return f"{told}: later than the {rules.window_days:g} days in which an outcome counts."
    return f"{told}."


def trail_of(score: LeadScore, routes: Sequence[Route], card: Card | None, brought: Brought | None) -> list[Event]:
    """How a score came about, the first thing first; what happened after it is left out.

    ``routes``: the one in force, and the one that first let the version answer where no rollout brought it.
    """
    placed = {route.epoch: route for route in routes}.values()
    found = [*_of_rollout(brought), *(event for route in placed for event in _of_route(route))]
    before = [event for event in found if event.at <= score.scored_at]
    drawn = "" if score.own_priority is None else f": drawn to be explored; its score alone gives {score.own_priority}"
    said = (
        f"Version {score.model_version} ({score.variant}) gave {score.predicted_score:.4f}, priority {score.priority}"
        f"{drawn}."
    )
    last = Event(at=score.scored_at, kind="score", what=said, by="", why="", link="", where="")
    return [*_of_model(score, card), *sorted(before, key=lambda event: (event.at, event.kind != "sign-off")), last]


def nobody_signed(trail: Sequence[Event], brought: Brought | None) -> str:
    """A sentence where no person signed the version off before the score; else empty."""
    if any(event.kind == "sign-off" for event in trail):
        return ""
    if brought is None:
        return (
            "No rollout brought this version, so no gate asked for a sign-off: it answers by the routes below, whose "
            "reasons say why."
        )
    return "Nobody had signed this version off when it gave the score: no stage before that asks for a sign-off."


def digest_of(score: LeadScore, route: Route | None) -> str | None:
    """The digest of the model that had to answer; None where the route is not known."""
    if route is None:
        return None
    return route.challenger_digest if score.variant == "challenger" else route.champion_digest


def first_route_of(routes: Sequence[Route], digest: str | None) -> Route | None:
    """The first route in which a model answered as the champion; None where none did."""
    own = [route for route in routes if digest is not None and route.champion_digest == digest]
    return min(own, key=lambda route: route.epoch, default=None)


def brought_by(rollouts: Sequence[Rollout], digest: str | None, at: datetime) -> Rollout | None:
    """The last rollout before a moment that had this model as its challenger; None without one."""
    own = [r for r in rollouts if digest is not None and r.challenger_digest == digest and r.started_at <= at]
    return max(own, key=lambda r: r.started_at, default=None)


def told_of(reasons: Reasons, score: LeadScore, again: float) -> Told | None:
    """The reasons for and against; None where there are none."""
    if reasons.score is None or reasons.average is None:
        return None
    return Told(
        score=reasons.score,
        average=reasons.average,
        raising=reasons.raising(),
        lowering=reasons.lowering(),
        agrees=abs(again - score.predicted_score) < _SAME,
    )


def feature_rows(
    features: Mapping[str, FeatureValue], reasons: Reasons | None, used: Sequence[str]
) -> list[FeatureRow]:
    """The values that were scored: those that move the score most first. ``used``: empty where it is not known."""
    effects = {reason.feature: reason.effect for reason in reasons.reasons} if reasons else {}
    known = reasons is not None and reasons.why_none is None
    names = [*effects, *(name for name in (*used, *sorted(features)) if name not in effects)]
    return [
        FeatureRow(
            feature=name,
            name=name_of(name),
            value=value_text(features.get(name)),
            effect=f"{100 * effects[name]:+.1f}" if name in effects else "0" if known and name in used else NONE,
            used=not used or name in used,
        )
        for name in dict.fromkeys(names)
    ]


def value_text(value: FeatureValue) -> str:
    """A value for people; a missing one is not known."""
    match value:
        case None:
            return "not known"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case _:
            return number_text(value)


def chart_of(scores: Sequence[LeadScore]) -> Chart | None:
    """The scores over time; None for fewer than two."""
    if len(scores) < _TO_SEE:
        return None
    times = [score.scored_at.timestamp() for score in reversed(scores)]
    answered = [score.predicted_score for score in reversed(scores)]
    shadow = [score.shadow_score for score in reversed(scores)]
    series = [Series(name="score", kind="line", x=times, y=answered, stepped=True)]
    if any(value is not None for value in shadow):
        series.append(Series(name="beside it, not answered", kind="points", tone="then", x=times, y=shadow))
    return Chart(
        name="scores",
        title="Scores over time",
        says=f"{len(scores)} scores, from {min(answered):.2f} to {max(answered):.2f}; the last is {answered[-1]:.2f}.",
        x=Axis(kind="time", label="when"),
        y=Axis(label="score", low=0, high=1),
        series=series,
        height="middle",
    )


def command_of(lead_id: str, score: LeadScore, *, last: bool) -> str:
    """The command that explains a score; ``last``: whether it is the lead's last one."""
    upto = [] if last else ["--at", f"{score.scored_at.astimezone(UTC) + _SECOND:%Y-%m-%dT%H:%M:%S}"]
    return shlex.join(["leadgate", "explain", "--all", *upto, *(["--"] if lead_id.startswith("-") else []), lead_id])


def address_of(lead_id: str, score: LeadScore) -> str:
    """The page of a lead with one of its scores."""
    return f"/ui/leads?{urlencode({'lead': lead_id, 'score': str(score.prediction_id)})}#score"


def _of_model(score: LeadScore, card: Card | None) -> list[Event]:
    if card is None:
        return []
    leads = f"on {card.training_leads:,} leads of snapshot {card.snapshot_version}"
    return [
        Event(
            at=card.trained_at,
            kind="model",
            what=f"Version {score.model_version} was trained ({plain(card.model.kind)}) {leads}.",
            by=card.provenance.author,
            why="",
            link=f"/ui/models?version={quote(score.model_version, safe='')}",
            where="its figures and lineage",
        )
    ]


def _of_rollout(brought: Brought | None) -> list[Event]:
    if brought is None:
        return []
    number = brought.rollout.rollout_id
    page = f"/ui/rollout?rollout={number}"
    steps = [
        Event(
            at=step.acted_at,
            kind="rollout",
            what=f"Rollout {number}: {plain(step.act)}, stage {plain(step.stage)}.",
            by=step.acted_by,
            why=step.comment,
            link=page if step.evidence_id is None else f"/ui/rollout?evidence={step.evidence_id}",
            where=f"rollout {number}" if step.evidence_id is None else f"evidence {step.evidence_id}",
        )
        for step in brought.steps
    ]
    signed = [
        Event(
            at=given.approved_at,
            kind="sign-off",
            what=f"Stage {plain(given.stage)} of rollout {number} was signed off.",
            by=given.approved_by,
            why=given.comment,
            link=page,
            where=f"rollout {number}",
        )
        for given in brought.sign_offs
    ]
    return [*steps, *signed]


def _of_route(route: Route) -> list[Event]:
    share = f", {100 * route.share / BUCKETS:g} % to the challenger" if route.share else ""
    versions = f"champion {route.champion}" + (f", challenger {route.challenger}" if route.challenger else "")
    return [
        Event(
            at=route.changed_at,
            kind="route",
            what=f"Route {route.epoch} came in force: stage {plain(route.stage)}, {versions}{share}.",
            by=route.changed_by,
            why=route.reason,
            link="/ui/audit?act=route",
            where="routes in the audit log",
        )
    ]
