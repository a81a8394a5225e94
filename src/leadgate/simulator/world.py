"""A world in which leads come, a team works them, and a CRM reports late what became of them (quiet).

A world goes on day by day: ``draw_leads`` gives the leads of a day, somebody scores them, ``live_day`` takes the scored
leads and gives the world of the next day. All chance is drawn with the lead, so that two worlds with the same generator
have the same leads with the same luck, whatever scores they get.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from leadgate.simulator.drift import Drift, drifted_mix, drifted_truth, with_odds
from leadgate.simulator.leads import SimulatedLeads, simulate_leads
from leadgate.simulator.team import Team, attention, work_day
from leadgate.simulator.truth import true_probability

_SHAPE = 2.5
"""Of the gamma distribution of the days to a decision."""
_LOST_TAKES = 1.2
"""A lead is given up this much later than another one signs, on average."""
_YEAR = 365.25
_SATURDAY = 5
_TIME = pl.Datetime("us", "UTC")
_SPAN = pl.Duration("us")
_DAY = timedelta(days=1)

ANSWER = {"lead_id": pl.String(), "priority": pl.String(), "predicted_score": pl.Float64(), "variant": pl.String()}
"""What ``live_day`` has to know of each answer, and ``challenged``: whether the challenger gave it."""
_FATE = {"probability": pl.Float64(), "luck": pl.Float64(), "deal_size": pl.Float64(), "pace": pl.Float64()}
"""What the world knows of a lead, and nobody else: its luck decides whether it converts, its pace when."""
_SCHEMA = {**ANSWER, "challenged": pl.Boolean(), **_FATE, "reporting": pl.Float64(), "broken": pl.Boolean()}
_WAITING = {**_SCHEMA, "arrived_at": _TIME}
OUTCOME = {
    "lead_id": pl.String(),
    "converted": pl.Boolean(),
    "deal_size": pl.Float64(),
    "days_to_close": pl.Float64(),
    "outcome_at": _TIME,
}
_OPEN = {**OUTCOME, "reporting": pl.Float64()}


@dataclass(frozen=True, kw_only=True)
class LostOutcomes:
    """Outcomes that the CRM never reports."""

    share: float
    """Of the outcomes that come due in the span, 0 to 1."""
    first_day: int = 0
    until_day: int | None = None
    """The first day on which all are reported again; None: it stays so."""


@dataclass(frozen=True, kw_only=True)
class BrokenSegment:
    """A part of the leads that converts less when the challenger answers it."""

    feature: str
    value: str
    factor: float
    """By which the probability of these leads is multiplied."""


@dataclass(frozen=True, kw_only=True)
class World:
    """How a world is; what is not said here is as in ``simulate_leads``."""

    leads_a_day: float = 300
    """On average over a week and a year; the number of a day is Poisson."""
    weekend: float = 0.4
    """Leads of a Saturday or Sunday, as a share of those of another day."""
    season: float = 0.15
    """How far the best time of the year is above the average, a share; the worst is as far below."""
    best_day_of_year: int = 300
    odds: float = 1.0
    """By which the odds of conversion of every lead are multiplied: 0.5 makes it about half as frequent."""
    days_to_decide: float = 4.0
    """Mean days from first contact to the contract: gamma with shape 2.5, so 97 % within 10 days. Lost leads take 1.2
    times as long."""
    given_up_days: float = 13.0
    """A lost lead is given up at the latest this many days after it came."""
    team: Team = field(default_factory=Team)
    drift: Drift | None = None
    lost_outcomes: LostOutcomes | None = None
    broken_segment: BrokenSegment | None = None
    first_number: int = 500_000
    """Ids begin after this one, beyond those of the leads that were imported."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WorldState:
    """A world at midnight."""

    began: datetime
    """The first midnight (UTC)."""
    day: int
    """Days lived so far."""
    leads: int
    """Leads that came so far."""
    waiting: pl.DataFrame
    """Leads without a first contact."""
    open: pl.DataFrame
    """Outcomes that are decided but have not come yet."""

    @property
    def midnight(self) -> datetime:
        """The present time (UTC)."""
        return self.began + self.day * _DAY


@dataclass(frozen=True, kw_only=True, eq=False)
class DayLeads:
    """The leads of a day."""

    frame: pl.DataFrame
    """What a CRM knows: lead_id, created_at (UTC), features."""
    fate: pl.DataFrame
    """What only the world knows, in the same order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LivedDay:
    """What happened on a day."""

    state: WorldState
    """At its end."""
    contacts: pl.DataFrame
    """First contacts: lead_id, variant, challenged, priority, arrived_at, left_at (UTC, the contact), waited_days."""
    reported: pl.DataFrame
    """Outcomes that the CRM reports at the end of the day: lead_id, converted, deal_size (null for lost leads),
    days_to_close (since the first contact, or since the lead was set aside), outcome_at (UTC)."""


def begin(start: datetime) -> WorldState:
    """A world without any lead, at the midnight (UTC) of ``start``."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return WorldState(
        began=midnight, day=0, leads=0, waiting=pl.DataFrame(schema=_WAITING), open=pl.DataFrame(schema=_OPEN)
    )


