"""The log of answered scores."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.rows import class_row

from leadgate.records import Prediction
from leadgate.storage.postgres.connection import Connection, statement

if TYPE_CHECKING:
    import polars as pl

_PARTITIONS = 60
"""Of the log that one statement plans for."""
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class LatestScore:
    """The last score that was given for a lead."""

    prediction_id: UUID
    lead_id: str
    scored_at: datetime
    model_name: str
    model_version: str
    variant: str
    predicted_score: float
    priority: str
    explored: bool
    """Whether its priority is that of a lead drawn at random."""


@dataclass(frozen=True, kw_only=True)
class LoggedScore(LatestScore):
    """A score as it was written down, with what it was made of."""

    features: dict[str, Any]
    """The raw values by name, as they were scored."""
    route_epoch: int


@dataclass(frozen=True, kw_only=True)
class LeadScore:
    """A score that a lead was given, with all that the log knows of it."""

    prediction_id: UUID
    lead_id: str
    scored_at: datetime
    model_version: str
    variant: str
    predicted_score: float
    priority: str
    features: Mapping[str, bool | float | str | None]
    """The raw values that were scored, by name."""
    latency_ms: float
    batch_size: int
    request_id: str
    route_epoch: int
    shadow_version: str | None
    shadow_score: float | None
    own_priority: str | None = None
    """What its score alone would have given an explored lead; None for others."""


@dataclass(frozen=True, kw_only=True)
class DrainedSegment:
    """What became of a spool segment."""

    segment: str
    drained_at: datetime
    predictions: int
    """Now in the log."""
    lost: int
    """Answered, but not readable any more."""
    damage: str | None
    """What was found; None for a whole segment."""


def claim_segment(connection: Connection, drained: DrainedSegment) -> bool:
    """Say that a segment is in the log; False when that was said before, and then it must not be taken again."""
    return connection.execute(statement("predictions", "claim_segment"), asdict(drained)).rowcount == 1


def copy_predictions(connection: Connection, predictions: Sequence[Prediction]) -> None:
    """Append predictions to the log, all or none, by COPY. The partitions of their days must be there."""
    with copying_predictions(connection, predictions):
        pass


@contextmanager
def copying_predictions(connection: Connection, predictions: Sequence[Prediction]) -> Iterator[None]:
    """As ``copy_predictions``; what is inside is done while PostgreSQL still writes the last of them.

    The connection is busy until then. They are appended, or refused, at the end.
    """
    with connection.cursor() as cursor, cursor.copy(statement("predictions", "copy_predictions")) as copy:
        for p in predictions:
            copy.write_row(
                (
                    p.prediction_id,
                    p.lead_id,
                    p.scored_at,
                    p.model_name,
                    p.model_version,
                    p.variant,
                    p.predicted_score,
                    p.priority,
                    p.features.decode(),
                    p.latency_ms,
                    p.batch_size,
                    p.request_id,
                    p.route_epoch,
                    p.shadow_version,
                    p.shadow_score,
                    p.own_priority is not None,
                    p.own_priority,
                )
            )
        yield


def damaged_segments(connection: Connection, *, most: int = 100) -> list[DrainedSegment]:
    """The segments that were not whole, the last first."""
    with connection.cursor(row_factory=class_row(DrainedSegment)) as cursor:
        return cursor.execute(statement("predictions", "damaged_segments"), {"most": most}).fetchall()


def forget_segments(connection: Connection, *, before: datetime) -> None:
    """Remove the rows of whole segments that were drained before a time: their files are long gone."""
    connection.execute(statement("predictions", "forget_segments"), {"before": before})


def latest_score(connection: Connection, lead_id: str) -> LatestScore | None:
    """The last score of a lead; None when it was never scored."""
    with connection.cursor(row_factory=class_row(LatestScore)) as cursor:
        return cursor.execute(statement("predictions", "latest_score"), {"lead_id": lead_id}).fetchone()


def logged_score(connection: Connection, model_name: str, lead_id: str, *, until: datetime) -> LoggedScore | None:
    """The last score that a model gave a lead up to a time; None for none, and for one that has left the log."""
    with connection.cursor(row_factory=class_row(LoggedScore)) as cursor:
        asked = {"model_name": model_name, "lead_id": lead_id, "until": until}
        return cursor.execute(statement("predictions", "logged_score"), asked).fetchone()


def scores_of_lead(connection: Connection, model_name: str, lead_id: str, *, most: int = 50) -> list[LeadScore]:
    """The last scores that a model gave a lead, the last first; days that left the log are not among them.

    Read some partitions at a time, back from the newest: to plan for those of a year at once takes longer than to read.
    """
    found: list[LeadScore] = []
    asked: dict[str, Any] = {"model_name": model_name, "lead_id": lead_id}
    with connection.cursor(row_factory=class_row(LeadScore)) as cursor:
        for since, until in _spans(connection):
            values = {**asked, "since": since, "until": until, "most": most - len(found)}
            # Planned for these bounds each time: a plan for any bounds would be one for all partitions.
            found += cursor.execute(statement("predictions", "scores_of_lead"), values, prepare=False).fetchall()
            if len(found) >= most:
                break
    return found


def first_scored_at(connection: Connection, model_name: str, lead_id: str) -> datetime | None:
    """When a model scored a lead first, as far back as the log goes; None where it never did."""
    asked: dict[str, Any] = {"model_name": model_name, "lead_id": lead_id}
    for since, until in reversed(_spans(connection)):
        values = {**asked, "since": since, "until": until}
        row = connection.execute(statement("predictions", "first_scored_at"), values, prepare=False).fetchone()
        if row is not None and row[0] is not None:
            first: datetime = row[0]
            return first
    return None


def _spans(connection: Connection) -> list[tuple[datetime, datetime]]:
    """All time in spans of at most so many partitions, from and until, the newest first."""
    rows = connection.execute(statement("predictions", "log_starts")).fetchall()
    starts: list[datetime] = [start for (start,) in rows if start is not None]
    cuts = [_END, *starts[_PARTITIONS - 1 : -1 : _PARTITIONS], _BEGIN]
    return [(since, until) for until, since in pairwise(cuts)]


def scored_leads(
    connection: Connection, *, model_name: str, since: datetime | None, until: datetime, segment: str | None
) -> "pl.DataFrame":
    """Every prediction of a model in a span, oldest first.

    Columns: lead_id, scored_at (UTC), model_version, predicted_score, own_high (whether that gives it priority high),
    explored, segment (the value of the feature of that name, null without one).
    """
    import polars as pl  # noqa: PLC0415  # serving never needs it

    from leadgate.storage.postgres.frames import copy_frame  # noqa: PLC0415

    return copy_frame(
        connection,
        "predictions",
        "scored_leads",
        {"model_name": model_name, "since": since, "until": until, "segment": segment or ""},
        {
            "lead_id": pl.String(),
            "scored_at": pl.Datetime("us", "UTC"),
            "model_version": pl.String(),
            "predicted_score": pl.Float64(),
            "own_high": pl.Boolean(),
            "explored": pl.Boolean(),
            "segment": pl.String(),
        },
    )
