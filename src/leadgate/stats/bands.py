"""What became of hold-out leads, by score: the honest interval behind each answered score (quiet).

Light on purpose: serving asks it for every lead.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadgate.records import Interval
from leadgate.stats.proportions import wilson

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MOST_BANDS, _FEWEST_LEADS = 20, 50


@dataclass(frozen=True, kw_only=True)
class Band:
    """Hold-out leads of like scores."""

    high: float
    """Largest score in the band."""
    leads: int
    conversions: int
    interval: Interval
    """Of their conversion rate, 95 % (Wilson)."""


@dataclass(frozen=True, kw_only=True)
class ScoreBands:
    """Bands from the lowest score to the highest; at least one."""

    bands: tuple[Band, ...]
    edges: tuple[float, ...]
    """``high`` of every band but the last, ascending."""


def score_bands(converted: "npt.NDArray[np.bool_]", score: "npt.NDArray[np.float64]") -> ScoreBands:
    """Cut hold-out leads into up to 20 bands of like numbers, each of 50 leads or more where there are so many.

    Both arrays have shape (n,). Raises NoLeadsError.
    """
    from leadgate.stats.calibration import calibration_curve, require_leads  # noqa: PLC0415  # numpy

    require_leads(score)
    count = max(1, min(_MOST_BANDS, len(score) // _FEWEST_LEADS))
    bands: list[Band] = []
    for b in calibration_curve(converted, score, count):
        band = Band(high=b.high, leads=b.leads, conversions=b.conversions, interval=b.interval)
        # Equal scores share a band, which can leave a neighbour with too few leads.
        small = bands and min(bands[-1].leads, band.leads) < _FEWEST_LEADS
        bands = [*bands[:-1], _joined(bands[-1], band)] if small else [*bands, band]
    return ScoreBands(bands=tuple(bands), edges=tuple(band.high for band in bands[:-1]))


def _joined(lower: Band, upper: Band) -> Band:
    leads, conversions = lower.leads + upper.leads, lower.conversions + upper.conversions
    return Band(high=upper.high, leads=leads, conversions=conversions, interval=wilson(conversions, leads))


def band_of(bands: ScoreBands, score: float) -> Band:
    """The band of a score: the first whose ``high`` reaches it, the last for a score above all. O(log bands)."""
    return bands.bands[bisect_left(bands.edges, score)]
