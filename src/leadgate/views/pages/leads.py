"""One lead: its scores, why it has them, who let that version answer, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from leadgate.leads.project import Project
from leadgate.records import Contact, Route
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.contacts import contacts_of
from leadgate.storage.postgres.outcomes import LeadOutcome, outcomes_of
from leadgate.storage.postgres.predictions import LeadScore, first_scored_at, scores_of_lead
from leadgate.storage.postgres.rollouts import rollouts_of, sign_offs_of, steps_of
from leadgate.storage.postgres.routes import present_route, route_of_epoch, routes_of
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.charts import Chart
from leadgate.views.lead_story import (
    Brought,
    Event,
    FeatureRow,
    Told,
    address_of,
    assignment_of,
    brought_by,
    chart_of,
    command_of,
    digest_of,
    feature_rows,
    first_route_of,
    nobody_signed,
    outcome_of,
    told_of,
    trail_of,
)
from leadgate.views.sources import Sources
from leadgate.views.waiting import Patience

if TYPE_CHECKING:
    from leadgate.models.scorers import Scored

_MOST = 50
_VERSIONS = Patience(wait_s=1.5, most=8)
"""Versions that were loaded to explain scores."""


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A score in the list."""

    score: LeadScore
    address: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The score that is explained."""

    score: LeadScore
    route: Route | None
    """In force when it was answered; None where it is not known."""
    digest: str | None
    """Of the model that had to answer."""
    told: Told | None
    why_none: str
    """Why there are no reasons; empty where there are."""
    features: Sequence[FeatureRow]
    trail: Sequence[Event]
    unsigned: str
    """A sentence where no person signed the version off; else empty."""
    command: str
    """Says the same."""


@dataclass(frozen=True, kw_only=True)
class Lead:
    """A lead that is known."""

    scores: Sequence[ScoreRow]
    """The last first."""
    many: bool
    """Whether there may be older ones."""
    chart: Chart | None
    assignment: str
    outcome: str
    outcomes: Sequence[LeadOutcome]
    contacts: Sequence[Contact]
    chosen: Chosen | None
    """None for a lead that was never scored."""


@dataclass(frozen=True, kw_only=True)
class Leads:
    """What the page shows."""

    asked: str
    """The id that was typed; empty for none."""
    lead: Lead | None
    """None where none was asked for, and for one that nobody knows."""
    days_kept: int | None
    """Older scores are in the archive; None: the log keeps every day by itself."""


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What is known of a lead."""

    scores: Sequence[LeadScore]
    first_at: datetime | None
    """When it was scored first, which may be before all of these; None for never."""
    outcomes: Sequence[LeadOutcome]
    contacts: Sequence[Contact]
    present: Route | None
    chosen: LeadScore | None
    route: Route | None
    """In force when the chosen score was answered."""
    first: Route | None
    """The first one of its version; None where a rollout brought it."""
    brought: Brought | None


def gather(sources: Sources, ask: Ask) -> Leads:
    """Read what is known of one lead, by its id; nothing where no id was typed."""
    project, asked = sources.project(), ask.text("lead")
    days = project.worker.keep_days.prediction_log
    if not asked:
        return Leads(asked="", lead=None, days_kept=days)
    with sources.reader.connection() as connection:
        read = _read(connection, project, asked, ask.text("score"))
    known = read.scores or read.outcomes or read.contacts
    return Leads(asked=asked, lead=_lead(sources, project, asked, read) if known else None, days_kept=days)


def _read(connection: Connection, project: Project, lead_id: str, which: str) -> _Read:
    scores = scores_of_lead(connection, project.name, lead_id, most=_MOST)
    chosen = _choose(scores, which)
    route = route_of_epoch(connection, project.name, chosen.route_epoch) if chosen else None
    brought = _brought(connection, project.name, chosen, route) if chosen else None
    first = None
    if chosen is not None and brought is None:
        first = first_route_of(routes_of(connection, project.name), digest_of(chosen, route))
    first_at = scores[-1].scored_at if scores else None
    if len(scores) == _MOST:
        first_at = first_scored_at(connection, project.name, lead_id)
    return _Read(
        scores=scores,
        first_at=first_at,
        outcomes=outcomes_of(connection, lead_id, most=_MOST),
        contacts=contacts_of(connection, lead_id, most=_MOST),
        present=present_route(connection, project.name),
        chosen=chosen,
        route=route,
        first=first,
        brought=brought,
    )


