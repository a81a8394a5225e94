"""The pictures that are logged with a version (quiet: they are drawn, not shown or stored)."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from leadgate.models.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]

_BLUE, _ORANGE, _GREY = "#1f5f99", "#d1722a", "#8a8a8a"


def roc_plot(converted: Flags, score: Scores, evaluation: Evaluation) -> "Figure":
    """True positives against false positives at every threshold, with the AUC and its interval."""
    from sklearn.metrics import roc_curve  # noqa: PLC0415

    figure, axes = _sheet("ROC curve, hold-out", "leads that did not convert, called", "leads that converted, called")
    false, true, _ = roc_curve(converted, score)
    overall = evaluation.overall
    label = f"AUC {overall.auc:.3f}"
    if overall.auc_interval:
        label += f" (95 % {overall.auc_interval.low:.3f} to {overall.auc_interval.high:.3f})"
    axes.plot(false, true, color=_BLUE, label=label)
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="chance")
    axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    axes.legend(loc="lower right", frameon=False)
    return figure


def calibration_plot(evaluation: Evaluation) -> "Figure":
    """What converted against what was predicted, in ten bins of equal numbers, with 95 % intervals."""
    figure, axes = _sheet("Calibration, hold-out", "predicted probability", "share that converted")
    x = [b.mean_score for b in evaluation.calibration]
    y = [b.rate for b in evaluation.calibration]
    below = [max(0.0, b.rate - b.interval.low) for b in evaluation.calibration]
    above = [max(0.0, b.interval.high - b.rate) for b in evaluation.calibration]
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="perfect")
    label = f"calibration error {evaluation.overall.calibration_error:.3f}"
    axes.errorbar(x, y, yerr=[below, above], fmt="o", color=_BLUE, capsize=3, label=label)
    top = max(0.05, *x, *(b.interval.high for b in evaluation.calibration)) * 1.05
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axes.legend(loc="upper left", frameon=False)
    return figure


def score_plot(converted: Flags, score: Scores) -> "Figure":
    """How the scores of leads that converted and of the others are spread."""
    figure, axes = _sheet("Scores, hold-out", "predicted probability", "share of the leads of that kind")
    bins = np.linspace(0, 1, 41)
    for mask, colour, name in ((~converted, _GREY, "did not convert"), (converted, _ORANGE, "converted")):
        weights = np.full(int(mask.sum()), 1 / max(1, int(mask.sum())))
        label = f"{name} ({int(mask.sum()):,})"
        axes.hist(score[mask], bins=bins.tolist(), weights=weights, color=colour, alpha=0.6, label=label)
    axes.set(xlim=(0, 1))
    axes.legend(frameon=False)
    return figure


def _sheet(title: str, x: str, y: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # noqa: PLC0415  # 0.3 s

    figure = Figure(figsize=(6, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
