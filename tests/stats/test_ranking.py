"""Lift by decile by hand and by properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.stats.ranking import lift_by_decile


def test_lift_by_hand() -> None:
    """100 leads, 20 converted: the ten best all did, the rest of them are the next ten but one."""
    score = np.linspace(1, 0, 100)
    converted = np.zeros(100, dtype=np.bool_)
    converted[:10] = converted[20:30] = True
    deciles = lift_by_decile(converted, score)
    assert [d.decile for d in deciles] == list(range(1, 11))
    assert [d.lift for d in deciles] == pytest.approx([5, 0, 5, 0, 0, 0, 0, 0, 0, 0])
    assert [d.rate for d in deciles][:3] == pytest.approx([1, 0, 1])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=70), st.randoms())
def test_the_order_of_equal_scores_does_not_matter(rows: list[tuple[bool, int]], random: object) -> None:
    """Shuffled leads give the same deciles, and every lead is counted once."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = []
    for leads in (rows, shuffled):
        converted = np.array([r[0] for r in leads])
        found.append(lift_by_decile(converted, np.array([float(r[1]) for r in leads])))
    assert [d.conversions for d in found[0]] == pytest.approx([d.conversions for d in found[1]])
    assert sum(d.leads for d in found[0]) == len(rows)
    assert sum(d.conversions for d in found[0]) == pytest.approx(sum(r[0] for r in rows))


def test_a_score_that_says_nothing_lifts_nothing() -> None:
    """One score for all: each decile converts like the whole."""
    converted = np.arange(200) < 30
    assert [d.lift for d in lift_by_decile(converted, np.full(200, 0.5))] == pytest.approx([1.0] * 10)


def test_few_leads_and_none() -> None:
    """Seven leads are seven parts, none are no part."""
    assert len(lift_by_decile(np.arange(7) < 2, np.arange(7.0))) == 7
    assert lift_by_decile(np.array([], dtype=np.bool_), np.array([])) == ()
