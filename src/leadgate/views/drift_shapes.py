"""How the values of a feature, or the scores, lie now and at training (quiet)."""

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np
import numpy.typing as npt

from leadgate.leads.baselines import Baseline
from leadgate.leads.profiles import Categorical, Numeric, Profile
from leadgate.stats.distances import quantile, shares
from leadgate.views.charts import Axis, Chart, Series
from leadgate.views.model_curves import TWENTIETHS, twentieths
from leadgate.views.wording import count, number, percent

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_BARS = 30
_CATEGORIES = 15
_TAIL = 0.02
"""Of the values on each side, those that share the outermost bars with what lies beyond."""
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_SLACK = 1e-9
"""Of a bin's width: edges just below a training value belong to it."""
_THEN, _NOW = "at training", "now"


def feature_chart(feature: str, baseline: Baseline, profile: Profile) -> Chart | None:
    """The values of a feature; None where one side has none, or the version does not know the feature."""
    if feature in baseline.layout.edges:
        then, now = baseline.profile.numeric[feature], profile.numeric[feature]
        return _numeric_chart(feature, then, now, baseline.layout.edges[feature]) if then.count and now.count else None
    if feature in baseline.layout.known:
        old, new = baseline.profile.categorical[feature], profile.categorical[feature]
        return _category_chart(feature, old, new, baseline.layout.known[feature]) if old.count and new.count else None
    return None


def missing_of(feature: str, baseline: Baseline, profile: Profile) -> tuple[str, str] | None:
    """Shares of leads without a value, at training and now; None for a feature that the version does not know."""
    if feature not in baseline.layout.names:
        return None
    sides: list[Numeric | Categorical] = [
        side.numeric[feature] if feature in baseline.layout.edges else side.categorical[feature]
        for side in (baseline.profile, profile)
    ]
    then, now = (percent(s.missing / (s.missing + s.count)) if s.missing + s.count else percent(None) for s in sides)
    return then, now


def unseen_of(feature: str, baseline: Baseline, profile: Profile) -> str | None:
    """The share of values now of categories that no training lead had, and the largest; None for a number."""
    if feature not in baseline.layout.known:
        return None
    now, known = profile.categorical[feature], baseline.layout.known[feature]
    new = {name: n for name, n in now.counts.items() if name not in known}
    if not now.count or not sum(new.values()) + now.other:
        return percent(0.0)
    largest = ", ".join(sorted(new, key=lambda name: (-new[name], name))[:3])
    return percent((sum(new.values()) + now.other) / now.count) + (f", most of them {largest}" if largest else "")


def scores_chart(baseline: Baseline, profile: Profile) -> Chart | None:
    """The scores of now against those of the hold-out; None where one side has none."""
    then, now = baseline.profile.scores, profile.scores
    if not then.count or not now.count:
        return None
    return Chart(
        name="scores",
        title="Scores",
        says=f"Mean {number(now.moments.mean)} of {count(now.count, 'score')} now, {number(then.moments.mean)} of the "
        f"{count(then.count, 'lead')} held out.",
        x=Axis(label="score, %", kind="category"),
        y=Axis(label="share of the leads", low=0.0, share=True),
        series=_paired(TWENTIETHS, twentieths(then.counts), twentieths(now.counts), then="held out"),
    )


def display_bins(then: Numeric, now: Numeric, edges: Floats) -> tuple[list[str], Floats, Floats]:
    """Both sides in at most 31 bins of equal width: their names and the shares of each side, which add up to 1.

    Counts of the fine bins go where their upper edge lies, a training value. A bin begins at its lower end and ends
    below its upper one; the outermost hold the tails, too. Values above all of the training have a bin to themselves,
    the last: of these nothing is known but that they are above.
    """
    whole = _is_whole(edges)
    low, high = _ends(then, now, edges)
    step = _step(high - low, whole=whole)
    first = floor(low / step + _SLACK)
    bars = max(1, floor(high / step + _SLACK) + 1 - first if whole else ceil(high / step - _SLACK) - first)
    place = np.clip(np.floor(edges / step + _SLACK).astype(np.int64) - first, 0, bars - 1)
    names = _names(first, bars, step, whole=whole)
    above = int(then.counts[-1] + now.counts[-1]) > 0
    sides = [np.bincount(place, weights=side.counts[:-1], minlength=bars) for side in (then, now)]
    if above:
        names.append(f"> {edges[-1]:,.0f}" if whole else f"> {number(float(edges[-1]), 4)}")
        sides = [np.append(side, whole_side.counts[-1]) for side, whole_side in zip(sides, (then, now), strict=True)]
    return names, shares(sides[0]), shares(sides[1])


