"""Both versions' scores of the same leads (quiet)."""

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.records import Interval
from leadgate.rollout.evidence import Figure, LeadDelta, PairedEvidence, Quality, ScoresEvidence
from leadgate.stats.auc import compare_auc
from leadgate.stats.calibration import calibration_error, sorted_calibration_error
from leadgate.stats.classification import classify
from leadgate.stats.proportions import wilson

_SHOWN = 10
"""Leads with the largest differences that are listed."""
_MANY = 10_000
_RESAMPLES, _FEWER_RESAMPLES = 200, 50
"""For the intervals of calibration errors, which are narrow where there are many leads."""

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def paired_quality(
    leads: pl.DataFrame, decision: float, capacity: float, rng: np.random.Generator
) -> PairedEvidence | None:
    """The figures of both versions on matured leads; None without any.

    ``leads`` has won, champion_score, challenger_score. ``decision`` is the threshold of precision and recall,
    ``capacity`` the share of the leads that the sales team can work.
    """
    known = leads.filter(
        pl.col("matured")
        & pl.col("won").is_not_null()
        & pl.col("champion_score").is_not_null()
        & pl.col("challenger_score").is_not_null()
    )
    if known.is_empty():
        return None
    won = known["won"].to_numpy().astype(bool)
    old, new = known["champion_score"].to_numpy(), known["challenger_score"].to_numpy()
    errors = _calibration_errors(won, (old, new), rng)
    difference = (errors[0][1] - errors[0][0], errors[1][:, 1] - errors[1][:, 0])
    return PairedEvidence(
        leads=known.height,
        conversions=int(won.sum()),
        champion=_quality(won, old, decision, capacity, _basic(errors[0][0], errors[1][:, 0], least=0.0)),
        challenger=_quality(won, new, decision, capacity, _basic(errors[0][1], errors[1][:, 1], least=0.0)),
        auc_difference=_auc_difference(won, old, new),
        calibration_difference=_basic(*difference, least=-1.0),
        decision=decision,
    )


def compare_scores(leads: pl.DataFrame, high: float, medium: float, capacity: float) -> ScoresEvidence | None:
    """The two versions' scores beside each other; None without a lead that has both.

    ``high`` and ``medium`` are the scores above which a lead has that priority; ``capacity`` the share of the leads
    that the sales team can work.
    """
    both = leads.filter(pl.col("champion_score").is_not_null() & pl.col("challenger_score").is_not_null())
    if both.is_empty():
        return None
    old, new = both["champion_score"].to_numpy(), both["challenger_score"].to_numpy()
    was, is_ = old > high, new > high
    return ScoresEvidence(
        leads=both.height,
        mean_delta=float((new - old).mean()),
        absolute_delta=float(np.abs(new - old).mean()),
        agreement=_spearman(old, new),
        champion_quartiles=_quartiles(old),
        challenger_quartiles=_quartiles(new),
        capacity=capacity,
        overlap=_overlap(old, new, capacity),
        churn=float((was & ~is_).sum() / was.sum()) if was.any() else 0.0,
        champion_high=float(was.mean()),
        challenger_high=float(is_.mean()),
        matched_high=matching_threshold(old, new, high),
        matched_medium=matching_threshold(old, new, medium),
        worst=_worst(both),
    )


def matching_threshold(old: Scores, new: Scores, threshold: float) -> float:
    """The challenger's score above which as large a share of leads lies as of the champion's above ``threshold``.

    Both arrays have shape (n,) and hold the two versions' scores of the same leads.
    """
    share = float((old > threshold).mean())
    return float(np.quantile(new, 1 - share, method="higher"))


def _quality(won: Flags, score: Scores, decision: float, capacity: float, calibration: Figure) -> Quality:
    found = classify(won, score, decision)
    return Quality(
        auc=None if found.auc is None else Figure(value=found.auc, interval=found.auc_interval),
        precision=None if found.precision is None else Figure(value=found.precision, interval=found.precision_interval),
        recall=None if found.recall is None else Figure(value=found.recall, interval=found.recall_interval),
        top_precision=_top_precision(won, score, capacity),
        calibration_error=calibration,
    )


def _top_precision(won: Flags, score: Scores, capacity: float) -> Figure:
    top = max(1, round(capacity * len(score)))
    hits = int(won[np.argsort(-score, kind="stable")[:top]].sum())
    return Figure(value=hits / top, interval=wilson(hits, top))


def _auc_difference(won: Flags, old: Scores, new: Scores) -> Figure | None:
    if not won.any() or won.all():
        return None
    found = compare_auc(won, old, new)
    return Figure(value=found.difference, interval=found.interval)


def _calibration_errors(
    won: Flags, scores: tuple[Scores, Scores], rng: np.random.Generator
) -> tuple[tuple[float, float], Scores]:
    """Of both versions, and on resamples of the leads, shape (resamples, 2)."""
    n = len(won)
    found = calibration_error(won, scores[0]), calibration_error(won, scores[1])
    orders = [np.argsort(score, kind="stable") for score in scores]
    ordered = [(order, won[order], score[order]) for order, score in zip(orders, scores, strict=True)]
    draws = np.empty((_RESAMPLES if n <= _MANY else _FEWER_RESAMPLES, 2))
    for draw in draws:
        # How often each lead was drawn, instead of which: then a resample comes sorted, and need not be.
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        draw[:] = [
            sorted_calibration_error(np.repeat(won_, times[order]), np.repeat(score, times[order]))
            for order, won_, score in ordered
        ]
    return found, draws


def _basic(value: float, draws: Scores, *, least: float) -> Figure:
    """With the basic bootstrap interval (Davison & Hinkley 1997, 5.2).

    Chance alone lifts a calibration error, and resampling lifts it once more, which the reflection takes back.
    """
    low, high = np.quantile(draws, (0.025, 0.975))
    interval = Interval(low=max(least, float(2 * value - high)), high=max(least, float(2 * value - low)))
    return Figure(value=value, interval=interval)


def _spearman(old: Scores, new: Scores) -> float | None:
    from scipy.stats import spearmanr  # noqa: PLC0415  # serving never needs it

    if np.ptp(old) == 0 or np.ptp(new) == 0:
        return None
    return float(spearmanr(old, new).statistic)


def _quartiles(scores: Scores) -> tuple[float, float, float]:
    low, middle, high = (float(q) for q in np.quantile(scores, (0.25, 0.5, 0.75)))
    return low, middle, high


def _overlap(old: Scores, new: Scores, capacity: float) -> float:
    """Of the top ``capacity`` of the leads, the share that both versions put there; ties in the order of the leads."""
    top = max(1, round(capacity * len(old)))
    tops = [set(np.argsort(-scores, kind="stable")[:top].tolist()) for scores in (old, new)]
    return len(tops[0] & tops[1]) / top


def _worst(both: pl.DataFrame) -> tuple[LeadDelta, ...]:
    gap = (pl.col("challenger_score") - pl.col("champion_score")).abs()
    rows = both.with_columns(gap=gap).sort("gap", "lead_id", descending=[True, False]).head(_SHOWN)
    return tuple(
        LeadDelta(
            lead_id=row["lead_id"],
            scored_at=row["scored_at"],
            champion=row["champion_score"],
            challenger=row["challenger_score"],
        )
        for row in rows.iter_rows(named=True)
    )
