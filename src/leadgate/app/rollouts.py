"""Rollouts of a project: the controller decides in PostgreSQL, and the registry follows."""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from leadgate.app.routing import follow_route, route_in_force, staged
from leadgate.app.wire import Home
from leadgate.errors import LeadgateError, NotFoundError, RefusedError
from leadgate.models.bundles import load_bundle
from leadgate.models.registry import Version
from leadgate.models.scorers import Scored
from leadgate.records import Route
from leadgate.rollout import controller
from leadgate.rollout.controller import Judged
from leadgate.rollout.design import Baseline, Design, design_of
from leadgate.rollout.evidence import Evidence
from leadgate.rollout.history import History, history_of
from leadgate.rollout.moving import Person
from leadgate.rollout.reading import horizon_days, segments_of
from leadgate.rollout.routing import Act as RouteAct
from leadgate.rollout.routing import Named, change
from leadgate.rollout.stages import Act, State
from leadgate.rollout.verdicts import Verdict
from leadgate.scoring.answering import live_of
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.exposures import past_leads
from leadgate.storage.postgres.rollouts import (
    Judgement,
    NewRollout,
    PostMortem,
    Rollout,
    Step,
    alive_rollout,
    close_post_mortems,
    judgements_of,
    post_mortems_of,
    rollouts_of,
    steps_of,
)

_BASELINE_DAYS = 90
"""Days of leads that a plan rests on, beside the horizon."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What an act or an evaluation did, and what the registry could not follow."""

    history: History
    route: Route | None
    """The route that it put in force; None where it changed none."""
    registry: str | None
    """Why the registry's aliases do not follow; None when they do."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What is known before a rollout starts."""

    baseline: Baseline
    design: Design | None
    """None without a rate to plan from."""
    why_not: str | None
    """Then why."""


def plan(home: Home) -> Planned:
    """What an A/B test of this project's leads can see."""
    baseline = _baseline(home)
    try:
        days = horizon_days(home.project, home.project.rollout)
        return Planned(baseline=baseline, design=design_of(baseline, home.project.rollout, days), why_not=None)
    except RefusedError as error:
        return Planned(baseline=baseline, design=None, why_not=str(error))


def start(home: Home, which: str, reason: str, *, allow_library: bool = False) -> History:
    """Send a version into the shadow of the champion. ``which`` is a number or an alias.

    Raises RefusedError, and moves nothing, for one that cannot go.
    """
    _refuse_bad_rules(home)
    route = route_in_force(home)
    champion, challenger = _champion(home, route), home.registry.find(which)
    _refuse_equal(home, champion, challenger)
    with home.connection() as connection:
        if alive_rollout(connection, home.project.name) is not None:
            raise RefusedError(
                f"A rollout of {home.project.name!r} is under way already; one at a time. Look at it with "
                "`leadgate rollout status`, or end it with `leadgate rollout reject` or `leadgate rollout rollback`."
            )
    _refuse_misfit(home, route, challenger, allow_library=allow_library)
    design = plan(home).design
    new = NewRollout(
        model_name=home.project.name,
        champion=champion.version,
        champion_digest=champion.tags["model_digest"],
        challenger=challenger.version,
        challenger_digest=challenger.tags["model_digest"],
        challenger_author=challenger.tags.get("author", "unknown"),
        salt=secrets.token_hex(8),
        rules=home.project.rollout.model_dump(mode="json"),
        design=asdict(design) if design else None,
        started_at=home.clock(),
        started_by=home.author,
    )
    with home.connection() as connection:
        history = controller.start(connection, new, Person(name=home.author, at=home.clock(), comment=reason))
    follow_route(home, route_in_force(home))
    return history


def evaluate(home: Home) -> Judged | None:
    """Judge the rollout that is under way and do what follows; None without one."""
    with home.connection() as connection:
        judged = controller.evaluate(connection, home.project, home.clock())
    if judged is not None and judged.route is not None:
        _follow(home, judged.route, archive=judged.after.stage)
    return judged


def act(home: Home, what: Act, *, comment: str, by: str | None = None, days: float = 0.0) -> Moved:
    """A person's act, at once."""
    person = Person(name=by or home.author, at=home.clock(), comment=comment)
    with home.connection() as connection:
        history, route = controller.act_by_hand(connection, home.project, what, person, days=days)
    registry = _follow(home, route, archive=history.state.stage) if route else None
    return Moved(history=history, route=route, registry=registry)


def approve(home: Home, *, comment: str, by: str | None = None) -> History:
    """Sign the present stage off."""
    with home.connection() as connection:
        person = Person(name=by or home.author, at=home.clock(), comment=comment)
        return controller.approve(connection, home.project, person)


def look(home: Home) -> tuple[History, Evidence, tuple[Verdict, ...]]:
    """The rollout under way and what its gates say now."""
    with home.connection() as connection:
        return controller.look(connection, home.project, home.clock())


def _follow(home: Home, route: Route, *, archive: str) -> str | None:
    """Let the registry say what the route says, and mark the version that left; nothing is ever deleted."""
    why = follow_route(home, route)
    left = {"rolled_back": "rolled back", "rejected": "rejected"}.get(archive)
    try:
        registry = home.registry
        for version in registry.versions():
            if archive == "full" and "champion" not in version.aliases and "champion_at" in version.tags:
                registry.archive(version, at=route.changed_at, because=f"replaced by version {route.champion}")
            if left and version.aliases == ("challenger",):
                registry.drop("challenger")
                registry.archive(version, at=route.changed_at, because=left)
    except LeadgateError as error:
        return str(error)
    return why


