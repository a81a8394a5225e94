"""Rollouts of a project: the controller decides in PostgreSQL, and the registry follows."""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
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
from leadgate.rollout.reading import baseline_of, horizon_days, segments_of
from leadgate.rollout.routing import Act as RouteAct
from leadgate.rollout.routing import Named, change
from leadgate.rollout.stages import Act, State
from leadgate.rollout.verdicts import Verdict
from leadgate.scoring.answering import live_of
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.exposures import SEGMENTS
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
from leadgate.storage.postgres.routes import present_route


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
    with home.connection() as connection:
        baseline = baseline_of(connection, home.project, home.project.rollout, home.clock())
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
    reconcile(home)
    return history


def evaluate(home: Home) -> Judged | None:
    """Judge the rollout that is under way and do what follows; None without one.

    Lets the registry say what the route says, also where an earlier act could not. Raises RefusedError, after whatever
    brings a challenger back, where the champion has vanished from the registry.
    """
    gone = _vanished_champion(home)
    with home.connection() as connection:
        judged = controller.evaluate(connection, home.project, home.clock(), held_by=gone)
    reconcile(home)
    if judged is not None and gone is not None and judged.route is None:
        raise RefusedError(gone)
    return judged


def act(home: Home, what: Act, *, comment: str, by: str | None = None, days: float = 0.0) -> Moved:
    """A person's act, at once."""
    person = Person(name=by or home.author, at=home.clock(), comment=comment)
    with home.connection() as connection:
        history, route = controller.act_by_hand(connection, home.project, what, person, days=days)
    return Moved(history=history, route=route, registry=reconcile(home) if route else None)


def approve(home: Home, *, comment: str, by: str | None = None) -> History:
    """Sign the present stage off."""
    with home.connection() as connection:
        person = Person(name=by or home.author, at=home.clock(), comment=comment)
        return controller.approve(connection, home.project, person)


def look(home: Home) -> tuple[History, Evidence, tuple[Verdict, ...]]:
    """The rollout under way and what its gates say now."""
    with home.connection() as connection:
        return controller.look(connection, home.project, home.clock())


def reconcile(home: Home) -> str | None:
    """Let the registry's aliases and tags say what the routes say; a sentence where they cannot.

    Nothing is ever deleted: a version that left is archived, and one that is back is archived no longer.
    """
    with home.connection() as connection:
        route = present_route(connection, home.project.name)
        left = _left(connection, home.project.name)
    if route is None:
        return None
    try:
        for version in follow_route(home, route):
            serves = version.version in (route.champion, route.challenger)
            archived = "archived_at" in version.tags
            if serves and archived:
                home.registry.restore(version)
            elif not serves and not archived and version.version in left:
                at, because = left[version.version]
                if "challenger" in version.aliases:
                    home.registry.drop("challenger")
                home.registry.archive(version, at=at, because=because)
    except _unreadable() as error:  # the route moved all the same; the next evaluation tells the registry
        return str(error)
    return None


def _unreadable() -> tuple[type[Exception], ...]:
    """What a registry that does not answer raises."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # 1 s

    return (LeadgateError, MlflowException)


def _left(connection: Connection, model_name: str) -> dict[str, tuple[datetime, str]]:
    """The versions that rollouts took out, with the time and the reason; the last word counts."""
    left = {}
    for rollout in reversed(rollouts_of(connection, model_name)):
        for step in steps_of(connection, rollout.rollout_id):
            if step.stage in ("rolled_back", "rejected"):
                left[rollout.challenger] = (step.acted_at, step.stage.replace("_", " "))
            elif step.stage == "full" and step.act == "advance":
                left[rollout.champion] = (step.acted_at, f"replaced by version {rollout.challenger}")
    return left


def _vanished_champion(home: Home) -> str | None:
    """What to say where the registry does not know the champion any more; None where it does, or cannot be asked."""
    with home.connection() as connection:
        rollout = alive_rollout(connection, home.project.name)
    if rollout is None:
        return None
    try:
        home.registry.find(rollout.champion)
    except NotFoundError:
        return (
            f"The champion, version {rollout.champion}, is no longer in the registry, so nothing moves forward: there "
            "would be nothing to explain the comparison by. Register it again, or end the rollout with "
            "`leadgate rollout rollback`; its files on this machine still answer."
        )
    except _unreadable():
        return None
    return None


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
    lead, segments = home.project.lead, segments_of(home.project, home.project.rollout)
    columns_only = {feature.name for feature in lead.features}.issuperset(segments)
    used = {feature.name for feature in (lead.sound if columns_only else lead.used)}
    if len(segments) > SEGMENTS:
        raise RefusedError(
            f"A rollout is broken down by at most {SEGMENTS} features, and {len(segments)} are named "
            f"({', '.join(segments)}); name the most important ones in rollout.experiment.segments."
        )
    strange = [name for name in segments if name not in used]
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
