"""Reads raw columns as the types of a lead: what can be read, and which cells cannot (quiet)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.schema import FALSE_WORDS, MISSING_WORDS, TRUE_WORDS, FeatureType

_UTC = pl.Datetime("us", "UTC")
_SAFE_WHOLE = 2.0**53
"""Above it a float is not one whole number but the nearest of several."""
_MONTHS = 12
_DAYS = 31
_SHOWN = 40
"""Characters of a value that are repeated."""

# What Python's str.strip takes away: a file and a request must read alike, and Polars spares the four separators.
_BLANKS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B)))
_BLANKS += "\u2028\u2029\u202f\u205f\u3000"

_SLASHED = r"^(\d{1,2})/(\d{1,2})/(\d{4})"
_MOMENT = (
    r"(?i)^(?<year>[1-9]\d{3})-(?<month>\d{1,2})-(?<day>\d{1,2})"
    r"(?:(?:T|,? +)(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?<fraction>[.,]\d{1,9})?)?"
    r"(?: ?(?<half>[AP])\.?M\.?)? ?(?<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
)


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A column, read."""

    values: pl.Series
    """Null where the cell is missing or cannot be read."""
    bad: pl.Series
    """Boolean: the cell holds something, and it cannot be read."""


def parse_feature(raw: pl.Series, kind: FeatureType) -> Parsed:
    """Read a column as numbers (float64, finite), text or booleans; gives as many values as the column has."""
    match kind:
        case FeatureType.NUMERIC:
            return _numbers(raw)
        case FeatureType.CATEGORICAL:
            values = _text(raw)
            return Parsed(values=values, bad=_unreadable(raw, values) if is_opaque(raw) else _nowhere(raw))
        case FeatureType.BOOLEAN:
            return _booleans(raw)


def parse_target(raw: pl.Series, converted_when: str | None) -> Parsed:
    """Read a column as "did it convert?".

    With ``converted_when``, that value (whatever its case) is true and any other false; without it, the words for
    true and false are. A missing value is an outcome that is not known yet.
    """
    if converted_when is None:
        return _booleans(raw)
    text = _text(raw)
    return Parsed(values=text.str.to_lowercase() == converted_when.strip().lower(), bad=_nowhere(raw))


def parse_time(raw: pl.Series) -> Parsed:
    """Read a column as times in UTC, to the microsecond; a time without a zone is taken as UTC.

    ISO 8601, ``YYYY-MM-DD``, ``YYYY/MM/DD``, ``YYYYMMDD``, ``DD.MM.YYYY`` and dates with slashes, each with or without
    a time. Slashes are read alike in the whole column: day first where more first than second numbers are above 12,
    else month first. Dots are day first. ``require_one_reading`` refuses a column whose slashes nothing decides.
    """
    if isinstance(raw.dtype, pl.Datetime):
        zoned = raw if raw.dtype.time_zone else raw.dt.replace_time_zone("UTC")
        return Parsed(values=zoned.dt.convert_time_zone("UTC").cast(_UTC), bad=_nowhere(raw))
    if raw.dtype == pl.Date:
        return Parsed(values=raw.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), bad=_nowhere(raw))
    text = _text(raw)
    parts = _year_first(text).str.extract_groups(_MOMENT).struct.unnest()
    values = parts.select(_assembled().str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False))
    read = values.to_series().cast(_UTC).alias(raw.name)
    return Parsed(values=read, bad=_unreadable(raw, read) if is_opaque(raw) else text.is_not_null() & read.is_null())


def _year_first(text: pl.Series) -> pl.Series:
    """Dates of every form as year-month-day, with what follows them."""
    slashed = "$3-$2-$1" if _is_day_first(text) else "$3-$1-$2"
    return (
        text.str.replace(r"^(\d{4})/(\d{1,2})/(\d{1,2})", "$1-$2-$3")
        .str.replace(r"^(\d{4})(\d{2})(\d{2})(T|$)", "$1-$2-$3$4")
        .str.replace(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})", "$3-$2-$1")
        .str.replace(_SLASHED, slashed)
    )


def _is_day_first(text: pl.Series) -> bool:
    day_first, month_first = _deciding(*_slashed(text))
    return day_first > month_first


