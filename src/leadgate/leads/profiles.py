"""Summaries of leads and scores that add up: of a minute, of an hour, of a training snapshot (quiet).

Profiles over the same layout are added bin by bin, so that any window is the sum of its parts, whatever the order.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from math import inf, sqrt
from zlib import crc32

import numpy as np
import numpy.typing as npt

from leadgate.leads.layout import CATEGORIES, Layout, in_order

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FEW = 20_000


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Number, mean and spread of values."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    """Sum of the squared distances from the mean."""

    @property
    def variance(self) -> float:
        """Of the sample; 0 for fewer than two."""
        return self.m2 / (self.count - 1) if self.count > 1 else 0.0

    @property
    def deviation(self) -> float:
        """The root of the variance."""
        return sqrt(max(0.0, self.variance))


@dataclass(frozen=True, kw_only=True, eq=False)
class Numeric:
    """A numeric feature, the scores or the latencies."""

    missing: int
    low: float
    """Smallest value; infinite without any."""
    high: float
    moments: Moments
    counts: Counts
    """One a bin of the layout, and one for what lies above its last edge; empty where there is no layout."""

    @property
    def count(self) -> int:
        """Values."""
        return self.moments.count


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """A categorical or boolean feature."""

    missing: int
    counts: Mapping[str, int]
    other: int = 0
    """Values of categories that are not told apart: see ``kept_categories``."""

    @property
    def count(self) -> int:
        """Values."""
        return sum(self.counts.values()) + self.other


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """What is known of a number of predictions, or of training leads."""

    predictions: int
    first_at: datetime | None
    """UTC; None for training leads."""
    last_at: datetime | None
    scores: Numeric
    latency: Numeric
    """Milliseconds; without any value for training leads."""
    bands: Mapping[str, int]
    """Predictions by the priority that their score gives."""
    numeric: Mapping[str, Numeric] = field(default_factory=dict)
    categorical: Mapping[str, Categorical] = field(default_factory=dict)
    segments: Mapping[str, Mapping[str, Moments]] = field(default_factory=dict)
    """Scores by segment and its value; ``(missing)`` stands for leads without a value."""


def add_moments(a: Moments, b: Moments) -> Moments:
    """Of both together (Chan, Golub & LeVeque 1983)."""
    if a.count == 0 or b.count == 0:
        return b if a.count == 0 else a
    count, gap = a.count + b.count, b.mean - a.mean
    return Moments(
        count=count, mean=a.mean + gap * b.count / count, m2=a.m2 + b.m2 + gap * gap * a.count * b.count / count
    )


def moments_of(values: Floats) -> Moments:
    """Of finite values."""
    if len(values) == 0:
        return Moments()
    mean = float(values.mean())
    apart = values - mean
    return Moments(count=len(values), mean=mean, m2=float(apart @ apart))


def add_numeric(a: Numeric, b: Numeric) -> Numeric:
    """Both together."""
    return Numeric(
        missing=a.missing + b.missing,
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        moments=add_moments(a.moments, b.moments),
        counts=a.counts + b.counts,
    )


def numeric_of(values: Floats, edges: Floats) -> Numeric:
    """A profile of values, shape (n,); NaN and infinite ones count as missing."""
    known = np.isfinite(values)
    finite = values if known.all() else values[known]
    return Numeric(
        missing=len(values) - len(finite),
        low=float(finite.min()) if len(finite) else inf,
        high=float(finite.max()) if len(finite) else -inf,
        moments=moments_of(finite),
        counts=count_in(finite, edges),
    )


def count_in(values: Floats, edges: Floats) -> Counts:
    """How many values lie in each bin: above the edge before it, and not above its own."""
    if len(values) < _FEW:
        return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    # Many values: sorting them once is faster than searching a place for each.
    below = np.searchsorted(in_order(values), edges, side="right")
    return np.diff(below, prepend=0, append=len(values)).astype(np.int64)


def add_categorical(a: Categorical, b: Categorical, known: frozenset[str]) -> Categorical:
    """Both together."""
    counts = dict(a.counts)
    for name, count in b.counts.items():
        counts[name] = counts.get(name, 0) + count
    return kept_categories(Categorical(missing=a.missing + b.missing, counts=counts, other=a.other + b.other), known)


def kept_categories(found: Categorical, known: frozenset[str], most: int = CATEGORIES) -> Categorical:
    """The same with the known categories and at most ``most`` others told apart, so that it cannot grow without end.

    Of the others, those with the smallest CRC-32 stay. That makes adding exact and its order irrelevant: a category
    that stays in the whole has stayed in each part.
    """
    if len(found.counts) <= most:
        return found
    others = (name for name in found.counts if name not in known)
    kept = set(heapq.nsmallest(most, others, key=lambda name: (crc32(name.encode()), name)))
    counts = {name: count for name, count in found.counts.items() if name in known or name in kept}
    return Categorical(missing=found.missing, counts=counts, other=found.count - sum(counts.values()))


def add_profiles(layout: Layout, a: Profile, b: Profile) -> Profile:
    """Both together; they have the same layout."""
    return Profile(
        predictions=a.predictions + b.predictions,
        first_at=min((at for at in (a.first_at, b.first_at) if at is not None), default=None),
        last_at=max((at for at in (a.last_at, b.last_at) if at is not None), default=None),
        scores=add_numeric(a.scores, b.scores),
        latency=add_numeric(a.latency, b.latency),
        bands={band: a.bands.get(band, 0) + b.bands.get(band, 0) for band in {**a.bands, **b.bands}},
        numeric={name: add_numeric(a.numeric[name], b.numeric[name]) for name in layout.edges},
        categorical={
            name: add_categorical(a.categorical[name], b.categorical[name], known)
            for name, known in layout.known.items()
        },
        segments={name: _add_segments(a.segments[name], b.segments[name]) for name in layout.segments},
    )


def total(layout: Layout, profiles: Iterable[Profile]) -> Profile | None:
    """All of them together; None for none."""
    found = list(profiles)
    return reduce(lambda a, b: add_profiles(layout, a, b), found) if found else None


def _add_segments(a: Mapping[str, Moments], b: Mapping[str, Moments]) -> dict[str, Moments]:
    nothing = Moments()
    return {value: add_moments(a.get(value, nothing), b.get(value, nothing)) for value in {**a, **b}}
