"""Which leads are explored."""

import numpy as np
import pytest
from scipy.stats import binomtest, chi2_contingency

from leadgate.rollout.exploring import explored_buckets, is_explored
from leadgate.rollout.routing import bucket

IDS = [f"L-{i:06d}" for i in range(40_000)]


def drawn(share: float) -> np.ndarray:
    """Which of the leads are explored."""
    return np.array([is_explored(explored_buckets(share), lead) for lead in IDS])


@pytest.mark.parametrize("share", (0.02, 0.2))
def test_as_many_leads_are_drawn_as_asked(share: float) -> None:
    """Leads with ids in a row are drawn as if by chance."""
    assert binomtest(int(drawn(share).sum()), len(IDS), share).pvalue > 0.001


def test_a_share_of_nothing_draws_nobody() -> None:
    """Off is off."""
    assert explored_buckets(0.0) == 0
    assert not drawn(0.0).any()


def test_a_lead_that_is_explored_stays_so_as_the_share_grows() -> None:
    """Its priority does not jump from one score to the next."""
    few, many = drawn(0.02), drawn(0.05)
    assert few.any()
    assert not (few & ~many).any()


def test_the_draw_says_nothing_of_a_leads_side_in_a_rollout() -> None:
    """Whatever a rollout's salt, both sides have as many explored leads: none gains by them."""
    explored = drawn(0.1)
    for salt in ("3f9c2b7a10d4e688", "exploration-2", ""):
        challenged = np.array([bucket(salt, lead) < 5_000 for lead in IDS])
        table = [[(explored & side).sum(), (~explored & side).sum()] for side in (challenged, ~challenged)]
        assert chi2_contingency(table).pvalue > 0.001