def _choose(scores: Sequence[LeadScore], which: str) -> LeadScore | None:
    if not which:
        return scores[0] if scores else None
    found = next((score for score in scores if str(score.prediction_id) == which), None)
    if found is None:
        raise NoSuchPageError(f"This lead has no score {which!r} among its last {_MOST}.")
    return found


def _brought(connection: Connection, model_name: str, score: LeadScore, route: Route | None) -> Brought | None:
    rollout = brought_by(rollouts_of(connection, model_name), digest_of(score, route), score.scored_at)
    if rollout is None:
        return None
    number = rollout.rollout_id
    return Brought(rollout=rollout, steps=steps_of(connection, number), sign_offs=sign_offs_of(connection, number))


def _lead(sources: Sources, project: Project, lead_id: str, read: _Read) -> Lead:
    return Lead(
        scores=[
            ScoreRow(score=score, address=address_of(lead_id, score), chosen=score is read.chosen)
            for score in read.scores
        ],
        many=len(read.scores) == _MOST,
        chart=chart_of(read.scores),
        assignment=assignment_of(read.present, lead_id),
        outcome=outcome_of(read.outcomes, read.first_at, project.outcomes),
        outcomes=read.outcomes,
        contacts=read.contacts,
        chosen=_explain(sources, project.name, read) if read.chosen else None,
    )


def _explain(sources: Sources, model_name: str, read: _Read) -> Chosen:
    """Take a score apart with the version that gave it, if that is at hand in time and is the model that answered."""
    from leadgate.models.reasons import reasons_of  # noqa: PLC0415  # numpy

    score, route = read.chosen, read.route
    assert score is not None
    digest = digest_of(score, route)
    scored, trouble = _version(sources, model_name, score.model_version, digest)
    reasons = reasons_of(scored, score.features) if scored else None
    used = [feature.name for feature in scored.card.lead.used] if scored else []
    told = None
    if scored is not None and reasons is not None:
        told = told_of(reasons, score, scored.scorer.score([score.features.get(name) for name in used]))
    routes = [each for each in (read.first, route) if each is not None]
    trail = trail_of(score, routes, scored.card if scored else None, read.brought)
    return Chosen(
        score=score,
        route=route,
        digest=digest,
        told=told,
        why_none=trouble or (reasons.why_none if reasons else "") or "",
        features=feature_rows(score.features, reasons, used),
        trail=trail,
        unsigned=nobody_signed(trail, read.brought),
        command=command_of(score.lead_id, score, last=score is read.scores[0]),
    )


def _version(sources: Sources, model_name: str, version: str, digest: str | None) -> tuple["Scored | None", str]:
    """The version that answered, and why there is none."""
    key = (str(sources.bundles), model_name, version, digest)
    found = _VERSIONS.ask(
        key, _loading(sources, model_name, version, digest), until=_VERSIONS.deadline(), who="The registry"
    )
    scored = found.value
    if scored is None:
        return None, f"The reasons are not here: version {version} has to be fetched first. {found.trouble or ''}"
    if digest is not None and scored.card.model_digest != digest:
        return None, (
            f"Version {version} is another model now than the one that gave this score, whose digest began with "
            f"{digest[:12]}; another model's reasons would not be those of the score."
        )
    return scored, ""


def _loading(sources: Sources, model_name: str, version: str, digest: str | None) -> Callable[[], "Scored"]:
    def load() -> "Scored":
        """From this machine; from the registry where it is not here, or is another model."""
        from leadgate.errors import NotFoundError  # noqa: PLC0415
        from leadgate.models.bundles import load_bundle  # noqa: PLC0415  # brings the scorers

        here = load_bundle(sources.bundles, model_name, version)
        if here is None or digest not in (None, here.card.model_digest):
            sources.fetch(version)
            here = load_bundle(sources.bundles, model_name, version)
        if here is None:
            raise NotFoundError(f"version {version} cannot be read")
        return here

    return load
