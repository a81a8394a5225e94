"""The CRM and the sales team are judged by what they send and do."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from leadgate.leads.profiles import Moments, Profile, moments_of
from leadgate.monitoring.integration import (
    Contacted,
    Deliveries,
    contact_order,
    contact_wait,
    delivered,
    deliveries_of,
    delivery,
    high_priority,
)
from stable_leads import RULES, baseline

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
MADE = baseline(np.random.default_rng(1))


def sent(**known: object) -> Deliveries:
    """A CRM that sends every night."""
    usual = {
        "last_at": NOW - 10 * HOUR,
        "window": 1_000,
        "before": (1_010, 990, 1_030, 980),
        "longest_pause": 24 * HOUR,
    }
    return Deliveries(**{**usual, **known})  # type: ignore[arg-type]


def test_deliveries_are_counted_by_window() -> None:
    """The window first, those before it only since the first delivery; the longest pause lies between two of them."""
    hours = [(NOW - 20 * 24 * HOUR, 5), (NOW - 8 * 24 * HOUR, 7), (NOW - 6 * 24 * HOUR, 11), (NOW - HOUR, 13)]
    found = deliveries_of(hours, NOW, WEEK, 4)
    assert (found.window, found.before) == (24, (7, 5))
    assert found.longest_pause == 12 * 24 * HOUR
    assert found.last_at == NOW - HOUR
    nothing = deliveries_of([], NOW, WEEK, 4)
    assert (nothing.last_at, nothing.window, nothing.before, nothing.longest_pause) == (None, 0, (), None)


@pytest.mark.parametrize(
    ("hours", "pause", "severity"),
    (
        (10, 24, "green"),
        (47, 24, "green"),
        (49, 24, "yellow"),
        (97, 24, "red"),
        (97, 168, "green"),  # a CRM that sends once a week
        (260, 168, "yellow"),  # beyond 1.5 weeks
        (520, 168, "red"),  # beyond three weeks
    ),
)
def test_a_crm_that_stopped_is_told_by_its_own_pace(hours: int, pause: int, severity: str) -> None:
    """48 and 96 hours, or 1.5 and 3 times the longest pause before."""
    found = delivery("outcomes", sent(last_at=NOW - hours * HOUR, longest_pause=pause * HOUR), NOW, RULES)
    assert found.severity == severity
    assert found.value == hours


def test_a_crm_that_never_sent_is_not_known() -> None:
    """It is told how to send."""
    found = delivery("contacts", sent(last_at=None), NOW, RULES)
    assert (found.severity, "leadgate contacts import" in found.sentence) == ("unknown", True)


@pytest.mark.parametrize(
    ("window", "before", "severity"),
    (
        (1_000, (1_010, 990, 1_030, 980), "green"),
        (600, (1_010, 990, 1_030, 980), "yellow"),
        (100, (1_010, 990, 1_030, 980), "red"),
        (3_000, (1_010, 990, 1_030, 980), "green"),  # more is no loss
        (600, (1_400, 600, 1_300, 700), "green"),  # it always varied that much
        (250, (250, 800, 1_200, 1_200, 1_190, 1_210, 1_205, 1_195), "red"),  # the loss began two windows ago
        (0, (10, 12, 9, 8), "unknown"),
        (100, (1_000,), "unknown"),
    ),
)
def test_fewer_deliveries_than_usual_alarm(window: int, before: tuple[int, ...], severity: str) -> None:
    """By a third, and beyond what weeks differ among themselves."""
    assert delivered("outcomes", sent(window=window, before=before), RULES).severity == severity


def waits(days: float, n: int, spread: float = 0.5) -> Moments:
    """Of n contacts around a mean."""
    return moments_of(np.random.default_rng(3).normal(days, spread, n))


def test_leads_that_wait_longer_are_told() -> None:
    """Twice as long alarms; a little longer, or too few contacts, do not."""
    before = Contacted(waits={"high": waits(1, 400)})
    assert contact_wait(Contacted(waits={"high": waits(2, 400)}), before, RULES).severity == "yellow"
    assert contact_wait(Contacted(waits={"high": waits(4, 400)}), before, RULES).severity == "red"
    assert contact_wait(Contacted(waits={"high": waits(1.2, 400)}), before, RULES).severity == "green"
    assert contact_wait(Contacted(waits={"high": waits(4, 50)}), before, RULES).severity == "unknown"


@pytest.mark.parametrize(
    ("high", "low", "severity"),
    (
        ((0.5, 950), (0.9, 6_800), "green"),  # nearly all are contacted, the high ones sooner
        ((1.0, 950), (1.0, 2_000), "green"),  # no sooner, but far more of them
        ((1.0, 690), (1.0, 4_900), "yellow"),  # neither
        ((1.4, 600), (1.0, 4_900), "yellow"),
        ((1.0, 70), (1.0, 480), "unknown"),  # of too few leads to tell
    ),
)
def test_a_team_that_works_by_priority_is_seen(high: tuple[float, int], low: tuple[float, int], severity: str) -> None:
    """1,000 leads with priority high, 7,000 with priority low: contacted after so many days, so many of them."""
    found = Contacted(waits={"high": waits(*high, spread=0.2), "low": waits(*low, spread=0.2)})
    leads = {"high": 1_000, "low": 7_000} if high[1] > 100 else {"high": 100, "low": 700}
    assert contact_order(found, leads, RULES).severity == severity


def test_a_team_with_very_many_contacts_is_not_accused() -> None:
    """60 % of 20,000 leads with priority high and 20 % of 50,000 low ones: 22,000 contacts, of which 5,000 are read."""
    read = {"high": waits(1.0, 2_727), "low": waits(1.0, 2_273)}
    found = contact_order(Contacted(waits=read, share=5_000 / 22_000), {"high": 20_000, "low": 50_000}, RULES)
    assert found.severity == "green"
    assert "60% of the leads" in found.sentence
    assert "low 20%" in found.sentence


def test_who_reports_no_contacts_is_not_accused() -> None:
    """Without contacts nothing is known of the order."""
    assert contact_order(Contacted(waits={}), {"high": 100, "low": 700}, RULES).severity == "unknown"


def test_one_contact_has_no_spread_and_can_be_written_down() -> None:
    """What is not known of it is null: JSON, and so the table of results, has no infinity."""
    found = contact_order(
        Contacted(waits={"high": waits(1.0, 1), "low": waits(1.0, 200)}), {"high": 50, "low": 700}, RULES
    )
    assert json.loads(json.dumps(dict(found.details), allow_nan=False))["sooner_to_within"] is None


def profile(high: int) -> Profile:
    """The stable leads' scores, with so many of 10,000 marked high."""
    made = MADE.profile
    n = made.scores.count
    share = high * n // 10_000
    return Profile(**{**vars(made), "bands": {"high": share, "medium": 0, "low": n - share}})