def _baseline(home: Home) -> Baseline:
    now, horizon = home.clock(), timedelta(days=horizon_days(home.project, home.project.rollout))
    with home.connection() as connection:
        found = past_leads(
            connection,
            model_name=home.project.name,
            since=now - horizon - timedelta(days=_BASELINE_DAYS),
            until=now,
            horizon=horizon,
            silence_is_loss=home.project.outcomes.silence_means == "not_converted",
        )
    rate = found.leads / found.days if found.days >= 1 else float(found.leads)
    return Baseline(leads=found.matured, conversions=found.converted, leads_per_day=rate)


def _champion(home: Home, route: Route) -> Version:
    try:
        return home.registry.find(route.champion)
    except NotFoundError as error:
        raise RefusedError(
            f"The champion, version {route.champion}, is no longer in the registry, so there is nothing to compare a "
            "challenger with and nothing to come back to; register it again, or set a route that is "
            "(`leadgate route set full --champion V`)."
        ) from error


def _refuse_equal(home: Home, champion: Version, challenger: Version) -> None:
    same = champion.tags["model_digest"] == challenger.tags["model_digest"]
    if champion.version == challenger.version:
        raise RefusedError(f"Version {challenger.version} is the champion; it cannot challenge itself.")
    if same and not home.project.rollout.experiment.aa:
        raise RefusedError(
            f"Version {challenger.version} is the same model as the champion, version {champion.version} (equal "
            "digests); for an A/A test set rollout.experiment.aa to true."
        )


def _refuse_misfit(home: Home, route: Route, challenger: Version, *, allow_library: bool) -> None:
    """Bring its files here and put it together with the champion as a server would."""
    versions = [_scored(home, staged(home, version)) for version in (route.champion, challenger.version)]
    champion, candidate = versions
    if not candidate.card.compiled and not allow_library:
        raise RefusedError(
            f"Version {challenger.version} is not compiled ({candidate.card.why_library}), so the library would serve "
            "it, a thousand times slower; allow that with --allow-library."
        )
    names = (Named(version=v.version.version, digest=v.version.tags["model_digest"]) for v in versions)
    old, new = names
    act_ = RouteAct(by=home.author, at=home.clock(), reason="does it fit?")
    live_of(change(route, act_, stage="shadow", champion=old, challenger=new), champion, candidate)


def _scored(home: Home, version: Version) -> Scored:
    found = load_bundle(home.bundles, version.name, version.version)
    assert found is not None
    return found


def _refuse_bad_rules(home: Home) -> None:
    used = {feature.name for feature in home.project.lead.used}
    strange = [name for name in segments_of(home.project, home.project.rollout) if name not in used]
    if strange:
        raise RefusedError(
            f"rollout.experiment.segments names {strange[0]!r}, which is no feature in use; known: {', '.join(used)}."
        )


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that happened in a rollout."""

    rollout: Rollout
    steps: tuple[Step, ...]
    judgements: tuple[Judgement, ...]
    """The last first."""
    post_mortems: tuple[PostMortem, ...]

    def in_short(self) -> dict[str, Any]:
        """Everything but what the judgements rest on, which ``judgement`` gives one by one."""
        short = [{k: v for k, v in vars(j).items() if k not in ("evidence", "verdicts")} for j in self.judgements]
        return {**vars(self), "judgements": short}

    def judgement(self, evidence_id: int) -> dict[str, Any]:
        """One judgement with its evidence and verdicts. Raises NotFoundError."""
        for found in self.judgements:
            if found.evidence_id == evidence_id:
                parsed = {"evidence": json.loads(found.evidence), "verdicts": json.loads(found.verdicts)}
                return {**asdict(found), **parsed}
        raise NotFoundError(f"Rollout {self.rollout.rollout_id} has no evidence {evidence_id}.")


def told(home: Home, rollout_id: int | None = None) -> Told:
    """What happened in a rollout; the last one where none is named. Raises NotFoundError."""
    with home.connection() as connection:
        found = [r for r in rollouts_of(connection, home.project.name) if rollout_id in (None, r.rollout_id)]
        if not found:
            which = "no rollout yet" if rollout_id is None else f"no rollout {rollout_id}"
            raise NotFoundError(
                f"Model {home.project.name!r} has {which}; `leadgate rollout start VERSION` begins one."
            )
        number = found[0].rollout_id
        return Told(
            rollout=found[0],
            steps=tuple(steps_of(connection, number)),
            judgements=tuple(judgements_of(connection, number)),
            post_mortems=tuple(post_mortems_of(connection, number)),
        )


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A rollout and where it is, or ended."""

    rollout: Rollout
    state: State


def every_rollout(home: Home) -> tuple[Listed, ...]:
    """The rollouts of the model, the last first."""
    with home.connection() as connection:
        found = rollouts_of(connection, home.project.name)
        return tuple(
            Listed(rollout=r, state=history_of(r, steps_of(connection, r.rollout_id), ()).state) for r in found
        )


def close_post_mortem(home: Home, rollout_id: int | None, *, findings: str, by: str | None) -> int:
    """Write down what people found; gives the rollout's number. Raises RefusedError where none is open."""
    number = told(home, rollout_id).rollout.rollout_id
    with home.connection() as connection:
        closed = close_post_mortems(connection, number, at=home.clock(), by=by or home.author, findings=findings)
        if not closed:
            raise RefusedError(f"Rollout {number} has no open post-mortem; nothing was written.")
        append_entry(
            connection,
            at=home.clock(),
            actor=by or home.author,
            act="rollout.post_mortem",
            subject=f"rollout {number}",
            details={"findings": findings},
        )
    return number
