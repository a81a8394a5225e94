"""The database as serving sees it, beside the spool."""

from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from leadgate.errors import DatabaseDownError
from leadgate.records import Contact, LeadEvent, Outcome, Prediction
from leadgate.scoring.folding import log_predictions
from leadgate.storage.postgres.connection import (
    Connection,
    commit_durably,
    count_in_utc,
    database_down,
    limit_statements,
    patient,
)
from leadgate.storage.postgres.contacts import record_contacts
from leadgate.storage.postgres.events import KnownLead, look_up, record_events
from leadgate.storage.postgres.idempotency import KnownAnswer, find_answer, remember_answer
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.outcomes import Recorded, record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import LatestScore, latest_score

_STATEMENT_S = 30.0
"""The longest that a statement may take, waiting for locks included."""
_LOOK_UP_S = 2.0
"""The same where a score waits for it: who asked is told by then, and the connection is for the next one."""
LOOK_UPS = 3
"""Look-ups at once, each with a connection that is opened when it is first needed."""
_WAIT_S = 5.0
"""How long a request waits for a connection before it is told that the database does not answer."""


class ServingLog:
    """Pooled access to PostgreSQL. Every method raises DatabaseDownError when it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = ConnectionPool(
            patient(url), min_size=1, max_size=4, timeout=_WAIT_S, configure=_configure, open=False
        )
        self._look_ups = ConnectionPool(
            patient(url), min_size=0, max_size=LOOK_UPS, timeout=_LOOK_UP_S, configure=_configure_look_ups, open=False
        )

    def open(self) -> None:
        """Connect in the background, and go on trying: a worker may start while the database is away."""
        self._pool.open()
        self._look_ups.open()

    def close(self) -> None:
        """Give the connections back."""
        self._pool.close()
        self._look_ups.close()

    def find_answer(self, caller: str, key: str, since: datetime) -> KnownAnswer | None:
        """What was answered to a caller under a key, since a time."""
        try:
            with self._pool.connection() as connection:
                return find_answer(connection, caller, key, since=since)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def answer_once(
        self,
        caller: str,
        key: str,
        made: KnownAnswer,
        predictions: Sequence[Prediction],
        *,
        at: datetime,
        since: datetime,
    ) -> KnownAnswer:
        """Keep an answer and log its predictions, both or neither; gives the one that somebody else kept first."""
        try:
            with self._pool.connection() as connection, connection.transaction():
                commit_durably(connection)  # there is no spool behind it
                if not remember_answer(connection, caller, key, made, at=at, since=since):
                    known = find_answer(connection, caller, key, since=since)
                    assert known is not None
                    return known
                ensure_partitions(connection, {p.scored_at.date() for p in predictions})
                log_predictions(connection, predictions)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error
        return made

    def record(self, outcomes: Sequence[Outcome], recorded_at: datetime) -> Recorded:
        """Append outcomes, all or none."""
        try:
            with self._pool.connection() as connection:
                return record_outcomes(connection, outcomes, recorded_at)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def record_contacts(self, contacts: Sequence[Contact], recorded_at: datetime) -> int:
        """Append contacts, all or none; gives how many were news."""
        try:
            with self._pool.connection() as connection:
                return record_contacts(connection, contacts, recorded_at)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def record_events(self, events: Sequence[LeadEvent], recorded_at: datetime) -> int:
        """Append events of leads, all or none; gives how many were news."""
        try:
            with self._pool.connection() as connection:
                return record_events(connection, events, recorded_at)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def look_up(self, leads: Sequence[str], *, columns: bool, events: bool) -> dict[str, KnownLead]:
        """What is known of leads now."""
        try:
            with self._look_ups.connection() as connection:
                return look_up(connection, leads, columns=columns, events=events)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def latest(self, lead_id: str) -> LatestScore | None:
        """The last score of a lead."""
        try:
            with self._pool.connection() as connection:
                return latest_score(connection, lead_id)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def measure(self, measurement: Measurement) -> None:
        """Write down what a worker did; the same again adds nothing."""
        try:
            with self._pool.connection() as connection:
                add_measurement(connection, measurement)
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise self._down(error) from error

    def alive(self) -> bool:
        """Whether PostgreSQL answers now."""
        try:
            with self._pool.connection(timeout=1.0) as connection:
                connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout):
            return False
        return True

    def _down(self, error: Exception) -> DatabaseDownError:
        return database_down(self._url, error)


def _configure(connection: Connection) -> None:
    count_in_utc(connection)
    limit_statements(connection, _STATEMENT_S)


def _configure_look_ups(connection: Connection) -> None:
    count_in_utc(connection)
    limit_statements(connection, _LOOK_UP_S)
