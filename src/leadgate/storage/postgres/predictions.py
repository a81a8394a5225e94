"""The log of answered scores."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from leadgate.records import Prediction
from leadgate.storage.postgres.connection import Connection, statement

if TYPE_CHECKING:
    import polars as pl


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


def insert_predictions(connection: Connection, predictions: Sequence[Prediction]) -> None:
    """Append predictions to the log, all or none."""
    rows = [{**asdict(p), "features": Jsonb(p.features)} for p in predictions]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(statement("predictions", "insert_prediction"), rows)


def latest_score(connection: Connection, lead_id: str) -> LatestScore | None:
    """The last score of a lead; None when it was never scored."""
    with connection.cursor(row_factory=class_row(LatestScore)) as cursor:
        return cursor.execute(statement("predictions", "latest_score"), {"lead_id": lead_id}).fetchone()


def scored_leads(
    connection: Connection, *, model_name: str, since: datetime | None, until: datetime, segment: str | None
) -> "pl.DataFrame":
    """Every prediction of a model in a span, oldest first.

    Columns: lead_id, scored_at (UTC), model_version, predicted_score, segment (the value of the feature of that
    name, null without one).
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
            "segment": pl.String(),
        },
    )
