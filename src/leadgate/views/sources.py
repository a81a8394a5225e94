"""What pages read with: the database, the registry, leadgate.yaml, the clock; and where their acts go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from leadgate.leads.project import Project
from leadgate.scoring.desk import Desk
from leadgate.storage.postgres.connection import Connection, count_in_utc, database_down, limit_statements, patient

if TYPE_CHECKING:
    from leadgate.models.registry import Registry

_STATEMENT_S = 10.0
"""The longest that a page's statement may take."""
_WAIT_S = 5.0


class Reader:
    """Pooled connections that read: their transactions refuse to write."""

    def __init__(self, url: str, most: int = 4) -> None:
        self._url = url
        self._pool = ConnectionPool(
            patient(url), min_size=0, max_size=most, timeout=_WAIT_S, configure=_configure, open=False
        )
        self._pool.open()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in a transaction. Raises DatabaseDownError where PostgreSQL does not answer, or not in time."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise database_down(self._url, error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._pool.close()


def _configure(connection: Connection) -> None:
    count_in_utc(connection)
    limit_statements(connection, _STATEMENT_S)
    connection.read_only = True


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that a page reads."""

    reader: Reader
    project: Callable[[], Project]
    """leadgate.yaml as it is now. Raises BadConfigError."""
    registry: "Callable[[], Registry]"
    """Slow at its first call: it brings MLflow."""
    bundles: Path
    """Folder of the versions that are on this machine."""
    fetch: Callable[[str], None]
    """Brings a version's files there. Raises LeadgateError."""
    desk: Desk
    """Carries acts out."""
    clock: Callable[[], datetime]
    """UTC."""
    environment: str
    """What the deployment is called."""
