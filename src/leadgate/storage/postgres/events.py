"""What leads did, and their columns as last imported: what features.py makes features of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from leadgate.records import LeadEvent
from leadgate.storage.postgres.connection import Connection, statement

_AT_ONCE = 10_000
"""Rows of one statement."""


class RecordedEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event of a lead as it was written down: read by the thousand, hence no dataclass."""

    kind: str
    at: datetime
    """UTC time at which it happened."""
    known_at: datetime
    """UTC time at which it was known."""
    value: float | None
    recorded_at: datetime
    """UTC time at which it was written down here."""


@dataclass(frozen=True, kw_only=True)
class KnownLead:
    """What is known of a lead now."""

    columns: Mapping[str, Any] | None
    """Its raw values by column, as last imported; None where no import had it, and where nobody asked."""
    events: tuple[RecordedEvent, ...]
    """Oldest first; events of one moment in the order of kind and value."""


@dataclass(frozen=True, kw_only=True)
class LoggedFeatures:
    """What a logged score was made of."""

    lead_id: str
    scored_at: datetime
    model_version: str
    features: Mapping[str, Any]
    """Columns that were sent or looked up, and made values, by name."""


_FOUND = msgspec.json.Decoder(tuple[RecordedEvent, ...])


def record_events(connection: Connection, events: Sequence[LeadEvent], recorded_at: datetime) -> int:
    """Write events down, all or none; gives how many were news.

    An event that is there already (lead, time, kind and value) adds nothing, and stays known since when it was known.
    """
    added = 0
    ordered = sorted(events, key=_key)
    with connection.transaction(), connection.cursor() as cursor:
        for start in range(0, len(ordered), _AT_ONCE):
            some = ordered[start : start + _AT_ONCE]
            values = {
                "leads": [e.lead_id for e in some],
                "kinds": [e.kind for e in some],
                "times": [e.at for e in some],
                "known": [e.known_at for e in some],
                "values": [e.value for e in some],
                "recorded_at": recorded_at,
            }
            added += cursor.execute(statement("events", "add_events"), values).rowcount
    return added


def _key(event: LeadEvent) -> tuple[Any, ...]:
    return event.lead_id, event.at, event.kind, event.value is None, event.value, event.known_at


def events_of(connection: Connection, lead_id: str, *, most: int = 50) -> list[RecordedEvent]:
    """What a lead did, the last first."""
    with connection.cursor(row_factory=class_row(RecordedEvent)) as cursor:
        return cursor.execute(statement("events", "events_of"), {"lead_id": lead_id, "most": most}).fetchall()


def unknown_leads(connection: Connection, leads: Sequence[str]) -> tuple[str, ...]:
    """Of some leads, by id, those that were neither scored nor imported since there is a features.py."""
    rows = connection.execute(statement("events", "unknown_leads"), {"leads": list(dict.fromkeys(leads))}).fetchall()
    return tuple(row[0] for row in rows)


def events_of_others(
    connection: Connection, leads: Sequence[str], *, most: int = 5
) -> tuple[int, int, tuple[str, ...]]:
    """Events of leads that are not among ``leads``: how many, of how many leads, and the first ids of these."""
    asked = {"leads": list(leads), "most": most}
    ((events, others, some),) = connection.execute(statement("events", "events_of_others"), asked).fetchall()
    return events, others, tuple(some)


def look_up(
    connection: Connection, leads: Sequence[str], *, columns: bool = False, events: bool = False
) -> dict[str, KnownLead]:
    """What is known of leads, in one query; every lead that was asked for is in the answer."""
    asked = {"leads": list(dict.fromkeys(leads)), "columns": columns, "events": events}
    rows = connection.execute(statement("events", "look_up"), asked).fetchall()
    return {lead: _known(values, found) for lead, values, found in rows}


def _known(values: str | None, found: str | None) -> KnownLead:
    return KnownLead(
        columns=None if values is None else msgspec.json.decode(values),
        events=() if found is None else _FOUND.decode(found),
    )


def logged_features(
    connection: Connection, model_name: str, versions: Sequence[str], *, since: datetime, until: datetime, most: int
) -> list[LoggedFeatures]:
    """What the last scores of some versions in a span were made of, the last first."""
    asked = {"model_name": model_name, "versions": list(versions), "since": since, "until": until, "most": most}
    with connection.cursor(row_factory=class_row(LoggedFeatures)) as cursor:
        return cursor.execute(statement("events", "logged_features"), asked).fetchall()


def keep_columns(
    connection: Connection, leads: Mapping[str, Mapping[str, Any]], known_at: datetime, *, over: bool = True
) -> int:
    """Keep the raw values of leads by column; gives how many were news.

    They take the place of those that were kept before, but where ``over`` is False: then only new leads are kept.
    """
    kept = 0
    ids = sorted(leads)
    with connection.transaction(), connection.cursor() as cursor:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            found = [Jsonb(leads[lead]) for lead in some]
            values = {"leads": some, "values": found, "known_at": known_at, "over": over}
            kept += cursor.execute(statement("events", "keep_columns"), values).rowcount
    return kept
