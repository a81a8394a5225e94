"""Amounts of two sides, such as deal sizes: whether they got worse by more than a margin (quiet)."""

from dataclasses import dataclass
from math import exp, isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt

from leadgate.records import Interval

Values = npt.NDArray[np.float64]
NonInferiorityVerdict = Literal["no worse", "worse", "unclear", "not enough data"]

ENOUGH = 10
"""Amounts a side, below which nothing is said."""
_RESAMPLES = 1_000


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """Whether something got worse by more than a margin."""

    change: float | None
    """Relative, treatment over control - 1."""
    interval: Interval | None
    """Of the change, 95 %."""
    margin: float
    """Share by which it may be worse."""
    verdict: NonInferiorityVerdict
    leads: int
    """Of the smaller side."""


@dataclass(frozen=True, kw_only=True)
class AmountComparison:
    """Two sides' amounts."""

    geometric: float | None
    """Ratio of the geometric means, treatment over control."""
    geometric_interval: Interval | None
    """95 %, by Welch's t on the logarithms."""
    p_value: float | None
    """Welch's t test on the logarithms, two-sided."""
    non_inferiority: NonInferiority
    """Of the arithmetic means, which are what is paid: by bootstrap."""


def compare_amounts(control: Values, treatment: Values, margin: float, rng: np.random.Generator) -> AmountComparison:
    """Compare two sides' positive amounts; arrays of shape (deals of the side,). Amounts of 0 and less are left out.

    Deals are skewed, so the test is Welch's on logarithms; money is a sum, so "no smaller" is judged by the ratio of
    the means and its percentile bootstrap interval (Efron & Tibshirani 1993, 13).
    """
    a, b = (side[np.isfinite(side) & (side > 0)] for side in (control, treatment))
    fewest = min(len(a), len(b))
    if fewest < ENOUGH:
        return AmountComparison(
            geometric=None, geometric_interval=None, p_value=None, non_inferiority=_unknown(margin, fewest)
        )
    ratios = _mean(b, rng) / _mean(a, rng)
    low, high = (float(q) for q in np.quantile(ratios, (0.025, 0.975)))
    change, interval = float(b.mean() / a.mean()) - 1, Interval(low=low - 1, high=high - 1)
    geometric, geometric_interval, p_value = _welch(np.log(a), np.log(b))
    return AmountComparison(
        geometric=geometric,
        geometric_interval=geometric_interval,
        p_value=p_value,
        non_inferiority=judge_change(change, interval, -margin, worse_is_less=True, margin=margin, leads=fewest),
    )


def judge_change(
    change: float, interval: Interval, limit: float, *, worse_is_less: bool, margin: float, leads: int
) -> NonInferiority:
    """A relative change against a limit: no worse or worse only where the whole interval is on that side of it."""
    better, worse = interval.low > limit, interval.high < limit
    if not worse_is_less:
        better, worse = worse, better
    verdict: NonInferiorityVerdict = "no worse" if better else "worse" if worse else "unclear"
    return NonInferiority(change=change, interval=interval, margin=margin, verdict=verdict, leads=leads)


def _unknown(margin: float, leads: int) -> NonInferiority:
    return NonInferiority(change=None, interval=None, margin=margin, verdict="not enough data", leads=leads)


def _mean(values: Values, rng: np.random.Generator) -> Values:
    """Means of resamples, one at a time: all at once would not fit into memory."""
    n = len(values)
    return np.array([values[rng.integers(0, n, n)].mean() for _ in range(_RESAMPLES)])


def _welch(a: Values, b: Values) -> tuple[float, Interval | None, float | None]:
    from scipy.stats import ttest_ind  # noqa: PLC0415  # 0.5 s, and serving never needs it

    ratio = exp(float(b.mean() - a.mean()))
    found = ttest_ind(b, a, equal_var=False)
    bounds = found.confidence_interval(0.95)
    if not isfinite(found.pvalue):  # all amounts are equal
        return ratio, None, None
    return ratio, Interval(low=exp(float(bounds.low)), high=exp(float(bounds.high))), float(found.pvalue)
