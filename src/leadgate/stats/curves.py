"""The curves of scores against what happened, from counts in bins of the score (quiet).

``won`` and ``lost`` have shape (bins,), from the lowest score to the highest; leads of one bin count as equal scores.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadgate.records import Interval
from leadgate.stats.proportions import wilson

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Leads of like scores."""

    leads: int
    conversions: int
    mean_score: float
    rate: float
    """Share that converted."""
    interval: Interval
    """Of the rate, 95 % (Wilson)."""


def roc_of_counts(won: Counts, lost: Counts, most: int = 80) -> tuple[Floats, Floats]:
    """The ROC curve from (0, 0) to (1, 1): shares of the lost and of the won leads above each score.

    At most ``most`` points, evenly along the curve, each a point of the whole curve; between them it is a straight
    line, as between leads of equal scores. Nothing without a lead of each kind.
    """
    m, n = int(won.sum()), int(lost.sum())
    if m == 0 or n == 0:
        return np.zeros(0), np.zeros(0)
    there = np.flatnonzero(won + lost)[::-1]
    true, false = (np.concatenate([[0.0], np.cumsum(side[there]) / side.sum()]) for side in (won, lost))
    if len(true) <= most:
        return false, true
    kept = np.unique(np.searchsorted(true + false, np.linspace(0.0, 2.0, most - 1)).clip(0, len(true) - 1))
    kept = np.union1d(kept, [0, len(true) - 1])
    return false[kept], true[kept]


def groups_of_counts(won: Counts, lost: Counts, middles: Floats, groups: int = 10) -> tuple[Group, ...]:
    """Leads in groups of nearly equal numbers, from the lowest scores to the highest; an empty group is left out.

    ``middles`` is the score of each bin. A bin is never split, so groups differ where many leads share one.
    """
    leads = won + lost
    n = int(leads.sum())
    if n == 0:
        return ()
    group = np.minimum(((np.cumsum(leads) - leads / 2) / n * groups).astype(np.int64), groups - 1)
    sizes, wins, sums = (np.bincount(group, weights=w, minlength=groups) for w in (leads, won, leads * middles))
    return tuple(
        _group(int(size), int(conversions), float(total))
        for size, conversions, total in zip(sizes, wins, sums, strict=True)
        if size > 0
    )


def _group(leads: int, conversions: int, scores: float) -> Group:
    return Group(
        leads=leads,
        conversions=conversions,
        mean_score=scores / leads,
        rate=conversions / leads,
        interval=wilson(conversions, leads),
    )
