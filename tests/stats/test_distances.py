"""Distances of distributions agree with scipy, and with hand calculations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon

from leadgate.stats.distances import (
    coarse,
    entropy_of,
    homogeneity_p_value,
    js_divergence,
    ks_p_value,
    ks_statistic,
    mean_difference_p_value,
    psi,
    quantile,
    shares,
)

COUNTS = arrays(np.int64, 8, elements=st.integers(0, 1_000)).filter(lambda counts: counts.sum() > 0)


@given(a=COUNTS, b=COUNTS)
def test_js_divergence_is_the_square_of_scipys_distance(a: np.ndarray, b: np.ndarray) -> None:
    """The divergence is in nats; scipy gives its root."""
    assert js_divergence(a, b) == pytest.approx(jensenshannon(a / a.sum(), b / b.sum()) ** 2, abs=1e-12)


@given(a=COUNTS, b=COUNTS)
def test_ks_of_counts_is_ks_of_the_values(a: np.ndarray, b: np.ndarray) -> None:
    """Where every bin holds one value, nothing is lost by counting."""
    values = np.arange(8)
    exact = stats.ks_2samp(np.repeat(values, a), np.repeat(values, b), method="asymp")
    assert ks_statistic(a, b) == pytest.approx(exact.statistic, abs=1e-12)
    assert ks_p_value(exact.statistic, a.sum(), b.sum()) == pytest.approx(exact.pvalue, rel=1e-6, abs=1e-12)


def test_p_value_of_large_samples_does_not_overflow() -> None:
    """Ten million against ten million: n times m is beyond 64 bits of a sum of such products."""
    n = 5_000_000_000
    assert ks_p_value(0.0001, n, n) == pytest.approx(stats.kstwobign.sf(0.0001 * np.sqrt(2.5e9)))


@given(a=COUNTS, b=COUNTS)
def test_homogeneity_agrees_with_scipy_where_nothing_is_pooled(a: np.ndarray, b: np.ndarray) -> None:
    """Pearson's test without continuity correction."""
    a, b = a + 100, b + 100
    expected = stats.chi2_contingency(np.stack([a, b]), correction=False).pvalue
    assert homogeneity_p_value(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_rare_bins_are_pooled() -> None:
    """Forty categories seen once each on one side are one bin, so that they prove nothing by their number."""
    a, b = np.array([1_000] + [1] * 40), np.array([1_040] + [0] * 40)
    pooled = stats.chi2_contingency(np.array([[1_000, 40], [1_040, 0]]), correction=False).pvalue
    assert homogeneity_p_value(a, b) == pytest.approx(pooled, rel=1e-6)
    assert homogeneity_p_value(np.array([3, 1]), np.array([1, 3])) == 1.0


def test_psi_of_a_hand_calculation() -> None:
    """(0.5 - 0.25) ln 2 + (0.5 - 0.75) ln (2 / 3)."""
    assert psi(np.array([25, 75]), np.array([50, 50])) == pytest.approx(0.25 * np.log(2) - 0.25 * np.log(2 / 3))
    assert np.isfinite(psi(np.array([10, 0]), np.array([0, 10])))


def test_entropy_agrees_with_scipy() -> None:
    """In nats; an empty bin adds nothing."""
    counts = np.array([5, 0, 3, 2])
    assert entropy_of(shares(counts)) == pytest.approx(stats.entropy(counts))


@given(a=arrays(np.int64, 500, elements=st.integers(0, 50)).filter(lambda counts: counts.sum() > 0))
def test_coarse_groups_keep_every_count_and_are_even(a: np.ndarray) -> None:
    """No count is lost, and no group that several bins share is much larger than a tenth."""
    grouped = coarse(a, a)
    assert grouped.sum() == a.sum()
    assert len(grouped) == 10
    assert grouped.max() <= a.sum() / 10 + 2 * a.max()


def test_quantile_is_the_upper_edge() -> None:
    """The median of 1, 1, 2, 3 is below or equal to 1 for the lower half."""
    edges = np.array([1.0, 2.0, 3.0])
    assert quantile(np.array([2, 1, 1]), edges, 0.5) == 1.0
    assert quantile(np.array([2, 1, 1]), edges, 0.9) == 3.0


def test_means_are_compared_as_welch_does() -> None:
    """Against scipy, where the normal approximation is as good as the t distribution."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 4_000), rng.normal(0.08, 2, 5_000)
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    found = mean_difference_p_value(a.mean() - b.mean(), a.var(ddof=1), len(a), b.var(ddof=1), len(b))
    assert found == pytest.approx(expected, rel=0.01)


def test_no_count_is_no_distribution() -> None:
    """Rather than a distance of NaN."""
    with pytest.raises(ValueError, match="no count"):
        js_divergence(np.array([0, 0]), np.array([1, 2]))
