"""Reads a file of leads or outcomes, whatever its format, and says in a sentence why it cannot."""

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.frames import Table

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE_ROWS = 50
_NUMBER_OR_DATE = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?|\d{2,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?", re.IGNORECASE)


def read_table(path: Path) -> Table:
    """The records of a CSV, Excel, Parquet or JSON-lines file, or of a Delta table's folder.

    CSV and Excel cells come as text, unread; the other formats keep their types. Header names lose surrounding blanks.
    Raises BadFileError for a file that is not there, is empty, broken, without a header, or of an unknown format.
    """
    if not path.exists():
        raise BadFileError(f"{path} does not exist{_nearest(path)}.")
    if path.is_dir():
        return _read_delta(path)
    readers: dict[str, Callable[[Path, bytes], Table]] = {
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".txt": _read_csv,
        ".parquet": _read_parquet,
        ".pq": _read_parquet,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".json": _read_json_lines,
        ".xlsx": _read_excel,
        ".xlsm": _read_excel,
        ".xls": _read_excel,
        ".ods": _read_excel,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadFileError(
            f"{path.name}: {path.suffix or 'a name without an ending'} is no format that Leadgate reads; "
            "give CSV, Excel, Parquet, JSON lines (.jsonl) or the folder of a Delta table."
        )
    content = path.read_bytes()
    if not content.strip():
        raise BadFileError(f"{path.name} is empty; export it again.")
    return _tidy(path, reader(path, content))


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; check the name, in {path.parent.resolve()}"


def _tidy(path: Path, table: Table) -> Table:
    """Strip header names, and refuse a header that is none."""
    names = [str(name).strip().removeprefix("\ufeff") for name in table.frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadFileError(f"{path.name}: the header has the column {twice[0]!r} more than once; rename one of them.")
    if table.frame.is_empty():
        raise BadFileError(f"{path.name} holds a header and no rows; export it again.")
    table.frame.columns = names
    return table


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# CSV


def _read_csv(path: Path, content: bytes) -> Table:
    text, encoding = _decode(path, content)
    delimiter = _delimiter(path, text)
    header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
    _require_header(path, header)
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()), separator=delimiter, infer_schema=False, truncate_ragged_lines=False
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise BadFileError(_why_broken(path, text, delimiter, len(header), error)) from error
    if frame.width != len(header) or any("_duplicated_" in name for name in frame.columns):
        frame.columns = header[: frame.width]  # raises no error here: _tidy names what is double
    _refuse_short_rows(path, text, delimiter, frame)
    return Table(
        frame=frame, first_row=2, format="csv", delimiter=delimiter, encoding=encoding, digest=_digest(content)
    )


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    for encoding in ("utf-8-sig", "utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return content.decode(encoding), "utf-8" if encoding == "utf-8-sig" else encoding
        except UnicodeDecodeError:
            continue
    from charset_normalizer import from_bytes  # noqa: PLC0415

    found = from_bytes(
        content[:1_000_000], cp_isolation=["cp1252", "latin_1", "utf_16_le", "utf_16_be", "cp1250"]
    ).best()
    encoding = found.encoding if found else "cp1252"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadFileError(
            f"{path.name}: byte {error.start:,} is not text in any encoding that Leadgate knows; save it as UTF-8."
        ) from error
    if "\0" in text:
        raise BadFileError(f"{path.name} holds binary data, not text; is its ending right?")
    return text, encoding


def _delimiter(path: Path, text: str) -> str:
    """The delimiter that gives the header the most columns and the first rows as many."""

    def agreement(delimiter: str) -> tuple[float, int]:
        rows = list(_first_rows(text, delimiter))
        width = len(rows[0])
        same = sum(len(row) == width for row in rows) / len(rows)
        return (same if width > 1 else 0.0, width)

    best = max(_DELIMITERS, key=agreement)
    if agreement(best)[1] == 1:
        first = text.splitlines()[0][:60]
        raise BadFileError(
            f"{path.name}: row 1 ({first!r}) is a single column whatever the delimiter (tried "
            f"{', '.join(_DELIMITERS.values())}); export it with commas between the columns."
        )
    return best


def _first_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    for i, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter)):
        if i >= _SAMPLE_ROWS:
            return
        if row:
            yield row


def _require_header(path: Path, header: list[str]) -> None:
    """A header names its columns; numbers, dates or nothing are data."""
    for number, cell in enumerate(header, start=1):
        if not cell.strip():
            raise BadFileError(f"{path.name}: column {number} of the header (row 1) has no name; give it one.")
    data = [cell for cell in header if _NUMBER_OR_DATE.fullmatch(cell.strip())]
    if data and len(data) * 3 >= len(header):
        raise BadFileError(
            f"{path.name}: row 1 looks like data, not like a header ({data[0]!r} is no column name); "
            "export it with a header, or add a first row of column names."
        )


def _why_broken(path: Path, text: str, delimiter: str, width: int, error: Exception) -> str:
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), start=1):
        if len(row) > width:
            return (
                f"{path.name}: row {number} has {len(row)} fields, the header {width}; the first one too many is "
                f"{row[width]!r}. Put quotes around a value that holds a {_DELIMITERS[delimiter]}."
            )
    return f"{path.name} cannot be read as CSV ({str(error).splitlines()[0]}); export it again."


