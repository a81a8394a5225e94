"""Reads the bytes of a CSV file: its encoding, its delimiter, its records; says where it is broken (quiet)."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.header import require_header

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE_ROWS = 50
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CODE_PAGES = ("cp1252", "cp1250", "cp1251")
_SYMBOL_IN_WORD = re.compile("(?<=[^\\W\\d_])[\u00b9\u00b3\u00a3\u00bf\u00a1\u00a5\u00af\u00bc\u00be\u00b1](?=\\w)")
"""Superscripts, fractions and currency signs between letters: Central European text read as Western."""
_STRANGE_SHARE = 0.03


@dataclass(frozen=True, kw_only=True)
class CsvRecords:
    """What a CSV file holds."""

    frame: pl.DataFrame
    """Every value as the text that stood there; null where a field is empty."""
    first_row: int
    """Number of the first record: 2, below the header, and more when lines stand above the header."""
    delimiter: str
    encoding: str


def parse_csv(content: bytes, file: str) -> CsvRecords:
    """Read CSV with any common delimiter and encoding; quoted values may hold delimiters and line ends.

    ``file`` names the file in messages. Rows without any value at the end are dropped. Raises BadFileError.
    """
    text, encoding = _decode(content, file)
    text, skipped, hinted = _without_preamble(text)
    delimiter = hinted or _find_delimiter(text, file)
    header = [name.strip() for name in next(_records(text, delimiter))]
    named = len(header)
    while named > 1 and not header[named - 1]:  # a delimiter at the end of each line
        named -= 1
    require_header(header[:named], file, row=skipped + 1)
    try:
        frame = pl.read_csv(text.encode(), separator=delimiter, infer_schema=False)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise BadFileError(_why_broken(text, delimiter, file, skipped, error)) from error
    _refuse_short_rows(text, delimiter, frame, file, skipped)
    frame = _named(frame, header, named, file)
    return CsvRecords(frame=frame, first_row=skipped + 2, delimiter=delimiter, encoding=encoding)


def without_empty_end(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows up to the last one that holds a value: spreadsheets export empty rows below the table."""
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null()).alias("filled"))["filled"].arg_true()
    return frame.head(int(filled[-1]) + 1 if len(filled) else 0)


def _decode(content: bytes, file: str) -> tuple[str, str]:
    encoding = next((known for mark, known in _MARKS.items() if content.startswith(mark)), _unmarked(content))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8" or _is_mostly_utf8(content):
            line = content.count(b"\n", 0, error.start) + 1
            raise BadFileError(
                f"{file}: line {line:,} holds bytes that are no {encoding.upper()} text, unlike the rest; "
                "mend that line, or export the file again as UTF-8."
            ) from error
        encoding = _guess_code_page(content)
        text = content.decode(encoding, errors="replace")
    if "\0" in text:
        raise BadFileError(f"{file} holds binary data, not text; check its ending, or export it again as CSV.")
    return text, encoding


def _unmarked(content: bytes) -> str:
    """UTF-16 without its mark shows by a zero in every other byte."""
    head = content[:2_000]
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > len(head) // 4 else "utf-8"


def _is_mostly_utf8(content: bytes) -> bool:
    """Whether most letters beyond ASCII are good UTF-8: then the file is damaged, not in another encoding."""
    text = content.decode("utf-8", errors="surrogateescape")
    broken = len(re.findall("[\udc80-\udcff]", text))
    return len(re.findall("[^\x00-\x7f]", text)) > 2 * broken


def _guess_code_page(content: bytes) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415  # 0.1 s, and most files are UTF-8

    # Only the lines that differ between encodings: plain ones would dilute the evidence.
    lines = islice(re.finditer(rb"[^\n]*[\x80-\xff][^\n]*", content), 2_000)
    sample = b"\n".join(line.group() for line in lines)
    best = from_bytes(sample, cp_isolation=list(_CODE_PAGES)).best()
    found = best.encoding if best else "cp1252"
    if found not in ("cp1250", "cp1252"):
        return found
    # What is Western is good Central European too ("S\u0103o Paulo"), so the symbols inside words decide.
    western = sample.decode("cp1252", errors="replace")
    strange, beyond = len(_SYMBOL_IN_WORD.findall(western)), len(re.findall("[^\x00-\x7f]", western))
    return "cp1250" if strange > _STRANGE_SHARE * beyond else "cp1252"


