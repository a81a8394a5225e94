"""Both versions' scores of the same leads (quiet)."""

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.records import Interval
from leadgate.rollout.evidence import Figure, LeadDelta, PairedEvidence, Quality, ScoresEvidence
from leadgate.stats.auc import compare_auc
from leadgate.stats.calibration import calibration_error
from leadgate.stats.classification import classify

_SHOWN = 10
"""Leads with the largest differences that are listed."""
_RESAMPLES = 400
"""For the interval of the calibration's difference; 200 are the usual least for a 95 % interval."""

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def paired_quality(leads: pl.DataFrame, decision: float, rng: np.random.Generator) -> PairedEvidence | None:
    """The figures of both versions on matured leads; None without any.

    ``leads`` has won, champion_score, challenger_score. ``decision`` is the threshold of precision and recall.
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
    return PairedEvidence(
        leads=known.height,
        conversions=int(won.sum()),
        champion=_quality(won, old, decision, rng),
        challenger=_quality(won, new, decision, rng),
        auc_difference=_auc_difference(won, old, new),
        calibration_difference=_calibration_difference(won, old, new, rng),
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


def _quality(won: Flags, score: Scores, decision: float, rng: np.random.Generator) -> Quality:
    found = classify(won, score, decision)
    error = calibration_error(won, score)
    draws = [calibration_error(won[i], score[i]) for i in _resamples(len(won), rng)]
    return Quality(
        auc=None if found.auc is None else Figure(value=found.auc, interval=found.auc_interval),
        precision=None if found.precision is None else Figure(value=found.precision, interval=found.precision_interval),
        recall=None if found.recall is None else Figure(value=found.recall, interval=found.recall_interval),
        calibration_error=Figure(value=error, interval=_basic(error, draws, least=0.0)),
    )


def _auc_difference(won: Flags, old: Scores, new: Scores) -> Figure | None:
    if not won.any() or won.all():
        return None
    found = compare_auc(won, old, new)
    return Figure(value=found.difference, interval=found.interval)


def _calibration_difference(won: Flags, old: Scores, new: Scores, rng: np.random.Generator) -> Figure:
    draws = [calibration_error(won[i], new[i]) - calibration_error(won[i], old[i]) for i in _resamples(len(won), rng)]
    value = calibration_error(won, new) - calibration_error(won, old)
    return Figure(value=value, interval=_basic(value, draws, least=-1.0))


def _basic(value: float, draws: list[float], *, least: float) -> Interval:
    """The basic bootstrap interval (Davison & Hinkley 1997, 5.2).

    Chance alone lifts a calibration error, and resampling lifts it once more, which the reflection takes back.
    """
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(low=max(least, float(2 * value - high)), high=max(least, float(2 * value - low)))


def _resamples(n: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    most = 20_000
    return [rng.integers(0, n, min(n, most)) for _ in range(_RESAMPLES if n <= most else _RESAMPLES // 4)]


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
