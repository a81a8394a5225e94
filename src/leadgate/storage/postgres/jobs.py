"""The queue of jobs: Procrastinate's tables in a schema of their own; see docs/decisions/0009-worker.md."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from leadgate.errors import RefusedError
from leadgate.storage.postgres.connection import Connection, connect, patient, statement

if TYPE_CHECKING:
    from procrastinate import PsycopgConnector, SyncPsycopgConnector

SCHEMA = "leadgate_jobs"
_ALIVE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A job in the queue that nobody runs yet."""

    task_name: str
    scheduled_at: datetime | None
    """Not before this time; None: as soon as somebody is free."""
    attempts: int
    """That have failed."""


def ensure_queue(url: str) -> None:
    """Make the queue's tables as the installed Procrastinate declares them.

    Tables of another release of it are dropped and made anew: what they hold is due again at the next tick, and what
    ran stands in ``job_runs``. Raises RefusedError while a worker of that other release lives.
    """
    from procrastinate.schema import SchemaManager  # noqa: PLC0415

    declared = SchemaManager.get_schema()
    mark = "Procrastinate " + sha256(declared.encode()).hexdigest()
    with connect(url) as connection, connection.transaction():
        connection.execute(statement("jobs", "serialise_queues"))
        row = connection.execute(statement("jobs", "schema_comment"), {"schema": SCHEMA}).fetchone()
        if row is not None and row[0] == mark:
            _mark_workers(connection)
            return
        _refuse_living_workers(connection)
        connection.execute(_named("drop_schema"))
        connection.execute(_named("create_schema"))
        enter(connection)
        connection.execute(declared)
        _mark_workers(connection)
        connection.execute(
            sql.SQL(statement("jobs", "comment_schema")).format(
                schema=sql.Identifier(SCHEMA), comment=sql.Literal(mark)
            )
        )


def enter(connection: Connection) -> None:
    """Let unqualified names of this connection mean the queue's tables, as Procrastinate's own functions need it."""
    connection.execute(statement("jobs", "enter_schema"), {"schema": SCHEMA})


def connector(url: str, *, project: str, patience_s: float) -> "PsycopgConnector":
    """Procrastinate's way to the queue, for a worker of a project.

    A database that is away longer than the patience is an error.
    """
    from procrastinate import PsycopgConnector  # noqa: PLC0415

    async def configure(connection: "AsyncConnection[Any]") -> None:
        await connection.execute(statement("jobs", "enter_schema"), {"schema": SCHEMA})
        await connection.execute(statement("jobs", "work_for"), {"project": project})
        await connection.commit()

    return PsycopgConnector(conninfo=patient(url), configure=configure, min_size=1, max_size=6, timeout=patience_s)


def sync_connector(url: str) -> "SyncPsycopgConnector":
    """The same for a command that puts a job into the queue."""
    from procrastinate import SyncPsycopgConnector  # noqa: PLC0415

    def configure(connection: Connection) -> None:
        enter(connection)
        connection.commit()

    return SyncPsycopgConnector(conninfo=patient(url), configure=configure, min_size=1, max_size=1)


def is_made(connection: Connection) -> bool:
    """Whether a worker has ever made the queue."""
    row = connection.execute(statement("jobs", "is_there"), {"schema": SCHEMA}).fetchone()
    return bool(row and row[0])


def worker_lives(connection: Connection, project: str | None = None) -> bool:
    """Whether a worker of a project, or any, has given a sign of life in the last half minute."""
    if not is_made(connection):
        return False
    row = connection.execute(_named("live_workers"), {"seconds": _ALIVE_S, "project": project}).fetchone()
    return bool(row and row[0])


def waiting_jobs(connection: Connection, queues: Sequence[str]) -> list[Waiting]:
    """What waits in some queues, in the order in which it came."""
    if not is_made(connection):
        return []
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(_named("waiting"), {"queues": list(queues)}).fetchall()


def bring_forward(connection: Connection, queues: Sequence[str], task_name: str) -> None:
    """Let a job that waits for its next attempt be due now."""
    with _inside(connection):
        values = {"queues": list(queues), "task_name": task_name}
        connection.execute(_named("bring_forward"), values)


def _mark_workers(connection: Connection) -> None:
    """Let each worker say whose it is; nothing is locked where they do so already."""
    row = connection.execute(statement("jobs", "workers_are_marked"), {"schema": SCHEMA}).fetchone()
    if row is not None and not row[0]:
        connection.execute(_named("mark_workers"))


def _refuse_living_workers(connection: Connection) -> None:
    if worker_lives(connection):
        raise RefusedError(
            "A worker with another release of Procrastinate is running; stop it first, then start this one "
            f"{_ALIVE_S:g} seconds later: it makes the queue of jobs anew."
        )


@contextmanager
def _inside(connection: Connection) -> Iterator[None]:
    with connection.transaction():
        enter(connection)
        yield


def _named(name: LiteralString) -> sql.Composed:
    return sql.SQL(statement("jobs", name)).format(schema=sql.Identifier(SCHEMA))
