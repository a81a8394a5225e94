"""What became of hold-out leads, by score: the honest interval behind each answered score (quiet).

Light on purpose: serving asks it for every lead.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadgate.records import Interval

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
    """Cut hold-out leads into up to 20 bands of equal numbers, each of 50 leads or more where there are so many."""
    from leadgate.stats.calibration import calibration_curve  # noqa: PLC0415  # numpy and scipy

    count = max(1, min(_MOST_BANDS, len(score) // _FEWEST_LEADS))
    bands = tuple(
        Band(high=b.high, leads=b.leads, conversions=b.conversions, interval=b.interval)
        for b in calibration_curve(converted, score, count)
    )
    return ScoreBands(bands=bands, edges=tuple(band.high for band in bands[:-1]))


def band_of(bands: ScoreBands, score: float) -> Band:
    """The band of a score: the first whose ``high`` reaches it, the last for a score above all."""
    return bands.bands[bisect_left(bands.edges, score)]
