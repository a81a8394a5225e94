"""Moves the alerts of a model by what its checks said, and writes to the outbox what people have to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import uuid_utils

from leadgate.alerts.causes import cause_of
from leadgate.alerts.messages import OVER, Text, text_of, text_of_event, with_id
from leadgate.alerts.silences import Silence
from leadgate.alerts.states import URGENCY, Alert, Event, Heard, Reading, Said, advance, event_of, move, refresh
from leadgate.alerts.telling import Telling, tellings
from leadgate.leads.alert_rules import AlertRules, Level
from leadgate.storage.postgres import alerts as store
from leadgate.storage.postgres.alerts import AlertRow, HeardRow, HistoryRow, NewMessage
from leadgate.storage.postgres.connection import Connection

CHECKS = "checks"
"""Who moves an alert when nobody does."""

_TOLD = {"firing": "told", "reminder": "reminded"}

_NEWS_FOR = timedelta(days=2)
"""An event that could not be told for so long, for want of a channel, is no news any more."""


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What an update did to an alert."""

    event: Event
    alert: Alert
    """After it."""


def update(connection: Connection, model_name: str, rules: AlertRules, now: datetime) -> list[Changed]:
    """Move the alerts of a model and write down what people have to be told: all of it or nothing.

    1. Lock the alerts of the model, so that two who update them move them once.
    2. Read what the last runs of checks said, the open alerts, the silences.
    3. Retire the alerts of a champion or challenger that is none any more: who came after it has alerts of its own.
    4. Let each subject have its event, by the table of states.
    5. Tell what is new, worse, due again or over, to the channels of its level.
    """
    with connection.transaction():
        store.lock_alerts(connection, model_name)
        arms = store.arms_since(connection, model_name)
        heard = heard_of(store.heard_lately(connection, model_name, now=now, most=_most(rules)), arms)
        found = [alert_of(row) for row in store.open_alerts(connection, model_name)]
        known = {alert.key: alert for alert in found if not _departed(alert, arms)}
        alerts = [_retire(connection, model_name, alert, now) for alert in found if _departed(alert, arms)]
        changed = [Changed(event="retire", alert=alert) for alert in alerts]
        for key in [*known, *(key for key in heard if key not in known)]:
            after, event = _moved(known.get(key), _heard(heard, known.get(key), key), rules, now)
            if after is None:
                continue
            stored = _store(connection, model_name, known.get(key), after, event, now)
            alerts.append(stored)
            if event is not None:
                changed.append(Changed(event=event, alert=stored))
        quiet = [silence_of_row(row) for row in store.silences_of(connection, model_name, after=now)]
        for telling in tellings(alerts, quiet, rules, now):
            _tell(connection, model_name, telling, rules, now)
    return changed


def take_events(connection: Connection, model_name: str, rules: AlertRules, now: datetime) -> int:
    """Write messages of the events of which nobody was told; gives how many events."""
    if not rules.channels:
        return 0
    with connection.transaction():
        found = store.new_events(connection, model_name, since=now - _NEWS_FOR, now=now)
        for event in found:
            level: Level = event.severity  # type: ignore[assignment]  # the table allows no other
            text = text_of_event(model_name, event.kind, event.subject, event.message)
            draft = _draft(model_name, text, now, kind="event", severity=level, thread=event.subject)
            whole = replace(draft, about=[event.subject], event_id=event.event_id)
            _post(connection, whole, text, rules.route(level))
    return len(found)


def heard_of(rows: Sequence[HeardRow], arms: Mapping[str, datetime]) -> dict[tuple[str, str], Heard]:
    """What was said of each subject, by check and subject.

    A run that says nothing of a subject, of which another says something, says "absent"; so does one that was before
    the subject, a champion or challenger, became what it is (``arms``).
    """
    runs = {length: max(r.place for r in rows if r.length == length) for length in {r.length for r in rows}}
    by_key: dict[tuple[str, str], list[HeardRow]] = {}
    for row in rows:
        if row.subject in arms and row.checked_at < arms[row.subject]:
            continue
        by_key.setdefault((row.check_name, row.subject), []).append(row)
    return {key: _heard_of(found, runs) for key, found in by_key.items()}


def alert_of(row: AlertRow) -> Alert:
    """An alert as it was stored."""
    values = {name: value for name, value in asdict(row).items() if name not in ("model_name", "check_name")}
    return Alert(**{**values, "check": row.check_name, "raised_by": tuple(row.raised_by)})


def row_of(alert: Alert, model_name: str) -> AlertRow:
    """An alert as it is stored."""
    values = {name: value for name, value in asdict(alert).items() if name != "check"}
    stored = {"model_name": model_name, "check_name": alert.check, "raised_by": list(alert.raised_by)}
    return AlertRow(**{**values, **stored})


def silence_of_row(row: store.SilenceRow) -> Silence:
    """A silence as it was stored."""
    return Silence(
        silence_id=row.silence_id,
        check=row.check_pattern,
        subject=row.subject_pattern,
        since=row.since,
        until=row.until,
    )


def _most(rules: AlertRules) -> int:
    return max(rules.fire_after, rules.resolve_after)


