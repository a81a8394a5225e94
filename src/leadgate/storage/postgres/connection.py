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
from psycopg.conninfo import conninfo_to_dict

from leadgate.errors import DatabaseDownError

Connection = psycopg.Connection[Any]


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A connection that commits when the block ends well and rolls back when it does not.

    Raises DatabaseDownError, naming the host but never the password.
    """
    try:
        connection = psycopg.connect(url, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise database_down(url, error) from error
    with connection:
        yield connection


def database_down(url: str, error: Exception) -> DatabaseDownError:
    """The sentence for a server that does not answer."""
    parts = conninfo_to_dict(url)
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}, database {parts.get('dbname', '')!r}"
    reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
    return DatabaseDownError(
        f"PostgreSQL at {where} does not answer ({reason}); "
        "start it, or mend LEADGATE_DATABASE_URL, or unset that to use the project's own."
    )


@cache
def _statements(subject: str) -> dict[str, str]:
    text = (files(__package__) / "queries" / f"{subject}.sql").read_text()
    parts = re.split(r"^-- (\w+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))


def statement(subject: str, name: str) -> LiteralString:
    """The named SQL of ``queries/<subject>.sql``: our own file, hence as trustworthy as a literal."""
    return _statements(subject)[name]
