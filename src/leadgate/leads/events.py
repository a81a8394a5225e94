"""What a lead did, as its features may know it: only what lay before the score's time (quiet)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Protocol, Self

import msgspec

_DAY = 86_400.0
"""Seconds."""


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that a lead did, as features.py sees it."""

    kind: str
    """Such as ``visit`` or ``email_opened``: the team's own words."""
    at: datetime
    """UTC, when it happened."""
    value: float | None = None
    """What the kind measures (seconds on a page, say); None where it measures nothing."""


class Events:
    """The events of a lead that count for one score, oldest first. It never changes."""

    __slots__ = ("_events",)

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events = tuple(sorted(events, key=_order))

    @classmethod
    def in_order(cls, ordered: Iterable[Event]) -> Self:
        """Of events that are in order already."""
        made = cls.__new__(cls)
        made._events = tuple(ordered)  # noqa: SLF001  # its own
        return made

    def of(self, *kinds: str) -> Self:
        """Those of these kinds."""
        return self.in_order(event for event in self._events if event.kind in kinds)

    def since(self, moment: datetime) -> Self:
        """Those at or after a moment."""
        return self.in_order(event for event in self._events if event.at >= moment)

    def until(self, moment: datetime) -> Self:
        """Those before a moment."""
        return self.in_order(event for event in self._events if event.at < moment)

    def count(self) -> int:
        """How many there are."""
        return len(self._events)

    def sum(self) -> float:
        """The sum of their values; an event without a value adds nothing."""
        return sum((event.value for event in self._events if event.value is not None), 0.0)

    @property
    def first(self) -> Event | None:
        """The oldest; None where there is none."""
        return self._events[0] if self._events else None

    @property
    def last(self) -> Event | None:
        """The latest; None where there is none."""
        return self._events[-1] if self._events else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are among them, by name: the order of a set is another one in another process."""
        return tuple(sorted({event.kind for event in self._events}))

    def days_since_last(self, at: datetime) -> float | None:
        """Days from the latest one to a moment; None where there is none."""
        last = self.last
        return None if last is None else (at - last.at).total_seconds() / _DAY

    def __iter__(self) -> Iterator[Event]:
        """Oldest first."""
        return iter(self._events)

    def __len__(self) -> int:
        """How many there are; so ``if events`` asks whether there is any."""
        return len(self._events)

    def __eq__(self, other: object) -> bool:
        """The same events."""
        return isinstance(other, Events) and self._events == other._events

    def __hash__(self) -> int:
        """As ``__eq__`` tells them apart."""
        return hash(self._events)

    def __repr__(self) -> str:
        """For a person who debugs features.py."""
        return f"Events({list(self._events)!r})"


class Happening(Protocol):
    """An event of a lead with the time at which it was known, wherever it comes from."""

    @property
    def kind(self) -> str: ...  # as in LeadEvent
    @property
    def at(self) -> datetime: ...
    @property
    def known_at(self) -> datetime: ...
    @property
    def value(self) -> float | None: ...


def events_before(events: Iterable[Happening], at: datetime) -> Events:
    """What counts for a score: the events that happened strictly before its time and were known by then.

    This is the only cut: training, batch and online all make it here. An event that reached us later than ``at`` was
    not known to a score of that time, however early it happened.
    """
    return Events(
        Event(event.kind, _utc(event.at), event.value) for event in events if event.at < at and event.known_at <= at
    )


class History(msgspec.Struct, frozen=True):
    """What a snapshot keeps of a lead's time and events: already cut, so that nothing later can get in."""

    at: datetime
    """UTC, the score's time."""
    events: tuple[Event, ...]
    """Oldest first."""


class _Time(msgspec.Struct):
    at: datetime


_HISTORIES = msgspec.json.Decoder(History)
_TIMES = msgspec.json.Decoder(_Time)
_JSON = msgspec.json.Encoder()


def history_to_json(at: datetime, events: Events) -> str:
    """One form for one history: times in UTC, with six digits of a second where it is no whole one."""
    return _JSON.encode(History(at=_utc(at), events=tuple(events))).decode()


def history_from_json(text: str) -> tuple[datetime, Events]:
    """The score's time and the events that count for it. Raises ValueError for text that is no history."""
    found = _HISTORIES.decode(text)
    return found.at, Events.in_order(found.events)


def time_of_history(text: str) -> datetime:
    """The score's time of a history (UTC). Raises ValueError for text that is no history."""
    return _TIMES.decode(text).at


def events_in_history(text: str) -> int:
    """How many events a history holds. Raises ValueError for text that is no history."""
    return len(_HISTORIES.decode(text).events)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _order(event: Event) -> tuple[datetime, str, float]:
    """Of events at one moment too the order is always the same."""
    return event.at, event.kind, float("-inf") if event.value is None else event.value