def _without_preamble(text: str) -> tuple[str, int, str | None]:
    """The text from the header on, how many lines stood above, and the delimiter that Excel's ``sep=`` line names."""
    if "\n" not in text:
        text = text.replace("\r", "\n")  # the line end of old Macs
    skipped, hinted = 0, None
    hint = re.match(r"sep=([,;\t|])\r?\n", text)
    if hint:
        text, skipped, hinted = text[hint.end() :], 1, hint.group(1)
    blank = re.match(r"(?:[ \r]*\n)+", text)
    if blank:
        text, skipped = text[blank.end() :], skipped + blank.group().count("\n")
    return text.rstrip("\r\n") + "\n", skipped, hinted


def _records(text: str, delimiter: str, *, strict: bool = False) -> Iterator[list[str]]:
    """The records one by one, for headers, samples and the search for a mistake; Polars reads the rest."""
    lines = (line.group() for line in re.finditer(r"[^\n]*\n", text))
    return csv.reader(lines, delimiter=delimiter, strict=strict)


def _find_delimiter(text: str, file: str) -> str:
    """The delimiter by which most of the first rows have as many fields as the header; of equals, the most fields."""

    def agreement(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(record) for record in islice(_records(text, delimiter), _SAMPLE_ROWS) if record]
        except csv.Error:
            return 0.0, 0
        same = sum(width == widths[0] for width in widths) / len(widths)
        return (same, widths[0]) if widths[0] > 1 else (0.0, 1)

    best = max(_DELIMITERS, key=agreement)
    if agreement(best)[1] <= 1:
        raise BadFileError(
            f"{file}: row 1 ({text.splitlines()[0][:60]!r}) is a single column whatever the delimiter (tried "
            f"{', '.join(_DELIMITERS.values())}); export it with commas between the columns."
        )
    return best


def _named(frame: pl.DataFrame, header: list[str], named: int, file: str) -> pl.DataFrame:
    """The frame with the names of the header, without empty columns that have none."""
    for number in range(named, frame.width):
        if frame.to_series(number).null_count() < frame.height:
            raise BadFileError(f"{file}: column {number + 1} of the header has no name, and holds values; name it.")
    frame = frame[:, :named]
    frame.columns = header[:named]
    return without_empty_end(frame)


def _why_broken(text: str, delimiter: str, file: str, skipped: int, error: Exception) -> str:
    number, width = skipped, 0
    try:
        for number, record in enumerate(_records(text, delimiter, strict=True), start=skipped + 1):
            width = width or len(record)
            if len(record) > width:
                return (
                    f"{file}: row {number:,} has {len(record)} fields, the header {width}; the first one too many is "
                    f"{record[width][:60]!r}. Put quotes around a value that holds a {_DELIMITERS[delimiter]}."
                )
    except csv.Error:
        return (
            f"{file}: row {number + 1:,} has a quotation mark that is not closed, or text behind a closed one; "
            "close it, or double the quotation marks inside a quoted value."
        )
    return f"{file} cannot be read as CSV ({str(error).splitlines()[0]}); export it again."


def _refuse_short_rows(text: str, delimiter: str, frame: pl.DataFrame, file: str, skipped: int) -> None:
    """A row that ends early would otherwise read as missing values."""
    if frame.is_empty() or frame.to_series(frame.width - 1).null_count() == 0:
        return
    for number, record in enumerate(_records(text, delimiter), start=skipped + 1):
        if record and len(record) < frame.width:
            raise BadFileError(
                f"{file}: row {number:,} has {len(record)} fields, the header {frame.width}: it ends before column "
                f"{frame.columns[len(record)]!r}. Mend the row, or export the file again."
            )
