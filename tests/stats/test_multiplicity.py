"""Many comparisons at once."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from leadgate.stats.experiments import Arm
from leadgate.stats.multiplicity import benjamini_hochberg, compare_segments

# Benjamini & Hochberg (1995), section 4.1: fifteen p-values of a trial of thrombolysis; four are rejected at 0.05.
PUBLISHED = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0
)  # fmt: skip


def test_the_published_example_rejects_four() -> None:
    """Of the fifteen hypotheses of the paper."""
    assert [found.rejected for found in benjamini_hochberg(PUBLISHED)] == [True] * 4 + [False] * 11


def test_adjusted_values_are_statsmodels() -> None:
    """In the order that was given."""
    p = np.random.default_rng(1).beta(0.5, 3, 30)
    expected = multipletests(p, method="fdr_bh")[1]
    assert [found.adjusted for found in benjamini_hochberg(p.tolist())] == pytest.approx(expected)


def test_a_harmed_segment_is_named_and_small_ones_are_left_out() -> None:
    """North loses a third of its conversions; south and a segment of fifty leads do not count against anybody."""
    found = compare_segments(
        {
            "north": (Arm(leads=4_000, conversions=800), Arm(leads=4_000, conversions=530)),
            "south": (Arm(leads=4_000, conversions=800), Arm(leads=4_000, conversions=815)),
            "tiny": (Arm(leads=50, conversions=30), Arm(leads=50, conversions=0)),
        }
    )
    assert {result.name: result.harmed for result in found} == {"north": True, "south": False}


def test_equal_segments_are_rarely_called_harmed() -> None:
    """Twenty equal segments: any is flagged in at most 5 % of 400 runs, give or take 3.3 points."""
    rng = np.random.default_rng(2)
    flagged = 0
    for _ in range(400):
        arms = {
            str(i): tuple(Arm(leads=500, conversions=int(rng.binomial(500, 0.1))) for _ in range(2)) for i in range(20)
        }
        flagged += any(result.harmed for result in compare_segments(arms))  # type: ignore[arg-type]
    assert flagged / 400 <= 0.05 + 0.033
