"""A lead's scores are found in a log of many days without planning for all of them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import psycopg
import pytest

from leadgate.records import Prediction
from leadgate.storage.postgres.connection import Connection, connect
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions, first_scored_at, scores_of_lead

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 130
SOME = 60
"""Partitions that a statement may touch."""


def prediction(i: int, lead: str, days: float) -> Prediction:
    """A score so many days ago."""
    return Prediction(
        prediction_id=f"018f0000-0000-7000-8000-{i:012d}",
        lead_id=lead,
        scored_at=NOW - days * DAY,
        model_name="leads",
        model_version="1",
        variant="champion",
        predicted_score=0.5,
        priority="low",
        features=b"{}",
        latency_ms=0.1,
        batch_size=1,
        request_id=str(i),
        route_epoch=1,
    )


class Planned(psycopg.Cursor[Any]):
    """A cursor that notes the days of the log for which each of its statements is planned."""

    touched: ClassVar[list[set[str]]] = []

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
        """Explain it first, as it will be planned: with its values known."""
        if "FROM leadgate.prediction_logs" in query:
            with psycopg.Cursor(self.connection) as other:
                plan = other.execute("EXPLAIN " + query, params, prepare=False).fetchall()
            self.touched.append({day for (line,) in plan for day in re.findall(r"prediction_logs_(\d{8})", line)})
            assert kwargs.get("prepare") is False  # else the sixth time is planned for every partition
        return super().execute(query, params, **kwargs)


@pytest.fixture
def log(database: str) -> Iterator[Connection]:
    """A log of many days: one lead scored on the first and the last of them, one every other day."""
    old = [prediction(i, "seldom", days) for i, days in enumerate((DAYS - 1, 0))]
    often = [prediction(100 + i, "often", 2 * i) for i in range(DAYS // 2)]
    with connect(database) as connection:
        ensure_partitions(connection, [(NOW - i * DAY).date() for i in range(DAYS)])
        copy_predictions(connection, [*old, *often])
        Planned.touched.clear()
        connection.cursor_factory = Planned
        yield connection


def test_scores_are_read_back_some_days_at_a_time(log: Connection) -> None:
    """To the oldest day where fewer than asked for are found; a year's plan would take longer than the page."""
    assert [s.request_id for s in scores_of_lead(log, "leads", "seldom")] == ["1", "0"]
    assert max(map(len, Planned.touched)) <= SOME
    assert len(set.union(*Planned.touched)) == sum(map(len, Planned.touched)) == DAYS  # each day once


def test_no_day_is_read_once_there_are_enough(log: Connection) -> None:
    """The newest first, across the bounds of what is read at a time."""
    found = scores_of_lead(log, "leads", "often", most=50)
    assert [s.request_id for s in found] == [str(100 + i) for i in range(50)]
    assert len(Planned.touched) == 2
    Planned.touched.clear()
    assert len(scores_of_lead(log, "leads", "often", most=30)) == 30
    assert len(Planned.touched) == 1


def test_the_first_score_is_found_from_the_other_end(log: Connection) -> None:
    """A lead that is scored every day has it far behind its last ones."""
    assert first_scored_at(log, "leads", "seldom") == NOW - (DAYS - 1) * DAY
    assert len(Planned.touched) == 1
    assert len(Planned.touched[0]) <= SOME
    assert first_scored_at(log, "leads", "nobody") is None


def test_an_empty_log_has_no_scores(database: str) -> None:
    """Not even a partition."""
    with connect(database) as connection:
        assert scores_of_lead(connection, "leads", "L-1") == []
        assert first_scored_at(connection, "leads", "L-1") is None
