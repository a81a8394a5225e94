"""What the pages draw of versions on their hold-outs (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadgate.leads.baselines import Baseline, Quality
from leadgate.monitoring.model import MIDDLES
from leadgate.stats.curves import Group, groups_of_counts, roc_of_counts
from leadgate.views.charts import Axis, Chart, Series, Tone
from leadgate.views.wording import count, number, percent

Counts = npt.NDArray[np.int64]

_TWENTIETH = 500
"""Bins of a score in a twentieth of the range."""
_MOST_FEATURES = 15
_TENTHS = 10
_DIGITS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Graded:
    """How a version did on its hold-out: what stays of its baseline."""

    version: str
    quality: Quality
    won: Counts
    """Hold-out leads that converted, by bin of the score."""
    lost: Counts
    importance: Mapping[str, float]
    snapshot_version: int


def graded(version: str, baseline: Baseline) -> Graded:
    """Without the bins of the features, which are most of a baseline."""
    return Graded(
        version=version,
        quality=baseline.quality,
        won=baseline.won,
        lost=baseline.lost,
        importance=baseline.importance,
        snapshot_version=baseline.snapshot_version,
    )


def roc_chart(versions: Sequence[Graded]) -> Chart:
    """How many of the converting leads a list from the top down has found, against how many others it took for that."""
    series = []
    for each, tone in _toned(versions):
        false, true = roc_of_counts(each.won, each.lost)
        series.append(Series(name=_name(each), tone=tone, x=_rounded(false), y=_rounded(true)))
    series.append(Series(name="guessing", tone="muted", x=[0.0, 1.0], y=[0.0, 1.0], dashed=True))
    told = "; ".join(f"{_name(each).lower()} has an AUC of {number(each.quality.auc)}" for each in versions)
    return Chart(
        name="roc",
        title="ROC: finding the leads that convert",
        says=f"The nearer to the upper left corner, the better: {told}; 0.5 is guessing.",
        x=Axis(label="other leads above the score", low=0.0, high=1.0, share=True),
        y=Axis(label="converting leads found", low=0.0, high=1.0, share=True),
        series=series,
        height="high" if len(versions) > 1 else "middle",
    )


def calibration_chart(versions: Sequence[Graded]) -> Chart:
    """Whether what the scores say comes true, tenth by tenth."""
    series = []
    for each, tone in _toned(versions):
        tenths = _tenths(each)
        x = _rounded([tenth.mean_score for tenth in tenths])
        if len(versions) == 1:
            series.append(
                Series(
                    name="95 % interval",
                    kind="band",
                    tone=tone,
                    x=x,
                    y=_rounded([tenth.interval.high for tenth in tenths]),
                    low=_rounded([tenth.interval.low for tenth in tenths]),
                )
            )
        series.append(Series(name=_name(each), tone=tone, x=x, y=_rounded([tenth.rate for tenth in tenths])))
    end = max((float(x) for each in series for x in each.x), default=1.0)
    series.append(Series(name="as the scores say", tone="muted", x=[0.0, end], y=[0.0, end], dashed=True))
    told = "; ".join(f"{_name(each).lower()}: {number(each.quality.calibration_error)}" for each in versions)
    return Chart(
        name="calibration",
        title="Calibration: a score of 30 % should convert at 30 %",
        says=f"Tenths of the held-out leads by score, on the dashed line if they convert as predicted. Mean distance: "
        f"{told}.",
        x=Axis(label="mean score", low=0.0, share=True),
        y=Axis(label="share that converted", low=0.0, share=True),
        series=series,
        height="high" if len(versions) > 1 else "middle",
    )


def lift_chart(versions: Sequence[Graded]) -> Chart:
    """How many times more often than the average lead each tenth converts, the highest scores first."""
    series, told = [], []
    whole = all(len(_tenths(each)) == _TENTHS for each in versions)
    part = "tenth" if whole else "part"
    ties = "" if whole else " Leads of equal scores stay together, so there are fewer parts than ten."
    for each, tone in _toned(versions):
        lifts = [tenth.rate / each.quality.base_rate for tenth in _tenths(each)[::-1]] if each.quality.base_rate else []
        names = [str(i) for i in range(1, len(lifts) + 1)]
        series.append(Series(name=_name(each), kind="bars", tone=tone, x=names, y=_rounded(lifts)))
        if lifts:
            told.append(f"{number(lifts[0], 2)} times the average with {_name(each).lower()}")
    return Chart(
        name="lift",
        title="Lift by decile: what the top of the list is worth",
        says=f"The top {part} of the list converts {'; '.join(told)}.{ties}" if told else "No held-out lead converted.",
        x=Axis(label="tenth of the leads, the highest scores first", kind="category"),
        y=Axis(label="times the average", low=0.0),
        series=series,
    )


def scores_chart(each: Graded) -> Chart:
    """Where the scores of the leads that converted lie, and those of the others."""
    kinds = [("converted", each.won, "good"), ("did not convert", each.lost, "muted")]
    series = [
        Series(name=name, kind="bars", tone=tone, x=TWENTIETHS, y=_rounded(twentieths(side)))  # type: ignore[arg-type]
        for name, side, tone in kinds
        if side.sum()
    ]
    base = percent(each.quality.base_rate)
    return Chart(
        name="scores",
        title="Scores of the leads that were held out",
        says=f"The less the two overlap, the better the version tells leads apart. {base} of "
        f"{count(each.quality.leads, 'lead')} converted.",
        x=Axis(label="score, %", kind="category"),
        y=Axis(label="share of each kind", low=0.0, share=True),
        series=series,
    )


def importance_chart(each: Graded) -> Chart | None:
    """What the version leans on; None where nothing is known of it."""
    ranked = sorted(each.importance.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_FEATURES]
    if not ranked:
        return None
    return Chart(
        name="importance",
        title="What the version leans on",
        says=f"AUC that is lost when a feature's values are shuffled among the leads: most by {ranked[0][0]} "
        f"({number(ranked[0][1])}).",
        x=Axis(label="feature", kind="category"),
        y=Axis(label="AUC lost", low=0.0),
        series=[Series(name="importance", kind="bars", x=[n for n, _ in ranked], y=_rounded([v for _, v in ranked]))],
        height="high",
        sideways=True,
    )


TWENTIETHS = [f"{5 * i}\N{EN DASH}{5 * i + 5}" for i in range(20)]
"""Names of twentieths of the range of a score, in per cent."""


def twentieths(counts: Counts) -> npt.NDArray[np.float64]:
    """Shares of the scores by twentieth of the range; ``counts`` in the bins of a score, with at least one."""
    sums = np.add.reduceat(counts[:-1], np.arange(0, len(counts) - 1, _TWENTIETH))
    return np.asarray(sums / counts.sum(), dtype=np.float64)


def _tenths(each: Graded) -> tuple[Group, ...]:
    return groups_of_counts(each.won, each.lost, MIDDLES)


def _toned(versions: Sequence[Graded]) -> list[tuple[Graded, Tone]]:
    """The last one is what is judged."""
    return [(each, "now" if each is versions[-1] else "then") for each in versions]


def _name(each: Graded) -> str:
    return f"Version {each.version}"


def _rounded(values: Sequence[float] | npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
