"""What asks for a training, what forbids one, and that nobody trains in a storm."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadgate.leads.retraining_rules import RetrainingRules
from leadgate.monitoring.findings import Area, Finding, Severity
from leadgate.monitoring.triggers import Known, decide
from leadgate.records import Interval

RULES = RetrainingRules()
SUNDAY = datetime(2026, 6, 7, 2, tzinfo=UTC)
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
"""A Wednesday."""
MONTHS_AGO = NOW - timedelta(days=60)


def known(**changed: Any) -> Known:
    """A Wednesday on which nothing asks and nothing forbids: the last training was months ago, on a Sunday's due."""
    usual: dict[str, Any] = {
        "now": NOW,
        "trained_at": MONTHS_AGO,
        "due_at": None,
        "findings": (),
        "checked_at": NOW - timedelta(minutes=5),
        "new_leads": 500,
        "started": (),
        "under_way": None,
        "rollout": None,
    }
    return Known(**{**usual, **changed})


def finding(
    check: str,
    subject: str = "",
    severity: Severity = "green",
    *,
    area: Area = "model",
    value: float | None = None,
    high: float | None = None,
    **details: float | str | None,
) -> Finding:
    """What a check said."""
    return Finding(
        area=area,
        check=check,
        subject=subject,
        severity=severity,
        sentence=f"{check} {subject} is {severity}",
        value=value,
        interval=None if high is None else Interval(low=0.5, high=high),
        details=details,
    )


def auc(high: float, *, holdout: float = 0.88, severity: Severity = "red", arm: str = "champion") -> Finding:
    """The AUC of matured leads, with the upper end of its interval."""
    return finding("AUC", arm, severity, value=high - 0.02, high=high, holdout=holdout)


def drifted(*severities: Severity) -> tuple[Finding, ...]:
    """Features with these severities."""
    return tuple(finding("feature drift", f"f{i}", s, area="drift") for i, s in enumerate(severities))


RATING = finding("sales rating", severity="yellow", area="business", value=6.1)
SILENCE = finding("delivery", "outcomes", "red", area="integration", value=200.0)


@pytest.mark.parametrize(
    ("given", "act", "trigger", "emergency"),
    (
        ({}, "rest", None, False),
        ({"due_at": SUNDAY}, "run", "scheduled", False),
        ({"due_at": SUNDAY, "trained_at": SUNDAY + timedelta(minutes=7)}, "rest", None, False),
        ({"findings": (auc(0.849),)}, "run", "performance", True),
        ({"findings": (auc(0.851),)}, "rest", None, False),
        ({"findings": (auc(0.7, arm="challenger"),)}, "rest", None, False),
        ({"findings": (auc(0.7, holdout=0.75, severity="yellow"),)}, "rest", None, False),
        ({"findings": (auc(0.6, holdout=0.75, severity="red"),)}, "run", "performance", True),
        ({"findings": drifted("yellow", "green")}, "review", "drift", False),
        ({"findings": drifted("yellow", "red", "green")}, "review", "drift", False),
        ({"findings": drifted("yellow", "red", "yellow")}, "run", "drift", True),
        ({"findings": drifted("unknown", "unknown", "unknown")}, "rest", None, False),
        ({"findings": (RATING,)}, "run", "rating", True),
        ({"new_leads": 10_000}, "rest", None, False),
        ({"new_leads": 10_001}, "run", "volume", False),
        ({"under_way": 7}, "wait", None, False),  # one that was killed is told, too, where nothing asks
    ),
)
def test_what_asks(given: dict[str, Any], act: str, trigger: str | None, emergency: bool) -> None:
    """The plan's table: weekly; AUC surely below 0.85; one drifted feature to look at, three to act on; ratings."""
    decision = decide(known(**given), RULES)
    assert (decision.act, decision.trigger, decision.emergency) == (act, trigger, emergency)


@pytest.mark.parametrize(
    ("given", "why_not", "told"),
    (
        ({"trained_at": None}, "no champion", "leadgate train"),
        ({"under_way": 7}, "under way", "retraining 7"),
        ({"findings": (auc(0.7), SILENCE)}, "no deliveries", "silent is not lost"),
        ({"new_leads": 99}, "nothing new", "99 new leads"),
        ({"rollout": "5"}, "rollout", "version 5"),
        ({"started": [NOW - timedelta(days=d) for d in (3, 8, 12, 17, 22, 29)]}, "too many", "6 retrainings"),
        ({"trained_at": NOW - timedelta(hours=18)}, "cool-down", "0.2 days left"),
    ),
)
def test_what_forbids(given: dict[str, Any], why_not: str, told: str) -> None:
    """Each with a sentence for whoever waits for the training."""
    decision = decide(known(**{"findings": (auc(0.7),), **given}), RULES)
    assert (decision.act, decision.trigger, decision.why_not) == ("wait", "performance", why_not)
    assert told in decision.reason


