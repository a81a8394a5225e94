"""Intervals of proportions (quiet)."""

from math import sqrt
from statistics import NormalDist

from leadgate.records import Interval

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson 1927); never empty, never outside 0 to 1.

    ``level`` is the coverage meant, a share between 0 and 1. ``n`` of 0 gives 0 to 1: nothing is known.
    """
    if n == 0:
        return Interval(low=0.0, high=1.0, level=level)
    z = NormalDist().inv_cdf((1 + level) / 2)
    p, z2 = successes / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low, high = 0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half
    return Interval(low=low, high=high, level=level)
