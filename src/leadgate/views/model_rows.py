"""The versions of a model in a list, with the plan's words for what each one is (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from leadgate.records import Interval, Route
from leadgate.storage.postgres.checks import VersionFigure, VersionSpan
from leadgate.views.model_curves import Graded
from leadgate.views.wording import NONE, count, number, percent, plain
from leadgate.views.wording import share as share_text

if TYPE_CHECKING:
    from datetime import timedelta

    from leadgate.models.card import Card
    from leadgate.models.registry import Version

RoleName = Literal["champion", "challenger", "archived", "registered"]

_PLAN: Mapping[RoleName, str] = {
    "champion": "Production",
    "challenger": "Staging",
    "archived": "Archived",
    "registered": "None",
}
_MEANS: Mapping[RoleName, str] = {
    "champion": "answers",
    "challenger": "is tried",
    "archived": "answers no more",
    "registered": "has not been tried",
}
_BUCKETS = 10_000


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a version is at present."""

    name: RoleName
    plan: str
    """The plan's word, which is MLflow's: Production, Staging, Archived, None."""
    says: str
    """In a few words, with its share of the traffic."""


@dataclass(frozen=True, kw_only=True)
class Stint:
    """A time in which a version was on the route."""

    version: str
    role: Literal["champion", "challenger"]
    stage: str
    share: float
    """Of the leads that it answered, 0 to 1."""
    since: datetime
    until: datetime | None
    """None while it lasts."""
    epoch: int
    """Of the route."""
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """A line of the list."""

    version: str
    role: Role
    kind: str
    """Of model; an en dash while the registry has not said it."""
    auc: str
    calibration: str
    live: str
    live_says: str
    scorer: str
    trained_at: datetime | None
    author: str
    snapshot: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """What PostgreSQL and the registry know of one version; either may be silent."""

    version: str
    registered: "Version | None"
    card: "Card | None"
    graded: Graded | None
    live: VersionFigure | None
    unbiased: VersionFigure | None = None
    """By explored leads."""


def numbers_of(
    registered: "Sequence[Version] | None", published: Sequence[str], routes: Sequence[Route], most: int
) -> list[str]:
    """The versions that there are, the newest first: those of the registry, or those that PostgreSQL has met."""
    met = {*published, *(route.champion for route in routes), *(r.challenger for r in routes if r.challenger)}
    there = {version.version for version in registered} if registered is not None else met
    return sorted(there, key=lambda version: (-_order(version), version))[:most]


def _order(version: str) -> int:
    return int(version) if version.isascii() and version.isdigit() else -1


def role_of(version: str, routes: Sequence[Route], registered: "Version | None") -> Role:
    """By the route in force, which decides what answers; then by the registry's aliases and tags.

    ``routes``: the present one first.
    """
    route = routes[0] if routes else None
    share = 0.0 if route is None else route.share / _BUCKETS
    if route is not None and version == route.champion:
        return _role("champion", f"answers {share_text(1 - share)} of the leads" if share else "answers every lead")
    if route is not None and version == route.challenger:
        said = f"answers {share_text(share)}" if share else "is scored beside, and answers none"
        return _role("challenger", f"{plain(route.stage)}: {said}")
    return _unrouted(version, routes, registered)


def _unrouted(version: str, routes: Sequence[Route], registered: "Version | None") -> Role:
    aliases = () if registered is None else registered.aliases
    tags = {} if registered is None else registered.tags
    if "archived_at" not in tags and "champion" in aliases and not routes:
        return _role("champion", "named by the registry; no route is in force")
    if "archived_at" not in tags and "challenger" in aliases:
        return _role("challenger", "named by the registry; not on the route")
    if "archived_at" in tags or any(version in (r.champion, r.challenger) for r in routes):
        return _role("archived", tags.get("archived_because") or _MEANS["archived"])
    return _role("registered", _MEANS["registered"])


def _role(name: RoleName, says: str) -> Role:
    return Role(name=name, plan=_PLAN[name], says=says)


def stints_of(version: str, routes: Sequence[Route]) -> list[Stint]:
    """When a version was on the route, the latest first. ``routes``: the present one first."""
    ends: list[datetime | None] = [None, *(later.changed_at for later, _ in pairwise(routes))]
    found = []
    for route, until in zip(routes, ends, strict=False):
        if version not in (route.champion, route.challenger):
            continue
        leads = version == route.champion
        share = route.share / _BUCKETS
        found.append(
            Stint(
                version=version,
                role="champion" if leads else "challenger",
                stage=route.stage,
                share=1 - share if leads else share,
                since=route.changed_at,
                until=until,
                epoch=route.epoch,
                by=route.changed_by,
                reason=route.reason,
            )
        )
    return found


def spans_of(versions: Sequence[str], routes: Sequence[Route], now: datetime, most: "timedelta") -> list[VersionSpan]:
    """For each version the end of its last time on the route, at most so long: there its last live figures are."""
    spans = []
    for version in versions:
        stints = stints_of(version, routes)
        if stints:
            last = stints[0]
            until = last.until or now
            spans.append(
                VersionSpan(version=version, subject=last.role, since=max(last.since, until - most), until=until)
            )
    return spans


def row_of(known: Known, routes: Sequence[Route]) -> VersionRow:
    """A line of the list, of whatever is known."""
    tags = {} if known.registered is None else known.registered.tags
    card, graded = known.card, known.graded
    trained = tags.get("trained_at")
    return VersionRow(
        version=known.version,
        role=role_of(known.version, routes, known.registered),
        kind=plain(card.model.kind) if card else NONE,
        auc=holdout_auc(card, graded),
        calibration=number(_calibration(card, graded)),
        live=live_auc(known.live),
        live_says=known.live.sentence if known.live else "no check has judged it on matured outcomes",
        scorer=tags.get("scorer", NONE),
        trained_at=datetime.fromisoformat(trained) if trained else None,
        author=tags.get("author", NONE),
        snapshot=tags.get("data_snapshot_version") or (str(graded.snapshot_version) if graded else NONE),
    )


def holdout_auc(card: "Card | None", graded: Graded | None) -> str:
    """With its interval."""
    if card is not None:
        overall = card.evaluation.overall
        return with_interval(overall.auc, overall.auc_interval)
    if graded is None:
        return NONE
    q = graded.quality
    known = q.auc_low is not None and q.auc_high is not None
    return with_interval(q.auc, Interval(low=q.auc_low, high=q.auc_high) if known else None)  # type: ignore[arg-type]


def live_auc(live: VersionFigure | None) -> str:
    """On matured outcomes, with its interval and the number of leads."""
    if live is None:
        return NONE
    told = _with_own_interval(live)
    return f"{told} on {count(live.sample, 'lead')}" if live.sample else told


def unbiased_auc(found: VersionFigure) -> str:
    """By explored leads, with its interval and their number."""
    told = _with_own_interval(found)
    return f"{told} by {count(found.sample, 'explored lead')}" if found.sample else told


def _with_own_interval(found: VersionFigure) -> str:
    known = found.low is not None and found.high is not None
    return with_interval(found.value, Interval(low=found.low, high=found.high) if known else None)  # type: ignore[arg-type]


def with_interval(value: float | None, interval: Interval | None, *, share: bool = False) -> str:
    """A figure as 0.840 (0.820 to 0.857)."""
    show = percent if share else number
    if value is None:
        return NONE
    return f"{show(value)} ({show(interval.low)} to {show(interval.high)})" if interval else show(value)


def _calibration(card: "Card | None", graded: Graded | None) -> float | None:
    if card is not None:
        return card.evaluation.overall.calibration_error
    return None if graded is None else graded.quality.calibration_error