def test_the_schedule_waits_a_week_and_what_cannot_wait_a_day() -> None:
    """Two days after the last training: emergencies, and more leads than a week should bring."""
    lately = known(trained_at=NOW - timedelta(days=2), due_at=NOW - timedelta(hours=1))
    assert decide(lately, RULES).act == "rest"
    assert "let pass" in decide(lately, RULES).triggers[0].sentence
    assert decide(replace(lately, findings=(auc(0.7),)), RULES).trigger == "performance"
    assert decide(replace(lately, new_leads=20_000), RULES).trigger == "volume"
    the_same_day = replace(lately, trained_at=NOW - timedelta(hours=20), new_leads=20_000)
    assert decide(the_same_day, RULES).why_not == "cool-down"


def test_an_emergency_that_a_training_did_not_mend_is_no_new_one_the_day_after() -> None:
    """It comes again after a week; another cause comes at once, and neither takes the other's turn."""
    lately = known(
        trained_at=NOW - timedelta(days=2),
        answered={"drift": NOW - timedelta(days=2)},
        findings=drifted("red", "red", "red"),
    )
    decision = decide(lately, RULES)
    assert (decision.act, decision.why_not) == ("wait", "cool-down")
    assert "began for that 2.0 days ago" in decision.reason
    assert decide(replace(lately, findings=(*lately.findings, auc(0.7))), RULES).trigger == "performance"
    a_week = {"drift": NOW - timedelta(days=7)}
    assert decide(replace(lately, answered=a_week), RULES).act == "run"


def test_a_rollout_under_way_keeps_emergencies_back_and_not_the_weekly_run() -> None:
    """An emergency that goes on would train each day a version that could go nowhere."""
    decision = decide(known(findings=(auc(0.7),), rollout="5", due_at=SUNDAY), RULES)
    assert (decision.act, decision.trigger) == ("run", "scheduled")


def test_checks_of_last_week_say_nothing_of_now() -> None:
    """A worker that stood still is no reason to train; the trigger says what is missing."""
    decision = decide(known(findings=(auc(0.7),), checked_at=NOW - timedelta(days=7)), RULES)
    assert decision.act == "rest"
    assert [t.fired for t in decision.triggers if t.name == "performance"] == [None]
    assert any("leadgate check run" in t.sentence for t in decision.triggers)


def test_a_regular_time_is_done_with_by_its_training_however_short_the_cool_down() -> None:
    """A quarter of a day: the training that began at the due time is not asked for again, the next one is."""
    rules = RULES.model_copy(update={"cool_down_days": 0.25})
    state = known(now=SUNDAY + timedelta(hours=1), due_at=SUNDAY, trained_at=SUNDAY + timedelta(minutes=5))
    assert decide(state, rules).act == "rest"
    assert decide(replace(state, due_at=SUNDAY + timedelta(hours=24), now=NOW), rules).act == "run"


def test_without_a_version_nothing_is_said_to_be_done() -> None:
    """Where nothing answers yet, the regular training is not known, and its sentence says why."""
    (scheduled, *_) = decide(known(trained_at=None, due_at=SUNDAY), RULES).triggers
    assert (scheduled.fired, "no version answers" in scheduled.sentence) == (None, True)


def test_what_is_switched_off_does_not_ask() -> None:
    """Each trigger by null, or false."""
    off = RULES.model_copy(
        update={
            "triggers": RULES.triggers.model_copy(
                update={
                    "schedule": None,
                    "auc_below": None,
                    "drifted_features": None,
                    "rating": False,
                    "new_leads": None,
                }
            )
        }
    )
    everything = known(findings=(auc(0.5), *drifted("red", "red", "red"), RATING), due_at=SUNDAY, new_leads=50_000)
    assert decide(everything, RULES).act == "run"
    assert decide(everything, off).triggers == ()
    assert decide(everything, off).act == "rest"


@pytest.mark.parametrize("cause", ((), (auc(0.5), *drifted("red", "red", "red"), RATING)))
def test_a_hundred_weeks_bring_no_storm(cause: tuple[Finding, ...]) -> None:
    """Asked each hour, with and without an emergency that never ends: once a week."""
    now, trained = SUNDAY, SUNDAY - timedelta(hours=1)
    started: list[datetime] = []
    answered: dict[str, datetime] = {}
    for _ in range(100 * 7 * 24):
        now += timedelta(hours=1)
        due = SUNDAY + (now - SUNDAY) // timedelta(days=7) * timedelta(days=7)
        state = known(
            now=now,
            checked_at=now,
            trained_at=trained,
            due_at=due,
            findings=cause,
            started=started[-20:],
            answered=answered,
        )
        decision = decide(state, RULES)
        if decision.act == "run":
            trained = now + timedelta(minutes=9)
            started.append(trained)
            answered = {**answered, **{t.name: trained for t in decision.triggers if t.fired}}
    if not cause:
        assert {(at.weekday(), at.hour) for at in started} == {(6, 2)}
        assert len(started) == 100
    month = timedelta(days=30)
    assert max(sum(at - month < other <= at for other in started) for at in started) <= 5


def test_the_answer_is_another_one_only_where_something_else_holds() -> None:
    """Days that pass in a cool-down do not make a new decision; its end does."""
    asks = {"findings": (auc(0.7),), "trained_at": NOW - timedelta(hours=20)}
    first, later = decide(known(**asks), RULES), decide(known(**asks, now=NOW + timedelta(hours=2)), RULES)
    assert first.answer == later.answer
    assert first.reason != later.reason
    assert decide(known(**asks, now=NOW + timedelta(hours=5)), RULES).act == "run"
