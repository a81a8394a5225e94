"""What refuses a file that is recorded whole or not at all: a misspelt column, a bad row (quiet)."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from leadgate.errors import BadFileError
from leadgate.leads.frames import Table

MISSING = "the value is missing"
NO_NUMBER = "cannot be read as a number, such as 12.5"
NO_TIME = "cannot be read as a time, such as 2026-06-01T10:00:00Z"
_NEAR = 0.76
"""Likeness from which a name is taken for a misspelt one: known is like known_at, and event_id is not."""
_SHOWN = 100
"""Characters of a bad value that are repeated."""

RowFault = tuple[int, str, str]
"""Position of the row in the table, column of the file, and what is wrong with the value."""


def unread_columns(columns: Sequence[str], read: Iterable[str], optional: Iterable[str], file: str) -> tuple[str, ...]:
    """The columns of a file that are not read.

    Raises BadFileError where one of them looks like an optional column that the file does not have: left out in
    silence, a misspelt known_at would let the future in.
    """
    taken, absent = set(read), [name for name in optional if name not in columns]
    unread = tuple(name for name in columns if name not in taken)
    for name in unread:
        plain = re.sub(r"[\s.-]+", "_", name.strip().lower())
        near = difflib.get_close_matches(plain, absent, n=1, cutoff=_NEAR)
        if near:
            raise BadFileError(
                f"{file}: {name!r} is no column that is read here; did you mean {near[0]!r}? Nothing was recorded: "
                "rename the column, or take it out if it holds something else."
            )
    return unread


def refuse_rows(table: Table, file: str, faults: Sequence[RowFault], what: str) -> NoReturn:
    """Refuse a file for its bad rows; the sentence is of the first one. ``what`` is what a row is: event, outcome."""
    row, column, why = min(faults)
    rows = len({fault[0] for fault in faults})
    raise BadFileError(
        f"{file}: row {row + table.first_row}, column {column!r}: {_said(table.frame[column][row], why)} "
        f"({rows:,} of {table.frame.height:,} rows {'is' if rows == 1 else 'are'} bad), so no {what} was recorded; "
        "mend the file."
    )


def _said(value: Any, why: str) -> str:
    text = "" if value is None else str(value).strip()
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    if why == MISSING:
        return f"{why}: it says {shown}" if text else why
    return f"{shown} {why}"
