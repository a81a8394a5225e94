"""Reads a file of leads or outcomes, whatever its format, and says in a sentence why it cannot."""

import difflib
import hashlib
import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.csv_text import parse_csv, without_empty_end
from leadgate.leads.frames import Table
from leadgate.leads.header import require_header


def read_table(path: Path) -> Table:
    """The records of a CSV, Excel, Parquet or JSON-lines file, or of a Delta table's folder.

    CSV and Excel cells come as text, unread; the other formats keep their types. Header names lose surrounding blanks.
    Raises BadFileError for a file that is not there, is empty, broken, without a header or rows, or of an unknown
    format.
    """
    if not path.exists():
        raise BadFileError(f"{path} does not exist{_nearest(path)}.")
    table = _read_delta(path) if path.is_dir() else _read_file(path)
    if not table.frame.width:
        raise BadFileError(f"{path.name} holds no columns; export it again.")
    if table.frame.is_empty():
        raise BadFileError(f"{path.name} holds a header and no rows; export it again.")
    return table


def _read_file(path: Path) -> Table:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadFileError(
            f"{path.name}: {path.suffix or 'a name without an ending'} is no format that Leadgate reads; "
            "give CSV, Excel, Parquet, JSON lines (.jsonl) or the folder of a Delta table."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFileError(f"{path} cannot be opened ({error.strerror}); check its rights.") from error
    if not content.removeprefix(b"\xef\xbb\xbf").strip():
        raise BadFileError(f"{path.name} is empty; export it again.")
    return reader(path.name, content)


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; check the name, in {path.parent.resolve()}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _typed(frame: pl.DataFrame, file: str, content: bytes, format_name: str) -> Table:
    """A table whose values have types of their own."""
    frame.columns = _stripped(frame.columns, file)
    return Table(frame=frame, first_row=1, format=format_name, delimiter=None, encoding=None, digest=_digest(content))


def _stripped(names: list[str], file: str) -> list[str]:
    stripped = [name.strip() for name in names]
    twice = next((name for name in stripped if stripped.count(name) > 1), None)
    if twice is not None:
        raise BadFileError(f"{file} has the column {twice!r} more than once; rename one.")
    return stripped


def _read_csv(file: str, content: bytes) -> Table:
    found = parse_csv(content, file)
    return Table(
        frame=found.frame,
        first_row=found.first_row,
        format="csv",
        delimiter=found.delimiter,
        encoding=found.encoding,
        digest=_digest(content),
    )


def _read_parquet(file: str, content: bytes) -> Table:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise BadFileError(f"{file} is not a whole Parquet file ({_cause(error)}); export it again.") from error
    return _typed(frame, file, content, "parquet")


def _cause(error: BaseException) -> str:
    return _first_line(error) if isinstance(error, Exception) else "its pages are broken"


def _read_json_lines(file: str, content: bytes) -> Table:
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        if content.lstrip().startswith(b"["):
            frame = pl.read_json(io.BytesIO(content), infer_schema_length=None)
        else:
            frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise BadFileError(f"{file}: {_bad_json_line(content)}; give one object a line.") from error
    return _typed(frame, file, content, "json")


def _bad_json_line(content: bytes) -> str:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            if not isinstance(json.loads(line), dict):
                return f"line {number:,} is no JSON object"
        except ValueError as error:
            return f"line {number:,} is not JSON ({_first_line(error)})"
    return "its lines hold values of kinds that do not fit together"


def _read_excel(file: str, content: bytes) -> Table:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError  # noqa: PLC0415

    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=True)
        above = sheet.start[0] if sheet.start else 0
    except PasswordError as error:
        raise BadFileError(f"{file} is locked by a password; save it without one.") from error
    except (CalamineError, OSError, ValueError) as error:
        raise BadFileError(f"{file} is not a whole workbook ({_first_line(error)}); save it again.") from error
    if not rows:
        raise BadFileError(f"{file}: the first sheet is empty; put the leads there, with a header in row 1.")
    header = [(_cell(value) or "").strip() for value in rows[0]]
    require_header(header, file, row=above + 1)
    columns = zip(*rows[1:], strict=True) if rows[1:] else [()] * len(header)
    cells = (
        pl.Series(name, [_cell(value) for value in column], pl.String)
        for name, column in zip(header, columns, strict=True)
    )
    return Table(
        frame=without_empty_end(pl.DataFrame(list(cells))),
        first_row=above + 2,
        format="excel",
        delimiter=None,
        encoding=None,
        digest=_digest(content),
    )


def _cell(value: Any) -> str | None:
    """An Excel cell as the text that a CSV export would hold: dates in ISO form, whole numbers without a point."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep="T")
    return str(value)


def _read_delta(path: Path) -> Table:
    from deltalake import DeltaTable  # noqa: PLC0415
    from deltalake.exceptions import DeltaError  # noqa: PLC0415

    try:
        table = DeltaTable(str(path))
    except (DeltaError, OSError) as error:
        raise BadFileError(f"{path} is a folder, and no Delta table; name a file in it.") from error
    try:
        frame = pl.read_delta(table)
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        raise BadFileError(f"{path}: files of the Delta table are gone or broken ({_first_line(error)}).") from error
    files = "\n".join([str(table.version()), *sorted(Path(uri).name for uri in table.file_uris())])
    return _typed(frame, path.name, files.encode(), "delta")


_READERS: dict[str, Callable[[str, bytes], Table]] = {
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
