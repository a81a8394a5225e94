"""The figures of scores against what happened, from counts in bins of the score (quiet).

``won`` and ``lost`` have shape (bins,), from the lowest score to the highest, and may be expected counts instead of
whole ones. Leads of one bin count as equal scores; 10,000 bins move an AUC by about 1e-5.
"""

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt

from leadgate.records import Interval
from leadgate.stats.proportions import Z95

Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BinnedAuc:
    """An AUC and how sure it is."""

    value: float
    variance: float
    """DeLong's estimate."""
    interval: Interval
    """95 %, on the logit scale."""


@dataclass(frozen=True, kw_only=True)
class BinnedCalibration:
    """How far probabilities are from what happened."""

    error: float
    """Expected calibration error over groups of equal numbers."""
    by_chance: float
    """What a perfectly calibrated score would show on as many leads."""
    interval: Interval
    """95 %, of the error without what chance adds to it."""
    mean_score: float
    rate: float
    """Share that converted."""


def auc_of_counts(won: Counts, lost: Counts) -> BinnedAuc | None:
    """The share of pairs that the score ranks right, ties half; None for leads of one class.

    DeLong's variance from the placements, which leads of one bin share.
    """
    m, n = float(won.sum()), float(lost.sum())
    if m <= 0 or n <= 0:
        return None
    below = np.cumsum(lost) - lost / 2
    above = m - np.cumsum(won) + won / 2
    value = float((won * below).sum() / (m * n))
    of_won = float((won * (below / n - value) ** 2).sum() / max(1.0, m - 1))
    of_lost = float((lost * (above / m - value) ** 2).sum() / max(1.0, n - 1))
    variance = of_won / m + of_lost / n
    return BinnedAuc(value=value, variance=variance, interval=on_logits(value, variance, min(m, n)))


def on_logits(value: float, variance: float, rarer: float) -> Interval:
    """As ``stats.auc`` has it; a perfect ranking of k pairs bounds the true one by 0.05 ** (1 / k)."""
    if not 0 < value < 1:
        bound = 0.05 ** (1 / max(1.0, rarer))
        return Interval(low=bound, high=1.0) if value >= 1 else Interval(low=0.0, high=1 - bound)
    centre, half = log(value / (1 - value)), Z95 * sqrt(variance) / (value * (1 - value))
    low, high = (1 / (1 + exp(-min(700.0, max(-700.0, centre + sign * half)))) for sign in (-1, 1))
    return Interval(low=low, high=high)


def calibration_of_counts(won: Counts, lost: Counts, middles: Floats, groups: int = 10) -> BinnedCalibration | None:
    """Expected calibration error over groups of neighbouring bins of nearly equal numbers; None without leads.

    ``middles`` is the score of each bin. Chance alone puts a proportion at a mean distance of
    sqrt(2 p (1 - p) / (pi n)) from its truth (``by_chance``). The interval is that of a sum of independent
    proportions; its lower end is less what chance adds to distances as large as those that were seen: much to small
    ones, nothing to large ones.
    """
    leads = np.asarray(won + lost, dtype=np.float64)
    n = float(leads.sum())
    if n <= 0:
        return None
    group = np.minimum(((np.cumsum(leads) - leads / 2) / n * groups).astype(np.int64), groups - 1)
    size, wins, sums = (np.bincount(group, weights=w, minlength=groups) for w in (leads, won, leads * middles))
    size, wins, sums = (part[size > 0] for part in (size, wins, sums))
    share, rate, score = size / n, wins / size, sums / size
    noise, apart = np.sqrt(np.maximum(score * (1 - score), 0.0) / size), np.abs(score - rate)
    error, by_chance = float((share * apart).sum()), float(sqrt(2 / np.pi) * (share * noise).sum())
    half = Z95 * sqrt(float((share**2 * np.maximum(rate * (1 - rate), 1 / size) / size).sum()))
    centre = max(0.0, error - float((share * _added_by_chance(apart, noise)).sum()))
    return BinnedCalibration(
        error=error,
        by_chance=by_chance,
        interval=Interval(low=max(0.0, centre - half), high=min(1.0, error + half)),
        mean_score=float((leads * middles).sum() / n),
        rate=float(won.sum() / n),
    )


def _added_by_chance(apart: Floats, noise: Floats) -> Floats:
    """How much larger than ``apart`` a distance is on average when noise is added: the mean of a folded normal."""
    from scipy.special import ndtr  # noqa: PLC0415

    ratio = apart / np.maximum(noise, 1e-12)
    mean = noise * sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + apart * (1 - 2 * ndtr(-ratio))
    return np.asarray(mean - apart)


def correlation_of_counts(won: Counts, lost: Counts, middles: Floats) -> float | None:
    """Pearson's correlation of score and outcome; None where one of them does not vary."""
    leads = won + lost
    n = float(leads.sum())
    if n <= 0:
        return None
    rate, mean = float(won.sum()) / n, float((leads * middles).sum()) / n
    spread = float((leads * (middles - mean) ** 2).sum()) / n * rate * (1 - rate)
    return float((won * (middles - mean)).sum()) / n / sqrt(spread) if spread > 0 else None


def calibrated(won: Counts, lost: Counts) -> Floats:
    """The probability of conversion in each bin: a rising step function through the outcomes, shape (bins,).

    Isotonic regression (Zadrozny & Elkan 2002), by scipy; bins without a lead take the nearest one's below.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415

    leads = np.asarray(won + lost, dtype=np.float64)
    there = np.flatnonzero(leads)
    if len(there) == 0:
        return np.zeros(len(leads))
    fitted = isotonic_regression(won[there] / leads[there], weights=leads[there]).x
    return np.asarray(fitted[np.maximum(np.searchsorted(there, np.arange(len(leads)), side="right") - 1, 0)])