def expected_leads(world: World, day: datetime) -> float:
    """Leads to expect on a day."""
    weekday = 7 / (5 + 2 * world.weekend)
    weekly = weekday * world.weekend if day.weekday() >= _SATURDAY else weekday
    away = (day.timetuple().tm_yday - world.best_day_of_year) / _YEAR
    return float(world.leads_a_day * weekly * (1 + world.season * np.cos(2 * np.pi * away)))


def draw_leads(world: World, state: WorldState, rng: np.random.Generator) -> DayLeads:
    """The leads of the day that begins."""
    n = int(rng.poisson(expected_leads(world, state.midnight)))
    drawn = _drawn(world, state, n, rng)
    frame = drawn.frame.drop("call_duration", "converted")  # nobody knows these when a lead comes
    fate = pl.DataFrame(
        {
            "lead_id": frame["lead_id"],
            "probability": drawn.probability,
            "luck": rng.random(n),
            "deal_size": drawn.deal_size,
            "pace": rng.gamma(_SHAPE, 1 / _SHAPE, n),
            "reporting": rng.random(n),
            "broken": _in_segment(world.broken_segment, frame),
            "arrived_at": frame["created_at"],
        }
    )
    return DayLeads(frame=frame, fate=fate)


def live_day(world: World, state: WorldState, drawn: DayLeads, answers: pl.DataFrame) -> LivedDay:
    """Let a day pass: the team works the leads of the days before, the day's leads begin to wait, the CRM reports.

    ``answers`` has one row a drawn lead: lead_id, priority, predicted_score, variant, challenged. A lead without an
    answer is in no list of the team and is never heard of again.
    """
    worked = work_day(world.team, state.waiting, state.midnight)
    arrived = drawn.fate.join(answers, on="lead_id", how="inner", maintain_order="left").select(*_WAITING)
    decided = pl.concat([state.open, _decided(world, worked.contacts), _decided(world, worked.set_aside)])
    due = decided["outcome_at"] <= state.midnight + _DAY
    after = replace(
        state,
        day=state.day + 1,
        leads=state.leads + drawn.frame.height,
        waiting=pl.concat([worked.waiting, arrived]),
        open=decided.filter(~due),
    )
    contacts = worked.contacts.select(
        "lead_id", "variant", "challenged", "priority", "arrived_at", "left_at", "waited_days"
    )
    return LivedDay(state=after, contacts=contacts, reported=_reported(world, state.day, decided.filter(due)))


def _drawn(world: World, state: WorldState, n: int, rng: np.random.Generator) -> SimulatedLeads:
    number = world.first_number + state.leads
    drift = world.drift
    if drift is None or state.day < drift.day:
        return simulate_leads(
            n, rng, state.midnight, 1, first_number=number, truth=lambda c: with_odds(true_probability(c), world.odds)
        )
    return simulate_leads(
        n,
        rng,
        state.midnight,
        1,
        first_number=number,
        mix=lambda complete: drifted_mix(drift, complete, rng),
        truth=lambda complete: with_odds(drifted_truth(drift, complete), world.odds),
    )


def _in_segment(broken: BrokenSegment | None, frame: pl.DataFrame) -> pl.Series:
    if broken is None:
        return pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    return (frame[broken.feature].cast(pl.String) == broken.value).fill_null(value=False)


def _decided(world: World, left: pl.DataFrame) -> pl.DataFrame:
    """The outcomes of leads that left the queue, with the time at which they will come."""
    factor = attention(world.team, left["waited_days"].to_numpy())
    if world.broken_segment is not None:
        hit = (left["broken"] & left["challenged"]).to_numpy()
        factor = np.where(hit, factor * world.broken_segment.factor, factor)
    won = left["luck"].to_numpy() < left["probability"].to_numpy() * factor
    takes = world.days_to_decide * left["pace"].to_numpy() * np.where(won, 1.0, _LOST_TAKES)
    since_arrival = (left["left_at"] - left["arrived_at"]).dt.total_microseconds().to_numpy() / 86_400e6
    days = np.where(won, takes, np.clip(world.given_up_days - since_arrival, 0.0, takes))
    converted, took = pl.Series(won, dtype=pl.Boolean), pl.Series((days * 86_400e6).astype(np.int64)).cast(_SPAN)
    return left.with_columns(
        converted=converted,
        deal_size=pl.when(converted).then("deal_size"),
        days_to_close=pl.Series(days, dtype=pl.Float64),
        outcome_at=left["left_at"] + took,
    ).select(*_OPEN)


def _reported(world: World, day: int, due: pl.DataFrame) -> pl.DataFrame:
    """Without those that the CRM loses."""
    lost = world.lost_outcomes
    here = lost is not None and lost.first_day <= day and (lost.until_day is None or day < lost.until_day)
    kept = due.filter(pl.col("reporting") >= lost.share) if lost is not None and here else due
    return kept.sort("outcome_at", "lead_id").select(*OUTCOME)
