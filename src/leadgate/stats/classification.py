"""The figures of scores against what happened (quiet)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadgate.records import Interval
from leadgate.stats.auc import auc_interval
from leadgate.stats.calibration import brier, calibration_error
from leadgate.stats.proportions import wilson


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Scores of leads with known outcomes. A figure that these leads cannot give is None, never 0."""

    leads: int
    converted: int
    base_rate: float
    """Share that converted."""
    mean_score: float
    threshold: float
    """A score above it calls a lead "will convert"."""
    auc: float | None
    """None when the leads are of one class."""
    auc_interval: Interval | None
    """95 %, DeLong."""
    precision: float | None
    """Of the leads called "will convert", the share that did; None when none was called so."""
    precision_interval: Interval | None
    """95 %, Wilson."""
    recall: float | None
    """Of the leads that converted, the share that was called so; None when none converted."""
    recall_interval: Interval | None
    """95 %, Wilson."""
    brier: float
    """Mean squared distance of score and outcome; 0 is best, base_rate * (1 - base_rate) needs no model."""
    calibration_error: float
    """Expected calibration error over ten bins of equal numbers."""


def classify(converted: npt.NDArray[np.bool_], score: npt.NDArray[np.float64], threshold: float) -> Classification:
    """The figures of at least one lead; both arrays have shape (n,). Raises NoLeadsError."""
    distance = brier(converted, score)
    won, called = int(converted.sum()), score > threshold
    hits, calls = int((called & converted).sum()), int(called.sum())
    ranked = auc_interval(converted, score) if 0 < won < len(converted) else None
    return Classification(
        leads=len(converted),
        converted=won,
        base_rate=won / len(converted),
        mean_score=float(score.mean()),
        threshold=threshold,
        auc=ranked.value if ranked else None,
        auc_interval=ranked.interval if ranked else None,
        precision=hits / calls if calls else None,
        precision_interval=wilson(hits, calls) if calls else None,
        recall=hits / won if won else None,
        recall_interval=wilson(hits, won) if won else None,
        brier=distance,
        calibration_error=calibration_error(converted, score),
    )
