"""Alerts: what checks said lately, states, silences, and the messages that wait to be delivered."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row

from leadgate.storage.postgres.connection import Connection, statement

_LOOK_BACK = timedelta(days=35)
"""A check that runs weekly has its last runs in here."""


@dataclass(frozen=True, kw_only=True)
class HeardRow:
    """What a check said of a subject in one of the last runs of a length of window."""

    length: float
    """Of the window, in seconds."""
    place: int
    """1 for the last run of that length, 2 for the one before."""
    checked_at: datetime
    area: str
    check_name: str
    subject: str
    severity: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class AlertRow:
    """An alert as it is stored: see ``alerts/states.py``."""

    alert_id: int
    """0 before it is stored."""
    model_name: str
    area: str
    check_name: str
    subject: str
    cause: str
    state: str
    severity: str
    severity_since: datetime
    sentence: str
    opened_at: datetime
    raised_by: list[float]
    told_severity: str | None
    told_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """Something that happened to an alert."""

    alert_id: int
    happened_at: datetime
    event: str
    state: str
    """After the event; so is the severity."""
    severity: str
    actor: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class SilenceRow:
    """Alerts of which nobody is told for a time."""

    silence_id: int
    """0 before it is stored."""
    check_pattern: str
    subject_pattern: str
    since: datetime
    until: datetime
    """Exclusive."""
    reason: str
    silenced_by: str
    ended_by: str | None
    """Who ended it early; None where it ends by itself."""


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """A message for one channel."""

    message_id: str
    """UUIDv7."""
    model_name: str
    channel: str
    kind: str
    severity: str
    thread: str
    about: list[str]
    title: str
    body: str
    written_at: datetime
    event_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Message(NewMessage):
    """A message in the outbox."""

    message_no: int
    state: str
    """waiting, delivered or dead."""
    due_at: datetime
    attempts: int
    last_error: str | None
    settled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """Something that people have to be told of beside alerts."""

    event_id: int
    happened_at: datetime
    kind: str
    severity: str
    subject: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ChannelState:
    """What became of the messages for a channel."""

    channel: str
    waiting: int
    dead: int
    """Given up."""
    delivered_at: datetime | None
    """The last time that one arrived."""
    last_error: str | None
    """Of the newest message that has not arrived; None where each has."""


def lock_alerts(connection: Connection, model_name: str) -> None:
    """Wait until nobody else moves the alerts of a model, to the end of the transaction."""
    connection.execute(statement("alerts", "lock_alerts"), {"model_name": model_name})


def heard_lately(connection: Connection, model_name: str, *, now: datetime, most: int) -> list[HeardRow]:
    """What the last ``most`` runs of each length of window said; lengths that are run no more are left out."""
    values = {"model_name": model_name, "since": now - _LOOK_BACK, "now": now, "most": most}
    with connection.cursor(row_factory=class_row(HeardRow)) as cursor:
        return cursor.execute(statement("alerts", "heard"), values).fetchall()


def arms_since(connection: Connection, model_name: str) -> dict[str, datetime]:
    """Since when the present version (or none) is champion, and challenger; without an arm that never changed."""
    rows = connection.execute(statement("alerts", "arms"), {"model_name": model_name}).fetchall()
    return {row[0]: row[1] for row in rows}


def open_alerts(connection: Connection, model_name: str) -> list[AlertRow]:
    """The alerts that are not resolved, the first first."""
    with connection.cursor(row_factory=class_row(AlertRow)) as cursor:
        return cursor.execute(statement("alerts", "open_alerts"), {"model_name": model_name}).fetchall()


def alerts_of(connection: Connection, model_name: str, *, most: int = 200) -> list[AlertRow]:
    """The open alerts, then the resolved ones, the last first."""
    with connection.cursor(row_factory=class_row(AlertRow)) as cursor:
        return cursor.execute(statement("alerts", "alerts_of"), {"model_name": model_name, "most": most}).fetchall()


def resolved_alerts(
    connection: Connection,
    model_name: str,
    *,
    severity: str | None = None,
    check: str | None = None,
    before: int | None = None,
    most: int = 25,
) -> list[AlertRow]:
    """The resolved alerts, the last first: all, or of a severity or a check, or those before one of them."""
    values = {"model_name": model_name, "severity": severity, "check": check, "before": before, "most": most}
    with connection.cursor(row_factory=class_row(AlertRow)) as cursor:
        return cursor.execute(statement("alerts", "resolved_alerts"), values).fetchall()


def channels_of(connection: Connection, model_name: str, about: Sequence[str]) -> dict[str, dict[str, bool]]:
    """By alert (its ``about``) the channels that a message about it was written for, and whether one arrived."""
    values = {"model_name": model_name, "about": list(about)}
    found: dict[str, dict[str, bool]] = {}
    for name, channel, delivered in connection.execute(statement("alerts", "told_of"), values).fetchall():
        found.setdefault(name, {})[channel] = delivered
    return found


def channel_states(connection: Connection, model_name: str) -> list[ChannelState]:
    """What became of the messages, by channel: those that are kept."""
    with connection.cursor(row_factory=class_row(ChannelState)) as cursor:
        return cursor.execute(statement("alerts", "channel_states"), {"model_name": model_name}).fetchall()


def find_alert(connection: Connection, model_name: str, alert_id: int) -> AlertRow | None:
    """One alert; None where there is none."""
    with connection.cursor(row_factory=class_row(AlertRow)) as cursor:
        values = {"model_name": model_name, "alert_id": alert_id}
        return cursor.execute(statement("alerts", "find_alert"), values).fetchone()


def add_alert(connection: Connection, row: AlertRow) -> int:
    """Write a new alert down; gives its number."""
    found = connection.execute(statement("alerts", "add_alert"), asdict(row)).fetchone()
    assert found is not None
    return int(found[0])


def change_alert(connection: Connection, row: AlertRow) -> None:
    """Write down what became of an alert."""
    connection.execute(statement("alerts", "change_alert"), asdict(row))


def add_history(connection: Connection, row: HistoryRow) -> None:
    """Append what happened to an alert."""
    connection.execute(statement("alerts", "add_history"), asdict(row))


def history_of(connection: Connection, alert_id: int) -> list[HistoryRow]:
    """What happened to an alert, the first first."""
    with connection.cursor(row_factory=class_row(HistoryRow)) as cursor:
        return cursor.execute(statement("alerts", "history_of"), {"alert_id": alert_id}).fetchall()


def add_silence(connection: Connection, model_name: str, row: SilenceRow) -> int:
    """Write a silence down; gives its number."""
    found = connection.execute(statement("alerts", "add_silence"), {**asdict(row), "model_name": model_name}).fetchone()
    assert found is not None
    return int(found[0])


def silences_of(connection: Connection, model_name: str, *, after: datetime) -> list[SilenceRow]:
    """The silences that end after a time, the last first."""
    with connection.cursor(row_factory=class_row(SilenceRow)) as cursor:
        values = {"model_name": model_name, "after": after}
        return cursor.execute(statement("alerts", "silences_of"), values).fetchall()


def end_silence(connection: Connection, model_name: str, silence_id: int, *, at: datetime, by: str) -> bool:
    """End a silence before its time; gives whether there was one."""
    values = {"model_name": model_name, "silence_id": silence_id, "at": at, "ended_by": by}
    return connection.execute(statement("alerts", "end_silence"), values).rowcount > 0


def add_message(connection: Connection, message: NewMessage) -> None:
    """Put a message into the outbox."""
    connection.execute(statement("alerts", "add_message"), asdict(message))


def channels_told(connection: Connection, model_name: str, about: Sequence[str]) -> list[str]:
    """The channels to which a message about one of these was ever written."""
    values = {"model_name": model_name, "about": list(about)}
    return [row[0] for row in connection.execute(statement("alerts", "channels_told"), values).fetchall()]


def channels_open(connection: Connection, model_name: str, thread: str) -> list[str]:
    """The channels of which the last message of a thread is not that all of it is over."""
    values = {"model_name": model_name, "thread": thread}
    return [row[0] for row in connection.execute(statement("alerts", "channels_open"), values).fetchall()]


def new_events(connection: Connection, model_name: str, *, since: datetime, now: datetime) -> list[EventRow]:
    """The events of which no message was written; whoever asks holds them to the end of the transaction."""
    connection.execute(statement("alerts", "lock_events"))
    values = {"model_name": model_name, "since": since, "now": now}
    with connection.cursor(row_factory=class_row(EventRow)) as cursor:
        return cursor.execute(statement("alerts", "new_events"), values).fetchall()


def settle_events(connection: Connection, now: datetime) -> None:
    """Mark the events of which somebody was told."""
    connection.execute(statement("alerts", "settle_events"), {"now": now})


def channels_waiting(connection: Connection, model_name: str, now: datetime) -> list[str]:
    """The channels for which a message is due, the longest waiting first."""
    values = {"model_name": model_name, "now": now}
    return [row[0] for row in connection.execute(statement("alerts", "channels_waiting"), values).fetchall()]


def claim_message(
    connection: Connection, model_name: str, channel: str, *, claim: str, now: datetime, until: datetime
) -> Message | None:
    """Take the next message of a channel, for nobody else until a time; None where nothing is due."""
    values = {"model_name": model_name, "channel": channel, "claim": claim, "now": now, "until": until}
    with connection.cursor(row_factory=class_row(Message)) as cursor:
        return cursor.execute(statement("alerts", "claim"), values).fetchone()


def mark_delivered(connection: Connection, message_no: int, now: datetime) -> None:
    """Say that a message has arrived."""
    connection.execute(statement("alerts", "mark_delivered"), {"message_no": message_no, "now": now})


def mark_failed(
    connection: Connection, message_no: int, *, claim: str, now: datetime, due_at: datetime, error: str, dead: bool
) -> None:
    """Give a message back, to be tried again or given up; nothing where somebody else has taken it."""
    values: dict[str, Any] = {
        "message_no": message_no,
        "claim": claim,
        "now": now,
        "due_at": due_at,
        "error": error,
        "dead": dead,
    }
    connection.execute(statement("alerts", "mark_failed"), values)


def hold_channel(connection: Connection, model_name: str, channel: str, until: datetime) -> None:
    """Let nothing go to a channel before a time, what is written meanwhile neither."""
    values = {"model_name": model_name, "channel": channel, "until": until}
    connection.execute(statement("alerts", "hold_channel"), values)


def bury_messages(connection: Connection, model_name: str, *, attempts: int, now: datetime) -> None:
    """Give up the messages that were tried so often and are nobody's."""
    values = {"model_name": model_name, "attempts": attempts, "now": now}
    connection.execute(statement("alerts", "bury"), values)


def undelivered(connection: Connection, model_name: str, *, most: int = 200) -> list[Message]:
    """The messages that wait or were given up, the first first."""
    with connection.cursor(row_factory=class_row(Message)) as cursor:
        return cursor.execute(statement("alerts", "undelivered"), {"model_name": model_name, "most": most}).fetchall()


def messages_about(connection: Connection, model_name: str, about: str) -> list[Message]:
    """The messages about an alert, the first first."""
    with connection.cursor(row_factory=class_row(Message)) as cursor:
        values = {"model_name": model_name, "about": [about]}
        return cursor.execute(statement("alerts", "messages_about"), values).fetchall()


def revive_messages(connection: Connection, model_name: str, *, channel: str | None, now: datetime) -> int:
    """Let what was given up, or waits for its next try, be tried now; gives how many.

    What was given up and overtaken by a later message of its cause is left out.
    """
    values = {"model_name": model_name, "channel": channel, "now": now}
    return connection.execute(statement("alerts", "revive"), values).rowcount
