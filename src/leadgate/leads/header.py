"""Tells a header from data (quiet)."""

import re

from leadgate.errors import BadFileError

_NUMBER = re.compile(r"[-+]?\d[\d.,]*(e[-+]?\d+)?|[-+]?[.,]\d+", re.IGNORECASE)
_NEVER_A_NAME = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{1,2}:\d{2}.*)?|\d{1,2}[./]\d{1,2}[./]\d{4}( \d{1,2}:\d{2}.*)?"
    r"|[^@\s]+@[^@\s]+\.[a-z]+|https?://\S+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
"""Dates, e-mail addresses, links, UUIDs."""
_FEW = 3
"""One name in three may be a number, as the columns of a pivot table are; more is a row of data."""


def require_header(header: list[str], file: str, *, row: int = 1) -> None:
    """Refuse a first row that is data, has a column without a name, or the same name twice. Raises BadFileError."""
    cells = [cell.strip() for cell in header]
    twice = next((cell for cell in cells if cell and cells.count(cell) > 1), None)
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
    never = [cell for cell in cells if _NEVER_A_NAME.fullmatch(cell)]
    many = len(numbers) * _FEW >= len(cells)
    # A number is an odd name; together with empty or repeated cells it is a row of data.
    if never or (numbers and (many or twice or "" in cells)):
        raise BadFileError(
            f"{file}: row {row} looks like data, not like a header ({(never + numbers)[0]!r} is no column name); "
            "export it with a header, or add a first row of column names."
        )
    if "" in cells:
        hint = " (pandas writes its index so; export with index=False)" if not cells[0] else ""
        raise BadFileError(
            f"{file}: column {cells.index('') + 1} of the header (row {row}) has no name{hint}; give it one."
        )
    if twice:
        where = [str(i) for i, cell in enumerate(cells, start=1) if cell == twice]
        raise BadFileError(
            f"{file}: the header has the column {twice!r} more than once (columns {', '.join(where)}); rename one."
        )
