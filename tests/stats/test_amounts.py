"""Deal sizes: Welch against scipy, non-inferiority by simulation."""

import numpy as np
import pytest
from scipy import stats

from leadgate.stats.amounts import compare_amounts


def deals(n: int, factor: float, seed: int) -> np.ndarray:
    """Log-normal deals."""
    return factor * np.random.default_rng(seed).lognormal(9.0, 0.7, n)


def test_the_test_is_welchs_on_logarithms() -> None:
    """As scipy computes it."""
    a, b = deals(300, 1.0, 1), deals(260, 1.1, 2)
    found = compare_amounts(a, b, 0.1, np.random.default_rng(0))
    expected = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.geometric == pytest.approx(stats.gmean(b) / stats.gmean(a))


@pytest.mark.parametrize(("factor", "said"), ((1.0, "no worse"), (0.75, "worse"), (0.9, "unclear")))
def test_smaller_deals_are_told_from_equal_ones(factor: float, said: str) -> None:
    """3,000 deals a side, margin 10 %."""
    found = compare_amounts(deals(3_000, 1.0, 3), deals(3_000, factor, 4), 0.1, np.random.default_rng(0))
    assert found.non_inferiority.verdict == said


def test_the_bootstrap_interval_covers_the_truth() -> None:
    """The ratio of means, in 95 % of 300 runs with 250 deals a side, give or take 3.8 points."""
    covered = 0
    for run in range(300):
        found = compare_amounts(deals(250, 1.0, 2 * run), deals(250, 1.2, 2 * run + 1), 0.1, np.random.default_rng(run))
        interval = found.non_inferiority.interval
        assert interval is not None
        covered += interval.low <= 0.2 <= interval.high
    assert covered / 300 == pytest.approx(0.95, abs=0.038)


def test_too_few_deals_and_missing_amounts_say_nothing() -> None:
    """Nine deals, zeros and NaN are no sample."""
    few = compare_amounts(deals(9, 1.0, 1), deals(500, 1.0, 2), 0.1, np.random.default_rng(0))
    assert few.non_inferiority.verdict == "not enough data"
    nothing = np.full(50, np.nan)
    assert compare_amounts(nothing, np.zeros(50), 0.1, np.random.default_rng(0)).non_inferiority.leads == 0
