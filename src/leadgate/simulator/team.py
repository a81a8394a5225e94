"""A sales team that cannot work every lead, and works them by priority (quiet)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Values = npt.NDArray[np.float64]

PRIORITIES = ("high", "medium", "low")
"""In the order in which leads are worked."""

_OPENS, _CLOSES = timedelta(hours=9), timedelta(hours=17)
_SATURDAY = 5


@dataclass(frozen=True, kw_only=True)
class Team:
    """How many leads are worked, in which order, and what that is worth."""

    capacity: int = 90
    """First contacts a working day."""
    weekend: float = 0.25
    """Share of the capacity that works on Saturdays and Sundays."""
    order: Literal["arrival", "score"] = "arrival"
    """Within a priority: the oldest lead first, or the highest score first."""
    gain: float = 1.2
    """What a contact while the lead is fresh does to its probability: a factor."""
    floor: float = 0.1
    """The factor of leads that nobody works; those worked late come close to it."""
    fresh_days: float = 1.0
    """Days of waiting that cost nothing: every lead waits for the next morning."""
    half_life_days: float = 2.0
    """Days of further waiting in which half of what a contact adds is lost."""
    patience_days: float = 6.0
    """A lead that waits longer is set aside and never worked."""


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What became of the leads that waited, after one day. Frames have the columns of ``waiting``, and more."""

    contacts: pl.DataFrame
    """Leads contacted, in the order of work, with left_at (UTC, when they were contacted) and waited_days."""
    set_aside: pl.DataFrame
    """Leads that nobody will work, with left_at (UTC, when the team's patience ended) and waited_days (null)."""
    waiting: pl.DataFrame
    """The others."""


def work_day(team: Team, waiting: pl.DataFrame, day: datetime) -> Worked:
    """Let the team work one day.

    ``waiting`` has lead_id, arrived_at (UTC), priority and predicted_score of the leads that came before ``day``, a
    midnight (UTC); leads of the day itself are worked the next morning at the earliest, for their priority is not
    known in the morning. Contacts are spread evenly over the working hours.
    """
    queue = _in_order(team, waiting)
    contacts = _contacted(queue.head(capacity_on(team, day)), day)
    left = queue.slice(contacts.height)
    end = pl.col("arrived_at") + timedelta(days=team.patience_days)
    tired = left.select(end <= day + timedelta(days=1)).to_series()
    set_aside = left.filter(tired).with_columns(left_at=end, waited_days=pl.lit(None, pl.Float64))
    return Worked(contacts=contacts, set_aside=set_aside, waiting=left.filter(~tired))


def capacity_on(team: Team, day: datetime) -> int:
    """First contacts that the team can make on a day."""
    return team.capacity if day.weekday() < _SATURDAY else round(team.capacity * team.weekend)


def attention(team: Team, waited_days: Values) -> Values:
    """The factor by which work multiplies a lead's probability, shape (n,).

    ``waited_days`` is the time to the first contact; NaN for leads that nobody works. ``gain`` while a lead is fresh,
    then falling exponentially to ``floor``: contact rates fall fast with the age of a lead (Oldroyd, McElheran and
    Elkington, "The short life of online sales leads", Harvard Business Review, March 2011).
    """
    late = np.maximum(waited_days - team.fresh_days, 0.0)
    worked = team.floor + (team.gain - team.floor) * 0.5 ** (late / team.half_life_days)
    return np.where(np.isnan(waited_days), team.floor, worked)


def _in_order(team: Team, waiting: pl.DataFrame) -> pl.DataFrame:
    band = pl.col("priority").replace_strict({name: i for i, name in enumerate(PRIORITIES)}, return_dtype=pl.Int8)
    within = pl.col("arrived_at") if team.order == "arrival" else -pl.col("predicted_score")
    return waiting.sort(band, within, "lead_id")


def _contacted(first: pl.DataFrame, day: datetime) -> pl.DataFrame:
    step = (_CLOSES - _OPENS) / max(first.height, 1)
    times = pl.Series("left_at", [day + _OPENS + i * step for i in range(first.height)], pl.Datetime("us", "UTC"))
    waited = (pl.col("left_at") - pl.col("arrived_at")).dt.total_microseconds() / 86_400e6
    return first.with_columns(times).with_columns(waited_days=waited)
