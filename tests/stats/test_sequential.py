"""Looking as often as one likes: errors over all looks together, by simulation."""

from math import inf, log, sqrt

import numpy as np
import numpy.typing as npt
import pytest

from leadgate.stats.sequential import harm_bound, sequence_interval

RUNS = 3_000


def looks(
    base: float, lift: float, leads: int, number: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rates of many simulated tests at each look, shape (runs, looks), and the leads a side by then."""
    rng = np.random.default_rng(seed)
    step = leads // number
    sides = [rng.binomial(step, p, (RUNS, number)).cumsum(axis=1) for p in (base, base * (1 + lift))]
    n = step * np.arange(1, number + 1)
    return sides[0] / n, sides[1] / n, n


def variance(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], n: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Of the difference of rates."""
    return (a * (1 - a) + b * (1 - b)) / n


def ever_harmed(base: float, lift: float, leads: int, number: int, *, alpha: float, seed: int) -> tuple[float, float]:
    """Share of tests that are ever stopped for harm, and the median share of the leads by then."""
    a, b, n = looks(base, lift, leads, number, seed)
    spread = variance(a, b, n)
    stopped = np.zeros(RUNS)
    for run in range(RUNS):
        for look in range(number):
            if (a[run, look] + b[run, look]) * n[look] < 40:
                continue
            if harm_bound(b[run, look] - a[run, look], spread[run, look], 0.1 * a[run, look], alpha).harmed:
                stopped[run] = n[look] / n[-1]
                break
    caught = stopped[stopped > 0]
    return len(caught) / RUNS, float(np.median(caught)) if len(caught) else inf


@pytest.mark.parametrize("base", (0.05, 0.1, 0.2))
def test_an_equal_challenger_is_rarely_stopped_for_harm(base: float) -> None:
    """At most 4 % over 60 looks, and three standard errors of 3,000 runs (1.1 points) above it."""
    size = {0.05: 51_600, 0.1: 24_420, 0.2: 10_740}[base]
    assert ever_harmed(base, 0.0, size, 60, alpha=0.04, seed=1)[0] <= 0.04 + 0.011


def test_real_harm_is_found_where_theory_says() -> None:
    """Harm of 10 %: the evidence grows as z^2 / 2, so half are stopped near z = sqrt(2 log(1 / alpha)).

    That is about half of the leads of a plan with 95 % power, give or take a tenth; nearly all are stopped by its end.
    """
    share, median = ever_harmed(0.1, -0.1, 24_420, 60, alpha=0.04, seed=2)
    z_at_the_end = 0.01 / sqrt((0.1 * 0.9 + 0.09 * 0.91) / 24_420)
    expected = 2 * log(1 / 0.04) / z_at_the_end**2
    assert share > 0.9
    assert median == pytest.approx(expected, abs=0.1)


def test_naive_looks_stop_a_quarter_of_equal_challengers() -> None:
    """What the method is for: p < 0.05 at any of 25 looks, to 5,000 a side, in 25 % (20 to 32)."""
    a, b, n = looks(0.1, 0.0, 5_000, 25, 3)
    naive = (np.abs(b - a) > 1.96 * np.sqrt(variance(a, b, n))).any(axis=1).mean()
    assert 0.20 < naive < 0.32
    worse = (b < 0.9 * a).any(axis=1).mean()
    assert 0.5 < worse < 0.75


@pytest.mark.parametrize("base", (0.05, 0.2))
def test_the_sequence_covers_the_truth_at_all_looks_together(base: float) -> None:
    """In at least 95 % of tests the truth is inside at every one of 40 looks (less 3 standard errors, 1.2 points)."""
    a, b, n = looks(base, 0.1, 12_000, 40, 4)
    spread = variance(a, b, n)
    inside = np.ones(RUNS, dtype=bool)
    for run in range(RUNS):
        for look in range(2, 40):
            found = sequence_interval(b[run, look] - a[run, look], spread[run, look], int(n[look]), 12_000)
            inside[run] &= found.low <= 0.1 * base <= found.high
    assert inside.mean() >= 0.95 - 0.012


def test_the_sequence_is_widest_early_and_wider_than_a_fixed_interval() -> None:
    """Being right at every look costs width: at the planned size 1.4 to 1.7 times that of one look."""
    early, planned = (sequence_interval(0.0, 0.09 * 2 / n, n, 10_000) for n in (500, 10_000))
    fixed = 1.96 * sqrt(0.09 * 2 / 10_000)
    assert early.high > 3 * planned.high
    assert 1.4 < planned.high / fixed < 1.7


def test_the_bound_and_the_evidence_say_the_same() -> None:
    """Harm is found exactly when the upper bound of the difference falls below 0."""
    for difference in np.linspace(-0.05, 0.02, 141):
        found = harm_bound(float(difference), 1e-5, 0.01)
        assert found.harmed == (found.upper <= 0)


def test_nothing_known_is_an_infinite_interval() -> None:
    """No lead, no variance: no claim."""
    assert sequence_interval(0.0, 0.0, 0, 100).high == inf
    assert not harm_bound(-0.5, 0.0, 0.01).harmed
