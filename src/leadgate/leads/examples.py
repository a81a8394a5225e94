"""Examples for a team's first features.py, over the columns of its own file (quiet)."""

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor, sqrt

from leadgate.leads.inspection import Column, Inspection, Role
from leadgate.leads.schema import FeatureType

_LONGEST = 40
"""Letters of a column's name in an example: what is made of it has to fit on a line."""
_TAKEN = frozenset({"events", "at"})
"""Parameters of a feature that are no columns."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One number for each of another."""

    name: str
    of: str
    """Column."""
    per: str
    """Column."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """Whether a column has a value."""

    name: str
    column: str
    value: str
    """A category."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Whether a column is filled in at all."""

    name: str
    column: str
    type: str
    """float, str or bool, as Python names it."""
    example: str
    """A value, as Python writes it."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What can be shown with the columns of a file; each may be None."""

    ratio: Ratio | None
    flag: Flag | None
    known: Known | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return tuple(each.name for each in (self.ratio, self.flag, self.known) if each is not None)


def choose_examples(inspection: Inspection) -> Examples:
    """A ratio of the two most telling numbers that are never negative, and a flag of a category.

    Columns whose names are no Python names are left out: a function cannot take them. Where there is no such category,
    or no two numbers, whether a column is filled in.
    """
    usable = [column for column in inspection.columns if column.role is Role.FEATURE and _is_name(column.name)]
    taken = {column.name for column in inspection.columns}
    ratio, flag = _ratio(usable, taken), _flag(usable, inspection.segments, taken)
    known = None if ratio and flag else _known(usable, taken)
    return Examples(ratio=ratio, flag=flag, known=known)


def least_auc(inspection: Inspection, holdout: float) -> float:
    """What a model of these leads has to reach on a hold-out of this share.

    The AUC of the best single column, less two standard errors, in whole hundredths; at most the plan's 0.85. The
    variance is at most A (1 - A) / min(m, n): Birnbaum and Klose, Annals of Mathematical Statistics 28 (1957), 933-945.
    """
    best = max((c.auc for c in inspection.columns if c.role is Role.FEATURE and c.auc is not None), default=0.5)
    fewest = holdout * min(inspection.converted, inspection.labelled - inspection.converted)
    error = sqrt(best * (1 - best) / max(1.0, fewest))
    return max(0.5, min(0.85, floor(100 * (best - 2 * error)) / 100))


def _is_name(name: str) -> bool:
    fits = name.isidentifier() and not keyword.iskeyword(name) and not keyword.issoftkeyword(name)
    return fits and name not in _TAKEN and not name.startswith("_") and len(name) <= _LONGEST


def _ratio(usable: Sequence[Column], taken: set[str]) -> Ratio | None:
    numbers = [c for c in usable if c.type is FeatureType.NUMERIC and c.range is not None and c.range[0] >= 0]
    if len(numbers) < 2:  # noqa: PLR2004  # a ratio is of two
        return None
    of, per = sorted(numbers, key=lambda c: (-(c.auc or 0.5), c.name))[:2]
    return Ratio(name=_free(f"{of.name}_per_{per.name}", taken), of=of.name, per=per.name)


def _flag(usable: Sequence[Column], segments: Sequence[str], taken: set[str]) -> Flag | None:
    """Of the columns by which people break figures down first."""
    texts = [c for c in usable if c.type is FeatureType.CATEGORICAL and c.categories]
    for column in sorted(texts, key=lambda c: (c.name not in segments, c.name)):
        for value, short in _shortened(column):
            return Flag(name=_free(f"{column.name}_is_{short}", taken), column=column.name, value=value)
    return None


def _shortened(column: Column) -> Iterator[tuple[str, str]]:
    """Categories with what is left of them in a name."""
    for value in column.categories or ():
        short = re.sub(r"[^0-9a-z]+", "_", value.lower()).strip("_")
        if short and len(short) <= _LONGEST / 2 and value.isprintable():
            yield value, short


def _known(usable: Sequence[Column], taken: set[str]) -> Known | None:
    kinds = {
        FeatureType.NUMERIC: ("float", "1.0"),
        FeatureType.CATEGORICAL: ("str", '"a word"'),
        FeatureType.BOOLEAN: ("bool", "False"),
    }
    for column in sorted(usable, key=lambda c: (-c.missing, c.name)):
        assert column.type is not None
        kind, example = kinds[column.type]
        return Known(name=_free(f"{column.name}_known", taken), column=column.name, type=kind, example=example)
    return None


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_made"
    return name
