"""Makes profiles of leads and of logged predictions (quiet)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from leadgate.leads.layout import LATENCY_EDGES, SCORE_EDGES, Layout, category_of
from leadgate.leads.profiles import (
    Categorical,
    Moments,
    Numeric,
    Profile,
    kept_categories,
    numeric_of,
)
from leadgate.leads.schema import FeatureValue
from leadgate.records import Prediction

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[FeatureValue]]

MISSING, OTHER = "(missing)", "(other)"
_NOTHING: Floats = np.array([], dtype=np.float64)


def profile_predictions(layout: Layout, predictions: Sequence[Prediction]) -> Profile:
    """The profile of at least one logged prediction."""
    columns: Columns = {}
    if layout.names:
        # One by one: joining them to one array takes as long as decoding it.
        rows = [layout.decode(p.features) for p in predictions]
        # Column by column: a tuple for each row would wake the garbage collector again and again.
        columns = {name: list(map(value, rows)) for name, value in layout.columns.items()}
    times = [p.scored_at for p in predictions]
    return profile_columns(
        layout,
        columns,
        scores=np.array([p.predicted_score for p in predictions], dtype=np.float64),
        latencies=np.array([p.latency_ms for p in predictions], dtype=np.float64),
        bands=Counter([p.own_priority or p.priority for p in predictions]),
        span=(min(times), max(times)),
    )


def profile_columns(
    layout: Layout,
    columns: Columns,
    *,
    scores: Floats,
    latencies: Floats = _NOTHING,
    bands: Mapping[str, int],
    span: tuple[datetime, datetime] | None = None,
) -> Profile:
    """The profile of columns of raw values, one sequence a feature; one score an entry."""
    numbered = {name: Numbered(columns[name]) for name in layout.segments}
    return Profile(
        predictions=len(scores),
        first_at=span[0] if span else None,
        last_at=span[1] if span else None,
        scores=numeric_of(scores, SCORE_EDGES),
        latency=numeric_of(latencies, LATENCY_EDGES),
        bands=dict(bands),
        numeric={name: summed(columns[name], edges) for name, edges in layout.edges.items()},
        categorical={
            name: named(numbered[name].counts(), known) if name in numbered else counted(columns[name], known)
            for name, known in layout.known.items()
        },
        segments={name: scores_by_value(found, scores, layout.told[name]) for name, found in numbered.items()},
    )


def summed(values: Sequence[FeatureValue], edges: Floats) -> Numeric:
    """The profile of a numeric feature; what is no number counts as missing."""
    try:
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        numbers = np.array([v if isinstance(v, float | int) else np.nan for v in values], dtype=np.float64)
    return numeric_of(numbers, edges)


def counted(values: Sequence[FeatureValue], known: frozenset[str]) -> Categorical:
    """The profile of a categorical or boolean feature."""
    return named(Counter(values), known)


def named(found: Mapping[FeatureValue, int], known: frozenset[str]) -> Categorical:
    """The profile of counted values."""
    counts: dict[str, int] = {}
    for value, count in found.items():
        if value is not None:
            name = category_of(value)
            counts[name] = counts.get(name, 0) + count
    return kept_categories(Categorical(missing=found.get(None, 0), counts=counts), known)


class _Numbers(dict[FeatureValue, int]):
    """Numbers values in the order in which they first come."""

    def __missing__(self, value: FeatureValue) -> int:
        self[value] = number = len(self)
        return number


class Numbered:
    """Values as numbers of the different ones: looked up once, and then counted by numpy as often as needed."""

    def __init__(self, values: Sequence[FeatureValue]) -> None:
        numbers = _Numbers()
        self.places = np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))
        self.different = list(numbers)

    def counts(self) -> dict[FeatureValue, int]:
        """How often there is each."""
        counts = np.bincount(self.places, minlength=len(self.different))
        return dict(zip(self.different, counts.tolist(), strict=True))


def scores_by_value(values: Numbered, scores: Floats, told: frozenset[str]) -> dict[str, Moments]:
    """The scores of the leads with each value of a segment that is told apart, and of those with another."""
    numbers = _Numbers()
    place_of = np.array([numbers[_segment_of(value, told)] for value in values.different], dtype=np.int64)
    return _moments_by_place(place_of[values.places], scores, [str(name) for name in numbers])


def _segment_of(value: FeatureValue, told: frozenset[str]) -> str:
    name = MISSING if value is None else category_of(value)
    return name if value is None or name in told else OTHER


def _moments_by_place(places: npt.NDArray[np.int64], scores: Floats, names: Sequence[str]) -> dict[str, Moments]:
    """Moments of the scores at each place; distances are taken from a common middle, so that nothing is lost."""
    middle = float(scores.mean()) if len(scores) else 0.0
    apart = scores - middle
    counts = np.bincount(places, minlength=len(names))
    sums = np.bincount(places, weights=apart, minlength=len(names))
    squares = np.bincount(places, weights=apart * apart, minlength=len(names))
    return {
        name: Moments(count=n, mean=middle + s / n, m2=max(0.0, q - s * s / n))
        for name, n, s, q in zip(names, counts.tolist(), sums.tolist(), squares.tolist(), strict=True)
    }
