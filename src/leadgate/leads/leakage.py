"""Finds columns that seem to know the outcome (quiet).

Three signs: a single column that ranks leads too well, missing values that follow the label, and a name that tells of
the outcome. Real exports hold columns that a CRM fills in as a deal goes on. Alone, each sign has innocent
explanations, so weaker ones count only together.
"""

from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.leads.naming import words_of
from leadgate.leads.schema import FeatureType

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.float64]

AUC_ALONE = 0.8
"""From here on a single column is flagged whatever its name: an honest one rarely ranks so well by itself."""
AUC_TOGETHER = 0.65
"""From here on a telling name, or missing values that follow the label, is enough."""
_SURE = 0.7
"""With few leads an AUC is chance: its 95 % interval must lie above this before it counts alone."""
_MISSING_AUC = 0.6
_MISSING_P = 1e-6
_MISSING_FACTOR = 2.0
_BINS = 20
_SMOOTHING = 20.0
"""A level's rate is drawn to the overall rate as if by this many more leads, so that rare levels say little."""
_Z95 = 1.959963984540054

_OUTCOME_WORDS = frozenset(
    {"status", "stage", "closed", "close", "won", "lost", "quality", "duration", "outcome", "result", "converted"}
    | {"conversion", "reason", "disposition", "tags", "tag", "contract", "deal", "revenue", "signed", "paid", "invoice"}
    | {"invoiced", "resolution", "churned", "opportunity", "qualified", "qualification", "asymmetrique", "proposal"}
)
_OUTCOME_PAIRS = (
    *(("lead", "profile"), ("lead", "rating"), ("lead", "score"), ("lead", "grade"), ("activity", "index")),
    *(("profile", "index"), ("sales", "rating")),
)
_INNOCENT_WORDS = frozenset(
    {"marital", "employment", "housing", "credit", "occupation", "civil", "family", "previous", "prior", "prev", "past"}
    | {"annual", "yearly", "company", "education", "residence", "visa", "search", "reputation"}
)
_NOT_AFTER_LAST = frozenset({"name", "year", "month", "quarter", "week", "names"})
_PLACEHOLDERS = ("select", "please select", "--select--", "-", "--", "?", "not selected")
"""What forms store when nobody chose."""


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What speaks for a leak in one column."""

    auc: float | None
    """Of this column alone, on leads that its rates were not taken from; None when it cannot be told."""
    reasons: tuple[str, ...]
    """In words, with figures."""
    leaves_out: bool
    """Whether the signs together are strong enough to leave the column out until someone says `use: true`."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How well one column alone ranks leads."""

    auc: float
    low: float
    """Lower end of the 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What a column's name says of the outcome."""

    words: str
    is_mild: bool
    """Another word of the name explains it: the status in marital_status is none of a deal."""


def signs_of(name: str, values: pl.Series, kind: FeatureType, converted: Flags, held: Flags) -> Signs:
    """Judge one column; ``converted`` and ``held`` (leads to judge on, not to fit on) have one entry a row."""
    ranking = rank_alone(values, kind, converted, held)
    telling = telling_name(name)
    named = telling is not None and not telling.is_mild
    missing = missing_pattern(_unanswered(values, kind), converted, held)
    strong = ranking is not None and ranking.auc >= AUC_ALONE and ranking.low >= _SURE
    fair = ranking is not None and ranking.auc >= AUC_TOGETHER
    reasons = []
    if ranking is not None and (strong or (fair and (named or missing))):
        reasons.append(f"alone it ranks leads with AUC {ranking.auc:.2f}")
    if telling is not None:
        mild = ", though it may mean something else" if telling.is_mild else ""
        reasons.append(f"its name tells of the outcome ({telling.words}){mild}")
    if missing:
        reasons.append(missing)
    return Signs(
        auc=None if ranking is None else ranking.auc,
        reasons=tuple(reasons),
        leaves_out=strong or (named and fair) or (bool(missing) and (named or fair)),
    )


def rank_alone(values: pl.Series, kind: FeatureType, converted: Flags, held: Flags) -> Ranking | None:
    """The AUC of one column: conversion rates by level (or by bin of a number) from some leads, judged on others.

    Missing is a level of its own. None when the leads of one side are of one class only.
    """
    levels = _levels(values, kind, held)
    won, seen = _count(levels, converted, ~held), _count(levels, None, ~held)
    if not 0 < won.sum() < seen.sum():
        return None
    rates = (won + _SMOOTHING * won.sum() / seen.sum()) / (seen + _SMOOTHING)
    return rank_counts(rates, _count(levels, converted, held), _count(levels, ~converted, held))


