"""AUC against scikit-learn, the definition, published figures and simulation."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from leadgate.stats.auc import OneClassError, auc, auc_interval, compare_auc

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]

# Grades 1 to 5, how many patients of each grade did badly and how many well.
WFNS = ((2, 12, 1, 8, 18), (37, 20, 3, 8, 4))
HANLEY = ((3, 2, 2, 11, 33), (33, 6, 6, 11, 2))


def graded(table: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[Flags, Scores]:
    """One row a patient, from counts by grade."""
    bad, well = (np.repeat(np.arange(1.0, 6.0), counts) for counts in table)
    return np.repeat([True, False], [len(bad), len(well)]), np.concatenate([bad, well])


def covariance_by_definition(converted: Flags, scores: list[Scores]) -> Scores:
    """DeLong's covariance from all pairs, O(m n): placements V10 and V01, their covariances over m and over n."""
    wins = []
    for score in scores:
        won, lost = score[converted][:, np.newaxis], score[~converted][np.newaxis]
        wins.append((won > lost) + 0.5 * (won == lost))
    m, n = wins[0].shape
    k = len(scores)
    result = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            mean_i, mean_j = wins[i].mean(), wins[j].mean()
            s10 = ((wins[i].mean(axis=1) - mean_i) * (wins[j].mean(axis=1) - mean_j)).sum() / (m - 1)
            s01 = ((wins[i].mean(axis=0) - mean_i) * (wins[j].mean(axis=0) - mean_j)).sum() / (n - 1)
            result[i, j] = s10 / m + s01 / n
    return result


def tied_sample(seed: int, n: int = 150) -> tuple[Flags, Scores, Scores]:
    rng = np.random.default_rng(seed)
    converted = rng.random(n) < 0.3
    a = rng.normal(size=n) + converted
    return converted, a.round(1), (a + rng.normal(size=n)).round(1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
def test_auc_is_the_one_of_scikit_learn_with_ties_and_all(rows: list[tuple[bool, int]]) -> None:
    """Ties count half, whatever the order of the rows."""
    converted = np.array([row[0] for row in rows])
    score = np.array([row[1] / 7 for row in rows])
    if converted.all() or not converted.any():
        with pytest.raises(OneClassError):
            auc(converted, score)
    else:
        assert auc(converted, score) == pytest.approx(roc_auc_score(converted, score), abs=1e-12)


def test_auc_by_hand() -> None:
    """Converted 0.8 and 0.4, others 0.4 and 0.2: wins 1, 1, a tie, 1 of four pairs."""
    converted = np.array([True, True, False, False])
    assert auc(converted, np.array([0.8, 0.4, 0.4, 0.2])) == 3.5 / 4


@pytest.mark.parametrize("seed", range(5))
def test_variance_is_delongs_by_its_definition(seed: int) -> None:
    """The fast algorithm and the sums over all pairs agree, ties included."""
    converted, a, b = tied_sample(seed)
    expected = covariance_by_definition(converted, [a, b])
    assert auc_interval(converted, a).variance == pytest.approx(expected[0, 0], rel=1e-10)
    paired = compare_auc(converted, a, b)
    assert paired.variance == pytest.approx(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1], rel=1e-10)


def test_variance_is_the_one_that_proc_publishes() -> None:
    """WFNS grade and outcome of the 113 patients of pROC's aSAH data.

    Source: xrobin/pROC, tests/testthat: theta of wfns in helper-deLongPlacementsCpp-expected.R (whose placements give
    the counts by grade), var(r.wfns) in test-var.R.
    """
    estimate = auc_interval(*graded(WFNS))
    assert estimate.value == pytest.approx(0.823678861788618, abs=1e-14)
    assert estimate.variance == pytest.approx(0.00146991470882363, rel=1e-12)


def test_auc_is_the_one_that_hanley_and_mcneil_publish() -> None:
    """Radiology 143 (1982) 29-36, table I: 109 CT images rated 1 to 5, area 0.893."""
    assert round(auc(*graded(HANLEY)), 3) == 0.893


def test_interval_is_the_plain_one_carried_through_the_logit() -> None:
    """Delta method by hand: logit(A) +- 1.96 s / (A (1 - A)), taken back; on WFNS with pROC's variance."""
    value, deviation = 0.823678861788618, 0.00146991470882363**0.5
    centre, half = np.log(value / (1 - value)), 1.959963984540054 * deviation / (value * (1 - value))
    interval = auc_interval(*graded(WFNS)).interval
    assert interval.low == pytest.approx(1 / (1 + np.exp(half - centre)), abs=1e-12)
    assert interval.high == pytest.approx(1 / (1 + np.exp(-half - centre)), abs=1e-12)


