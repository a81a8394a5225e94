"""Times to conversion against a published trial, and non-inferiority by simulation."""

import numpy as np
import pytest

from leadgate.stats.survival import kaplan_meier, log_rank, slower

# Freireich and others (1963), remission of leukaemia in weeks: 6-MP (+ means still in remission) and placebo.
TREATED = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float)
ENDED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float)


def test_the_curve_is_the_published_one() -> None:
    """Kaplan-Meier of the treated: 0.857 at 6 weeks, 0.807 at 7, 0.753 at 10, 0.627 at 16, 0.448 at 23."""
    found = kaplan_meier(TREATED, ENDED)
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    shares = dict(zip(found.days.tolist(), found.converted_share.tolist(), strict=True))
    for week, survived in published.items():
        assert 1 - shares[week] == pytest.approx(survived, abs=5e-4)


def test_the_log_rank_test_is_the_published_one() -> None:
    """Chi-square 16.79, p = 0.00004 (Kleinbaum & Klein, Survival Analysis, chapter 2)."""
    found = log_rank(TREATED, ENDED, PLACEBO, np.ones(21, dtype=bool))
    assert found.statistic == pytest.approx(16.79, abs=0.01)
    assert found.p_value == pytest.approx(4.2e-5, abs=2e-6)


def test_no_event_is_no_difference() -> None:
    """Two sides without a conversion."""
    nothing = np.zeros(5, dtype=bool)
    assert log_rank(np.ones(5), nothing, np.ones(5), nothing).p_value == 1.0


@pytest.mark.parametrize(("pace", "said"), ((1.0, "no worse"), (1.3, "worse"), (1.1, "unclear")))
def test_slower_cycles_are_told_from_equal_ones(pace: float, said: str) -> None:
    """2,000 conversions a side, margin 10 %: 30 % slower is worse, and 10 % slower is the limit itself."""
    rng = np.random.default_rng(5)
    days = rng.gamma(2.5, 4.0, 2_000), pace * rng.gamma(2.5, 4.0, 2_000)
    won = np.ones(2_000, dtype=bool)
    assert slower(days[0], won, days[1], won, 0.1).verdict == said


def test_the_interval_of_the_change_covers_the_truth() -> None:
    """In 95 % of 2,000 runs, give or take three standard errors of 0.5 points."""
    rng = np.random.default_rng(6)
    won, covered = np.ones(200, dtype=bool), 0
    for _ in range(2_000):
        found = slower(rng.gamma(2.5, 4.0, 200), won, rng.gamma(2.5, 4.8, 200), won, 0.1)
        assert found.interval is not None
        covered += found.interval.low <= 0.2 <= found.interval.high
    assert covered / 2_000 == pytest.approx(0.95, abs=0.015)


def test_a_few_conversions_are_not_enough() -> None:
    """Nine on a side say nothing."""
    won = np.ones(9, dtype=bool)
    assert slower(np.ones(9), won, np.ones(9), won, 0.1).verdict == "not enough data"
