"""What checks read beside the profiles: who reported, and who was contacted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadgate.outcomes.contacts import import_contacts
from leadgate.records import Prediction
from leadgate.storage.postgres.checks import Reports, reports_of
from leadgate.storage.postgres.connection import Connection, connect
from leadgate.storage.postgres.deliveries import contact_waits
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions

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


def test_of_very_many_contacts_some_are_read_and_all_are_counted(connection: Connection, tmp_path: Path) -> None:
    """Eight leads were contacted, one of them twice, a day after their scores; the latest two are read."""
    scored = [
        Prediction(
            prediction_id=f"01970000-0000-7000-8000-00000000000{i}",
            lead_id=f"lead {i}",
            scored_at=NOW - 2 * DAY + i * MINUTE,
            model_name="m",
            model_version="1",
            variant="champion",
            predicted_score=0.5,
            priority="high" if i % 2 else "low",
            features=b"{}",
            latency_ms=0.1,
            batch_size=1,
            request_id="r",
            route_epoch=1,
        )
        for i in range(8)
    ]
    file = tmp_path / "calls.csv"
    calls = [f"{p.lead_id},{(p.scored_at + DAY).isoformat()}" for p in scored]
    file.write_text("\n".join(["lead_id,contacted_at", *calls, f"lead 0,{NOW.isoformat()}"]) + "\n")
    ensure_partitions(connection, [p.scored_at.date() for p in scored])
    copy_predictions(connection, scored)
    import_contacts(connection, file, NOW)
    since = NOW - 7 * DAY
    every = contact_waits(connection, "m", since=since, until=NOW)
    assert every == ({"high": (4, 1.0, 0.0), "low": (4, 1.0, 0.0)}, 1.0)
    latest = contact_waits(connection, "m", since=since, until=NOW, most=2)
    assert latest == ({"high": (1, 1.0, 0.0), "low": (1, 1.0, 0.0)}, 0.25)
