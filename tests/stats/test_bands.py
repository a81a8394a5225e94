"""The bands behind the interval of each answered score."""

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.stats import binomtest

from leadgate.stats.bands import ScoreBands, band_of, score_bands
from leadgate.stats.calibration import NoLeadsError


def drawn(n: int, seed: int = 0) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 3, n)
    return rng.random(n) < score, score


@pytest.mark.parametrize(("n", "count"), ((5000, 20), (1000, 20), (999, 19), (120, 2), (99, 1), (3, 1)))
def test_up_to_twenty_bands_of_fifty_leads_or_more(n: int, count: int) -> None:
    """Few leads make few bands, not narrow ones."""
    bands = score_bands(*drawn(n)).bands
    assert len(bands) == count
    assert sum(b.leads for b in bands) == n


@given(st.integers(1, 600), st.integers(1, 30), st.integers(0, 5))
def test_repeated_scores_leave_no_band_too_small(n: int, kinds: int, seed: int) -> None:
    """Equal scores share a band; a neighbour that is left with too few leads is joined."""
    rng = np.random.default_rng(seed)
    score = rng.integers(0, kinds, n) ** 2 / kinds**2
    bands = score_bands(rng.random(n) < 0.3, score)
    assert sum(b.leads for b in bands.bands) == n
    assert len(bands.bands) == 1 or min(b.leads for b in bands.bands) >= 50
    assert list(bands.edges) == sorted(set(bands.edges))


def test_each_score_falls_in_the_band_of_the_leads_that_scored_like_it() -> None:
    """What a band counts is what the leads that are looked up in it did."""
    converted, score = drawn(3000)
    bands = score_bands(converted, score)
    found = [band_of(bands, s) for s in score.tolist()]
    for band in bands.bands:
        mask = np.array([f is band for f in found])
        assert (mask.sum(), converted[mask].sum()) == (band.leads, band.conversions)
        expected = binomtest(band.conversions, band.leads).proportion_ci(method="wilson")
        assert (band.interval.low, band.interval.high) == pytest.approx((expected.low, expected.high))


def test_every_possible_score_has_a_band() -> None:
    """Also one below or above all that were seen."""
    bands = score_bands(*drawn(500))
    assert band_of(bands, 0.0) is bands.bands[0]
    assert band_of(bands, 1.0) is bands.bands[-1]


def test_bands_survive_json() -> None:
    """They travel in the card of a version."""
    bands = score_bands(*drawn(700))
    adapter = TypeAdapter(ScoreBands)
    assert adapter.validate_json(adapter.dump_json(bands)) == bands


def test_no_lead_has_no_band() -> None:
    """Refused with a sentence when it is made, not with an IndexError when a lead is scored."""
    with pytest.raises(NoLeadsError):
        score_bands(np.array([], dtype=np.bool_), np.array([]))


def test_serving_does_not_pay_for_the_arrays() -> None:
    """Importing the look-up brings neither numpy nor scipy."""
    code = "import sys, leadgate.stats.bands; print({'numpy', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
