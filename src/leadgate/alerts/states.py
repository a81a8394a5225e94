"""The states of an alert and what moves them, as one table (quiet).

The diagram in docs/alerts.md is drawn from the table by ``diagram``; a test holds it there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from leadgate.errors import RefusedError
from leadgate.leads.alert_rules import AlertRules

State = Literal["none", "firing", "acknowledged", "resolved"]
Event = Literal["fire", "worsen", "ease", "acknowledge", "clear", "retire"]
Severity = Literal["yellow", "red"]
Said = Literal["green", "yellow", "red", "unknown", "absent"]
"""What a run said of a subject; absent: nothing, for the subject was not there."""

MOVES: Mapping[tuple[State, Event], State] = {
    ("none", "fire"): "firing",
    ("firing", "worsen"): "firing",
    ("firing", "ease"): "firing",
    ("firing", "acknowledge"): "acknowledged",
    ("firing", "clear"): "resolved",
    ("firing", "retire"): "resolved",
    ("acknowledged", "worsen"): "firing",
    ("acknowledged", "ease"): "acknowledged",
    ("acknowledged", "clear"): "resolved",
    ("acknowledged", "retire"): "resolved",
}
"""Everything that may happen; what is not here cannot. What goes out again after that is a new alert."""

MEANING: Mapping[Event, str] = {
    "fire": "red in one run, or yellow in `fire_after` runs one after the other",
    "worsen": "yellow became red",
    "ease": "red became yellow, for `resolve_after` runs",
    "acknowledge": "a person takes care of it",
    "clear": "green in `resolve_after` runs one after the other, in every window that was out",
    "retire": "its subject is judged no more: a challenger that left, a feature that was dropped",
}

URGENCY: Mapping[str, int] = {"green": 0, "absent": 0, "unknown": 0, "yellow": 1, "red": 2}
_OUT = ("yellow", "red")


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A check that is out on a subject, from the run in which it fired to the one in which it was resolved."""

    alert_id: int = 0
    """0 before it is stored."""
    area: str
    check: str
    subject: str
    cause: str
    state: State
    severity: Severity
    severity_since: datetime
    sentence: str
    """Of the last run in which it was out."""
    opened_at: datetime
    raised_by: tuple[float, ...]
    """Lengths, in seconds, of the windows in which it was out."""
    told_severity: Severity | None = None
    """What people were last told; None while nobody was."""
    told_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Names the same thing in every run."""
        return (self.check, self.subject)

    @property
    def about(self) -> str:
        """Its name in messages."""
        return f"alert {self.alert_id}"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the last runs of one length of window said of a subject."""

    length: float
    """Of the window, in seconds."""
    said: tuple[Said, ...]
    """The last run first."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What all windows said of a subject."""

    area: str
    check: str
    subject: str
    readings: tuple[Reading, ...]
    sentence: str
    """The most urgent of the last runs."""

    @property
    def key(self) -> tuple[str, str]:
        """Names the same thing in every run."""
        return (self.check, self.subject)


class IllegalMoveError(RefusedError):
    """The table has no such move; nothing has changed."""


def move(state: State, event: Event) -> State:
    """The state after an event. Raises IllegalMoveError."""
    if (state, event) not in MOVES:
        possible = ", ".join(e for s, e in MOVES if s == state) or "nothing"
        raise IllegalMoveError(f"An alert that is {state} cannot {event}; it can: {possible}.")
    return MOVES[state, event]


def level_of(reading: Reading, fire_after: int) -> Severity | None:
    """How far out a window is, beyond a single yellow; None where it is not."""
    if reading.said[0] == "red":
        return "red"
    recent = reading.said[:fire_after]
    return "yellow" if len(recent) == fire_after and all(said in _OUT for said in recent) else None


