"""The bins of a version's profiles: cut once, from the leads it was trained on, and shared ever after (quiet)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from leadgate.leads.schema import Feature, FeatureType, FeatureValue

Floats = npt.NDArray[np.float64]

BINS = 12_500
"""Of a numeric feature with that many distinct values or more."""
_HEAVY = 1 / 50_000
"""A value that a larger share of the training leads has gets a bin of its own. A KS statistic from such bins is wrong
by at most 1 / 12,500 (training leads between two edges) + 1 / 50,000 (those at an edge) = 0.0001."""
CATEGORIES = 1_000
"""Categories beyond the known ones that are told apart; see ``kept_categories``."""
_SEGMENT_VALUES = 200
"""Values of a segment that are told apart."""

SCORE_EDGES: Floats = np.arange(1, 10_001) / 10_000
"""Upper edges of the bins of a score, inclusive."""
LATENCY_EDGES: Floats = 10.0 ** (np.arange(-200, 501) / 100)
"""Upper edges, in milliseconds, of the bins of a latency: 0.01 ms to 100 s, each 2.3 % above the one before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """The bins of every feature of a version."""

    edges: Mapping[str, Floats]
    """By numeric feature: upper edges of its bins, inclusive and ascending; one more bin is above the last edge."""
    known: Mapping[str, frozenset[str]]
    """By categorical or boolean feature: the categories that the training leads have."""
    segments: tuple[str, ...]
    """Categorical or boolean features by whose values the scores are also summed up."""

    @cached_property
    def digest(self) -> str:
        """Profiles with the same digest can be added; 16 hexadecimal digits."""
        told = hashlib.sha256()
        for name in sorted(self.edges):
            told.update(name.encode() + b"\0" + self.edges[name].tobytes())
        for name in sorted(self.known):
            told.update("\0".join([name, *sorted(self.known[name])]).encode() + b"\1")
        told.update("\0".join(self.segments).encode())
        return told.hexdigest()[:16]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every feature that has bins or categories."""
        return (*self.edges, *self.known)

    @cached_property
    def told(self) -> dict[str, frozenset[str]]:
        """By segment: its values that are told apart; the others share one."""
        return {name: frozenset(sorted(self.known[name])[:_SEGMENT_VALUES]) for name in self.segments}

    @cached_property
    def decode(self) -> Callable[[bytes], Any]:
        """Decodes the JSON object of a lead to a row, of which ``columns`` takes the features."""
        fields = [(f"f{i}", Any, None) for i in range(len(self.names))]
        named = {f"f{i}": name for i, name in enumerate(self.names)}
        row = msgspec.defstruct("Row", fields, rename=named, gc=False)
        return msgspec.json.Decoder(row).decode

    @cached_property
    def columns(self) -> dict[str, Callable[[Any], FeatureValue]]:
        """By feature: takes its value of a decoded row; None where the lead lacks it."""
        return {name: attrgetter(f"f{i}") for i, name in enumerate(self.names)}


NO_LAYOUT = Layout(edges={}, known={}, segments=())
"""For a version without a baseline: scores and latencies have their bins, features have none."""


def layout_of(
    features: Sequence[Feature], columns: Mapping[str, Sequence[FeatureValue]], segments: Sequence[str]
) -> Layout:
    """Cut the bins of features at the quantiles of training values, one sequence a feature."""
    edges, known = {}, {}
    for feature in features:
        values = columns[feature.name]
        if feature.type is FeatureType.NUMERIC:
            edges[feature.name] = cut(np.array(values, dtype=np.float64))
        else:
            known[feature.name] = frozenset(category_of(value) for value in set(values) if value is not None)
    return Layout(edges=edges, known=known, segments=tuple(name for name in segments if name in known))


def cut(values: Floats, bins: int = BINS) -> Floats:
    """Upper edges of bins that hold equal shares of ``values``, each edge a value; NaN is left out.

    Few distinct values are edges themselves. An edge that many leads have stands alone between itself and the largest
    number below it: the distribution function jumps there, and both ends of the jump have to be known.
    """
    ordered = in_order(values[np.isfinite(values)])
    # Not np.unique: it would sort again.
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(ordered) else np.array([], dtype=int)
    if len(first) > bins:
        ranks = np.ceil(len(ordered) * np.arange(1, bins + 1) / bins).astype(np.int64) - 1
        first = np.unique(np.searchsorted(ordered, ordered[ranks], side="left"))
    edges = ordered[first]
    numbers = np.searchsorted(ordered, edges, side="right") - first
    return np.union1d(edges, np.nextafter(edges[numbers > _HEAVY * len(ordered)], -np.inf))


def in_order(values: Floats) -> Floats:
    """Values in ascending order; the same array when it is."""
    return values if np.all(values[1:] >= values[:-1]) else np.sort(values)


def category_of(value: FeatureValue) -> str:
    """How a category is named in a profile."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)[:200]
