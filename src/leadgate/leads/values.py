"""Reads raw columns as the types of a lead: what can be read, and which cells cannot (quiet)."""

from dataclasses import dataclass

import polars as pl

from leadgate.leads.schema import FALSE_WORDS, MISSING_WORDS, TRUE_WORDS, FeatureType

_TIME = pl.Datetime("us", "UTC")
_ISO = (
    "%Y-%m-%dT%H:%M:%S%.f%:z",
    "%Y-%m-%dT%H:%M%:z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
)
_NAIVE = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
)
_DATES = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d")


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A column, read."""

    values: pl.Series
    """Null where the cell is missing or cannot be read."""
    bad: pl.Series
    """Boolean: the cell holds something, and it cannot be read."""


def parse_feature(raw: pl.Series, kind: FeatureType) -> Parsed:
    """Read a column as numbers (float64, finite), text or booleans."""
    match kind:
        case FeatureType.NUMERIC:
            return _numbers(raw)
        case FeatureType.CATEGORICAL:
            return Parsed(values=_text(raw), bad=_nowhere(raw))
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
    """Read a column as times in UTC; a time without a zone is taken as UTC.

    ISO 8601, ``YYYY-MM-DD``, ``DD.MM.YYYY``, each with or without a time, and dates with slashes: day first where any
    first number is above 12, else month first.
    """
    if isinstance(raw.dtype, pl.Datetime):
        zoned = raw if raw.dtype.time_zone else raw.dt.replace_time_zone("UTC")
        return Parsed(values=zoned.dt.convert_time_zone("UTC").cast(_TIME), bad=_nowhere(raw))
    if raw.dtype == pl.Date:
        return Parsed(values=raw.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), bad=_nowhere(raw))
    text = _text(raw)
    # Every form is tried on every cell; a Z is the zone +00:00.
    plain = text.str.replace(r"Z$", "+00:00").alias("t")
    tries = [pl.col("t").str.to_datetime(form, time_unit="us", strict=False) for form in _ISO]
    naive = [pl.col("t").str.to_datetime(form, time_unit="us", strict=False) for form in (*_NAIVE, *_slashed(text))]
    dates = [
        pl.col("t").str.to_date(form, strict=False).cast(pl.Datetime("us")) for form in (*_DATES, *_slash_dates(text))
    ]
    utc = [e.dt.convert_time_zone("UTC") for e in tries] + [e.dt.replace_time_zone("UTC") for e in (*naive, *dates)]
    values = plain.to_frame().select(pl.coalesce(utc).cast(_TIME))["t"].alias(raw.name)
    return Parsed(values=values, bad=values.is_null() & text.is_not_null())


def _slash_dates(text: pl.Series) -> tuple[str, ...]:
    first = text.str.extract(r"^(\d{1,2})/\d{1,2}/\d{4}", 1).cast(pl.Int32, strict=False).max()
    return ("%d/%m/%Y",) if isinstance(first, int) and first > 12 else ("%m/%d/%Y",)  # noqa: PLR2004  # months


def _slashed(text: pl.Series) -> tuple[str, ...]:
    return tuple(f"{date} {time}" for date in _slash_dates(text) for time in ("%H:%M:%S", "%H:%M"))


def _text(raw: pl.Series) -> pl.Series:
    """As text without surrounding blanks; the words for "no value" are null. ``text.clean_text`` is its twin."""
    whole = raw.dtype.is_float() and bool((raw.drop_nulls().drop_nans() % 1 == 0).all())
    as_text = (raw.cast(pl.Int64, strict=False) if whole else raw).cast(pl.String).str.strip_chars()
    frame = as_text.alias("t").to_frame()
    is_missing = pl.col("t").str.to_lowercase().is_in(sorted(MISSING_WORDS))
    return frame.select(pl.when(~is_missing).then("t"))["t"].alias(raw.name)


def _numbers(raw: pl.Series) -> Parsed:
    if raw.dtype.is_numeric() or raw.dtype == pl.Boolean:
        values = raw.cast(pl.Float64).fill_nan(None)
        bad = values.is_infinite().fill_null(value=False)
    else:
        text = _text(raw)
        values = text.cast(pl.Float64, strict=False)
        bad = text.is_not_null() & ~values.is_finite().fill_null(value=False)
    frame = pl.DataFrame({"v": values, "bad": bad})
    return Parsed(values=frame.select(pl.when(~pl.col("bad")).then("v"))["v"].alias(raw.name), bad=bad)


def _booleans(raw: pl.Series) -> Parsed:
    if raw.dtype == pl.Boolean:
        return Parsed(values=raw, bad=_nowhere(raw))
    text = _text(raw).str.to_lowercase().alias("t")
    is_true, is_false = pl.col("t").is_in(sorted(TRUE_WORDS)), pl.col("t").is_in(sorted(FALSE_WORDS))
    values = text.to_frame().select(pl.when(is_true).then(True).when(is_false).then(False))["literal"].alias(raw.name)
    return Parsed(values=values, bad=text.is_not_null() & values.is_null())


def _nowhere(raw: pl.Series) -> pl.Series:
    return pl.Series(raw.name, [False], dtype=pl.Boolean).new_from_index(0, len(raw))
