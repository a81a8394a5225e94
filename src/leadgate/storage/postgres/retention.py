"""Old days of the prediction log: read piece by piece, and dropped once they are safe elsewhere.

The partitions are made in ``partitions.py``.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from leadgate.errors import RefusedError
from leadgate.storage.postgres.connection import Connection, statement

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class LoggedDay:
    """A partition of the prediction log."""

    day: date
    """UTC."""
    schema: str
    partition: str
    """Name of the table in the schema."""
    size: int
    """Bytes on disk, with indexes."""


def logged_days(connection: Connection) -> list[LoggedDay]:
    """The days that the log has a partition for, oldest first. Counts nothing, hence takes milliseconds."""
    with connection.cursor(row_factory=class_row(LoggedDay)) as cursor:
        return cursor.execute(statement("retention", "logged_days")).fetchall()


def count_rows(connection: Connection, day: date) -> int:
    """The predictions of a day (UTC) that are in the log."""
    row = connection.execute(statement("retention", "count_rows"), _span(day)).fetchone()
    return int(row[0]) if row else 0


def rows_of_day(connection: Connection, day: date, *, after: str | None, most: int) -> "pl.DataFrame":
    """At most ``most`` predictions of a day, those whose id comes after another, in the order of their ids.

    All columns of the log; ids and features (JSON) are text, times UTC in microseconds.
    """
    import polars as pl  # noqa: PLC0415  # serving never needs it

    from leadgate.storage.postgres.frames import copy_frame  # noqa: PLC0415

    return copy_frame(
        connection,
        "retention",
        "rows_of_day",
        {**_span(day), "after": after, "most": most},
        {
            "prediction_id": pl.String(),
            "scored_at": pl.Datetime("us", "UTC"),
            "lead_id": pl.String(),
            "model_name": pl.String(),
            "model_version": pl.String(),
            "variant": pl.String(),
            "predicted_score": pl.Float64(),
            "priority": pl.String(),
            "features": pl.String(),
            "latency_ms": pl.Float64(),
            "batch_size": pl.Int32(),
            "request_id": pl.String(),
            "route_epoch": pl.Int64(),
            "shadow_version": pl.String(),
            "shadow_score": pl.Float64(),
            "explored": pl.Boolean(),
            "own_priority": pl.String(),
        },
    )


def serialise_retentions(connection: Connection) -> None:
    """Keep others from exporting until this connection ends. Raises RefusedError when somebody else does it now."""
    row = connection.execute(statement("retention", "serialise_retentions")).fetchone()
    if not (row and row[0]):
        raise RefusedError("Somebody else is exporting the prediction log at this moment; try again when it is done.")


def drop_day(connection: Connection, day: LoggedDay, *, rows: int) -> bool:
    """Drop a day's partition if it holds exactly ``rows`` rows; otherwise nothing happens and the answer is False.

    The log only ever grows: a day that still has as many rows as were read has no others. Writers wait for the
    count, and nobody for longer than 3 seconds for a reader that is in the way: then RefusedError.
    """
    name = sql.Identifier(day.schema, day.partition)
    try:
        with connection.transaction():
            connection.execute(statement("retention", "limit_waiting"))
            connection.execute(statement("retention", "lock_log"))
            connection.execute(sql.SQL(statement("retention", "lock_partition")).format(partition=name))
            counted = connection.execute(
                sql.SQL(statement("retention", "count_partition")).format(partition=name)
            ).fetchone()
            if counted is None or counted[0] != rows:
                return False
            connection.execute(sql.SQL(statement("retention", "drop_partition")).format(partition=name))
    except psycopg.errors.LockNotAvailable:
        raise RefusedError(
            f"The prediction log was in use for 3 seconds, so {day.day} was exported and not dropped; "
            "run the command again, nothing is exported twice."
        ) from None
    return True


def _span(day: date) -> dict[str, datetime]:
    start = datetime.combine(day, time(), UTC)
    return {"start": start, "until": start + timedelta(days=1)}