def _numeric_chart(feature: str, then: Numeric, now: Numeric, edges: Floats) -> Chart:
    names, before, after = display_bins(then, now, edges)
    return Chart(
        name="values",
        title=feature,
        says=f"Mean {number(now.moments.mean)} of {count(now.count, 'value')} now, {number(then.moments.mean)} of "
        f"{count(then.count)} at training. The outermost bars hold what lies beyond, too.",
        x=Axis(label=feature, kind="category"),
        y=Axis(label="share of the values", low=0.0, share=True),
        series=_paired(names, before, after),
    )


def _category_chart(feature: str, then: Categorical, now: Categorical, known: frozenset[str]) -> Chart:
    def share(side: Categorical, name: str) -> float:
        return side.counts.get(name, 0) / side.count

    ranked = sorted({*then.counts, *now.counts}, key=lambda n: (-max(share(then, n), share(now, n)), n))
    shown = ranked[:_CATEGORIES]
    names = [name if name in known else f"{name} (unseen)" for name in shown]
    before, after = ([share(side, name) for name in shown] for side in (then, now))
    if len(ranked) > len(shown) or then.other or now.other:
        names.append("all others")
        before.append(max(0.0, 1 - sum(before)))
        after.append(max(0.0, 1 - sum(after)))
    most = max(shown, key=lambda n: (abs(share(now, n) - share(then, n)), n))
    return Chart(
        name="values",
        title=feature,
        says=f"{most} moved most: {percent(share(then, most))} of the values at training, {percent(share(now, most))} "
        f"of {count(now.count)} now.",
        x=Axis(label=feature, kind="category"),
        y=Axis(label="share of the values", low=0.0, share=True),
        series=_paired(names, np.array(before), np.array(after)),
        height="high",
        sideways=True,
    )


def _paired(names: Sequence[str], before: Floats, after: Floats, then: str = _THEN) -> list[Series]:
    sides = [(then, before, "then"), (_NOW, after, "now")]
    return [
        Series(name=name, kind="bars", tone=tone, x=names, y=[round(float(v), 4) for v in values])  # type: ignore[arg-type]
        for name, values, tone in sides
    ]


def _ends(then: Numeric, now: Numeric, edges: Floats) -> tuple[float, float]:
    """From where to where bars are drawn: both sides without their tails, and no further than the training values."""
    upper = np.append(edges, edges[-1])
    found = [(quantile(s.counts, upper, _TAIL), quantile(s.counts, upper, 1 - _TAIL)) for s in (then, now)]
    low, high = min(pair[0] for pair in found), max(pair[1] for pair in found)
    size = max(abs(low), abs(high))
    return (low, high) if high - low > _SLACK * size else (low, low + (size or 1.0))


def _step(span: float, *, whole: bool) -> float:
    """A width that people can read, of which at most 30 cover the span."""
    least = max(span / (_BARS - 1), 1.0 if whole else 0.0)
    size = 10.0 ** floor(log10(least))
    steps = [nice * size for nice in _NICE if nice * size >= least * (1 - _SLACK)]
    return next(step for step in steps if not whole or step == round(step))


def _is_whole(edges: Floats) -> bool:
    """Whether the training values are whole numbers; an edge just below one tells them apart from what is below."""
    return bool(np.all(np.abs(edges - np.round(edges)) <= np.spacing(np.maximum(np.abs(edges), 1.0))))


def _names(first: int, bars: int, step: float, *, whole: bool) -> list[str]:
    lows = [(first + i) * step for i in range(bars)]
    if whole:
        return [f"{low:,.0f}" if step == 1 else f"{low:,.0f}\N{EN DASH}{low + step - 1:,.0f}" for low in lows]
    digits = next((d for d in range(12) if abs(step * 10**d - round(step * 10**d)) < _SLACK), 12)
    return [f"{low:,.{digits}f}\N{EN DASH}{low + step:,.{digits}f}" for low in lows]
