"""A disguise changes what it says it changes, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from leadgate.models.scorers import Row
from leadgate.simulator.disguise import Disguise, DisguisedScorer

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(-2.0, 1.7, 20_000)
ROWS: list[Row] = [(float(x), "Software", None, i) for i, x in enumerate(LOGITS)]
CONVERTED = RNG.random(20_000) < expit(LOGITS)


@dataclass(frozen=True)
class Honest:
    """Scores a row by the logit in its first column."""

    def score(self, values: Row) -> float:
        assert isinstance(values[0], float)
        return float(expit(values[0]))

    def score_many(self, rows: Sequence[Row]) -> list[float]:
        return [self.score(row) for row in rows]


def scores(disguise: Disguise) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(DisguisedScorer(scorer=Honest(), disguise=disguise).score_many(ROWS))


def test_an_inflated_version_ranks_as_before_and_scores_higher() -> None:
    """Every logit rises by the same amount."""
    honest, inflated = scores(Disguise(version="2")), scores(Disguise(version="2", inflated=0.7))
    assert logit(inflated) - logit(honest) == pytest.approx(np.full(20_000, 0.7))
    assert np.array_equal(np.argsort(honest), np.argsort(inflated))


@pytest.mark.parametrize("worse", (0.2, 0.5, 1.0))
def test_a_worse_version_loses_ranking_but_not_spread(worse: float) -> None:
    """Its logits correlate with the honest ones by sqrt(1 - worse), with the same mean and standard deviation.

    Within four standard errors of 20,000 leads; its AUC is lower.
    """
    noisy = logit(scores(Disguise(version="2", worse=worse)))
    assert np.corrcoef(noisy, LOGITS)[0, 1] == pytest.approx(np.sqrt(1 - worse), abs=4 / np.sqrt(20_000))
    assert noisy.mean() == pytest.approx(-2.0, abs=4 * 1.7 / np.sqrt(20_000))
    assert noisy.std() == pytest.approx(1.7, abs=4 * 1.7 / np.sqrt(2 * 20_000))
    assert roc_auc_score(CONVERTED, noisy) < roc_auc_score(CONVERTED, LOGITS) - 0.02


def test_the_noise_is_normal_and_belongs_to_the_lead() -> None:
    """Kolmogorov-Smirnov against the normal distribution; one lead, one score, in a batch or alone.

    Another seed gives other noise.
    """
    disguise = Disguise(version="2", worse=1.0)
    noisy = scores(disguise)
    assert stats.kstest((logit(noisy) + 2.0) / 1.7, "norm").pvalue > 0.001
    assert DisguisedScorer(scorer=Honest(), disguise=disguise).score(ROWS[17]) == noisy[17]
    other = scores(Disguise(version="2", worse=1.0, seed=1))
    assert abs(np.corrcoef(noisy, other)[0, 1]) < 4 / np.sqrt(20_000)


def test_a_sure_version_stays_a_probability() -> None:
    """Scores of 0 and 1 have no logit, and still get an answer."""

    class Sure(Honest):
        def score(self, values: Row) -> float:
            return float(values[3] == 1)

    found = DisguisedScorer(scorer=Sure(), disguise=Disguise(version="2", inflated=2.0, worse=0.1)).score_many(ROWS[:2])
    assert all(0 <= score <= 1 for score in found)
    assert found[0] < 0.01
    assert found[1] > 0.99
