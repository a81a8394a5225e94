"""The ROC curve and the groups of scores, from counts in bins."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from leadgate.stats.curves import groups_of_counts, roc_of_counts

BINS = 10_000


def _leads(n: int, seed: int = 3) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """Leads whose score is their probability: bin and outcome of each, and the counts."""
    rng = np.random.default_rng(seed)
    place = np.minimum((rng.beta(1.2, 4, n) * BINS).astype(np.int64), BINS - 1)
    converted = (rng.random(n) < place / BINS).astype(np.int64)
    won, lost = (np.bincount(place[converted == kind], minlength=BINS) for kind in (1, 0))
    return place, converted, won, lost


def test_every_point_of_the_roc_lies_on_the_librarys_curve() -> None:
    """A thinned curve must not show points that the scores do not reach."""
    place, converted, won, lost = _leads(3_000)
    false, true, _ = roc_curve(converted, place, drop_intermediate=False)
    ours = roc_of_counts(won, lost)
    whole = set(zip(false.round(9), true.round(9), strict=True))
    assert {(round(float(f), 9), round(float(t), 9)) for f, t in zip(*ours, strict=True)} <= whole
    assert 40 < len(ours[0]) <= 82


def test_the_area_under_the_thinned_roc_is_the_auc() -> None:
    """What the picture shows is what the figure beside it says."""
    place, converted, won, lost = _leads(3_000)
    false, true = roc_of_counts(won, lost)
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(converted, place), abs=2e-3)


def test_leads_of_equal_scores_are_one_step_and_one_class_has_no_curve() -> None:
    """Ties go up and to the right together; without a conversion there is nothing to draw."""
    won, lost = np.array([0, 3]), np.array([2, 1])
    false, true = roc_of_counts(won, lost)
    assert np.allclose(false, [0, 1 / 3, 1])
    assert np.allclose(true, [0, 1, 1])
    assert len(roc_of_counts(np.array([0, 0]), lost)[0]) == 0


def test_groups_hold_a_tenth_each_and_all_leads_together() -> None:
    """A decile is a tenth of the leads, by score, with the conversions of exactly these."""
    place, converted, won, lost = _leads(4_000)
    groups = groups_of_counts(won, lost, (np.arange(BINS) + 0.5) / BINS)
    assert [g.leads for g in groups] == pytest.approx([400] * 10, abs=12)
    assert sum(g.leads for g in groups) == 4_000
    top = np.sort(place)[-groups[-1].leads]
    assert groups[-1].conversions == converted[place >= top].sum()
    assert groups[-1].mean_score == pytest.approx((place[place >= top].mean() + 0.5) / BINS)


def test_one_score_for_all_is_one_group() -> None:
    """A model that tells nobody apart has no top tenth."""
    (group,) = groups_of_counts(np.array([0, 30]), np.array([0, 70]), np.array([0.25, 0.75]))
    assert (group.leads, group.rate, group.mean_score) == (100, 0.3, 0.75)
    assert group.interval.low == pytest.approx(0.2189, abs=1e-4)  # Wilson, by R's prop.test(30, 100, correct=FALSE)
    assert groups_of_counts(np.zeros(2, int), np.zeros(2, int), np.array([0.2, 0.8])) == ()
