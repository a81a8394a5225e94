"""What a chart shows (quiet). ``static/charts.js`` draws it with Chart.js; a table beside it says the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "points", "bars", "band"]
Tone = Literal["now", "then", "good", "bad", "limit", "muted"]
"""now: what is judged; then: what it is held against; limit: a threshold."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line, set of bars, points, or band."""

    name: str
    kind: Kind = "line"
    tone: Tone = "now"
    x: Sequence[float | str]
    """Seconds since 1970 UTC on a time axis, numbers, or categories (the same for each series of bars)."""
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    """The lower edge of a band, whose upper edge is ``y``."""
    stepped: bool = False
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction."""

    label: str = ""
    """With its unit."""
    kind: Literal["number", "time", "category"] = "number"
    low: float | None = None
    """Where it begins; None: where the figures do."""
    high: float | None = None
    share: bool = False
    """Whether the numbers are shares of one, to be shown in per cent."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart and all that it needs to be understood without being seen."""

    name: str
    """Unique on its page; lower case with hyphens."""
    title: str
    says: str
    """What a reader takes from it, in a sentence: also its text for those who do not see it."""
    x: Axis = Axis()
    y: Axis = Axis()
    series: Sequence[Series]
    height: Literal["low", "middle", "high"] = "middle"
    sideways: bool = False
    """Bars that lie, for categories with long names: ``x`` is still the axis of the categories."""
