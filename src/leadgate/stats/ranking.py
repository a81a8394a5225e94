"""How much better than chance the top of the list converts (quiet)."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Decile:
    """A tenth of the leads, by score."""

    decile: int
    """1 has the highest scores."""
    leads: int
    conversions: float
    """A decile's edge can cut through leads of equal scores; each of those counts with their mean."""
    rate: float
    lift: float
    """Rate over the rate of all leads; 0 when nobody converted, where it has no meaning."""


def lift_by_decile(converted: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> tuple[Decile, ...]:
    """Conversion by tenth of the ranked list, both arrays of shape (n,).

    The order of leads with equal scores does not matter. Fewer than ten leads give as many parts as there are leads.
    """
    if len(score) == 0:
        return ()
    order = np.argsort(-score, kind="stable")
    expected = _mean_of_ties(score[order], converted[order].astype(float))
    edges = np.linspace(0, len(score), min(10, len(score)) + 1).round().astype(int)
    base = float(converted.mean())
    return tuple(
        _decile(number, expected[start:end], base)
        for number, (start, end) in enumerate(itertools.pairwise(edges), start=1)
    )


def _decile(number: int, expected: npt.NDArray[np.float64], base: float) -> Decile:
    rate = float(expected.mean())
    return Decile(
        decile=number,
        leads=len(expected),
        conversions=float(expected.sum()),
        rate=rate,
        lift=rate / base if base else 0.0,
    )


def _mean_of_ties(score: npt.NDArray[np.float64], won: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, group, size = np.unique(-score, return_inverse=True, return_counts=True)
    means: npt.NDArray[np.float64] = np.bincount(group, won)[group] / size[group]
    return means
