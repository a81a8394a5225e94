"""Which version answers a lead, and what the next route is (quiet).

A lead falls into one of 10,000 buckets by a hash of the rollout's salt and its id. The challenger has the buckets
from 0 up to its share, so that a lead which had the challenger in a canary keeps it when the share grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b

from leadgate.errors import RefusedError
from leadgate.records import Route, Stage

BUCKETS = 10_000


def bucket(salt: str, lead_id: str) -> int:
    """The bucket of a lead, 0 to 9,999: BLAKE2b keyed by the salt, 8 bytes, so uneven by less than 1 in 10^15."""
    hashed = blake2b(lead_id.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(hashed, "big") % BUCKETS


def has_challenger(route: Route, lead_id: str) -> bool:
    """Whether the challenger answers this lead."""
    return route.share > 0 and bucket(route.salt, lead_id) < route.share


@dataclass(frozen=True, kw_only=True)
class Named:
    """A version as a route names it."""

    version: str
    digest: str
    """Of its model."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who changes a route, when, and why."""

    by: str
    at: datetime
    """UTC."""
    reason: str


def first_route(model_name: str, champion: Named, act: Act) -> Route:
    """The route of a model that had none: its champion answers every lead."""
    return Route(
        model_name=model_name,
        epoch=1,
        stage="full",
        champion=champion.version,
        champion_digest=champion.digest,
        challenger=None,
        challenger_digest=None,
        share=0,
        salt="",
        changed_at=act.at,
        changed_by=act.by,
        reason=act.reason,
    )


def change(
    route: Route, act: Act, *, stage: Stage, champion: Named, challenger: Named | None, share: int = 0, salt: str = ""
) -> Route:
    """The route after this one. Raises RefusedError for one that could not be.

    A version keeps its thresholds of priority: a champion that stays, and a challenger that becomes champion.
    """
    if (challenger is None) != (stage == "full"):
        raise RefusedError("Stage full has no challenger, and every other stage needs one (--challenger V).")
    if challenger and challenger.version == champion.version:
        raise RefusedError(f"Version {champion.version} cannot be champion and challenger at once.")
    if not 0 <= share <= BUCKETS:
        raise RefusedError("The challenger's share is between 0 and 100 %.")
    if share and stage not in ("canary", "ab_test"):
        raise RefusedError(f"In stage {stage} the challenger answers nobody; leave --share out, or use stage canary.")
    high, medium = _thresholds(route, champion)
    return Route(
        model_name=route.model_name,
        epoch=route.epoch + 1,
        stage=stage,
        champion=champion.version,
        champion_digest=champion.digest,
        challenger=challenger.version if challenger else None,
        challenger_digest=challenger.digest if challenger else None,
        share=share,
        salt=salt,
        champion_high=high,
        champion_medium=medium,
        changed_at=act.at,
        changed_by=act.by,
        reason=act.reason,
    )


def _thresholds(route: Route, champion: Named) -> tuple[float | None, float | None]:
    if champion.version == route.champion:
        return route.champion_high, route.champion_medium
    if champion.version == route.challenger:
        return route.challenger_high, route.challenger_medium
    return None, None


def back(history: Sequence[Route], act: Act, *, to: str | None = None) -> Route:
    """The route that rolls back: the champion alone, or the champion before it when it is alone already.

    ``history`` is the routes of a model, the present one first; ``to`` names a version that answered before. A version
    that was rolled back is nothing to go back to, so the same command twice does not bring it in again. Raises
    RefusedError when there is nothing to go back to.
    """
    present = history[0]
    if to is None:
        if present.challenger is not None:
            return change(present, act, stage="full", champion=_champion(present), challenger=None)
        line = _line(history)
        if len(line) == 1:
            raise RefusedError(
                f"Version {present.champion} is the champion and no other came before it, but for those that were "
                "rolled back; there is nothing to go back to. `--to VERSION` names one all the same."
            )
        return _restored(history, act, line[-2])
    target = next((named for named in map(_champion, history) if named.version == to), None)
    if target is None:
        raise RefusedError(f"Version {to} never was the champion; there is nothing to go back to.")
    if target == _champion(present) and present.challenger is None:
        raise RefusedError(f"Version {target.version} answers alone already; nothing changed.")
    return _restored(history, act, target)


def _line(history: Sequence[Route]) -> list[Named]:
    """The champions that led to the present one, the first first; who goes back leaves those after it out."""
    line: list[Named] = []
    for named in map(_champion, reversed(history)):
        if named in line:
            del line[line.index(named) + 1 :]
        else:
            line.append(named)
    return line


def _restored(history: Sequence[Route], act: Act, target: Named) -> Route:
    """A route of a version alone, with the thresholds that it had when it last was the champion."""
    route = change(history[0], act, stage="full", champion=target, challenger=None)
    last = next(route for route in history if _champion(route) == target)
    return replace(route, champion_high=last.champion_high, champion_medium=last.champion_medium)


def _champion(route: Route) -> Named:
    return Named(version=route.champion, digest=route.champion_digest)
