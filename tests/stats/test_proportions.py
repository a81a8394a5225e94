"""Wilson's interval against scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from leadgate.stats.proportions import wilson


@given(st.integers(1, 5000), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_is_scipys(n: int, data: st.DataObject, level: float) -> None:
    """For any count, the ends included, and any level."""
    successes = data.draw(st.integers(0, n))
    expected = binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    found = wilson(successes, n, level)
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)
    assert found.level == level


def test_nothing_counted_is_nothing_known() -> None:
    """No lead leaves every rate possible."""
    found = wilson(0, 0)
    assert (found.low, found.high) == (0.0, 1.0)
