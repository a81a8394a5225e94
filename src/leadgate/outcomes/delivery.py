"""Files of outcomes: read, judged row by row, recorded whole or not at all."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.files import read_table
from leadgate.leads.frames import Table
from leadgate.leads.refusing import MISSING, NO_NUMBER, NO_TIME, refuse_rows, unread_columns
from leadgate.leads.schema import FeatureType
from leadgate.leads.values import Parsed, parse_feature, parse_target, parse_time, require_one_reading
from leadgate.records import Outcome
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.outcomes import Recorded, last_outcomes, record_outcomes, source_is_known

_TIME_NAMES = ("outcome_at", "outcome_timestamp", "outcome_time", "closed_at", "time")
_OPTIONAL = ("deal_size", "days_to_close")
_UNREADABLE = {
    "lead_id": "cannot be read as text",
    "converted": "cannot be read as yes or no",
    "outcome_at": NO_TIME,
    "deal_size": NO_NUMBER,
    "days_to_close": NO_NUMBER,
}
_CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class OutcomesTaken(Recorded):
    """What a file of outcomes brought."""

    ignored_columns: tuple[str, ...]
    """Columns of the file that are not read."""
    corrected_since: int
    """Of a file that was recorded before: its leads that have another outcome by now, which stays."""


def import_outcomes(connection: Connection, file: Path, now: datetime) -> OutcomesTaken:
    """Record a file of outcomes: columns lead_id, converted, a time, and optionally deal_size, days_to_close.

    The same file again adds nothing, nor does a row that repeats a lead's last outcome. Raises BadFileError naming
    the first bad row, column and value; then nothing of the file is recorded.
    """
    table = read_table(file)
    outcomes = tuple(read_outcomes(table, file.name, now))
    source = f"{file.name} sha256:{table.digest}"
    recorded, corrected = Recorded(received=len(outcomes), added=0, repeated=len(outcomes), unknown_leads=()), 0
    if source_is_known(connection, source):
        last = dict(last_outcomes(connection, until=now).select("lead_id", "converted").iter_rows())
        said = {outcome.lead_id: outcome.converted for outcome in outcomes}
        corrected = sum(last.get(lead, won) != won for lead, won in said.items())
    else:
        recorded = record_outcomes(connection, [replace(outcome, source=source) for outcome in outcomes], now)
    ignored = ignored_columns(table.frame, file.name)
    return OutcomesTaken(**asdict(recorded), ignored_columns=ignored, corrected_since=corrected)


def read_outcomes(table: Table, file: str, now: datetime) -> Iterator[Outcome]:
    """The outcomes of a table (quiet). Raises BadFileError for the first value that cannot be one."""
    frame = table.frame
    time_name = next((name for name in _TIME_NAMES if name in frame.columns), None)
    for name in ("lead_id", "converted", *(() if time_name else _TIME_NAMES[:1])):
        if name not in frame.columns:
            raise BadFileError(
                f"{file} has no column {name!r}; outcomes need lead_id, converted and outcome_at, and may have "
                f"deal_size and days_to_close. It has: {', '.join(frame.columns[:10])}."
            )
    ignored_columns(frame, file)
    require_one_reading([frame[time_name or "outcome_at"]], file, table.first_row)
    columns = {
        "lead_id": parse_feature(frame["lead_id"], FeatureType.CATEGORICAL),
        "converted": parse_target(frame["converted"], None),
        "outcome_at": parse_time(frame[time_name or "outcome_at"]),
        "deal_size": _amount(frame, "deal_size"),
        "days_to_close": _amount(frame, "days_to_close"),
    }
    raw = {**{name: name for name in columns}, "outcome_at": time_name or "outcome_at"}
    _refuse_faults(table, file, columns, raw, now)
    typed = pl.DataFrame([parsed.values.alias(name) for name, parsed in columns.items()])
    for row in typed.iter_rows(named=True):
        yield Outcome(**row, source=file)


def ignored_columns(frame: pl.DataFrame, file: str) -> tuple[str, ...]:
    """The columns that are not read. Raises BadFileError for one that looks misspelt."""
    time = [name for name in _TIME_NAMES if name in frame.columns][:1]
    return unread_columns(frame.columns, ("lead_id", "converted", *time, *_OPTIONAL), _OPTIONAL, file)


def _amount(frame: pl.DataFrame, name: str) -> Parsed:
    if name not in frame.columns:
        nothing = pl.Series([None] * frame.height, dtype=pl.Float64)
        return Parsed(values=nothing, bad=pl.Series([False] * frame.height, dtype=pl.Boolean))
    return parse_feature(frame[name], FeatureType.NUMERIC)


def _refuse_faults(table: Table, file: str, columns: dict[str, Parsed], raw: dict[str, str], now: datetime) -> None:
    faults = [
        (int(row), raw[name], why)
        for name, parsed in columns.items()
        for mask, why in _checks(name, parsed, now)
        for row in mask.arg_true()
    ]
    if faults:
        refuse_rows(table, file, faults, "outcome")


def _checks(name: str, parsed: Parsed, now: datetime) -> Iterator[tuple[pl.Series, str]]:
    """Which values of a column are wrong, and in what way."""
    values = parsed.values
    yield parsed.bad, _UNREADABLE[name]
    if name not in _OPTIONAL:
        yield values.is_null() & ~parsed.bad, MISSING
    else:
        yield (values < 0).fill_null(value=False), "is negative"
    if name == "outcome_at":
        yield (values > now + _CLOCK_TOLERANCE).fill_null(value=False), "lies in the future"
