"""The append-only log of what became of leads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from leadgate.records import Outcome
from leadgate.storage.postgres.connection import Connection, statement

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a delivery of outcomes added."""

    received: int
    added: int
    """New outcomes and corrections."""
    repeated: int
    """Said nothing that the lead's last outcome did not say already; not added."""
    unknown_leads: tuple[str, ...]
    """Ids that were never scored. Their outcomes are kept: the score may be older than the log."""


@dataclass(frozen=True, kw_only=True)
class LeadOutcome:
    """What was reported of a lead."""

    converted: bool
    deal_size: float | None
    days_to_close: float | None
    outcome_at: datetime
    recorded_at: datetime
    source: str


def outcomes_of(connection: Connection, lead_id: str, *, most: int = 50) -> list[LeadOutcome]:
    """What was reported of a lead, the last first: that one counts."""
    with connection.cursor(row_factory=class_row(LeadOutcome)) as cursor:
        return cursor.execute(statement("outcomes", "outcomes_of"), {"lead_id": lead_id, "most": most}).fetchall()


def record_outcomes(connection: Connection, outcomes: Sequence[Outcome], recorded_at: datetime) -> Recorded:
    """Append outcomes in the order given, all or none; a repetition of a lead's last outcome adds nothing."""
    with connection.transaction(), connection.cursor() as cursor:
        # Two deliveries at once would both see the same last outcome and both add.
        cursor.execute(statement("outcomes", "lock_leads"))
        cursor.execute(statement("outcomes", "create_staged"))
        with cursor.copy(statement("outcomes", "copy_staged")) as copy:
            for o in outcomes:
                copy.write_row(
                    (
                        o.lead_id,
                        o.converted,
                        o.deal_size,
                        o.days_to_close,
                        o.outcome_at,
                        recorded_at,
                        o.source,
                    )
                )
        added = cursor.execute(statement("outcomes", "record_staged")).rowcount
        unknown = cursor.execute(statement("outcomes", "unknown_leads")).fetchall()
    return Recorded(
        received=len(outcomes),
        added=added,
        repeated=len(outcomes) - added,
        unknown_leads=tuple(row[0] for row in unknown),
    )


def source_is_known(connection: Connection, source: str) -> bool:
    """Whether outcomes of this source were recorded before."""
    row = connection.execute(statement("outcomes", "source_is_known"), {"source": source}).fetchone()
    return bool(row and row[0])


def last_outcomes(connection: Connection, *, until: datetime) -> "pl.DataFrame":
    """The last recorded outcome of each lead, as known at ``until``.

    Columns: lead_id, converted, deal_size, days_to_close, outcome_at (UTC).
    """
    import polars as pl  # noqa: PLC0415  # serving never needs it

    from leadgate.storage.postgres.frames import copy_frame  # noqa: PLC0415

    return copy_frame(
        connection,
        "outcomes",
        "last_outcomes",
        {"until": until},
        {
            "lead_id": pl.String(),
            "converted": pl.Boolean(),
            "deal_size": pl.Float64(),
            "days_to_close": pl.Float64(),
            "outcome_at": pl.Datetime("us", "UTC"),
        },
    )
