"""The AUC over all leads from those of high score and a sample of the others."""

import numpy as np
import pytest

from leadgate.stats.auc import auc_interval
from leadgate.stats.binned import auc_of_counts
from leadgate.stats.explored import Part, apart, auc_of_parts, leads_needed

BINS = 10_000


def part(score: np.ndarray, won: np.ndarray, leads: int | None = None) -> Part:
    """A part of which these leads are known."""
    places = (score * BINS).astype(int)
    return Part(
        leads=len(score) if leads is None else leads,
        won=np.bincount(places[won], minlength=BINS),
        lost=np.bincount(places[~won], minlength=BINS),
    )


def test_one_part_is_the_plain_auc_with_delongs_variance() -> None:
    """Where nothing stands for anything else, the estimate is the one that every tool gives."""
    rng = np.random.default_rng(1)
    score = np.floor(rng.random(2_000) * BINS) / BINS + 0.00005
    won = rng.random(2_000) < score
    plain, found = auc_interval(won, score), auc_of_parts([part(score, won)])
    assert found is not None
    assert found.value == pytest.approx(plain.value, abs=1e-12)
    assert found.variance == pytest.approx(plain.variance, rel=0.003)


def test_a_known_lead_stands_for_those_like_it() -> None:
    """By hand: one converted lead at 0.9; of four leads below, two are known, won at 0.2 and lost at 0.5.

    Each of the two stands for two. Pairs of won and lost: 0.9 beats the 0.5 in 1 x 2, 0.2 loses to it in 2 x 2.
    """
    high = part(np.array([0.9]), np.array([True]))
    low = part(np.array([0.2, 0.5]), np.array([True, False]), leads=4)
    found = auc_of_parts([high, low])
    assert found is not None
    assert found.value == pytest.approx(2 / 6)


def test_what_cannot_be_known_is_not_given() -> None:
    """Without an explored lead of low score, or without a lead of each fate, there is no figure, and no warning."""
    high = part(np.array([0.9, 0.8]), np.array([True, False]))
    nobody = part(np.array([]), np.array([], dtype=bool), leads=50)
    winners = part(np.array([0.9, 0.8]), np.array([True, True]))
    assert auc_of_parts([high, nobody]) is None
    assert auc_of_parts([winners]) is None
    assert auc_of_parts([]) is None


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """In 400 samples the 95 % interval holds the true AUC in 92 to 98 %, weights of 50 and all."""
    rng = np.random.default_rng(3)
    probability = rng.beta(1.2, 3.0, 200_000)
    places = (probability * BINS).astype(int)
    true = auc_of_counts(
        np.bincount(places, weights=probability, minlength=BINS),
        np.bincount(places, weights=1 - probability, minlength=BINS),
    )
    assert true is not None
    held = 0
    for _ in range(400):
        score = rng.choice(probability, 15_000)
        won, drawn, high = rng.random(15_000) < score, rng.random(15_000) < 0.02, score > 0.5
        low = drawn & ~high
        found = auc_of_parts([part(score[high], won[high]), part(score[low], won[low], leads=int((~high).sum()))])
        assert found is not None
        held += found.interval.low <= true.value <= found.interval.high
    assert 0.92 <= held / 400 <= 0.98


def test_more_leads_narrow_the_interval_as_planned() -> None:
    """The number that is said to be needed gives the asked half-width, within a tenth."""
    rng = np.random.default_rng(4)

    def some(n: int) -> Part:
        score = rng.beta(1.2, 3.0, n)
        return part(score, rng.random(n) < score)

    few = auc_of_parts([some(1_000)])
    assert few is not None
    needed = leads_needed(few, 1_000, 0.01)
    many = auc_of_parts([some(needed)])
    assert many is not None
    assert (many.interval.high - many.interval.low) / 2 == pytest.approx(0.01, rel=0.1)


def test_two_figures_of_few_leads_do_not_surely_differ() -> None:
    """0.9 and 0.7 are the same for all one knows with ten leads each, and not with a thousand."""
    for n, sure in ((10, False), (1_000, True)):
        won = np.arange(n) % 2 == 0
        good = np.where(won, 0.6, 0.4)
        good[: n // 5] = 0.5
        poor = np.where(np.arange(n) < n // 2, 0.5, good)
        a, b = (auc_of_parts([part(score, won)]) for score in (good, poor))
        assert a is not None
        assert b is not None
        assert apart(a, b).sure is sure
        assert apart(b, a).difference == -apart(a, b).difference < 0
