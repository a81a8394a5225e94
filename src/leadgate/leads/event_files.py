"""Files of events: what leads did, read, judged row by row, recorded whole or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.files import read_table
from leadgate.leads.frames import Table
from leadgate.leads.refusing import MISSING, NO_NUMBER, NO_TIME, refuse_rows, unread_columns
from leadgate.leads.schema import FeatureType
from leadgate.leads.values import Parsed, parse_feature, parse_time, require_one_reading
from leadgate.records import LeadEvent
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.events import record_events

LONGEST_KIND = 100
"""Characters of a kind."""
_LONGEST = {"lead_id": 256, "kind": LONGEST_KIND}
CLOCK_TOLERANCE = timedelta(days=1)
"""An event may lie so far ahead: of clocks that differ, and of local times that say no zone."""
KNOWING_TOLERANCE = timedelta(minutes=1)
"""An event may be known so long before it happened: of clocks that differ, and of seconds that are cut off."""

_NAMES = {
    "lead_id": ("lead_id",),
    "kind": ("kind", "event", "event_type"),
    "at": ("at", "event_at", "timestamp", "time"),
    "value": ("value",),
    "known_at": ("known_at",),
}
"""What each column may be called in a file."""
_NEEDED = ("lead_id", "kind", "at")
_UNREADABLE = {
    "lead_id": "cannot be read as text",
    "kind": "cannot be read as text",
    "at": NO_TIME,
    "value": NO_NUMBER,
    "known_at": NO_TIME,
}
_TOO_EARLY = "lies before the event itself, and nobody knows of an event before it happens"


@dataclass(frozen=True, kw_only=True)
class EventsTaken:
    """What a file of events brought."""

    received: int
    """Rows of the file."""
    added: int
    """Events that were news."""
    leads: tuple[str, ...]
    """Whose events they are, each once, in the order of the file."""
    ignored_columns: tuple[str, ...]
    """Columns of the file that are not read."""


def import_events(
    connection: Connection, file: Path, now: datetime, step: Callable[[str], None] = lambda _: None
) -> EventsTaken:
    """Record a file of events: lead_id, kind, at, and optionally value and known_at.

    Without a known_at an event counts as known when it happened. The same file again adds nothing. Raises BadFileError
    naming the first bad row, column and value; then nothing of the file is recorded. ``step`` is told what is being
    done.
    """
    step(f"reading {file.name}")
    table = read_table(file)
    step(f"checking {table.frame.height:,} events")
    events = list(read_events(table, file.name, now))
    step(f"recording {len(events):,} events")
    return EventsTaken(
        received=len(events),
        added=record_events(connection, events, now),
        leads=tuple(dict.fromkeys(event.lead_id for event in events)),
        ignored_columns=ignored_columns(table.frame, file.name),
    )


def read_events(table: Table, file: str, now: datetime) -> Iterator[LeadEvent]:
    """The events of a table (quiet). Raises BadFileError for the first value that cannot be one's."""
    frame = table.frame
    names = _columns(frame, file)
    ignored_columns(frame, file)
    require_one_reading((frame[names[what]] for what in ("at", "known_at") if what in names), file, table.first_row)
    columns = {
        "lead_id": parse_feature(frame[names["lead_id"]], FeatureType.CATEGORICAL),
        "kind": parse_feature(frame[names["kind"]], FeatureType.CATEGORICAL),
        "at": _parse_moment(frame[names["at"]]),
    }
    if "value" in names:
        columns["value"] = parse_feature(frame[names["value"]], FeatureType.NUMERIC)
    if "known_at" in names:
        columns["known_at"] = _parse_moment(frame[names["known_at"]])
    _refuse_faults(table, file, columns, names, now)
    values = {name: parsed.values for name, parsed in columns.items()}
    typed = pl.DataFrame([series.alias(name) for name, series in values.items()])
    if "value" not in values:
        typed = typed.with_columns(value=pl.lit(None, dtype=pl.Float64))
    known = pl.col("at") if "known_at" not in values else pl.max_horizontal("known_at", "at")
    for row in typed.with_columns(known_at=known).iter_rows(named=True):
        yield LeadEvent(**row)


def _parse_moment(raw: pl.Series) -> Parsed:
    """A time to the nearest microsecond, as a request is read: else one event, sent and in a file, were two."""
    if isinstance(raw.dtype, pl.Datetime):
        return parse_time(raw.dt.round("1us"))
    parsed = parse_time(raw)
    if raw.dtype != pl.String:
        return parsed
    up = (raw.str.extract(r"[.,]\d{6}(\d)").cast(pl.Int8) >= 5).fill_null(value=False)  # noqa: PLR2004  # half
    values = parsed.values + up.cast(pl.Int64).cast(pl.Duration("us"))
    return Parsed(values=values, bad=parsed.bad)


def ignored_columns(frame: pl.DataFrame, file: str) -> tuple[str, ...]:
    """The columns that are not read. Raises BadFileError for one that looks misspelt, or for one that is not there."""
    optional = [what for what in _NAMES if what not in _NEEDED]
    return unread_columns(frame.columns, _columns(frame, file).values(), optional, file)


def _columns(frame: pl.DataFrame, file: str) -> dict[str, str]:
    """By what is read, the file's column."""
    found = {what: next((n for n in names if n in frame.columns), None) for what, names in _NAMES.items()}
    for what in _NEEDED:
        if found[what] is None:
            raise BadFileError(
                f"{file} has no column {what!r}; events need lead_id, kind and at, and may have value and known_at. "
                f"It has: {', '.join(frame.columns[:10])}."
            )
    return {what: name for what, name in found.items() if name is not None}


def _refuse_faults(table: Table, file: str, columns: dict[str, Parsed], names: dict[str, str], now: datetime) -> None:
    faults = [
        (int(row), names[what], why)
        for what, parsed in columns.items()
        for mask, why in _checks(what, parsed, now)
        for row in mask.arg_true()
    ]
    if "known_at" in columns:
        early = columns["known_at"].values < columns["at"].values - KNOWING_TOLERANCE
        faults += [(int(row), names["known_at"], _TOO_EARLY) for row in early.fill_null(value=False).arg_true()]
    if faults:
        refuse_rows(table, file, faults, "event")


def _checks(what: str, parsed: Parsed, now: datetime) -> Iterator[tuple[pl.Series, str]]:
    """Which values of a column are wrong, and in what way."""
    values = parsed.values
    yield parsed.bad, _UNREADABLE[what]
    if what in _NEEDED:
        yield values.is_null() & ~parsed.bad, MISSING
    if what in ("at", "known_at"):
        yield (values > now + CLOCK_TOLERANCE).fill_null(value=False), "lies in the future"
    if what in _LONGEST:
        too_long = values.str.len_chars() > _LONGEST[what]
        yield too_long.fill_null(value=False), f"is longer than {_LONGEST[what]} characters"