@pytest.mark.parametrize(("separation", "converted_leads"), ((1.5, 60), (1.5, 25), (0.3, 60)))
def test_the_interval_covers_the_truth_as_often_as_it_says(separation: float, converted_leads: int) -> None:
    """Two normal distributions of known AUC; 1,500 samples, four standard errors of the count, two points of slack.

    The slack is what an asymptotic interval may lose with 25 converted leads.
    """
    rng = np.random.default_rng(11)
    truth = NormalDist().cdf(separation / 2**0.5)
    converted = np.repeat([True, False], [converted_leads, 200])
    hits = 0
    for _ in range(1500):
        interval = auc_interval(converted, rng.normal(size=len(converted)) + separation * converted).interval
        hits += interval.low <= truth <= interval.high
    error = (0.95 * 0.05 / 1500) ** 0.5
    assert 0.95 - 4 * error - 0.02 <= hits / 1500 <= 0.95 + 4 * error


def test_equal_scores_are_called_different_one_time_in_twenty() -> None:
    """Two scores of equal true AUC that share half their noise: p < 0.05 in 5 %, within four standard errors."""
    rng = np.random.default_rng(3)
    converted = np.repeat([True, False], [100, 300])
    found = 0
    for _ in range(1500):
        shared = rng.normal(size=400) + converted
        a, b = shared + rng.normal(size=400), shared + rng.normal(size=400)
        found += compare_auc(converted, a, b).p_value < 0.05
    assert found / 1500 == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 1500) ** 0.5)


def test_comparison_says_which_one_is_better() -> None:
    """Positive when B is better; turned around, the sign turns and the p-value stays."""
    converted, a, _ = tied_sample(1)
    worse = np.random.default_rng(0).normal(size=len(a))
    there, back = compare_auc(converted, worse, a), compare_auc(converted, a, worse)
    assert there.difference == pytest.approx(roc_auc_score(converted, a) - roc_auc_score(converted, worse))
    assert there.interval.low > 0
    assert there.p_value < 0.01
    assert back.difference == -there.difference
    assert back.p_value == pytest.approx(there.p_value)


def test_a_score_does_not_differ_from_itself() -> None:
    """Nor from any increasing function of itself."""
    converted, a, _ = tied_sample(2)
    for other in (a, np.exp(a)):
        paired = compare_auc(converted, a, other)
        assert (paired.difference, paired.z, paired.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("leads", (1, 3, 20))
def test_perfect_separation_is_not_certainty(leads: int) -> None:
    """At the interval's end, perfect separation of so many pairs has a chance of 5 %: low ** leads = 0.05."""
    converted = np.repeat([True, False], [leads, 50])
    up, down = auc_interval(converted, converted.astype(float)), auc_interval(converted, 1.0 - converted)
    assert up.value == up.interval.high == 1.0
    assert up.interval.low**leads == pytest.approx(0.05)
    assert (down.value, down.interval.low) == (0.0, 0.0)
    assert down.interval.high == pytest.approx(1 - up.interval.low)


def test_one_converted_lead_says_next_to_nothing() -> None:
    """The scatter of one lead is unknown, so its interval is that of the largest variance there can be."""
    converted = np.zeros(200, dtype=np.bool_)
    converted[0] = True
    score = np.linspace(0, 1, 200)
    score[0] = 0.9
    interval = auc_interval(converted, score).interval
    assert interval.low < 0.2
    assert interval.high > 0.99


def test_two_perfect_separations_of_a_few_leads_are_not_proven_equal() -> None:
    """DeLong's variance is 0 there; an interval of no width would be a lie."""
    converted = np.array([True, True, False, False])
    paired = compare_auc(converted, np.array([3.0, 4, 1, 2]), np.array([4.0, 3, 1, 2]))
    assert paired.difference == 0.0
    assert paired.interval.high > 0.5
    assert paired.p_value == 1.0


def test_a_reversal_on_a_few_leads_is_not_significant_and_on_many_is() -> None:
    """A ranks all wrong, B all right: with two leads that is chance, with 200 it is not."""
    for pairs, significant in ((1, False), (100, True)):
        converted = np.repeat([True, False], pairs)
        right = converted.astype(float)
        assert (compare_auc(converted, 1 - right, right).p_value < 0.05) is significant


def test_one_class_is_refused_with_a_sentence() -> None:
    """AUC of leads that all converted does not exist."""
    with pytest.raises(OneClassError, match="of these 3 leads 3 converted"):
        auc(np.ones(3, dtype=np.bool_), np.array([0.1, 0.2, 0.3]))