def event_of(alert: Alert | None, heard: Heard | None, rules: AlertRules) -> Event | None:
    """What the last runs mean for an alert, or for a subject without one; None where nothing changes.

    ``heard`` is None where no run that counts knows the subject.
    """
    if heard is None:
        return None
    levels = [level_of(reading, rules.fire_after) for reading in heard.readings]
    if alert is None:
        return "fire" if any(levels) else None
    if "red" in levels:
        return "worsen" if alert.severity == "yellow" else None
    if all(_said(reading, ("absent",), rules) for reading in heard.readings):
        return "retire"
    if _is_clear(alert, heard, rules):
        return "clear"
    return "ease" if alert.severity == "red" and _has_eased(heard, rules) else None


def advance(alert: Alert | None, heard: Heard, event: Event, cause: str, rules: AlertRules, now: datetime) -> Alert:  # noqa: PLR0917  # one caller
    """The alert after an event that runs brought."""
    if alert is None:
        levels = {level_of(reading, rules.fire_after) for reading in heard.readings}
        return Alert(
            area=heard.area,
            check=heard.check,
            subject=heard.subject,
            cause=cause,
            state=move("none", event),
            severity="red" if "red" in levels else "yellow",
            severity_since=now,
            sentence=heard.sentence,
            opened_at=now,
            raised_by=_raised_by(heard, ()),
        )
    after = replace(alert, state=move(alert.state, event))
    if event == "worsen":
        return replace(after, severity="red", severity_since=now, acknowledged_at=None, acknowledged_by=None)
    if event == "ease":
        told: Severity | None = None if alert.told_severity is None else "yellow"
        return replace(after, severity="yellow", severity_since=now, told_severity=told)
    return replace(after, resolved_at=now)


def refresh(alert: Alert, heard: Heard) -> Alert:
    """The alert with what the last runs say of it, where they say that it is out."""
    if not any(reading.said[0] in _OUT for reading in heard.readings):
        return alert
    return replace(alert, sentence=heard.sentence, raised_by=_raised_by(heard, alert.raised_by))


def acknowledge(alert: Alert, by: str, now: datetime) -> Alert:
    """The alert in somebody's care: no reminders, unless it becomes worse. Raises IllegalMoveError."""
    return replace(alert, state=move(alert.state, "acknowledge"), acknowledged_at=now, acknowledged_by=by)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> firing: fire"]
    pairs: dict[tuple[State, State], list[str]] = {}
    for (source, event), target in MOVES.items():
        if source != "none":
            pairs.setdefault((source, target), []).append(event)
    lines += [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in pairs.items()]
    return "\n".join([*lines, "    resolved --> [*]"])


def _is_clear(alert: Alert, heard: Heard, rules: AlertRules) -> bool:
    """Whether one window is green for long enough, and none that raised the alert, or is out now, is not.

    A window that lacks data keeps an alert that it raised; one in which the subject is no more does not.
    """
    green = [_said(reading, ("green",), rules) for reading in heard.readings]
    kept = any(
        reading.said[0] in _OUT or (reading.length in alert.raised_by and not _said(reading, ("absent",), rules))
        for reading, is_green in zip(heard.readings, green, strict=True)
        if not is_green
    )
    return any(green) and not kept


def _has_eased(heard: Heard, rules: AlertRules) -> bool:
    """Whether some window is yellow, and none was red or unclear of late."""
    known = all(_said(reading, ("green", "yellow", "absent"), rules) for reading in heard.readings)
    return known and any(reading.said[0] == "yellow" for reading in heard.readings)


def _said(reading: Reading, words: Sequence[str], rules: AlertRules) -> bool:
    """Whether a window said nothing else in the runs that resolve."""
    recent = reading.said[: rules.resolve_after]
    return len(recent) == rules.resolve_after and all(said in words for said in recent)


def _raised_by(heard: Heard, before: Sequence[float]) -> tuple[float, ...]:
    """The windows that were ever out."""
    return tuple(sorted({*before, *(r.length for r in heard.readings if r.said[0] in _OUT)}))
