"""Calibration against scikit-learn, hand calculations and properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve as sklearn_curve
from sklearn.metrics import brier_score_loss

from leadgate.stats.calibration import (
    NoLeadsError,
    brier,
    calibration_curve,
    calibration_error,
    sorted_calibration_error,
)

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=80)


def test_brier_is_scikit_learns() -> None:
    """Mean squared distance."""
    rng = np.random.default_rng(0)
    score = rng.random(500)
    converted = rng.random(500) < score
    assert brier(converted, score) == pytest.approx(brier_score_loss(converted, score))


def test_curve_is_scikit_learns_where_no_scores_repeat() -> None:
    """Quantile bins of 1,000 distinct scores: the same means and the same rates."""
    rng = np.random.default_rng(1)
    score = rng.permutation(np.linspace(0.01, 0.99, 1000)) ** 2
    converted = rng.random(1000) < score
    rates, means = sklearn_curve(converted, score, n_bins=10, strategy="quantile")
    curve = calibration_curve(converted, score)
    assert [b.rate for b in curve] == pytest.approx(rates)
    assert [b.mean_score for b in curve] == pytest.approx(means)
    expected = binomtest(curve[4].conversions, curve[4].leads).proportion_ci(method="wilson")
    assert (curve[4].interval.low, curve[4].interval.high) == pytest.approx((expected.low, expected.high))


def test_error_by_hand() -> None:
    """Two bins of four: 0.1 predicted and 1/4 converted, 0.8 predicted and 2/4 converted: (0.15 + 0.3) / 2."""
    score = np.array([0.1] * 4 + [0.8] * 4)
    converted = np.array([True, False, False, False, True, True, False, False])
    assert calibration_error(converted, score, bins=2) == pytest.approx(0.225)


@given(rows, st.integers(1, 12))
def test_bins_hold_every_lead_once_and_equal_scores_together(rows: list[tuple[bool, int]], bins: int) -> None:
    """No lead is lost, no bin is empty, no score is in two bins."""
    converted, score = np.array([r[0] for r in rows]), np.array([r[1] / 12 for r in rows])
    curve = calibration_curve(converted, score, bins)
    assert 1 <= len(curve) <= bins
    assert sum(b.leads for b in curve) == len(rows)
    assert sum(b.conversions for b in curve) == converted.sum()
    assert all(b.leads > 0 for b in curve)
    assert all(lower.high < upper.low for lower, upper in itertools.pairwise(curve))


@given(rows)
def test_the_order_of_the_leads_does_not_matter(rows: list[tuple[bool, int]]) -> None:
    """A file read backwards gives the same error."""
    converted, score = np.array([r[0] for r in rows]), np.array([r[1] / 12 for r in rows])
    assert calibration_error(converted, score) == pytest.approx(calibration_error(converted[::-1], score[::-1]))


@given(rows, st.integers(1, 12))
def test_the_error_is_that_of_the_curve(rows: list[tuple[bool, int]], bins: int) -> None:
    """The bins' distances of predicted and actual rate, weighted by their leads, also where scores repeat."""
    converted, score = np.array([r[0] for r in rows]), np.array([r[1] / 12 for r in rows])
    curve = calibration_curve(converted, score, bins)
    weighted = sum(b.leads * abs(b.mean_score - b.rate) for b in curve) / len(rows)
    assert calibration_error(converted, score, bins) == pytest.approx(weighted)


@given(rows, st.integers(0, 99))
def test_a_resample_of_sorted_leads_has_the_error_of_the_leads_drawn(rows: list[tuple[bool, int]], seed: int) -> None:
    """Each lead as often as it was drawn, still sorted: what a bootstrap that picks leads one by one would find."""
    rows = sorted(rows, key=lambda row: row[1])
    converted, score = np.array([r[0] for r in rows]), np.array([r[1] / 12 for r in rows])
    drawn = np.random.default_rng(seed).integers(0, len(rows), len(rows))
    times = np.bincount(drawn, minlength=len(rows))
    found = sorted_calibration_error(np.repeat(converted, times), np.repeat(score, times))
    assert found == pytest.approx(calibration_error(converted[drawn], score[drawn]))


def test_true_probabilities_are_calibrated_and_squeezed_ones_are_not() -> None:
    """20,000 leads: chance leaves the truth under 0.02; scores moved halfway to 0.5 are off by 0.12 or more."""
    rng = np.random.default_rng(2)
    truth = rng.random(20_000)
    converted = rng.random(20_000) < truth
    assert calibration_error(converted, truth) < 0.02
    # The mean of |p - 1/2| / 2 over a uniform p is 1/8.
    assert calibration_error(converted, (truth + 0.5) / 2) == pytest.approx(0.125, abs=0.01)


def test_no_leads_have_no_figures() -> None:
    """An empty set is refused, not called perfectly calibrated."""
    nobody, nothing = np.array([], dtype=np.bool_), np.array([])
    assert calibration_curve(nobody, nothing) == ()
    for figure in (brier, calibration_error):
        with pytest.raises(NoLeadsError, match="no lead with a known outcome"):
            figure(nobody, nothing)
