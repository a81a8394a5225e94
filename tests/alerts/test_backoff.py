"""When a message is tried again."""

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leadgate.alerts.backoff import wait_after


@given(st.integers(1, 1_000), st.integers(0, 2**32 - 1))
def test_waits_double_up_to_an_hour(attempts: int, seed: int) -> None:
    """Between half of the doubled wait and the whole of it."""
    whole = min(3_600.0, 30.0 * 2.0 ** min(attempts - 1, 50))
    waited = wait_after(attempts, np.random.default_rng(seed)).total_seconds()
    assert whole / 2 <= waited <= whole


@given(st.floats(0, 3_600), st.integers(0, 2**32 - 1))
def test_a_party_gets_the_patience_that_it_asks_for(asked: float, seed: int) -> None:
    """Not asked before, and not a tenth later than it said."""
    waited = wait_after(1, np.random.default_rng(seed), asked_s=asked)
    assert timedelta(seconds=asked) - timedelta(microseconds=1) <= waited <= timedelta(seconds=1.1 * asked + 1.1)


def test_nobody_gets_patience_for_ever() -> None:
    """A Retry-After of a year is an hour."""
    assert wait_after(1, np.random.default_rng(1), asked_s=3e7) < timedelta(hours=1.2)
