"""Figures from counts in bins equal those of the leads themselves."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leadgate.stats.auc import auc_interval
from leadgate.stats.binned import auc_of_counts, calibrated, calibration_of_counts, correlation_of_counts

EDGES = np.arange(1, 10_001) / 10_000
MIDDLES = EDGES - 0.00005


def counted(score: np.ndarray, converted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of won and lost leads by bin."""
    place = np.searchsorted(EDGES, score)
    return tuple(np.bincount(place[part], minlength=10_000) for part in (converted, ~converted))  # type: ignore[return-value]


@pytest.mark.parametrize("n", (60, 2_000, 40_000))
def test_auc_and_its_interval_are_delongs(n: int) -> None:
    """Against scikit-learn's AUC, and our own row-wise DeLong, which is checked against published values."""
    rng = np.random.default_rng(n)
    score = np.clip(rng.beta(2, 6, n), 1e-6, 1)
    converted = rng.random(n) < score
    found = auc_of_counts(*counted(score, converted))
    exact = auc_interval(converted, score)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(converted, score), abs=1e-4)
    assert found.variance == pytest.approx(exact.variance, rel=0.01)
    assert found.interval.low == pytest.approx(exact.interval.low, abs=5e-4)
    assert found.interval.high == pytest.approx(exact.interval.high, abs=5e-4)


def test_one_class_has_no_auc() -> None:
    """None rather than a figure."""
    assert auc_of_counts(np.array([1, 2]), np.array([0, 0])) is None


def test_a_calibrated_score_is_within_chance() -> None:
    """Of 400 samples of a calibrated score hardly one has its interval above 0.02, and chance is told rightly."""
    rng = np.random.default_rng(5)
    errors, chances, above = [], [], 0
    for _ in range(400):
        score = rng.beta(2, 6, 800)
        found = calibration_of_counts(*counted(score, rng.random(800) < score), MIDDLES)
        assert found is not None
        errors.append(found.error)
        chances.append(found.by_chance)
        above += found.interval.low > 0.02
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.1)
    assert above <= 8


def test_a_miscalibrated_score_is_measured() -> None:
    """Half as many convert as the scores say: the error is half the mean score."""
    rng = np.random.default_rng(6)
    score = rng.beta(2, 6, 50_000)
    found = calibration_of_counts(*counted(score, rng.random(50_000) < score / 2), MIDDLES)
    assert found is not None
    assert found.error == pytest.approx(score.mean() / 2, abs=0.005)
    assert found.interval.low < found.error < found.interval.high
    assert found.interval.low > 0.1


def test_correlation_is_numpys() -> None:
    """Of score and outcome."""
    rng = np.random.default_rng(7)
    score = rng.beta(2, 6, 5_000)
    converted = rng.random(5_000) < score
    found = correlation_of_counts(*counted(score, converted), MIDDLES)
    assert found == pytest.approx(np.corrcoef(score, converted)[0, 1], abs=1e-3)


def test_outcomes_calibrate_scores() -> None:
    """Scores twice too high are halved, and the probabilities rise with the score."""
    rng = np.random.default_rng(8)
    score = rng.random(100_000)
    probability = calibrated(*counted(score, rng.random(100_000) < score / 2))
    assert np.all(np.diff(probability) >= 0)
    assert np.abs(probability - MIDDLES / 2).mean() < 0.02
