"""The team works what it can, the most promising first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.simulator.team import PRIORITIES, Team, Worked, attention, capacity_on, work_day

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def queue(*leads: tuple[str, str, float, float]) -> pl.DataFrame:
    """Waiting leads: id, priority, score, days since they came."""
    rows = [(name, priority, score, MONDAY - timedelta(days=days)) for name, priority, score, days in leads]
    schema: dict[str, Any] = {
        "lead_id": pl.String(),
        "priority": pl.String(),
        "predicted_score": pl.Float64(),
        "arrived_at": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


LEADS = queue(
    ("old low", "low", 0.1, 3.0),
    ("new high", "high", 0.95, 0.5),
    ("old high", "high", 0.75, 1.5),
    ("medium", "medium", 0.6, 0.2),
    ("better low", "low", 0.3, 1.0),
)


def names(worked: Worked) -> list[str]:
    return worked.contacts["lead_id"].to_list()


@pytest.mark.parametrize(
    ("order", "expected"),
    (
        ("arrival", ["old high", "new high", "medium", "old low", "better low"]),
        ("score", ["new high", "old high", "medium", "better low", "old low"]),
    ),
)
def test_leads_are_worked_by_priority_and_within_it_as_the_knob_says(order: Any, expected: list[str]) -> None:
    """High before medium before low; the oldest first, or the highest score."""
    assert names(work_day(Team(order=order), LEADS, MONDAY)) == expected
    assert names(work_day(Team(order=order, capacity=2), LEADS, MONDAY)) == expected[:2]


def test_contacts_are_made_in_working_hours_and_waiting_is_counted_to_them() -> None:
    """Two contacts: at 9:00 and half way to 17:00; the lead that came 1.5 days before midnight waited 1.875 days."""
    contacts = work_day(Team(capacity=2), LEADS, MONDAY).contacts
    assert contacts["left_at"].to_list() == [MONDAY + timedelta(hours=9), MONDAY + timedelta(hours=13)]
    assert contacts["waited_days"].to_list() == pytest.approx([1.5 + 9 / 24, 0.5 + 13 / 24])


def test_the_team_rests_at_the_weekend() -> None:
    """A quarter of its capacity on Saturday and Sunday, all of it on the other days."""
    week = [capacity_on(Team(capacity=100), MONDAY + timedelta(days=day)) for day in range(7)]
    assert week == [100, 100, 100, 100, 100, 25, 25]


def test_a_lead_is_set_aside_when_patience_ends() -> None:
    """Of leads that came 2, 3.5 and 5 days ago, a team with 4 days of patience keeps the first.

    The others are set aside at the moment at which the 4 days are over: that day, or before.
    """
    waiting = queue(("a", "low", 0.1, 2.0), ("b", "low", 0.1, 3.5), ("c", "low", 0.1, 5.0))
    worked = work_day(Team(capacity=0, patience_days=4), waiting, MONDAY)
    assert worked.waiting["lead_id"].to_list() == ["a"]
    assert sorted(worked.set_aside["lead_id"]) == ["b", "c"]
    assert (worked.set_aside["left_at"] - worked.set_aside["arrived_at"]).to_list() == [timedelta(days=4)] * 2
    assert worked.set_aside["waited_days"].null_count() == 2


def test_attention_falls_from_the_gain_to_the_floor() -> None:
    """Whole while fresh; half of what lies above the floor is left after one half-life, a quarter after two."""
    team = Team(gain=1.2, floor=0.2, fresh_days=1, half_life_days=2)
    waited = np.array([0.3, 1.0, 3.0, 5.0, 1_000.0, np.nan])
    assert attention(team, waited) == pytest.approx([1.2, 1.2, 0.7, 0.45, 0.2, 0.2])


@given(
    leads=st.lists(st.tuples(st.sampled_from(PRIORITIES), st.floats(0, 1), st.floats(0.01, 20)), max_size=40),
    capacity=st.integers(0, 30),
    day=st.integers(0, 6),
    order=st.sampled_from(("arrival", "score")),
)
def test_no_lead_is_lost_and_capacity_is_never_exceeded(
    leads: list[tuple[str, float, float]], capacity: int, day: int, order: Any
) -> None:
    """Each lead is in one of the three lists, once; nobody of a lower priority is worked while a higher one waits."""
    team, morning = Team(capacity=capacity, order=order), MONDAY + timedelta(days=day)
    waiting = queue(*((f"L{i}", *lead) for i, lead in enumerate(leads)))
    worked = work_day(team, waiting, morning)
    parts = [worked.contacts, worked.set_aside, worked.waiting]
    assert sorted(name for part in parts for name in part["lead_id"]) == sorted(waiting["lead_id"])
    assert worked.contacts.height == min(len(leads), capacity_on(team, morning))
    done = [PRIORITIES.index(name) for name in worked.contacts["priority"]]
    left = [PRIORITIES.index(name) for part in parts[1:] for name in part["priority"]]
    assert done == sorted(done)
    assert not done or not left or done[-1] <= min(left)
    assert (worked.contacts["left_at"] > worked.contacts["arrived_at"]).all()
