"""The audit log: appended to in the transaction of the act, and read as a stream."""

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from leadgate.chain import Entry, seal
from leadgate.storage.postgres.connection import Connection, statement

GUARDED = ("alert_history", "audit_log", "rollout_approvals", "rollout_evidence", "rollout_steps", "routes")
"""Tables on which a trigger refuses every change and removal."""

_PIECE = 2_000
"""Entries that come over at a time."""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What stands between the audit log and whoever would change it."""

    connected_as: str
    """The database's user of this connection."""
    may_change: bool
    """Whether that user has the right to change entries; the trigger refuses it all the same while it stands."""
    has_writer: bool
    """Whether there is a role leadgate_writer, which can append and cannot change."""
    unguarded: list[str]
    """Append-only tables whose trigger is gone or switched off."""


def append_entry(
    connection: Connection, *, at: datetime, actor: str, act: str, subject: str, details: Mapping[str, Any]
) -> int:
    """Write an act down, in the caller's transaction: with the act itself, or not at all. Gives the entry's number.

    Others who append wait until that transaction ends, so it is the last thing to do in it. No secret belongs into
    ``details``, a JSON object. Raises ValueError for a time without a zone.
    """
    with connection.transaction(), connection.cursor() as cursor:  # a connection that commits by itself needs one too
        cursor.execute(statement("audit", "lock_log"))
        last = cursor.execute(statement("audit", "last_entry")).fetchone()
        entry = seal(after=last, at=at, actor=actor, act=act, subject=subject, details=details)
        cursor.execute(statement("audit", "add_entry"), asdict(entry))
    return entry.entry


def chain(connection: Connection, *, since: datetime | None = None, until: datetime | None = None) -> Generator[Entry]:
    """The entries in order, as one consistent stream that keeps a few thousand in memory.

    With ``since`` or ``until`` the whole stretch from the first entry not before the one to the last before the other.
    Whoever stops before the end closes it.
    """
    with connection.transaction(), connection.cursor("leadgate_audit", row_factory=class_row(Entry)) as cursor:
        cursor.itersize = _PIECE
        cursor.execute(statement("audit", "chain"), {"since": since, "until": until})
        yield from cursor


def latest_entries(
    connection: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    act: str | None = None,
    subject: str | None = None,
    actor: str | None = None,
    before: int | None = None,
    most: int = 50,
) -> list[Entry]:
    """The last entries, newest first. ``act`` is one (route.set), or all of a kind (route); ``before`` an entry."""
    values = {
        "since": since,
        "until": until,
        "act": act,
        "subject": subject,
        "actor": actor,
        "before": before,
        "most": most,
    }
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(statement("audit", "latest"), values).fetchall()


def protection(connection: Connection) -> Protection:
    """How the append-only tables are protected, as seen by the user of this connection."""
    with connection.cursor(row_factory=class_row(Protection)) as cursor:
        found = cursor.execute(statement("audit", "protection"), {"guarded": list(GUARDED)}).fetchone()
    assert found is not None  # one row, always
    return found
