"""Finds columns that seem to know the outcome (quiet).

Three signs: a single column that ranks leads too well, missing values that follow the label, and a name that tells of
the outcome. Real exports hold columns that a CRM fills in as a deal goes on. Alone, each sign has innocent
explanations, so weaker ones count only together.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.leads.schema import FeatureType
from leadgate.stats.auc import OneClassError, auc

Flags = npt.NDArray[np.bool_]

AUC_ALONE = 0.8
"""From here on a single column is flagged whatever its name: an honest one rarely ranks so well by itself."""
AUC_TOGETHER = 0.65
"""From here on a telling name, or missing values that follow the label, is enough."""
_MISSING_AUC = 0.6
_MISSING_P = 1e-6
_MISSING_FACTOR = 2.0
_BINS = 20
_SMOOTHING = 20.0
"""A level's rate is drawn to the overall rate as if by this many more leads, so that rare levels say little."""

_OUTCOME_WORDS = frozenset(
    {
        *(
            "status",
            "stage",
            "closed",
            "close",
            "won",
            "lost",
            "outcome",
            "result",
            "disposition",
            "resolution",
            "reason",
        ),
        *(
            "converted",
            "conversion",
            "opportunity",
            "deal",
            "contract",
            "signed",
            "paid",
            "invoice",
            "revenue",
            "churned",
        ),
        *("duration", "quality", "tags", "tag"),
    }
)
_LAST_WORDS = frozenset(
    {"activity", "contact", "contacted", "touch", "call", "called", "modified", "updated", "notable", "interaction"}
)
_INNOCENT_WORDS = frozenset(
    {"marital", "employment", "housing", "credit", "occupation", "civil", "family", "previous", "prior", "prev", "past"}
)


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What speaks for a leak in one column."""

    auc: float | None
    """Of this column alone, on leads that its rates were not taken from; None when it cannot be told."""
    reasons: tuple[str, ...]
    """In words, with figures."""
    leaves_out: bool
    """Whether the signs together are strong enough to leave the column out until someone says `use: true`."""


def signs_of(name: str, values: pl.Series, kind: FeatureType, converted: Flags, held: Flags) -> Signs:
    """Judge one column; ``converted`` and ``held`` (leads to judge on, not to fit on) have one entry a row."""
    ranked = single_feature_auc(values, kind, converted, held)
    telling = telling_name(name)
    missing = _missing_pattern(values.is_null().to_numpy(), converted, held)
    strong = ranked is not None and ranked >= AUC_ALONE
    fair = ranked is not None and ranked >= AUC_TOGETHER
    reasons = []
    if strong or (fair and (telling or missing)):
        reasons.append(f"alone it ranks leads with AUC {ranked:.2f}")
    if telling:
        reasons.append(f"its name tells of the outcome ({telling})")
    if missing:
        reasons.append(missing)
    leaves_out = strong or bool(telling and fair) or bool(missing and (telling or fair))
    return Signs(auc=ranked, reasons=tuple(reasons), leaves_out=leaves_out)


def single_feature_auc(values: pl.Series, kind: FeatureType, converted: Flags, held: Flags) -> float | None:
    """The AUC of one column: conversion rates by level (or by bin of a number) from some leads, judged on others."""
    levels = _levels(values, kind, held)
    fit = ~held
    won = np.bincount(levels[fit], converted[fit], minlength=levels.max() + 1)
    seen = np.bincount(levels[fit], minlength=levels.max() + 1)
    base = converted[fit].mean() if fit.any() else 0.0
    rates = (won + _SMOOTHING * base) / (seen + _SMOOTHING)
    try:
        return auc(converted[held], rates[levels[held]])
    except OneClassError:
        return None


def telling_name(name: str) -> str:
    """The word of a column's name that tells of the outcome; empty when none does."""
    words: list[str] = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if _INNOCENT_WORDS & set(words):
        return ""
    if "last" in words and _LAST_WORDS & set(words):
        return "last " + next(word for word in words if word in _LAST_WORDS)
    return next((word for word in words if word in _OUTCOME_WORDS), "")


def _levels(values: pl.Series, kind: FeatureType, held: Flags) -> npt.NDArray[np.int64]:
    """Each row's level as a small integer; missing is level 0."""
    if kind is FeatureType.NUMERIC:
        numbers = values.to_numpy().astype(float)
        known = numbers[~held & ~np.isnan(numbers)]
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.array([])
        levels = np.where(np.isnan(numbers), 0, 1 + np.searchsorted(cuts, numbers, side="right"))
    else:
        codes = values.cast(pl.String).rank("dense").fill_null(0)
        levels = codes.to_numpy()
    return levels.astype(np.int64)


def _missing_pattern(missing: Flags, converted: Flags, held: Flags) -> str:
    """Words for missing values that follow the label; empty when they do not."""
    from scipy.stats import chi2_contingency  # noqa: PLC0415

    if not 0 < missing.sum() < len(missing):
        return ""
    counts = [[int((m & c).sum()) for c in (converted, ~converted)] for m in (missing, ~missing)]
    if min(map(sum, counts)) == 0 or min(map(sum, zip(*counts, strict=True))) == 0:
        return ""
    without, present = (part[0] / sum(part) for part in counts)
    p_value = chi2_contingency(counts)[1]
    factor = max(without, present) / max(min(without, present), 1e-9)
    try:
        followed = auc(converted[held], missing[held].astype(float))
    except OneClassError:
        return ""
    if max(followed, 1 - followed) < _MISSING_AUC and not (p_value < _MISSING_P and factor >= _MISSING_FACTOR):
        return ""
    if p_value >= _MISSING_P:
        return ""
    return f"whether it is missing follows the outcome ({without:.0%} convert without it, {present:.0%} with it)"
