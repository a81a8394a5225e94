"""Worlds with something wrong in them, for ``diagnosis.py``: how each is, and what is done to it.

Nothing here knows a rule of the diagnosis: worlds and causes are knobs of the simulator, and every run draws its world,
how strong the cause is and how long it has lasted, from its seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from leadgate.simulator.drift import Drift
from leadgate.simulator.faults import Faults, Slowness
from leadgate.simulator.team import Team
from leadgate.simulator.world import World

Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What is done to a world."""

    days: int = 7
    """For which it goes on after the healthy weeks."""
    team: Team | None = None
    world: dict[str, float] = field(default_factory=dict)
    """Figures of the world that change."""
    drift: Drift | None = None
    """From day 0 of the change on."""
    faults: Faults | None = None
    high: float | None = None
    """Another threshold of priority high, in the version that answers, from the change on."""
    slow_version: float = 0.0
    """Milliseconds that a new version takes for each lead."""
    at: str = ""
    """What was drawn, for the table."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A cause, by the name that the diagnosis has for it."""

    name: str
    provoke: Callable[[Rng, World, datetime], Wrong]


def world_of(rng: Rng) -> World:
    """A healthy world: base rates from about 12 to 30 %, teams that reach two thirds of the leads or all of them."""
    leads = float(rng.uniform(150, 280))
    team = Team(
        capacity=round(leads * rng.uniform(0.75, 1.3)),
        weekend=float(rng.uniform(0.2, 0.5)),
        order=str(rng.choice(["arrival", "score"])),  # type: ignore[arg-type]
        gain=1.0,
        floor=float(rng.uniform(0.7, 0.9)),
        fresh_days=float(rng.uniform(1, 3)),
        half_life_days=float(rng.uniform(2, 4)),
    )
    return World(
        leads_a_day=leads,
        weekend=float(rng.uniform(0.3, 0.9)),
        season=float(rng.uniform(0.0, 0.15)),
        odds=float(rng.uniform(0.6, 1.6)),
        days_to_decide=float(rng.uniform(2.5, 4.5)),
        team=team,
    )


