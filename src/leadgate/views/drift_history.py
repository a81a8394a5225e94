"""How distances went over time, with their limits (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from leadgate.leads.monitoring_rules import DriftRules
from leadgate.storage.postgres.checks import PastFigures
from leadgate.views.charts import Axis, Chart, Series, Tone
from leadgate.views.wording import number

_FEWEST = 2
"""Runs that make a line."""
_FEATURE = {"KS": "ks", "JS divergence": "js", "spread": "spread"}
"""Where a run tells a distance, whichever decided."""
_SCORES = {name: name for name in ("median shift", "percentile change", "KS", "JS divergence")}
_OTHER_SCALE = "spread"
"""A ratio around 1, which leaves the others flat."""


def span_of(days: float) -> tuple[timedelta, timedelta]:
    """How far back is shown for windows of so many days, and the slots of time that have a point each."""
    return (timedelta(days=28), timedelta(hours=8)) if days <= 7 else (timedelta(days=112), timedelta(days=2))  # noqa: PLR2004


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A distance over time."""

    name: str
    y: Sequence[float | None]
    """None where a run did not tell it."""
    limit: float | None


def feature_history(past: Sequence[PastFigures], rules: DriftRules, feature: str) -> Chart | None:
    """The distance of a feature that decided last, and KS or JS beside it; None without two runs.

    Where nothing is out, KS or JS alone: the spread, a ratio around 1, then often decides and says nothing.
    """
    beside = ("KS", "ks", rules.ks.yellow)
    if all(_figure(each, "ks") is None for each in past):
        beside = ("JS divergence", "js", rules.js.yellow)
    return _history("history", f"Distance of {feature} over time", past, _FEATURE, beside)


def scores_history(past: Sequence[PastFigures], rules: DriftRules) -> Chart | None:
    """The same of the scores."""
    beside = ("median shift", "median shift", rules.median_shift.yellow)
    return _history("scores-history", "Distance of the scores over time", past, _SCORES, beside)


def _history(
    name: str,
    title: str,
    past: Sequence[PastFigures],
    details: Mapping[str, str],
    beside: tuple[str, str, float],
) -> Chart | None:
    known = [each for each in past if each.value is not None]
    if len(known) < _FEWEST:
        return None
    lines = _lines(known, details, beside)
    last, limit = number(lines[0].y[-1]), number(lines[0].limit)
    at: list[float | str] = [round(each.checked_at.timestamp()) for each in known]
    tones: tuple[Tone, Tone] = ("now", "then")
    drawn = [Series(name=line.name, tone=tone, x=at, y=line.y) for line, tone in zip(lines, tones, strict=False)]
    return Chart(
        name=name,
        title=title,
        says=f"{lines[0].name} was {last} in the last of these checks; from {limit} on somebody should look.",
        x=Axis(kind="time"),
        y=Axis(label="distance", low=0.0),
        series=[*drawn, *_limits(lines, [at[0], at[-1]])],
    )


def _lines(known: Sequence[PastFigures], details: Mapping[str, str], beside: tuple[str, str, float]) -> list[_Line]:
    last = known[-1]
    by = str(last.details.get("by"))
    other = _Line(name=beside[0], y=[_figure(each, beside[1]) for each in known], limit=beside[2])
    if by == other.name or (by == _OTHER_SCALE and last.severity not in ("yellow", "red")):
        return [other]
    main = _Line(name=by, y=[_decided(each, by, details) for each in known], limit=last.threshold)
    return [main] if by == _OTHER_SCALE else [main, other]


def _limits(lines: Sequence[_Line], ends: Sequence[float | str]) -> list[Series]:
    """One line for limits that are the same."""
    limits = {line.limit: line.name for line in reversed(lines) if line.limit is not None}
    return [
        Series(
            name="limit" if len(limits) == 1 else f"limit of {name}",
            tone="limit",
            x=ends,
            y=[limit, limit],
            dashed=True,
        )
        for limit, name in reversed(limits.items())
    ]


def _decided(each: PastFigures, by: str, details: Mapping[str, str]) -> float | None:
    """A distance by its name: runs tell most of them always, the others only where they decided."""
    if by in details:
        return _figure(each, details[by])
    return round(each.value, 4) if each.details.get("by") == by and each.value is not None else None


def _figure(each: PastFigures, detail: str) -> float | None:
    value = each.details.get(detail)
    return round(float(value), 4) if isinstance(value, int | float) else None
