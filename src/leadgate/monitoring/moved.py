"""Which part of the leads explains most of a score that moved (quiet).

The mean score is the sum over the values of a segment of share times mean. What it moved by is therefore the sum of
what each value adds by its share (other leads come) and by its mean (the same leads are scored otherwise).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadgate.leads.baselines import Baseline
from leadgate.leads.profiles import Moments, Profile
from leadgate.monitoring.findings import URGENCY, Finding

_NOTHING = Moments()


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the leads with one value of a segment add to the move."""

    segment: str
    value: str
    mix: float
    """By coming more or less often than they did."""
    within: float
    """By being scored otherwise than they were."""
    share_then: float
    share_now: float
    mean_then: float
    mean_now: float

    @property
    def moved(self) -> float:
        """Both together."""
        return self.mix + self.within


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A move of the mean score, taken apart."""

    shift: float
    """Mean score now minus that of the hold-out."""
    parts: tuple[Part, ...]
    """What adds most comes first, over all segments; those of one segment add up to the shift."""
    features: tuple[tuple[str, float], ...]
    """Drifted features with importance times distance, as shares of all; the largest first."""


def explain(baseline: Baseline, profile: Profile, findings: Sequence[Finding], most: int = 10) -> Moved:
    """Take the move of the mean score apart, by segments and by features."""
    parts = [
        part
        for segment, values in profile.segments.items()
        for part in parts_of(segment, baseline.profile.segments[segment], values)
    ]
    return Moved(
        shift=profile.scores.moments.mean - baseline.profile.scores.moments.mean,
        parts=tuple(sorted(parts, key=lambda p: (-abs(p.moved), p.segment, p.value))[:most]),
        features=_features(findings)[:most],
    )


def parts_of(segment: str, then: Mapping[str, Moments], now: Mapping[str, Moments]) -> list[Part]:
    """What each value of a segment adds. A value that is new or gone is scored as on the side that has it."""
    n, m = sum(v.count for v in then.values()), sum(v.count for v in now.values())
    if n == 0 or m == 0:
        return []
    middle = sum(v.count * v.mean for v in then.values()) / n
    parts = []
    for value in sorted({*then, *now}):
        a, b = then.get(value, _NOTHING), now.get(value, _NOTHING)
        mean_then = a.mean if a.count else b.mean
        mean_now = b.mean if b.count else a.mean
        share_then, share_now = a.count / n, b.count / m
        parts.append(
            Part(
                segment=segment,
                value=value,
                # Measured from the middle, a value that comes more often adds only by how it differs from the others.
                mix=(share_now - share_then) * (mean_then - middle),
                within=share_now * (mean_now - mean_then),
                share_then=share_then,
                share_now=share_now,
                mean_then=mean_then,
                mean_now=mean_now,
            )
        )
    return parts


def _features(findings: Sequence[Finding]) -> tuple[tuple[str, float], ...]:
    drifted = [
        (f.subject, f.weight * (f.value or 0.0))
        for f in findings
        if f.check == "feature drift" and URGENCY[f.severity] > URGENCY["unknown"]
    ]
    whole = sum(amount for _, amount in drifted) or 1.0
    return tuple(sorted(((name, amount / whole) for name, amount in drifted), key=lambda d: (-d[1], d[0])))
