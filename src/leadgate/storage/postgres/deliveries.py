"""When the CRM sent outcomes and contacts, and how long leads waited for theirs."""

from datetime import UTC, datetime
from typing import Literal

from leadgate.storage.postgres.connection import Connection, statement

What = Literal["outcomes", "contacts"]


def delivery_hours(
    connection: Connection, what: What, *, since: datetime, until: datetime
) -> list[tuple[datetime, int]]:
    """How many were recorded in each hour of a span that had any, oldest first."""
    name = "outcome_hours" if what == "outcomes" else "contact_hours"
    rows = connection.execute(statement("deliveries", name), {"since": since, "until": until}).fetchall()
    return [(hour.astimezone(UTC), n) for hour, n in rows]


def last_delivery(connection: Connection, what: What, *, until: datetime) -> datetime | None:
    """When the last was recorded; None for never."""
    name = "last_outcome" if what == "outcomes" else "last_contact"
    row = connection.execute(statement("deliveries", name), {"until": until}).fetchone()
    return row[0].astimezone(UTC) if row and row[0] else None


def contact_waits(
    connection: Connection, model_name: str, *, since: datetime, until: datetime, most: int = 5_000
) -> tuple[dict[str, tuple[int, float, float]], float]:
    """By priority: number, mean and sum of squared distances of the days from a score to the contact after it.

    They are of the latest ``most`` contacts; and which share of all these are.
    """
    values = {"model_name": model_name, "since": since, "until": until, "most": most}
    rows = connection.execute(statement("deliveries", "waits"), values).fetchall()
    waits = {priority: (n, float(mean), float(m2)) for priority, n, mean, m2, _ in rows}
    return waits, min(1.0, most / rows[0][4]) if rows else 1.0
