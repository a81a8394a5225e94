"""What the matured outcomes say of the scores."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from leadgate.errors import RefusedError
from leadgate.leads.project import Project
from leadgate.outcomes.exploring import Feedback, feedback_of
from leadgate.outcomes.matching import Matched, match
from leadgate.stats.classification import Classification, classify
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.contacts import contacted_among
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.predictions import scored_leads


@dataclass(frozen=True, kw_only=True)
class Group:
    """The figures of some of the matured leads."""

    name: str
    """all, or a segment's value, or a version."""
    scores: Classification
    deal_size: float | None
    """Mean over the leads that converted within the window and reported one."""
    days_to_close: float | None
    """Mean over the leads that converted within the window and reported it."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """The measured performance of the scores that were given."""

    as_of: datetime
    window_days: float
    since: datetime | None
    predictions: int
    scored: int
    immature: int
    silent: int
    decided_before: int
    late: int
    overall: Group | None
    """None when no matured lead has an outcome yet."""
    by: str | None
    groups: tuple[Group, ...]
    feedback: Feedback | None
    """What explored leads tell; None where none has matured with an outcome."""


def measure(
    connection: Connection,
    project: Project,
    *,
    now: datetime,
    since: datetime | None = None,
    by: str | None = None,
) -> tuple[Performance, pl.DataFrame]:
    """Measure the scores of a project's model on matured leads; also gives the rows that were counted.

    ``by`` is ``version`` or the name of a categorical or boolean feature. Raises RefusedError for another name.
    """
    segment = _segment(project, by)
    predictions = scored_leads(connection, model_name=project.name, since=since, until=now, segment=segment)
    outcomes = last_outcomes(connection, until=now)
    matched = match(predictions, outcomes, project.outcomes, now)
    apart = match(predictions, outcomes, project.outcomes, now, by_version=True) if by == "version" else matched
    drawn = matched.matured.filter("explored")["lead_id"].to_list()
    contacted = contacted_among(connection, drawn, until=now)
    feedback = feedback_of(matched, project.monitoring.least_conversions, contacted)
    return judge(matched, apart, project, now=now, since=since, by=by, feedback=feedback), matched.leads


def judge(
    matched: Matched,
    apart: Matched,
    project: Project,
    *,
    now: datetime,
    since: datetime | None,
    by: str | None,
    feedback: Feedback | None = None,
) -> Performance:
    """The figures of matched leads; ``apart`` are those that ``by`` breaks down."""
    threshold = project.thresholds.decision
    return Performance(
        as_of=now,
        window_days=project.outcomes.window_days,
        since=since,
        predictions=matched.predictions,
        scored=matched.scored,
        immature=matched.immature,
        silent=matched.silent,
        decided_before=matched.decided_before,
        late=matched.late,
        overall=_group("all", matched.leads, threshold) if matched.leads.height else None,
        by=by,
        groups=_groups(apart.leads, by, threshold) if by else (),
        feedback=feedback,
    )


def _segment(project: Project, by: str | None) -> str | None:
    if by is None or by == "version":
        return None
    lead = project.lead
    features = lead.sound if any(feature.name == by for feature in lead.features) else lead.used
    names = [feature.name for feature in features if feature.type.value != "numeric"]
    if by not in names:
        raise RefusedError(f"Cannot break performance down by {by!r}; give version or one of {', '.join(names)}.")
    return by


def _groups(leads: pl.DataFrame, by: str, threshold: float) -> tuple[Group, ...]:
    column = "model_version" if by == "version" else "segment"
    named = leads.with_columns(pl.col(column).fill_null("(missing)"))
    parts = named.partition_by(column, as_dict=True)
    groups = (_group(str(key[0]), part, threshold) for key, part in parts.items())
    if by == "version":
        return tuple(sorted(groups, key=lambda group: (len(group.name), group.name)))
    return tuple(sorted(groups, key=lambda group: (-group.scores.leads, group.name)))


def _group(name: str, leads: pl.DataFrame, threshold: float) -> Group:
    return Group(
        name=name,
        scores=classify(leads["converted"].to_numpy(), leads["predicted_score"].to_numpy(), threshold),
        deal_size=_mean(leads["deal_size"]),
        days_to_close=_mean(leads["days_to_close"]),
    )


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return float(mean) if isinstance(mean, float) else None
