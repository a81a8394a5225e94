"""Intervals of proportions (quiet)."""

from math import sqrt

from leadgate.records import Interval

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the standard normal distribution."""


def wilson(successes: int, n: int) -> Interval:
    """The 95 % score interval of a proportion (Wilson 1927); never empty, never outside 0 to 1.

    ``n`` of 0 gives 0 to 1: nothing is known.
    """
    if n == 0:
        return Interval(low=0.0, high=1.0)
    p, z2 = successes / n, Z95 * Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(low=0.0 if successes == 0 else centre - half, high=1.0 if successes == n else centre + half)
