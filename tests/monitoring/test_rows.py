"""The drift of rows is that of scipy on the rows, and that of profiles."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from leadgate.leads.layout import cut
from leadgate.leads.monitoring_rules import DriftRules
from leadgate.leads.profiles import numeric_of
from leadgate.monitoring.data import numeric_drift
from leadgate.monitoring.rows import drift_of_rows


@pytest.mark.parametrize("threads", (1, 2))
def test_distances_are_scipys(threads: int) -> None:
    """KS of numbers and JS of categories, with missing values left out."""
    rng = np.random.default_rng(1)
    then, now = rng.lognormal(0, 1, 30_000), rng.lognormal(0.3, 1, 20_000)
    holes = np.where(rng.random(20_000) < 0.1, np.nan, now)
    a, b = {"web": 500, "fair": 300}, {"web": 200, "fair": 300, "list": 50}
    found = drift_of_rows({"x": then, "s": a}, {"x": holes, "s": b}, DriftRules(), threads=threads)
    exact = ks_2samp(then, holes[np.isfinite(holes)], method="asymp")
    assert found["x"].ks == pytest.approx(exact.statistic, abs=1e-12)
    assert found["s"].js == pytest.approx(jensenshannon([500, 300, 0], [200, 300, 50]) ** 2, abs=1e-9)
    assert found["x"].severity == "green"
    assert found["s"].by == "share of a category"


@pytest.mark.parametrize("moved", (0.0, 0.05, 0.5))
def test_rows_and_profiles_judge_alike(moved: float) -> None:
    """The distances of profiles are those of the rows behind them, to within what a bin holds."""
    rng = np.random.default_rng(2)
    then, now = rng.lognormal(0, 1, 100_000), rng.lognormal(moved, 1, 60_000)
    edges = cut(then)
    profiles = numeric_drift(numeric_of(then, edges), numeric_of(now, edges), edges, DriftRules())
    rows = drift_of_rows({"x": then}, {"x": now}, DriftRules())["x"]
    assert (rows.severity, rows.by) == (profiles.severity, profiles.by)
    assert profiles.ks == pytest.approx(rows.ks, abs=1e-4)
    assert profiles.js == pytest.approx(rows.js, abs=1e-4)
    assert profiles.spread == pytest.approx(rows.spread, abs=1e-3)
    assert profiles.p_value == pytest.approx(rows.p_value, rel=0.1, abs=1e-6)
