"""The figures of scores, against scikit-learn, and what they are where they do not exist."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score

from leadgate.stats.calibration import NoLeadsError
from leadgate.stats.classification import classify


def test_figures_are_scikit_learns() -> None:
    """Precision is the converted share of those above the threshold, not the share above it."""
    rng = np.random.default_rng(4)
    score = rng.beta(1, 3, 2000)
    converted = rng.random(2000) < score
    found = classify(converted, score, 0.4)
    called = score > 0.4
    assert found.precision == pytest.approx(precision_score(converted, called))
    assert found.recall == pytest.approx(recall_score(converted, called))
    assert found.auc == pytest.approx(roc_auc_score(converted, score))
    assert found.brier == pytest.approx(brier_score_loss(converted, score))
    assert (found.leads, found.converted) == (2000, converted.sum())
    assert found.base_rate == pytest.approx(converted.mean())
    assert found.mean_score == pytest.approx(score.mean())
    hits = int((called & converted).sum())
    for interval, n in ((found.precision_interval, called.sum()), (found.recall_interval, converted.sum())):
        expected = binomtest(hits, int(n)).proportion_ci(method="wilson")
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    """The plan says above, so 0.5 at a threshold of 0.5 is not called."""
    found = classify(np.array([True, False, True]), np.array([0.5, 0.5, 0.6]), 0.5)
    assert (found.precision, found.recall) == (1.0, 0.5)


def test_leads_of_one_class_have_no_auc() -> None:
    """None, never 0 or 1."""
    lost = classify(np.zeros(5, dtype=np.bool_), np.linspace(0.1, 0.9, 5), 0.5)
    assert (lost.auc, lost.auc_interval, lost.recall, lost.recall_interval) == (None, None, None, None)
    assert lost.precision == 0.0
    won = classify(np.ones(5, dtype=np.bool_), np.linspace(0.1, 0.9, 5), 0.5)
    assert (won.auc, won.precision, won.recall) == (None, 1.0, 0.4)


def test_nobody_above_the_threshold_has_no_precision() -> None:
    """A model that calls nobody is not called imprecise."""
    found = classify(np.array([True, False]), np.array([0.2, 0.1]), 0.5)
    assert (found.precision, found.precision_interval, found.recall) == (None, None, 0.0)


def test_one_lead_is_enough_and_none_is_refused() -> None:
    """A sentence, not a division by zero."""
    assert classify(np.array([True]), np.array([0.7]), 0.5).brier == pytest.approx(0.09)
    with pytest.raises(NoLeadsError):
        classify(np.array([], dtype=np.bool_), np.array([]), 0.5)
