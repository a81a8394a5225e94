"""The states of an alert: what fires, what resolves, what is told, whatever the order of findings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import AREAS, NOON, QUARTER

from leadgate.alerts.causes import CAUSES, FOLLOWS, cause_of
from leadgate.alerts.silences import Silence
from leadgate.alerts.states import (
    MEANING,
    MOVES,
    Alert,
    Heard,
    IllegalMoveError,
    Reading,
    Said,
    acknowledge,
    advance,
    diagram,
    event_of,
    move,
    refresh,
)
from leadgate.alerts.telling import tellings
from leadgate.leads.alert_rules import AlertRules

RULES = AlertRules()
WEEK, DAY = 7 * 86_400.0, 86_400.0
DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"


def heard(*windows: tuple[float, Sequence[Said]], check: str = "AUC") -> Heard:
    """What windows said, the last run first."""
    readings = tuple(Reading(length=length, said=tuple(said)) for length, said in windows)
    return Heard(area=AREAS[check], check=check, subject="", readings=readings, sentence="so it is")


def run(said: Sequence[Said], rules: AlertRules = RULES) -> list[str]:
    """The events of a subject that one window looked at, one run after the other."""
    alert: Alert | None = None
    events: list[str] = []
    for i in range(len(said)):
        found = heard((WEEK, said[max(0, i + 1 - max(rules.fire_after, rules.resolve_after)) : i + 1][::-1]))
        event = event_of(alert, found, rules)
        if event is not None:
            alert = advance(alert, found, event, "model", rules, NOON + i * QUARTER)
            events.append(event)
        if alert is not None:
            alert = None if alert.state == "resolved" else refresh(alert, found)
    return events


@pytest.mark.parametrize(
    ("said", "events"),
    (
        ("r", ["fire"]),
        ("y", []),
        ("yy", ["fire"]),
        ("ygy", []),
        ("yuy", []),
        ("yr", ["fire"]),
        ("yyr", ["fire", "worsen"]),
        ("ryy", ["fire", "ease"]),
        ("ryyr", ["fire", "ease", "worsen"]),
        ("ryr", ["fire"]),
        ("rg", ["fire"]),
        ("rgg", ["fire", "clear"]),
        ("rgug", ["fire"]),
        ("ruuuuu", ["fire"]),
        ("rgrgrg", ["fire"]),
        ("rggr", ["fire", "clear", "fire"]),
        ("raa", ["fire", "retire"]),
        ("rua", ["fire"]),
        ("uuugg", []),
    ),
)
def test_runs_have_these_events(said: str, events: list[str]) -> None:
    """Red fires at once and yellow twice; two greens in a row resolve, and what is not known does neither."""
    words: dict[str, Said] = {"r": "red", "y": "yellow", "g": "green", "u": "unknown", "a": "absent"}
    assert run([words[letter] for letter in said]) == events


@pytest.mark.parametrize(
    ("windows", "event"),
    (
        ([(DAY, ["green", "green"]), (WEEK, ["red", "green"])], None),
        ([(DAY, ["green", "green"]), (WEEK, ["green", "green"])], "clear"),
        ([(DAY, ["unknown", "unknown"]), (WEEK, ["green", "green"])], None),
        ([(DAY, ["absent", "absent"]), (WEEK, ["green", "green"])], "clear"),
        ([(DAY, ["absent", "absent"]), (WEEK, ["absent", "absent"])], "retire"),
        ([(DAY, ["green", "green"]), (WEEK, ["yellow", "green"])], "ease"),
        ([(DAY, ["green", "green"]), (WEEK, ["unknown", "unknown"])], "clear"),
        ([(WEEK, ["green", "green"])], "clear"),
    ),
)
def test_windows_are_merged(windows: list[tuple[float, list[Said]]], event: str | None) -> None:
    """An alert that the day's window raised ends when that one is green and no other is out.

    A window that never had data, or is run no more, does not keep it.
    """
    first = heard((DAY, ["red"]), (WEEK, ["green", "green"]))
    alert = advance(None, first, "fire", "model", RULES, NOON)
    assert alert.raised_by == (DAY,)
    assert event_of(alert, heard(*windows), RULES) == event


def test_the_table_says_what_may_happen() -> None:
    """What is not in it is refused with a sentence that names what is."""
    for state in ("none", "firing", "acknowledged", "resolved"):
        for event in MEANING:
            if (state, event) in MOVES:
                assert move(state, event) == MOVES[state, event]
            else:
                with pytest.raises(IllegalMoveError, match="it can: "):
                    move(state, event)


def test_the_docs_draw_the_table() -> None:
    """The diagram in docs/alerts.md is the one that the table makes, and each event is explained there."""
    text = DOCS.read_text()
    assert diagram() in text
    assert all(f"`{event}`" in text for event in MEANING)


def test_every_check_has_one_cause_and_what_follows_is_there() -> None:
    """No check is told twice; the table of what follows names causes that exist."""
    names = {cause.name for cause in CAUSES}
    assert {cause_of(area, check) for check, area in AREAS.items()} <= names
    assert {cause for causes in FOLLOWS.values() for cause in causes} <= names
    assert cause_of("system", "error rate") == "service"
    assert cause_of("system", "freshness") == "arrivals"
    assert cause_of("something new", "whatever") == "other"


WORDS = st.sampled_from(["green", "yellow", "red", "unknown"])


@given(st.lists(WORDS, max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_only_green_runs_resolve(said: list[Said], fire_after: int, resolve_after: int) -> None:
    """Whatever the findings: each clear has its greens directly before it, and each fire its yellows or a red."""
    rules = AlertRules(fire_after=fire_after, resolve_after=resolve_after)
    alert = None
    for i in range(len(said)):
        recent = said[: i + 1][::-1][: max(fire_after, resolve_after)]
        found = heard((WEEK, recent))
        event = event_of(alert, found, rules)
        if event == "clear":
            assert recent[:resolve_after] == ["green"] * resolve_after
        if event == "fire":
            yellows = recent[:fire_after]
            assert recent[0] == "red" or (len(yellows) == fire_after and set(yellows) <= {"yellow", "red"})
        if alert is not None and event is None:
            assert recent[0] != "red" or alert.severity == "red"
        if event is not None:
            alert = advance(alert, found, event, "model", rules, NOON)
        if alert is not None:
            alert = None if alert.state == "resolved" else refresh(alert, found)


SCRIPT = st.lists(
    st.tuples(st.sampled_from(["AUC", "error rate", "freshness"]), st.sampled_from(["red", "yellow", "over", "ack"])),
    max_size=40,
)


@given(SCRIPT, st.integers(1, 40))
def test_nobody_is_told_the_same_twice_before_a_reminder_is_due(script: list[tuple[str, str]], minutes: int) -> None:
    """Whatever happens to alerts: a message has something that is new, worse, over, or due again."""
    now = NOON
    alerts: dict[str, Alert] = {}
    told_at: dict[str, datetime] = {}
    for check, what in script:
        now += timedelta(minutes=minutes)
        alerts = _happen(alerts, check, what, now)
        for telling in tellings(list(alerts.values()), [], RULES, now):
            for alert in telling.alerts:
                if telling.kind == "firing":
                    assert alert.told_severity != alert.severity
                if telling.kind == "reminder":
                    hours = 4 if telling.severity == "red" else 24
                    assert now - min(told_at[a.check] for a in telling.alerts) >= timedelta(hours=hours)
                    assert alert.state == "firing"
                if "resolved" in telling.kind:
                    assert alert.told_severity is not None
                    continue
                alerts[alert.check] = replace(alert, told_severity=alert.severity, told_at=now)
                told_at[alert.check] = now
        alerts = {c: a for c, a in alerts.items() if a.state != "resolved"}
        assert tellings(list(alerts.values()), [], RULES, now) == []


def _happen(alerts: dict[str, Alert], check: str, what: str, now: datetime) -> dict[str, Alert]:
    alert = alerts.get(check)
    if what == "ack":
        return (
            alerts if alert is None or alert.state != "firing" else {**alerts, check: acknowledge(alert, "Ada", NOON)}
        )
    word: Said = "green" if what == "over" else what  # type: ignore[assignment]
    found = heard((WEEK, [word, word]), check=check)
    event = event_of(alert, found, RULES)
    if event is None:
        return alerts
    return {**alerts, check: advance(alert, found, event, cause_of(found.area, check), RULES, now)}


def test_a_silence_covers_what_its_patterns_say() -> None:
    """By check, by subject, until its end and not at it."""
    alert = advance(None, heard((WEEK, ["red"])), "fire", "model", RULES, NOON)
    drift = replace(alert, check="feature drift", subject="company_size")
    silence = Silence(silence_id=1, check="feature *", subject="company_*", since=NOON, until=NOON + QUARTER)
    assert silence.covers(drift, NOON)
    assert not silence.covers(drift, NOON + QUARTER)
    assert not silence.covers(replace(drift, subject="region"), NOON)
    assert not silence.covers(alert, NOON)