def _refuse_short_rows(path: Path, text: str, delimiter: str, frame: pl.DataFrame) -> None:
    """A row that ends early would otherwise read as missing values."""
    if frame.is_empty() or frame[frame.columns[-1]].null_count() == 0:
        return
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), start=1):
        if row and len(row) < frame.width:
            raise BadFileError(
                f"{path.name}: row {number} has {len(row)} fields, the header {frame.width}; "
                f"column {frame.columns[len(row)]!r} and what follows is not there. Mend the row, or export again."
            )


# the other formats


def _read_parquet(path: Path, content: bytes) -> Table:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadFileError(
            f"{path.name} is not a whole Parquet file ({_first_line(error)}); export it again."
        ) from error
    return Table(frame=frame, first_row=1, format="parquet", delimiter=None, encoding=None, digest=_digest(content))


def _read_json_lines(path: Path, content: bytes) -> Table:
    try:
        if content.lstrip().startswith(b"["):
            frame = pl.read_json(io.BytesIO(content), infer_schema_length=None)
        else:
            frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise BadFileError(
            f"{path.name} cannot be read as JSON lines, one object a row ({_first_line(error)}); export it again."
        ) from error
    return Table(frame=frame, first_row=1, format="json", delimiter=None, encoding="utf-8", digest=_digest(content))


def _read_excel(path: Path, content: bytes) -> Table:
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415

    try:
        rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    except (CalamineError, OSError, ValueError) as error:
        raise BadFileError(f"{path.name} is not a whole workbook ({_first_line(error)}); save it again.") from error
    if not rows:
        raise BadFileError(f"{path.name}: the first sheet is empty; put the leads there, with a header in row 1.")
    header = [_cell(value) or "" for value in rows[0]]
    _require_header(path, header)
    columns = list(zip(*rows[1:], strict=True)) if rows[1:] else [()] * len(header)
    series = [
        pl.Series(name, [_cell(v) for v in column], pl.String) for name, column in zip(header, columns, strict=True)
    ]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise BadFileError(f"{path.name}: the header has the column {min(twice)!r} more than once; rename one of them.")
    table = pl.DataFrame(series)
    return Table(frame=table, first_row=2, format="excel", delimiter=None, encoding=None, digest=_digest(content))


def _cell(value: Any) -> str | None:
    """An Excel cell as the text that a CSV export would hold."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def _read_delta(path: Path) -> Table:
    from deltalake import DeltaTable  # noqa: PLC0415
    from deltalake.exceptions import DeltaError  # noqa: PLC0415

    try:
        table = DeltaTable(str(path))
        frame = pl.read_delta(str(path))
    except (DeltaError, OSError) as error:
        raise BadFileError(f"{path} is a folder, and no Delta table; name a file in it.") from error
    files = "\n".join([str(table.version()), *sorted(Path(uri).name for uri in table.file_uris())])
    return Table(
        frame=frame, first_row=1, format="delta", delimiter=None, encoding=None, digest=_digest(files.encode())
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
