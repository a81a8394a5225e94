"""What leaves the prediction log, and what must not."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from leadgate.app.retaining import refuse_needed_days
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import NewRollout, add_rollout, end_rollout

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)

YAML = """
name: other
lead:
  id: lead_id
  target: converted
  features:
    size: {type: numeric}
outcomes: {window_days: 60}
"""


@pytest.fixture
def home(tmp_path: Path, database: str) -> Home:
    """A project whose outcomes are awaited for 60 days."""
    (tmp_path / "leadgate.yaml").write_text(YAML)
    return Home(tmp_path, Settings(database_url=database), lambda: BEGAN + timedelta(days=10))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to its database."""
    with psycopg.connect(database) as made:
        yield made


def begin(connection: Connection) -> int:
    """A rollout that began on 2026-06-01."""
    new = NewRollout(
        model_name="scene",
        champion="1",
        champion_digest="a" * 64,
        challenger="2",
        challenger_digest="b" * 64,
        challenger_author="Ada",
        salt="s",
        rules=RolloutRules().model_dump(mode="json"),
        design=None,
        started_at=BEGAN,
        started_by="Ada",
    )
    return add_rollout(connection, new)


def test_days_that_a_rollout_counts_stay(home: Home, connection: Connection) -> None:
    """60 days before its start a lead may have met the champion: 2026-04-02 is needed, 2026-04-01 is not."""
    begin(connection)
    refuse_needed_days(home, connection, date(2026, 4, 2))
    with pytest.raises(RefusedError, match=r"2026-04-02 .*--days 70"):
        refuse_needed_days(home, connection, date(2026, 4, 3))


def test_a_rollout_that_is_over_needs_nothing(home: Home, connection: Connection) -> None:
    """Its evidence is written down."""
    end_rollout(connection, begin(connection), BEGAN)
    refuse_needed_days(home, connection, date(2026, 6, 11))
