"""The area under the ROC curve, its interval, and the paired comparison of two (quiet).

DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837-845, by the fast algorithm of Sun & Xu (2014), IEEE Signal
Processing Letters 21, 1389-1393: midranks instead of all pairs, O(n log n).
"""

from dataclasses import dataclass
from math import erfc, exp, isfinite, log, sqrt

import numpy as np
import numpy.typing as npt

from leadgate.errors import LeadgateError
from leadgate.records import Interval
from leadgate.stats.proportions import Z95

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


class OneClassError(LeadgateError):
    """Leads of one class only: there is no pair to rank."""


@dataclass(frozen=True, kw_only=True)
class AucEstimate:
    """An AUC and how sure it is."""

    value: float
    variance: float
    """DeLong's estimate of the sampling variance; where a class has a single lead, its upper bound."""
    interval: Interval
    """95 %, on the logit scale, so that it stays inside 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class AucComparison:
    """The AUC of B minus that of A on the same leads."""

    difference: float
    variance: float
    """Of the difference. Both scores see the same leads, so it is smaller than the sum of the two variances."""
    interval: Interval
    """95 %, inside -1 to 1."""
    z: float
    """The difference over its standard error."""
    p_value: float
    """Two-sided."""


def auc(converted: Flags, score: Scores) -> float:
    """The share of pairs (converted, not converted) that the score ranks right; a tie counts half.

    Both arrays have shape (n,). Raises OneClassError.
    """
    return float(_components(converted, score[np.newaxis])[0][0])


def auc_interval(converted: Flags, score: Scores) -> AucEstimate:
    """AUC with DeLong's variance and a 95 % interval. Raises OneClassError."""
    values, covariance = _components(converted, score[np.newaxis])
    value, variance = float(values[0]), float(covariance[0, 0])
    return AucEstimate(value=value, variance=variance, interval=_logit_interval(value, variance, converted))


def compare_auc(converted: Flags, score_a: Scores, score_b: Scores) -> AucComparison:
    """DeLong's paired test of two scores on the same leads, with the 95 % interval. Raises OneClassError."""
    both = np.stack([score_a, score_b])
    values, covariance = _components(converted, both)
    difference = float(values[1] - values[0])
    variance = max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    if variance == 0.0:
        variance = _variance_unseen(converted, both)
    half = Z95 * sqrt(variance)
    z = difference / sqrt(variance) if variance > 0 else 0.0
    return AucComparison(
        difference=difference,
        variance=variance,
        interval=Interval(low=max(-1.0, difference - half), high=min(1.0, difference + half)),
        z=z,
        p_value=erfc(abs(z) / sqrt(2)),
    )


def _components(converted: Flags, scores: Scores) -> tuple[Scores, Scores]:
    """AUC of each row of ``scores`` (k, n), and their covariance (k, k)."""
    won, lost = scores[:, converted], scores[:, ~converted]
    m, n = won.shape[1], lost.shape[1]
    if m == 0 or n == 0:
        raise OneClassError(
            f"AUC compares leads that converted with leads that did not; of these {m + n:,} leads "
            f"{m:,} converted. Take a set that has both kinds."
        )
    together = _midranks(np.concatenate([won, lost], axis=1))
    # Placements: for each converted lead, the share of the others below it; for each other, the share above.
    v_won = (together[:, :m] - _midranks(won)) / n
    v_lost = 1.0 - (together[:, m:] - _midranks(lost)) / m
    values = v_won.mean(axis=1)
    if min(m, n) == 1:
        return values, _worst_covariance(values)
    return values, np.atleast_2d(np.cov(v_won)) / m + np.atleast_2d(np.cov(v_lost)) / n


def _worst_covariance(values: Scores) -> Scores:
    """The most that one or two AUCs can vary when a class has one lead, whose scatter nobody can estimate.

    The variance of an AUC is at most A (1 - A) / min(m, n) (van Dantzig 1951; Birnbaum & Klose 1957), that of a
    difference largest when the two are opposed.
    """
    deviation = np.sqrt(values * (1 - values))
    signs = 2 * np.eye(len(values)) - 1
    return np.asarray(signs * np.outer(deviation, deviation), dtype=np.float64)


def _midranks(values: Scores) -> Scores:
    from scipy.stats import rankdata  # noqa: PLC0415

    ranks: Scores = rankdata(values, method="average", axis=1)
    return ranks


def _logit_interval(value: float, variance: float, converted: Flags) -> Interval:
    if value in (0.0, 1.0):
        return _separated(value, converted)
    half = Z95 * sqrt(variance) / (value * (1 - value))
    centre = log(value / (1 - value))
    low, high = (1 / (1 + exp(-(centre + sign * half))) if isfinite(half) else 0.5 for sign in (-1, 1))
    return Interval(low=low, high=high)


def _separated(value: float, converted: Flags) -> Interval:
    """DeLong's variance of a perfect separation is 0, which would claim certainty.

    With k leads in the rarer class, k disjoint pairs came out right. Each does so with probability AUC, independently,
    so a true AUC below 0.05 ** (1 / k) would have shown this at most once in twenty times.
    """
    rarer = int(min(converted.sum(), (~converted).sum()))
    bound = 0.05 ** (1 / rarer)
    return Interval(low=bound, high=1.0) if value == 1.0 else Interval(low=0.0, high=1 - bound)


def _variance_unseen(converted: Flags, both: Scores) -> float:
    """The variance of a difference where DeLong's is 0: nothing to fear from one ranking twice, else the worst.

    Two perfect separations, say, show no scatter, however few the leads. Then the difference is as uncertain as the
    two intervals, each at its far end, allow.
    """
    if np.array_equal(*_midranks(both)):
        return 0.0
    a, b = (auc_interval(converted, score) for score in both)
    above = b.interval.high - b.value + a.value - a.interval.low
    below = b.value - b.interval.low + a.interval.high - a.value
    return float((max(above, below) / Z95) ** 2)
