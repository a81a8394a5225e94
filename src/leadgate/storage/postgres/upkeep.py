"""Records leave when their time is over, save those that history names. It takes the rights of the tables' owner."""

from datetime import datetime
from typing import LiteralString

from leadgate.storage.postgres.connection import Connection, statement


def drop_measurements(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Remove what workers measured before a time, save what a living rollout is judged by; gives the rows."""
    return _remove(connection, "drop_measurements", model_name, before)


def thin_evidence(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Of the rollouts that ended before a time, keep the last evaluation of each day that moved nothing.

    What steps, post-mortems or the audit log name stays, and so do evaluations that moved something and the first that
    made the planned test. Gives the rows that are gone. See migration 0008.
    """
    values = {"model_name": model_name, "before": before}
    row = connection.execute(statement("upkeep", "thin_evidence"), values).fetchone()
    assert row is not None
    return int(row[0])


def thin_checks(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Of the runs of checks before a time, keep the last one of each day (UTC) and length of window."""
    return _remove(connection, "thin_checks", model_name, before)


def drop_runs(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Remove the runs of jobs that began before a time, save the last one of each."""
    return _remove(connection, "drop_runs", model_name, before)


def drop_messages(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Remove the messages of alerts that were delivered before a time; those that were given up stay."""
    return _remove(connection, "drop_messages", model_name, before)


def _remove(connection: Connection, name: LiteralString, model_name: str, before: datetime) -> int:
    return connection.execute(statement("upkeep", name), {"model_name": model_name, "before": before}).rowcount
