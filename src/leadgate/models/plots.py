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
    """True positives against false positives at every threshold, with the AUC, its interval and the decision threshold.

    Leads of one class have no curve; the figure says so.
    """
    overall = evaluation.overall
    figure, axes = _sheet(
        f"ROC curve on {overall.leads:,} held-out leads",
        "share of the others that is called (false positive rate)",
        "share of the converting leads that is called (recall)",
    )
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="chance")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
    if overall.auc is None or overall.auc_interval is None:
        axes.text(0.5, 0.5, "no curve: the leads are of one class", ha="center", va="center")
        return figure
    low, high = overall.auc_interval.low, overall.auc_interval.high
    false, true = _roc(converted, score)
    axes.plot(false, true, color=_BLUE, label=f"AUC {overall.auc:.3f} (95 %: {low:.3f} to {high:.3f})")
    called = score > overall.threshold
    point = (float(called[~converted].mean()), float(called[converted].mean()))
    axes.plot(*point, "o", color=_ORANGE, label=f"threshold {overall.threshold:g}")
    axes.legend(loc="lower right", frameon=False)
    return figure


def calibration_plot(evaluation: Evaluation) -> "Figure":
    """What converted against what was predicted, in ten bins of equal numbers, with 95 % intervals."""
    overall, bins = evaluation.overall, evaluation.calibration
    figure, axes = _sheet(
        f"Calibration on {overall.leads:,} held-out leads", "predicted probability (mean of the bin)", "share converted"
    )
    x, y = [b.mean_score for b in bins], [b.rate for b in bins]
    below = [max(0.0, b.rate - b.interval.low) for b in bins]
    above = [max(0.0, b.interval.high - b.rate) for b in bins]
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="perfect")
    axes.axhline(overall.base_rate, color=_GREY, linewidth=1, linestyle=":", label=f"base rate {overall.base_rate:.1%}")
    label = f"calibration error {overall.calibration_error:.3f}; bars: 95 %"
    axes.errorbar(x, y, yerr=[below, above], fmt="o", color=_BLUE, capsize=3, label=label)
    top = min(1.02, max(0.05, *x, *(b.interval.high for b in bins)) * 1.08)
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axes.legend(loc="upper left", frameon=False)
    return figure


def score_plot(converted: Flags, score: Scores) -> "Figure":
    """How the scores of leads that converted and of the others are spread."""
    figure, axes = _sheet(
        f"Scores of {len(score):,} held-out leads", "predicted probability", "share of the leads of that kind"
    )
    bins = np.linspace(0, 1, 41)
    for mask, colour, name in ((~converted, _GREY, "did not convert"), (converted, _ORANGE, "converted")):
        weights = np.full(int(mask.sum()), 1 / max(1, int(mask.sum())))
        label = f"{name} ({int(mask.sum()):,})"
        axes.hist(score[mask], bins=bins.tolist(), weights=weights, color=colour, alpha=0.6, label=label)
    base = float(converted.mean()) if len(converted) else 0.0
    axes.axvline(base, color="black", linewidth=1, linestyle=":", label=f"base rate {base:.1%}")
    axes.set(xlim=(0, 1))
    axes.legend(loc="upper right", frameon=False)
    return figure


def _roc(converted: Flags, score: Scores) -> tuple[Scores, Scores]:
    from sklearn.metrics import roc_curve  # noqa: PLC0415  # a second

    false, true, _ = roc_curve(converted, score)
    return false, true


def _sheet(title: str, x: str, y: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # noqa: PLC0415  # 0.3 s

    figure = Figure(figsize=(6.4, 5.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
