"""Two proportions: sizes, tests and intervals against statsmodels, scipy and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, power_proportions_2indep

from leadgate.errors import RefusedError
from leadgate.stats.experiments import (
    Arm,
    adjusted_difference,
    compare_arms,
    detectable_lift,
    planned_size,
    power_of,
    sample_ratio,
    sums_of,
)


@pytest.mark.parametrize("base", (0.02, 0.05, 0.1, 0.2, 0.4))
@pytest.mark.parametrize("power", (0.8, 0.95))
def test_the_planned_size_has_the_power_that_was_asked_for(base: float, power: float) -> None:
    """By statsmodels' own power function for the pooled test; one lead less in a hundred has less."""
    size = planned_size(base, 0.1, power)
    found = [
        power_proportions_2indep(0.1 * base, base, n, ratio=1, alpha=0.05, return_results=False)
        for n in (size, round(0.99 * size))
    ]
    assert found[0] == pytest.approx(power, abs=0.002)
    assert found[1] < power


def test_the_planned_size_is_near_cohens_approximation() -> None:
    """Cohen's h gives nearly the same: 14,757 leads a side at a base of 10 %."""
    effect = 2 * (np.arcsin(np.sqrt(0.11)) - np.arcsin(np.sqrt(0.1)))
    cohen = NormalIndPower().solve_power(effect, power=0.8, alpha=0.05)
    assert planned_size(0.1, 0.1, 0.8) == pytest.approx(cohen, rel=0.01)


def test_five_thousand_leads_see_what_the_simulations_said() -> None:
    """24 / 17 / 11 % at base rates of 5 / 10 / 20 %: the plan's figure, to within its rounding."""
    seen = [detectable_lift(base, 5_000, 0.8) for base in (0.05, 0.1, 0.2)]
    assert seen == pytest.approx([0.25, 0.17, 0.113], abs=0.012)


@pytest.mark.parametrize("base", (0.05, 0.2))
def test_the_detectable_lift_is_the_inverse_of_the_power(base: float) -> None:
    """A size sees its detectable lift with just the power that was asked for."""
    lift = detectable_lift(base, 4_000, 0.9)
    assert power_of(base, lift, 4_000) == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize(
    ("base", "lift", "power"), ((0.0, 0.1, 0.8), (1.0, 0.1, 0.8), (0.6, 0.9, 0.8), (0.1, 0, 0.8), (0.1, 0.1, 1))
)
def test_senseless_figures_are_refused(base: float, lift: float, power: float) -> None:
    """No size is given for what cannot be."""
    with pytest.raises(RefusedError):
        planned_size(base, lift, power)


def test_the_test_is_the_plans_chi_square() -> None:
    """The plan's own example, 250 and 275 of 5,000, without the continuity correction."""
    found = compare_arms(Arm(leads=5_000, conversions=250), Arm(leads=5_000, conversions=275))
    expected = stats.chi2_contingency([[250, 4_750], [275, 4_725]], correction=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.lift == pytest.approx(0.10)


def test_the_interval_of_the_lift_is_statsmodels_log_interval() -> None:
    """confint_proportions_2indep(compare="ratio", method="log")."""
    found = compare_arms(Arm(leads=900, conversions=90), Arm(leads=1_100, conversions=143))
    low, high = confint_proportions_2indep(143, 1_100, 90, 900, compare="ratio", method="log")
    assert found.lift_interval is not None
    assert (found.lift_interval.low, found.lift_interval.high) == pytest.approx((low - 1, high - 1))


def test_the_interval_of_the_lift_covers_the_truth() -> None:
    """In 95 % of 4,000 simulated tests, give or take 3 standard errors of 0.34 points."""
    rng = np.random.default_rng(3)
    covered = 0
    for a, b in zip(rng.binomial(2_000, 0.1, 4_000), rng.binomial(2_000, 0.12, 4_000), strict=True):
        found = compare_arms(Arm(leads=2_000, conversions=int(a)), Arm(leads=2_000, conversions=int(b)))
        assert found.lift_interval is not None
        covered += found.lift_interval.low <= 0.2 <= found.lift_interval.high
    assert covered / 4_000 == pytest.approx(0.95, abs=0.0104)


def test_sides_without_conversions_say_nothing() -> None:
    """No lift of nothing, and no test."""
    found = compare_arms(Arm(leads=100, conversions=0), Arm(leads=100, conversions=0))
    assert (found.lift, found.lift_interval, found.p_value) == (None, None, 1.0)
    assert compare_arms(Arm(leads=0, conversions=0), Arm(leads=0, conversions=0)).p_value == 1.0


def test_a_mismatch_of_the_split_is_found() -> None:
    """5,000 to 5,300 at a half each: chi-square 8.74 by hand, p = 0.0031; none without leads."""
    assert sample_ratio(5_000, 5_300, 0.5).p_value == pytest.approx(stats.chi2.sf(300**2 / 10_300, 1))
    assert sample_ratio(9_000, 1_000, 0.1).p_value == 1.0
    assert sample_ratio(0, 0, 0.1).p_value == 1.0


def test_cuped_equals_a_regression_on_side_and_score() -> None:
    """Nearly the coefficient of the side in a least squares fit with the score as covariate."""
    rng = np.random.default_rng(4)
    score = [rng.beta(2, 8, 6_000), rng.beta(2, 8, 5_000)]
    won = [rng.random(len(s)) < s for s in score]
    found = adjusted_difference(sums_of(won[0], score[0]), sums_of(won[1], score[1]))
    side = np.r_[np.zeros(6_000), np.ones(5_000)]
    design = np.column_stack([np.ones(11_000), side, np.concatenate(score)])
    fitted, residual, _, _ = np.linalg.lstsq(design, np.concatenate(won).astype(float), rcond=None)
    error = np.sqrt(residual[0] / (11_000 - 3) * np.linalg.inv(design.T @ design)[1, 1])
    assert found.difference == pytest.approx(fitted[1], abs=1e-4)
    assert np.sqrt(found.variance) == pytest.approx(error, rel=0.02)
    assert found.reduction > 0


def test_a_score_without_spread_takes_nothing_out() -> None:
    """The plain difference and its variance."""
    won = np.array([True, False, True, False]), np.array([True, True, True, False])
    found = adjusted_difference(sums_of(won[0], np.full(4, 0.3)), sums_of(won[1], np.full(4, 0.3)))
    assert (found.difference, found.reduction) == (0.25, 0.0)
