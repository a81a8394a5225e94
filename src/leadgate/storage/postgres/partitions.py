"""The daily partitions of the prediction log."""

from collections.abc import Iterable
from datetime import date

from leadgate.storage.postgres.connection import Connection, statement


def ensure_partitions(connection: Connection, days: Iterable[date]) -> None:
    """Create the partitions of days (UTC) that are missing; safe when two do it at once.

    In the caller's transaction: with the rows that need them, or not at all.
    """
    for day in sorted(set(days)):
        found = connection.execute(statement("partitions", "partition_of"), {"name": partition_name(day)}).fetchone()
        if found is None or found[0] is None:
            # Both would find it missing and one would fail.
            connection.execute(statement("partitions", "lock_partitions"))
            connection.execute(statement("partitions", "create_partition"), {"day": day})


def partition_name(day: date) -> str:
    """The table of a day, in our schema."""
    return f"prediction_logs_{day:%Y%m%d}"
