"""Two samples in few bins say what the values themselves say: scipy and numpy are the judges."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from leadgate.stats.distances import ks_statistic, quantile
from leadgate.stats.samples import side_by_side

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

FINITE = st.floats(allow_nan=False, allow_infinity=False)
FEW = st.sampled_from([-1e300, -2.0, -1.0, -5e-324, -0.0, 0.0, 1.0, 1.0 + 2**-52, 3.0, 1e300])
SAMPLE = arrays(np.float64, st.integers(1, 60), elements=FINITE) | arrays(np.float64, st.integers(1, 60), elements=FEW)
QUANTILES = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)


def agrees(a: Floats, b: Floats) -> None:
    """Counts, KS and quantiles of the bins are those of the values."""
    found = side_by_side(a, b)
    assert np.all(np.diff(found.edges) > 0)
    for counts, values in ((found.a, a), (found.b, b)):
        below = np.searchsorted(np.sort(values), found.edges, side="right")
        assert np.cumsum(counts).tolist() == below.tolist()
        for q in QUANTILES:
            at = quantile(counts, found.edges, q)
            # In binary, a tenth of ten is not always one: the value beside it is a quantile too.
            assert at in np.quantile(values, [q * (1 - 1e-12), q, q * (1 + 1e-12)], method="inverted_cdf")
    exact = stats.ks_2samp(a, b, method="asymp").statistic
    assert ks_statistic(found.a, found.b) == pytest.approx(exact, abs=1e-10)


@given(a=SAMPLE, b=SAMPLE)
@example(a=np.array([1.0]), b=np.array([1.0]))
@example(a=np.array([-1.7e308, 1.7e308]), b=np.array([0.0, -0.0]))
def test_bins_lose_nothing_of_any_sample(a: Floats, b: Floats) -> None:
    """Whatever the values: huge, tiny, negative, equal, zero of either sign."""
    agrees(a, b)


KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "heavy tails": lambda rng, size: rng.standard_cauchy(size) ** 3,
    "narrow, with zeros": lambda rng, size: np.where(rng.random(size) < 0.3, 0.0, rng.normal(5_000, 3, size)),
    "money": lambda rng, size: np.round(rng.lognormal(3, 1, size), 2),
    "a few numbers": lambda rng, size: rng.poisson(2, size).astype(np.float64),
    "one number": lambda _, size: np.full(size, 7.0),
}


def halves(kind: str, seed: int) -> tuple[Floats, Floats]:
    """Two samples of one kind and of different sizes, the second a little further right on odd seeds."""
    rng = np.random.default_rng(seed)
    return KINDS[kind](rng, 120_000), KINDS[kind](rng, 70_000) + 0.05 * (seed % 2)


@pytest.mark.parametrize("seed", (1, 2))
@pytest.mark.parametrize("kind", KINDS)
def test_bins_lose_nothing_of_large_samples(kind: str, seed: int) -> None:
    """Many values share a bin here, which is where something could be lost."""
    agrees(*halves(kind, seed))


def test_most_values_are_not_looked_at() -> None:
    """Of 190,000 different values most share a bin: that is what saves the time."""
    found = side_by_side(*halves("normal", 1))
    assert len(found.edges) < 60_000
