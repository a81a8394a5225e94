"""Connections give the times of UTC, whatever zone the server, the role or the environment has."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from leadgate.scoring.log import ServingLog
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.deliveries import delivery_hours

ZONE = "Asia/Kolkata"
"""Five and a half hours ahead: its hours are not those of UTC either."""


@pytest.fixture(params=("PGTZ", "database", "both"))
def abroad(request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a database whose sessions count in another zone, for each reason that there is."""
    if request.param != "database":
        monkeypatch.setenv("PGTZ", ZONE)
    if request.param != "PGTZ":
        name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} SET TimeZone = {}").format(name, sql.Literal(ZONE)))
    with psycopg.connect(database) as connection:
        assert _offset(connection) == timedelta(hours=5, minutes=30)
    return database


def _offset(connection: psycopg.Connection[Any]) -> timedelta | None:
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None
    offset: timedelta | None = row[0].utcoffset()
    return offset


@contextmanager
def _pooled(url: str) -> Iterator[psycopg.Connection[Any]]:
    serving = ServingLog(url)
    serving.open()
    try:
        with serving._pool.connection() as connection:
            yield connection
    finally:
        serving.close()


@pytest.mark.parametrize("way", (connect, _pooled))
def test_times_are_those_of_utc(abroad: str, way: Any) -> None:
    """What is printed with UTC behind it is UTC, after a rollback too, and nobody is given an open transaction."""
    with way(abroad) as connection:
        assert connection.info.transaction_status == TransactionStatus.IDLE
        assert _offset(connection) == timedelta(0)
        connection.rollback()
        assert _offset(connection) == timedelta(0)


def test_hours_are_those_of_utc(abroad: str) -> None:
    """An outcome of 12:10 belongs to the hour of 12:00, and not to 11:30, which is an hour's beginning in India."""
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with connect(abroad) as connection:
        connection.execute(
            "INSERT INTO leadgate.lead_outcomes (lead_id, converted, outcome_at, recorded_at, source) "
            "VALUES ('a', true, %s, %s, 'crm')",
            [noon, noon + timedelta(minutes=10)],
        )
        found = delivery_hours(connection, "outcomes", since=noon - timedelta(days=1), until=noon + timedelta(days=1))
    assert found == [(noon, 1)]
