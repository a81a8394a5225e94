"""The figures of a model on leads it was not trained on (quiet)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadgate.stats.auc import AucComparison, compare_auc
from leadgate.stats.calibration import CalibrationBin, calibration_curve
from leadgate.stats.classification import Classification, classify
from leadgate.stats.ranking import Decile, lift_by_decile

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]

_MOST_VALUES = 20
"""Values of a segment that are told apart; the rarer ones are one."""


@dataclass(frozen=True, kw_only=True)
class SegmentEvaluation:
    """The figures of the leads with one value of a segment."""

    segment: str
    value: str
    """``(missing)`` and ``(other)`` stand for leads without a value and for the rare values together."""
    scores: Classification


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All figures of a hold-out."""

    overall: Classification
    deciles: tuple[Decile, ...]
    calibration: tuple[CalibrationBin, ...]
    segments: tuple[SegmentEvaluation, ...]
    """By segment; then the largest value first, and ``(other)`` and ``(missing)`` at the end."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same leads."""

    champion: Classification
    challenger: Classification
    auc: AucComparison
    """Challenger minus champion, paired."""


def evaluate(
    converted: Flags, score: Scores, threshold: float, segments: Mapping[str, Sequence[str | None]]
) -> Evaluation:
    """The figures of scores, overall and by each segment; arrays and sequences have one entry a lead.

    A part of one class has an AUC of None. Raises NoLeadsError.
    """
    return Evaluation(
        overall=classify(converted, score, threshold),
        deciles=lift_by_decile(converted, score),
        calibration=calibration_curve(converted, score),
        segments=tuple(
            SegmentEvaluation(segment=name, value=value, scores=classify(converted[mask], score[mask], threshold))
            for name, values in segments.items()
            for value, mask in _parts(values)
        ),
    )


def compare(converted: Flags, champion: Scores, challenger: Scores, threshold: float) -> Comparison:
    """Two scores of the same leads; DeLong's paired test on their AUC. Raises OneClassError."""
    return Comparison(
        champion=classify(converted, champion, threshold),
        challenger=classify(converted, challenger, threshold),
        auc=compare_auc(converted, champion, challenger),
    )


def metrics_of(evaluation: Evaluation) -> dict[str, float]:
    """The overall figures by name, as MLflow logs them; what could not be computed is left out."""
    overall = evaluation.overall
    found = {
        "auc": overall.auc,
        "auc_low": overall.auc_interval.low if overall.auc_interval else None,
        "auc_high": overall.auc_interval.high if overall.auc_interval else None,
        "precision": overall.precision,
        "recall": overall.recall,
        "brier": overall.brier,
        "calibration_error": overall.calibration_error,
        "base_rate": overall.base_rate,
        "mean_score": overall.mean_score,
        "leads": float(overall.leads),
        **{f"lift_decile_{decile.decile}": decile.lift for decile in evaluation.deciles if overall.converted},
    }
    return {name: value for name, value in found.items() if value is not None}


def _parts(values: Sequence[str | None]) -> list[tuple[str, Flags]]:
    """Each value with the mask of its leads, the largest first; then the rare ones together, then the missing."""
    counted = Counter(value for value in values if value is not None)
    ranked = sorted(counted, key=lambda value: (-counted[value], value))
    names: dict[str | None, str] = {value: value for value in ranked[:_MOST_VALUES]}
    names |= dict.fromkeys(ranked[_MOST_VALUES:], "(other)")
    names[None] = "(missing)"
    named = np.array([names[value] for value in values], dtype=object)
    return [
        (name, np.asarray(named == name, dtype=np.bool_)) for name in dict.fromkeys(names.values()) if name in named
    ]
