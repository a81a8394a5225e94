"""The drift of leads from their rows, without stored profiles: for files, and to prove the profiles (quiet)."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from leadgate.leads.monitoring_rules import DriftRules
from leadgate.leads.profiles import Categorical
from leadgate.monitoring.data import Drift, categorical_drift, counted_drift
from leadgate.stats.samples import side_by_side

Floats = npt.NDArray[np.float64]
Column = Floats | Mapping[str, int]
"""Values of a numeric feature, NaN for missing; or the counts of a categorical one."""


def drift_of_rows(
    then: Mapping[str, Column], now: Mapping[str, Column], rules: DriftRules, *, threads: int = 1
) -> dict[str, Drift]:
    """By feature, the distances between two sets of leads: the same judgement as that of profiles, and KS is exact.

    Both sides have the same features, each with at least one value. Counting is what takes the time, and lets other
    threads run.
    """
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda name: _drift(then[name], now[name], rules), then)
        return dict(zip(then, found, strict=True))


def _drift(then: Column, now: Column, rules: DriftRules) -> Drift:
    if isinstance(then, np.ndarray) and isinstance(now, np.ndarray):
        both = side_by_side(_finite(then), _finite(now))
        return counted_drift(both.a, both.b, both.edges, rules)
    assert isinstance(then, Mapping)
    assert isinstance(now, Mapping)
    return categorical_drift(Categorical(missing=0, counts=then), Categorical(missing=0, counts=now), rules)


def _finite(values: Floats) -> Floats:
    known = np.isfinite(values)
    return values if known.all() else values[known]