@pytest.mark.parametrize(
    ("high", "contacts", "by", "severity"),
    (
        (800, 0.5, "contacts", "green"),
        (800, 0.05, "contacts", "yellow"),  # 1.6 leads with priority high for each contact
        (3_000, 0.1, "contacts", "red"),  # three
        (8_500, 2.0, "share", "yellow"),  # nearly everybody is high: that says nothing
        (5, 0.5, "share", "yellow"),  # nobody is
    ),
)
def test_a_mark_that_does_not_help_is_told(high: int, contacts: float, by: str, severity: str) -> None:
    """Too many for the team, too many to mean anything, or too few to be of use."""
    made = profile(high)
    found = high_priority(made, made.scores.count, sent(window=int(contacts * made.scores.count)), 7, RULES)
    assert found.severity == severity
    if severity != "green":
        assert found.details["by"] == by


def test_a_champion_of_a_day_is_held_against_the_leads_of_all_days() -> None:
    """A tenth of 700 leads are high, and ten are contacted in the week: seven times too many, however few it scored."""
    made = profile(1_000)
    found = high_priority(made, 7 * made.scores.count, sent(window=made.scores.count // 10), 7, RULES)
    assert (found.severity, found.details["by"]) == ("red", "contacts")
    assert found.value == pytest.approx(7, rel=0.01)


def test_a_mark_without_lift_is_told() -> None:
    """Leads marked high are to convert far more often than the average one; here hardly anybody does otherwise."""
    asked = RULES.model_copy(update={"integration": RULES.integration.model_copy(update={"high_lift": 9.0})})
    found = high_priority(profile(800), 20_000, sent(window=10**6), 7, asked)
    assert (found.severity, found.details["by"]) == ("yellow", "lift")


def test_the_capacity_may_be_said() -> None:
    """Leads marked high against contacts_a_day of leadgate.yaml where no contact is reported."""
    made = profile(800)
    none = sent(window=0)
    assert high_priority(made, made.scores.count, none, 7, RULES).details["contacts_a_day"] is None
    asked = RULES.model_copy(update={"integration": RULES.integration.model_copy(update={"contacts_a_day": 1.0})})
    assert high_priority(made, made.scores.count, none, 7, asked).severity == "red"
