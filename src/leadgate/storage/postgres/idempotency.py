"""Answers that a repeated request gets again."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class KnownAnswer:
    """What was answered under a key."""

    request_sha256: bytes
    """Of the request's body."""
    answer: bytes
    """The body, byte for byte."""


def find_answer(connection: Connection, caller: str, key: str, *, since: datetime) -> KnownAnswer | None:
    """What was answered to a caller under a key, since a time; None when nothing was."""
    with connection.cursor(row_factory=class_row(KnownAnswer)) as cursor:
        parameters = {"caller": caller, "key": key, "since": since}
        return cursor.execute(statement("idempotency", "find_answer"), parameters).fetchone()


def remember_answer(
    connection: Connection, caller: str, key: str, known: KnownAnswer, *, at: datetime, since: datetime
) -> bool:
    """Keep an answer, unless one of ``since`` or later is kept: False then.

    Waits for another transaction that keeps one under the same key at this moment.
    """
    parameters = {
        "caller": caller,
        "key": key,
        "request_sha256": known.request_sha256,
        "answer": known.answer,
        "answered_at": at,
        "since": since,
    }
    return connection.execute(statement("idempotency", "remember_answer"), parameters).rowcount == 1


def forget_answers(connection: Connection, *, before: datetime) -> None:
    """Remove answers that no repetition will get any more."""
    connection.execute(statement("idempotency", "forget_answers"), {"since": before})
