"""A raw column, read once in each way that its role may depend on (quiet)."""

from dataclasses import dataclass

import polars as pl

from leadgate.leads.schema import FeatureType
from leadgate.leads.values import Parsed, parse_feature, parse_time

_SAMPLE = 500
_FEW = 20
"""There are twelve words for true and false; with their cases, no boolean column has more different ones."""
_TIME_SHARE = 0.99


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One column of the file."""

    name: str
    raw: pl.Series
    text: pl.Series
    """Without surrounding blanks; null where there is no value."""
    known: int
    """Rows with a value."""
    distinct: int
    """Different values."""
    numbers: Parsed
    is_boolean: bool
    """Whether every value is a word for true or false."""
    times: Parsed | None
    """None unless at least 99 % of the values are dates or times."""

    @property
    def missing(self) -> float:
        """Share of the rows without a value."""
        return 1 - self.known / max(1, len(self.raw))

    @property
    def numeric_share(self) -> float:
        """Share of the values that are finite numbers."""
        return (self.known - int(self.numbers.bad.sum())) / self.known if self.known else 0.0

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.distinct == self.known == len(self.raw)

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.numeric_share == 1 and bool((self.numbers.values.drop_nulls() % 1 == 0).all())


def read_column(raw: pl.Series) -> Reading:
    """Read a column; lists, records and bytes count as columns without any value."""
    text = parse_feature(raw, FeatureType.CATEGORICAL).values
    known = len(raw) - text.null_count()
    distinct = text.n_unique() - (text.null_count() > 0)
    numbers = parse_feature(raw, FeatureType.NUMERIC)
    is_number = bool(known) and int(numbers.bad.sum()) < (1 - _TIME_SHARE) * known
    return Reading(
        name=raw.name,
        raw=raw,
        text=text,
        known=known,
        distinct=distinct,
        numbers=numbers,
        is_boolean=0 < distinct <= _FEW and not parse_feature(raw, FeatureType.BOOLEAN).bad.any(),
        times=None if is_number else _times(raw, text, known),
    )


def _times(raw: pl.Series, text: pl.Series, known: int) -> Parsed | None:
    # A sample spares the full reading of columns that are plainly something else.
    sample = text.drop_nulls().head(_SAMPLE)
    if not known or (raw.dtype == pl.String and parse_time(sample).bad.mean() > 0.5):  # type: ignore[operator]  # noqa: PLR2004
        return None
    parsed = parse_time(raw)
    return parsed if int(parsed.bad.sum()) <= (1 - _TIME_SHARE) * known else None