def rank_counts(rates: Counts, won: Counts, lost: Counts) -> Ranking | None:
    """The AUC of scores of which only a few differ, with DeLong's variance, from the counts of each.

    All arrays have one entry a level; levels of equal rate are ties. DeLong, DeLong & Clarke-Pearson (1988),
    Biometrics 44, 837-845; the same figures as ``stats.auc`` gives, without ranking rows.
    """
    if min(won.sum(), lost.sum()) == 0:
        return None
    _, group = np.unique(rates, return_inverse=True)
    won, lost = (np.bincount(group, side).astype(np.float64) for side in (won, lost))
    # The share of the other class that a lead of each level outranks, a tie counting half.
    beats = (np.cumsum(lost) - lost / 2) / lost.sum()
    beaten = 1 - (np.cumsum(won) - won / 2) / won.sum()
    area = float(np.average(beats, weights=won))
    variance = _variance(beats, won) / won.sum() + _variance(beaten, lost) / lost.sum()
    return Ranking(auc=area, low=area - _Z95 * sqrt(variance))


def _variance(values: Counts, weights: Counts) -> float:
    mean = np.average(values, weights=weights)
    return float((weights * (values - mean) ** 2).sum() / max(1.0, weights.sum() - 1))


def telling_name(name: str) -> Telling | None:
    """What in a column's name tells of the outcome, word by word; None when nothing does."""
    words = words_of(name)
    found = next((word for word in words if word in _OUTCOME_WORDS), None)
    if "last" in words[:-1] and words[words.index("last") + 1] not in _NOT_AFTER_LAST:
        found = f"last {words[words.index('last') + 1]}"
    pair = next((pair for pair in _OUTCOME_PAIRS if set(pair) <= set(words)), None)
    found = found or (" ".join(pair) if pair else None)
    return Telling(words=found, is_mild=bool(_INNOCENT_WORDS & set(words))) if found else None


def missing_pattern(missing: Flags, converted: Flags, held: Flags) -> str:
    """Words for missing values that follow the label; empty when they do not.

    They do when Pearson's chi-square (one degree of freedom, no correction) is significant at 1e-6, and either being
    missing alone ranks leads with an AUC of 0.6 or the conversion rates differ by a factor of 2.
    """
    counts = np.array(
        [[(part & side).sum() for side in (converted, ~converted)] for part in (missing, ~missing)], float
    )
    if (counts.sum(axis=0) == 0).any() or (counts.sum(axis=1) == 0).any():
        return ""
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    p_value = erfc(sqrt(((counts - expected) ** 2 / expected).sum() / 2))
    without, present = counts[:, 0] / counts.sum(axis=1)
    indicator = missing.astype(np.int64)
    rates = np.array([present, without])
    ranking = rank_counts(rates, _count(indicator, converted, held, 2), _count(indicator, ~converted, held, 2))
    ranks = ranking is not None and ranking.auc >= _MISSING_AUC
    differs = max(without, present) >= _MISSING_FACTOR * min(without, present)
    if p_value >= _MISSING_P or not (ranks or differs):
        return ""
    return f"whether it is missing follows the outcome ({without:.0%} convert without it, {present:.0%} with it)"


def placeholder_of(values: pl.Series) -> str | None:
    """The commonest value that a form stores when nobody chose, such as ``Select``; None when there is none."""
    found = values.filter(values.str.to_lowercase().is_in(_PLACEHOLDERS)).drop_nulls()
    return None if found.is_empty() else str(found.mode().sort()[0])


def _unanswered(values: pl.Series, kind: FeatureType) -> Flags:
    missing = values.is_null()
    if kind is FeatureType.CATEGORICAL:
        missing |= values.str.to_lowercase().is_in(_PLACEHOLDERS).fill_null(value=False)
    return missing.to_numpy()


def _count(levels: npt.NDArray[np.int64], flags: Flags | None, side: Flags, size: int | None = None) -> Counts:
    """How many leads of a side (and with the flag) each level has."""
    chosen = side if flags is None else side & flags
    return np.bincount(levels[chosen], minlength=size or int(levels.max(initial=0)) + 1).astype(np.float64)


def _levels(values: pl.Series, kind: FeatureType, held: Flags) -> npt.NDArray[np.int64]:
    """Each row's level as a small integer; missing is level 0."""
    if kind is FeatureType.NUMERIC:
        numbers = values.to_numpy().astype(np.float64)
        known = numbers[~held & ~np.isnan(numbers)]
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.array([])
        levels = np.where(np.isnan(numbers), 0, 1 + np.searchsorted(cuts, numbers, side="right"))
    else:
        levels = values.cast(pl.String).rank("dense").fill_null(0).to_numpy()
    return levels.astype(np.int64)