def _healthy(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    return Wrong(days=int(rng.integers(5, 30)))


def _dead(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    hours = float(rng.uniform(5, 72))
    days = int(np.ceil(hours / 24))
    return Wrong(
        days=days,
        faults=Faults(begins=now + timedelta(days=days, hours=-hours), silent="service"),
        at=f"for {hours:.0f} h",
    )


def _stale(rng: Rng, world: World, now: datetime) -> Wrong:
    made = _dead(rng, world, now)
    assert made.faults is not None
    return replace(made, faults=replace(made.faults, silent="callers"))


def _coverage(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    share = float(rng.uniform(0.12, 0.5))
    return Wrong(days=int(rng.integers(14, 22)), faults=Faults(begins=now, unscored=share), at=f"{share:.0%} of leads")


def _model_drift(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    truth = float(rng.uniform(0.75, 1.0))
    return Wrong(days=int(rng.integers(28, 36)), drift=Drift(day=0, truth=truth), at=f"truth moved {truth:.2f}")


def _data_drift(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    up = rng.random() < 0.5
    sign = 1 if up else -1
    kinds = (
        Drift(day=0, engagement=sign * float(rng.uniform(11, 22))),
        Drift(day=0, times={"website_visits": float(rng.uniform(2.0, 3.5) if up else rng.uniform(0.2, 0.4))}),
        Drift(day=0, times={"company_size": float(rng.uniform(2.5, 5) if up else rng.uniform(0.2, 0.4))}),
        Drift(day=0, comes={"industry": (str(rng.choice(["Retail", "Finance"])), float(rng.uniform(0.2, 0.5)))}),
    )
    chosen = [int(i) for i in rng.choice(len(kinds), int(rng.integers(1, 3)), replace=False)]
    drift = Drift(
        day=0,
        engagement=sum(kinds[i].engagement for i in chosen),
        times={k: v for i in chosen for k, v in kinds[i].times.items()},
        comes={k: v for i in chosen for k, v in kinds[i].comes.items()},
    )
    names = ("engagement", "visits", "company size", "industry")
    return Wrong(days=int(rng.integers(7, 35)), drift=drift, at=" and ".join(names[i] for i in chosen))


def _missing(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    names = ["company_size", "engagement_score", "website_visits", "industry", "job_title", "email_opens"]
    chosen = [str(n) for n in rng.choice(names, int(rng.integers(1, 3)), replace=False)]
    share = float(rng.uniform(0.08, 0.8))
    missing = dict.fromkeys(chosen, share)
    return Wrong(
        days=int(rng.integers(4, 30)),
        faults=Faults(begins=now, missing=missing),
        at=f"{share:.0%} of {', '.join(chosen)}",
    )


def _unit(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    name = str(rng.choice(["company_size", "engagement_score", "website_visits"]))
    by = float(rng.choice([1000.0, 100.0, 60.0]))
    return Wrong(days=int(rng.integers(3, 25)), faults=Faults(begins=now, times={name: by}), at=f"{name} x {by:g}")


def _mix(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    source = str(rng.choice(["Purchased list", "Referral", "Trade show", "Paid ads"]))
    share = float(rng.uniform(0.2, 0.5))
    return Wrong(
        days=int(rng.integers(7, 35)),
        drift=Drift(day=0, comes={"lead_source": (source, share)}),
        at=f"{share:.0%} from {source}",
    )


def _process(rng: Rng, world: World, now: datetime) -> Wrong:
    del now
    kind = int(rng.integers(0, 3))
    days = int(rng.integers(24, 32))
    if kind == 0:
        times = float(rng.uniform(1.4, 2.0))
        return Wrong(days=days, world={"days_to_decide": world.days_to_decide * times}, at=f"decisions x {times:.1f}")
    if kind == 1:
        less = float(rng.uniform(0.3, 0.55))
        team = replace(world.team, capacity=round(world.team.capacity * less))
        return Wrong(days=int(rng.integers(8, 26)), team=team, at=f"{less:.0%} of the contacts")
    gain, times = float(rng.uniform(0.5, 0.75)), float(rng.uniform(0.5, 0.8))
    team = replace(world.team, gain=gain, floor=world.team.floor * gain)
    return Wrong(
        days=days,
        team=team,
        world={"days_to_decide": world.days_to_decide * times},
        at=f"stricter: {gain:.0%} qualify, in {times:.0%} of the time",
    )


def _market(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    odds = float(rng.uniform(0.35, 0.6) if rng.random() < 0.5 else rng.uniform(1.7, 2.5))
    return Wrong(days=int(rng.integers(28, 40)), drift=Drift(day=0, odds=odds), at=f"odds x {odds:.2f}")


def _threshold(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    high = float(rng.uniform(0.05, 0.12) if rng.random() < 0.5 else rng.uniform(0.975, 0.999))
    return Wrong(days=int(rng.integers(7, 21)), high=high, at=f"high above {high:.2f}")


def _crm(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    share = float(rng.choice([1.0, 1.0, rng.uniform(0.6, 0.95)]))
    days = int(rng.integers(5, 25)) if share == 1 else int(rng.integers(10, 25))
    return Wrong(days=days, faults=Faults(begins=now, unreported=share), at=f"{share:.0%} lost for {days} days")


def _batches(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    slow = Slowness(extra_ms=float(rng.uniform(250, 900)), batch_size=int(rng.integers(200, 1000)))
    return Wrong(days=2, faults=Faults(begins=now, slow=slow), at=f"batches of {slow.batch_size}")


def _load(rng: Rng, world: World, now: datetime) -> Wrong:
    times = int(rng.integers(20, 60))
    busy = 86_400 * float(rng.uniform(0.8, 0.98)) / (times * world.leads_a_day)
    slow = Slowness(extra_ms=float(rng.uniform(250, 900)), times=times, busy_s=busy)
    return Wrong(days=2, faults=Faults(begins=now, slow=slow), at=f"{times} times the requests")


def _version(rng: Rng, world: World, now: datetime) -> Wrong:
    del world, now
    return Wrong(days=2, slow_version=float(rng.uniform(250, 900)), at="a new version")


def _outside(rng: Rng, world: World, now: datetime) -> Wrong:
    del world
    slow = Slowness(extra_ms=float(rng.uniform(250, 900)))
    return Wrong(days=2, faults=Faults(begins=now, slow=slow), at=f"{slow.extra_ms:.0f} ms of waiting")


HEALTHY = Cause(name="healthy", provoke=_healthy)
PLANNED = (
    Cause(name="dead service", provoke=_dead),
    Cause(name="stale scores", provoke=_stale),
    Cause(name="coverage", provoke=_coverage),
    Cause(name="model drift", provoke=_model_drift),
    Cause(name="data drift", provoke=_data_drift),
    Cause(name="missing values", provoke=_missing),
    Cause(name="lead-source mix", provoke=_mix),
    Cause(name="sales process", provoke=_process),
    Cause(name="wrong threshold", provoke=_threshold),
    Cause(name="CRM not synced", provoke=_crm),
)
"""The plan's root causes."""
FURTHER = (
    Cause(name="unit error", provoke=_unit),
    Cause(name="market", provoke=_market),
    Cause(name="large batches", provoke=_batches),
    Cause(name="slow version", provoke=_version),
    Cause(name="overload", provoke=_load),
    Cause(name="slow surroundings", provoke=_outside),
)
