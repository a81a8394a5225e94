"""What checks read beside the profiles: who reported, and who was contacted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from leadgate.storage.postgres.checks import Reports, reports_of
from leadgate.storage.postgres.connection import Connection, connect
from leadgate.storage.postgres.measurements import Measurement, add_measurement

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A migrated database."""
    with connect(database) as opened:
        yield opened


def reported(connection: Connection, since: datetime, until: datetime, *, model: str = "m", worker: str = "0") -> None:
    """A worker reported once."""
    measured = Measurement(
        model_name=model,
        service="s",
        worker=worker,
        since=since,
        until=until,
        requests=5,
        failures=0,
        busy_s=1,
        peak_memory_bytes=1,
        latencies={},
    )
    add_measurement(connection, measured)


def of_the_day(connection: Connection) -> Reports | None:
    """What is known of the last 24 hours."""
    return reports_of(connection, model_name="m", since=NOW - DAY, until=NOW)


def test_a_service_is_known_from_its_first_report_on(connection: Connection) -> None:
    """Two workers report each minute since an hour ago: nobody was away; another model's years say nothing of it."""
    reported(connection, NOW - 300 * DAY, NOW, model="another")
    assert of_the_day(connection) is None
    for minute in range(60):
        for worker in ("0", "1"):
            reported(connection, NOW - (minute + 1) * MINUTE, NOW - minute * MINUTE, worker=worker)
    assert of_the_day(connection) == Reports(reported_s=3600, known_s=3600, silent_s=0)


def test_an_outage_that_is_over_is_told_from_one_that_lasts(connection: Connection) -> None:
    """Down for six hours, back for two, then gone for one."""
    reported(connection, NOW - 30 * DAY, NOW - 9 * HOUR)
    reported(connection, NOW - 3 * HOUR, NOW - HOUR)
    assert of_the_day(connection) == Reports(reported_s=17 * 3600, known_s=24 * 3600, silent_s=3600)
