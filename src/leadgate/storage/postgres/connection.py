"""Connections to PostgreSQL, and named SQL.

Every statement of Leadgate stands in ``queries/<subject>.sql`` under a line ``-- name``; the modules beside this
one (imports, predictions, outcomes) are the only callers.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from leadgate.errors import BadConfigError, DatabaseDownError

Connection = psycopg.Connection[Any]

_NETWORK = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Seconds, save the last: milliseconds. Without them a connection through a firewall that forgot it waits for ever."""


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A connection that commits when the block ends well and rolls back when it does not; its times are in UTC.

    Raises DatabaseDownError, naming the host but never the password, and BadConfigError for what is no URL.
    """
    try:
        connection = psycopg.connect(patient(url))
        count_in_utc(connection)
    except psycopg.OperationalError as error:
        raise database_down(url, error) from error
    except psycopg.ProgrammingError:  # a connect_timeout that is no number
        raise no_url() from None
    with connection:
        yield connection


def patient(url: str) -> str:
    """The same database with an end to waiting for its network; what the URL says of that itself holds."""
    given = _parts(url)
    return make_conninfo(url, **{name: value for name, value in _NETWORK.items() if name not in given})


def count_in_utc(connection: Connection) -> None:
    """Let the times that this connection gives, and its hours and days, be those of UTC. Commits.

    A database, a role or PGTZ may say otherwise, and psycopg gives times in the zone of the session. No option of the
    connection, for the reason below; and nothing is asked where it is so already, for the server says it unasked.
    """
    if connection.info.parameter_status("TimeZone") != "UTC":
        connection.execute(statement("connection", "count_in_utc"))
        if not connection.autocommit:
            connection.commit()


def limit_statements(connection: Connection, seconds: float) -> None:
    """Let no statement of this connection take longer: it fails with OperationalError then. Commits.

    A statement of its own, since a pooler between refuses the option of a connection.
    """
    connection.execute(statement("connection", "limit_statements"), {"limit": f"{1000 * seconds:.0f}ms"})
    if not connection.autocommit:
        connection.commit()


def commit_durably(connection: Connection) -> None:
    """Let the transaction wait for the disk, even where the server's configuration says that none has to."""
    connection.execute(statement("connection", "commit_durably"))


def database_down(url: str, error: Exception) -> DatabaseDownError:
    """The sentence for a server that does not answer."""
    parts = _parts(url)
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}, database {parts.get('dbname', '')!r}"
    reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
    return DatabaseDownError(
        f"PostgreSQL at {where} does not answer ({reason}); "
        "start it, or mend LEADGATE_DATABASE_URL, or unset that to use the project's own."
    )


def no_url() -> BadConfigError:
    """The sentence for a URL that cannot be read; to be raised from None, for the cause would show its password."""
    return BadConfigError(
        "LEADGATE_DATABASE_URL is no URL of a PostgreSQL database (its value is not shown, for it may hold a "
        "password); write postgresql://USER:PASSWORD@HOST:5432/DATABASE, with @ : / ? # % and spaces of the password "
        "percent-encoded (@ is %40), or unset it to use the project's own database."
    )


def _parts(url: str) -> dict[str, Any]:
    """What a URL says, by libpq's names. Raises BadConfigError where part of a password would be taken for a place."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise no_url() from None
    authority, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    ports = str(parts.get("port") or "").split(",")
    if authority.count("@") > 1 or "@" in path or not all(port.isdecimal() for port in ports if port):
        raise no_url()
    return parts


@cache
def _statements(subject: str) -> dict[str, str]:
    text = (files(__package__) / "queries" / f"{subject}.sql").read_text()
    parts = re.split(r"^-- (\w+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))


def statement(subject: str, name: str) -> LiteralString:
    """The named SQL of ``queries/<subject>.sql``: our own file, hence as trustworthy as a literal."""
    return _statements(subject)[name]