def _slashed(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The first and the second number of dates with slashes; null elsewhere."""
    first, second = (text.str.extract(_SLASHED, i).cast(pl.Int32) for i in (1, 2))
    return first, second


def _deciding(first: pl.Series, second: pl.Series) -> tuple[int, int]:
    """How many dates with slashes are day first for sure, and how many month first."""
    months = [number.is_between(1, _MONTHS) for number in (first, second)]
    days = [number.is_between(_MONTHS + 1, _DAYS) for number in (first, second)]
    return int((days[0] & months[1]).sum()), int((months[0] & days[1]).sum())


def require_one_reading(columns: Iterable[pl.Series], file: str, first_row: int) -> None:
    """Refuse columns of times whose dates with slashes can be read day first and month first.

    A daily export would else mean April on one day and March on the next. One number above 12 decides for its column.
    Raises BadFileError naming the first such row.
    """
    for raw in columns:
        if raw.dtype.is_temporal():
            continue
        text = _text(raw)
        first, second = _slashed(text)
        both = (
            (first.is_between(1, _MONTHS) & second.is_between(1, _MONTHS) & (first != second))
            .fill_null(value=False)
            .arg_true()
        )
        if not len(both) or any(_deciding(first, second)):
            continue
        row = int(both[0])
        one, other, year = first[row], second[row], int(text[row].split("/")[2][:4])
        readings = f"{_in_words(year, other, one)} or {_in_words(year, one, other)}"
        raise BadFileError(
            f"{file}: column {raw.name!r} has dates that can be read in two ways, and no day above 12 in it decides: "
            f"row {row + first_row}, {text[row][:_SHOWN]!r}, is {readings}. "
            f"Nothing was taken; write dates as {year:04}-{other:02}-{one:02} (year, month, day)."
        )


def _in_words(year: int, month: int, day: int) -> str:
    return f"{day} {date(2000, month, day):%B} {year}"


def _assembled() -> pl.Expr:
    """The parts of a moment as ISO 8601 with a zone; null when there are none."""
    hour = pl.col("hour").cast(pl.Int32).fill_null(0)
    half = pl.col("half").str.to_uppercase()
    in_day = pl.when(half.is_null()).then(hour).when(hour.is_between(1, _MONTHS)).then(hour % 12 + 12 * (half == "P"))
    sign_and_digits = pl.col("zone").str.replace(r"(?i)^(?:Z|UTC|GMT)$", "+0000").str.replace(":", "", literal=True)
    zone = sign_and_digits.fill_null("+0000").str.pad_end(5, "0")
    return pl.concat_str(
        pl.col("year"),
        pl.lit("-"),
        pl.col("month").str.zfill(2),
        pl.lit("-"),
        pl.col("day").str.zfill(2),
        pl.lit("T"),
        in_day.cast(pl.String).str.zfill(2),
        pl.lit(":"),
        pl.col("minute").fill_null("00"),
        pl.lit(":"),
        pl.col("second").fill_null("00"),
        pl.col("fraction").str.replace(",", ".", literal=True).fill_null(""),
        zone,
    )


def _text(raw: pl.Series) -> pl.Series:
    """As text without surrounding blanks; the words for "no value" are null. ``text.clean_text`` is its twin."""
    if is_opaque(raw):
        return pl.Series(raw.name, [None], dtype=pl.String).new_from_index(0, len(raw))
    if raw.dtype == pl.Boolean:
        return raw.cast(pl.String)
    stripped = _whole(raw).cast(pl.String).str.strip_chars(_BLANKS).alias("t").to_frame()
    is_missing = pl.col("t").str.to_lowercase().is_in(sorted(MISSING_WORDS))
    return stripped.select(pl.when(~is_missing).then("t"))["t"].alias(raw.name)


def _whole(raw: pl.Series) -> pl.Series:
    """Whole numbers that a typed file holds as floats or decimals, as integers: the category is "3", not "3.0"."""
    if not (raw.dtype.is_float() or raw.dtype.is_decimal()):
        return raw
    known = raw.cast(pl.Float64).drop_nulls().drop_nans()
    whole = bool(((known % 1 == 0) & (known.abs() < _SAFE_WHOLE)).all())
    return raw.cast(pl.Float64).fill_nan(None).cast(pl.Int64) if whole else raw


def is_opaque(raw: pl.Series) -> bool:
    """Whether a column holds lists, records or bytes: no values of a lead."""
    return raw.dtype.is_nested() or raw.dtype in (pl.Binary, pl.Object)


def _numbers(raw: pl.Series) -> Parsed:
    if raw.dtype.is_numeric() or raw.dtype == pl.Boolean:
        values = raw.cast(pl.Float64).fill_nan(None)
        bad = values.is_infinite().fill_null(value=False)
    else:
        text = _text(raw)
        values = text.cast(pl.Float64, strict=False)
        bad = text.is_not_null() & ~values.is_finite().fill_null(value=False)
        bad = _unreadable(raw, text) if is_opaque(raw) else bad
    frame = pl.DataFrame({"v": values, "bad": bad})
    return Parsed(values=frame.select(pl.when(~pl.col("bad")).then("v"))["v"].alias(raw.name), bad=bad)


def _booleans(raw: pl.Series) -> Parsed:
    if raw.dtype == pl.Boolean:
        return Parsed(values=raw, bad=_nowhere(raw))
    known = _text(raw)
    text = known.str.to_lowercase().alias("t")
    is_true, is_false = pl.col("t").is_in(sorted(TRUE_WORDS)), pl.col("t").is_in(sorted(FALSE_WORDS))
    read = pl.when(is_true).then(pl.lit(value=True)).when(is_false).then(pl.lit(value=False)).alias(raw.name)
    values = text.to_frame().select(read)[raw.name]
    bad = _unreadable(raw, values) if is_opaque(raw) else known.is_not_null() & values.is_null()
    return Parsed(values=values, bad=bad)


def _unreadable(raw: pl.Series, read: pl.Series) -> pl.Series:
    return raw.is_not_null() & read.is_null()


def _nowhere(raw: pl.Series) -> pl.Series:
    return pl.Series(raw.name, [False], dtype=pl.Boolean).new_from_index(0, len(raw))