def _heard_of(rows: Sequence[HeardRow], runs: dict[float, int]) -> Heard:
    readings = tuple(
        Reading(length=length, said=_said([row for row in rows if row.length == length], most))
        for length, most in sorted(runs.items())
    )
    latest = max(rows, key=lambda row: (row.place == 1, URGENCY[row.severity], row.checked_at))
    return Heard(
        area=latest.area,
        check=latest.check_name,
        subject=latest.subject,
        readings=readings,
        sentence=latest.sentence,
    )


def _said(rows: Sequence[HeardRow], most: int) -> tuple[Said, ...]:
    said: list[Said] = ["absent"] * most
    for row in rows:
        said[row.place - 1] = row.severity  # type: ignore[call-overload]  # the table allows no other
    return tuple(said)


def _heard(heard: dict[tuple[str, str], Heard], alert: Alert | None, key: tuple[str, str]) -> Heard | None:
    """What was said of a subject; "absent" throughout where no run knows it; None where there was no run."""
    if key in heard or alert is None or not heard:
        return heard.get(key)
    other = next(iter(heard.values()))
    readings = tuple(Reading(length=r.length, said=_said([], len(r.said))) for r in other.readings)
    return Heard(area=alert.area, check=alert.check, subject=alert.subject, readings=readings, sentence=alert.sentence)


def _departed(alert: Alert, arms: Mapping[str, datetime]) -> bool:
    """Whether it is about a version that has left its arm since."""
    return alert.subject in arms and alert.opened_at < arms[alert.subject]


def _retire(connection: Connection, model_name: str, alert: Alert, now: datetime) -> Alert:
    after = replace(alert, state=move(alert.state, "retire"), resolved_at=now)
    return _store(connection, model_name, alert, after, "retire", now)


def _moved(
    alert: Alert | None, heard: Heard | None, rules: AlertRules, now: datetime
) -> tuple[Alert | None, Event | None]:
    event = event_of(alert, heard, rules)
    if heard is None:
        return alert, None
    if event is not None:
        after = advance(alert, heard, event, cause_of(heard.area, heard.check), rules, now)
        return refresh(after, heard), event
    return (None if alert is None else refresh(alert, heard)), None


def _store(  # noqa: PLR0917  # private
    connection: Connection, model_name: str, before: Alert | None, after: Alert, event: Event | None, now: datetime
) -> Alert:
    if before is None:
        after = replace(after, alert_id=store.add_alert(connection, row_of(after, model_name)))
    elif after != before:
        store.change_alert(connection, row_of(after, model_name))
    if event is not None:
        write_history(connection, after, event, CHECKS, after.sentence, now)
    return after


def write_history(  # noqa: PLR0917  # a line of a table
    connection: Connection, alert: Alert, event: str, actor: str, comment: str, now: datetime
) -> None:
    """Append what happened to an alert."""
    row = HistoryRow(
        alert_id=alert.alert_id,
        happened_at=now,
        event=event,
        state=alert.state,
        severity=alert.severity,
        actor=actor,
        comment=comment,
    )
    store.add_history(connection, row)


def _tell(connection: Connection, model_name: str, telling: Telling, rules: AlertRules, now: datetime) -> None:
    """Write a message for each channel; where there is none, nobody was told."""
    about = [alert.about for alert in telling.alerts]
    over = telling.kind in OVER
    channels = _channels(connection, model_name, telling, rules)
    if not channels:
        return
    text = text_of(telling, model_name, now)
    draft = _draft(model_name, text, now, kind=telling.kind, severity=telling.severity, thread=telling.cause)
    _post(connection, replace(draft, about=about), text, channels)
    if over:
        return
    for alert in telling.alerts:
        told = replace(alert, told_severity=alert.severity, told_at=now)
        store.change_alert(connection, row_of(told, model_name))
        write_history(connection, told, _TOLD[telling.kind], CHECKS, f"told to {', '.join(channels)}", now)


def _channels(connection: Connection, model_name: str, telling: Telling, rules: AlertRules) -> Sequence[str]:
    """By its level; the end goes where the alarm went, and that of the last alert wherever the incident is open."""
    if telling.kind == "resolved":
        return store.channels_open(connection, model_name, _thread(model_name, telling.cause))
    if telling.kind == "partly_resolved":
        return store.channels_told(connection, model_name, [alert.about for alert in telling.alerts])
    return rules.route(telling.severity)


def _thread(model_name: str, name: str) -> str:
    """Of messages that belong together; ``drop_messages`` in upkeep.sql knows how it is made."""
    return f"{model_name}: {name}"


def _draft(model_name: str, text: Text, now: datetime, *, kind: str, severity: Level, thread: str) -> NewMessage:
    return NewMessage(
        message_id="",
        model_name=model_name,
        channel="",
        kind=kind,
        severity=severity,
        thread=_thread(model_name, thread),
        about=[],
        title=text.title,
        body="",
        written_at=now,
    )


def _post(connection: Connection, draft: NewMessage, text: Text, channels: Sequence[str]) -> None:
    for channel in channels:
        number = str(uuid_utils.uuid7())
        whole = replace(draft, message_id=number, channel=channel, body=with_id(text, number))
        store.add_message(connection, whole)
