"""The drift of rows is that of scipy on the rows, and that of profiles."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from leadgate.leads.monitoring_rules import DriftRules
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
    assert found["x"].ks == pytest.approx(exact.statistic, abs=1e-4)
    assert found["s"].js == pytest.approx(jensenshannon([500, 300, 0], [200, 300, 50]) ** 2, abs=1e-9)
    assert found["x"].severity == "green"
    assert found["s"].by == "share of a category"
