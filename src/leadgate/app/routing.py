"""Changes the route of a project: which versions answer, and how many leads each."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.models.bundles import fetch, load_bundle
from leadgate.models.promoting import promote as point_alias
from leadgate.models.registry import Alias, Version
from leadgate.records import Route, Stage
from leadgate.rollout.moving import Person
from leadgate.rollout.routing import BUCKETS, Act, Named, back, change, first_route
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import alive_rollout
from leadgate.storage.postgres.routes import add_route, present_route, routes_of


def route_in_force(home: Home) -> Route:
    """The present route; the first one is made from the registry's champion. Raises RefusedError without a champion."""
    with home.connection() as connection:
        route = present_route(connection, home.project.name)
        if route is not None:
            return route
        champion = home.registry.champion()
        if champion is None:
            raise RefusedError(f"Model {home.project.name!r} has no champion yet; make one with `leadgate train`.")
        _publish(home, champion)
        route = first_route(home.project.name, _named(champion), _act(home, "the first route: the registry's champion"))
        _put(connection, "route.first", route)
    return route


def set_route(
    home: Home, *, stage: Stage, champion: str | None, challenger: str | None, share: float, reason: str
) -> Route:
    """Put another route in force; ``share`` is between 0 and 1. Versions are numbers or aliases."""
    present = route_in_force(home)
    first = staged(home, champion or present.champion)
    second = staged(home, challenger) if challenger else None
    same_rollout = second is not None and second.version == present.challenger
    route = change(
        present,
        _act(home, reason),
        stage=stage,
        champion=_named(first),
        challenger=_named(second) if second else None,
        share=round(share * BUCKETS),
        # A lead keeps its side while the challenger's share grows, and is drawn anew for the next challenger.
        salt=(present.salt if same_rollout and present.salt else secrets.token_hex(8)) if second else "",
    )
    with home.connection() as connection:
        _put(connection, "route.set", route)
    return route


def roll_back(home: Home, *, to: str | None, reason: str) -> Route:
    """Go back to the champion alone, or to the one before it: one transaction, and no registry is asked."""
    with home.connection() as connection:
        rollout = alive_rollout(connection, home.project.name)
        if rollout is not None and to is None:
            from leadgate.rollout.controller import act_by_hand  # noqa: PLC0415  # 0.3 s, and serving never needs it

            person = Person(name=home.author, at=home.clock(), comment=reason)
            _, left = act_by_hand(connection, home.project, "roll_back", person)
            assert left is not None
            return left
        if rollout is not None:
            raise RefusedError(f"Rollout {rollout.rollout_id} is under way; roll it back first, without --to.")
        history: Sequence[Route] = routes_of(connection, home.project.name)
        if not history:
            raise RefusedError(f"Model {home.project.name!r} has no route yet; there is nothing to go back to.")
        route = back(history, _act(home, reason), to=to)
        _put(connection, "route.roll_back", route)
    return route


def refuse_during_rollout(home: Home, what: str) -> None:
    """Raises RefusedError while a rollout is under way: only it moves the route then."""
    with home.connection() as connection:
        rollout = alive_rollout(connection, home.project.name)
    if rollout is not None:
        raise RefusedError(
            f"Rollout {rollout.rollout_id} of version {rollout.challenger} is under way, so {what} would undo what it "
            "measures; end it first with `leadgate rollout rollback`."
        )


def promote(home: Home, which: str, to: str) -> str:
    """Make a version champion or challenger; a champion answers every lead from now on. Gives the sentence to say."""
    refuse_during_rollout(home, "another champion or challenger")
    before = _aliases(home.registry.versions())
    said = point_alias(home.registry, which, to, by=home.author, at=home.clock())
    write_aliases(home, "model.promote", before, reason="by hand")
    if to != "champion":
        return said
    version = home.registry.find(which)
    present = route_in_force(home)
    if present.champion_digest == _named(version).digest and present.stage == "full":
        return said
    route = set_route(home, stage="full", champion=version.version, challenger=None, share=0, reason="promoted by hand")
    return f"{said} It answers every lead (route {route.epoch}); running workers take it up within seconds."


def follow_route(home: Home, route: Route) -> tuple[Version, ...]:
    """Let the registry's aliases say what the route says; gives the versions as they are then.

    The route decides what answers. The aliases tell other tools, so a registry that is down does not undo a route:
    then this raises LeadgateError, or MLflow's own error.
    """
    registry, moved = home.registry, False
    aliases: tuple[tuple[Alias, str | None], ...] = (("champion", route.champion), ("challenger", route.challenger))
    versions = registry.versions()
    before = _aliases(versions)
    for alias, version in aliases:
        holder = before[alias]
        if version is not None and holder != version:
            registry.point(alias, registry.find(version), by=route.changed_by, at=route.changed_at)
        elif alias == "challenger" and version is None and holder == route.champion:
            registry.drop("challenger")
        else:
            continue
        moved = True
    if not moved:
        return versions
    write_aliases(home, "model.follow_route", before, reason=f"route {route.epoch}")
    return registry.versions()


def write_aliases(home: Home, act: str, before: dict[Alias, str | None], *, reason: str) -> None:
    """Write down which versions the registry's aliases name now, if they named others before."""
    after = _aliases(home.registry.versions())
    if after != before:
        about, what = f"model {home.project.name}", {"before": before, "after": after, "reason": reason}
        with home.connection() as connection:
            append_entry(connection, at=home.clock(), actor=home.author, act=act, subject=about, details=what)


def _aliases(versions: Sequence[Version]) -> dict[Alias, str | None]:
    aliases: tuple[Alias, ...] = ("champion", "challenger")
    return {alias: next((v.version for v in versions if alias in v.aliases), None) for alias in aliases}


def _publish(home: Home, version: Version) -> None:
    from leadgate.app.profiling import publish  # noqa: PLC0415  # 0.2 s, and serving needs it once

    publish(home, version)


def _put(connection: Connection, act: str, route: Route) -> None:
    """Put a route in force and write that down: both or neither."""
    with connection.transaction():
        add_route(connection, route)
        about, what = f"model {route.model_name}", asdict(route)
        append_entry(connection, at=route.changed_at, actor=route.changed_by, act=act, subject=about, details=what)


def staged(home: Home, which: str) -> Version:
    """A version with its files on this machine, so that workers here switch to it at once."""
    version = home.registry.find(which)
    here = load_bundle(home.bundles, version.name, version.version)
    if here is None or here.version.run_id != version.run_id:
        fetch(home.registry, version.version, home.bundles)
    _publish(home, version)
    return version


def _named(version: Version) -> Named:
    return Named(version=version.version, digest=version.tags["model_digest"])


def _act(home: Home, reason: str) -> Act:
    return Act(by=home.author, at=home.clock(), reason=reason)
