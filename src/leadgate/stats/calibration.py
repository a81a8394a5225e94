"""Whether predicted probabilities come true (quiet)."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadgate.errors import LeadgateError
from leadgate.records import Interval
from leadgate.stats.proportions import wilson

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


class NoLeadsError(LeadgateError):
    """No lead at all: no figure can be given, not even 0."""


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Leads of like scores, and what became of them."""

    low: float
    """Smallest score."""
    high: float
    """Largest score."""
    mean_score: float
    rate: float
    """Share that converted."""
    conversions: int
    leads: int
    interval: Interval
    """Of the rate, 95 % (Wilson)."""


def calibration_curve(converted: Flags, score: Scores, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Leads in bins of equal numbers, from the lowest score to the highest.

    Equal scores share a bin, so bins differ in size, and there can be fewer than ``bins``, where scores repeat.
    No lead gives no bin.
    """
    order = np.argsort(score, kind="stable")
    score, converted = score[order], converted[order]
    edges = _edges(score, bins)
    return tuple(_bin(converted[start:end], score[start:end]) for start, end in itertools.pairwise(edges))


def calibration_error(converted: Flags, score: Scores, bins: int = 10) -> float:
    """Expected calibration error: mean distance of predicted and actual rate over bins of equal numbers, by leads.

    Naeini, Cooper & Hauskrecht (2015), with equal-count instead of equal-width bins, so that no bin is nearly empty.
    It is never negative, so chance alone makes it positive: few leads look worse calibrated than they are. Raises
    NoLeadsError.
    """
    require_leads(score)
    order = np.argsort(score, kind="stable")
    return sorted_calibration_error(converted[order], score[order], bins)


def sorted_calibration_error(converted: Flags, score: Scores, bins: int = 10) -> float:
    """The same of leads that are sorted by score already, as resamples of sorted leads are."""
    starts = _edges(score, bins)[:-1]
    # A bin's leads times the distance of its means is the distance of its sums.
    return float(np.abs(np.add.reduceat(score - converted, starts)).sum() / len(score))


def brier(converted: Flags, score: Scores) -> float:
    """Mean squared distance of probability and what happened (Brier 1950). Raises NoLeadsError."""
    require_leads(score)
    return float(np.mean((score - converted) ** 2))


def require_leads(score: Scores) -> None:
    """Raise NoLeadsError when there is nothing to judge."""
    if len(score) == 0:
        raise NoLeadsError("There is no lead with a known outcome to compare the scores with; import outcomes first.")


def _edges(score: Scores, bins: int) -> npt.NDArray[np.int_]:
    """Where the bins of sorted scores begin, and their end."""
    cuts = np.linspace(0, len(score), bins + 1).round().astype(int)[1:-1]
    # A cut in the middle of equal scores moves down to the first of them; one that arrives at 0 is no cut.
    moved = np.searchsorted(score, score[cuts[cuts < len(score)]], side="left")
    return np.unique([0, *moved.tolist(), len(score)])


def _bin(converted: Flags, score: Scores) -> CalibrationBin:
    conversions, leads = int(converted.sum()), len(converted)
    return CalibrationBin(
        low=float(score[0]),
        high=float(score[-1]),
        mean_score=float(score.mean()),
        rate=conversions / leads,
        conversions=conversions,
        leads=leads,
        interval=wilson(conversions, leads),
    )
