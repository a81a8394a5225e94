"""Alerts of a project: moved after each run of checks, delivered, acknowledged, silenced."""

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import uuid_utils

from leadgate.alerts.causes import metrics_of
from leadgate.alerts.channels import Channel, Sent
from leadgate.alerts.messages import text_of_test, with_id
from leadgate.alerts.outbox import Attempt, Post
from leadgate.alerts.outbox import deliver as deliver_waiting
from leadgate.alerts.silences import silence_of
from leadgate.alerts.states import Alert, acknowledge
from leadgate.alerts.telling import sort_out
from leadgate.alerts.updating import Changed, alert_of, row_of, silence_of_row, take_events, update, write_history
from leadgate.app.rollouts import reconcile
from leadgate.app.wire import Home
from leadgate.errors import BadConfigError, NotFoundError, RefusedError
from leadgate.rollout.controller import act_by_hand
from leadgate.rollout.history import history_of
from leadgate.rollout.moving import CONTROLLER, Person
from leadgate.rollout.stages import Stage
from leadgate.storage.postgres import alerts as store
from leadgate.storage.postgres.alerts import HistoryRow, Message, NewMessage, SilenceRow
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.rollouts import Rollout, Step, alive_rollout, lock_rollout, steps_of

_LIVE: frozenset[Stage] = frozenset({"canary", "ab_test", "full"})
"""Stages in which red takes a challenger back."""
_ITS_DOING = frozenset({"error rate", "latency p95", "latency p99"})
"""Checks of the service that a version that answers can be the cause of."""
_PREFIX = "LEADGATE_ALERT_"


@dataclass(frozen=True, kw_only=True)
class Updated:
    """What an update of the alerts did."""

    changed: tuple[Changed, ...]
    rolled_back: str | None
    """Why the challenger was taken back; None where it was not."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An alert, and what keeps people from being told of it."""

    alert: Alert
    silenced_until: datetime | None
    folded: bool
    """It follows from another alert that is open."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that happened to an alert."""

    alert: Alert
    history: tuple[HistoryRow, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What a channel made of a test message."""

    channel: str
    shown: str
    """Its URL without secrets; empty where it has none."""
    sent: Sent


def update_alerts(home: Home) -> Updated:
    """Move the alerts by what the last runs of checks said, and take a live challenger back where red asks for it.

    Safe to run twice, and twice at once.
    """
    rules, now = home.project.alerts, home.clock()
    with home.connection() as connection:
        changed = update(connection, home.project.name, rules, now)
    why = _roll_back(home, now) if rules.rollback_on_red else None
    return Updated(changed=tuple(changed), rolled_back=why)


def deliver_alerts(home: Home) -> list[Attempt]:
    """Deliver what waits: messages of alerts, and events of rollouts. Safe to run twice, and twice at once."""
    rules = home.project.alerts
    with home.connection() as connection:
        take_events(connection, home.project.name, rules, home.clock())
    post = Post(
        model_name=home.project.name,
        rules=rules,
        connect=home.connection,
        sender=lambda name: channel_of(home, name),
        clock=home.clock,
        monotonic=time.monotonic,
    )
    return deliver_waiting(post)


def channel_of(home: Home, name: str) -> Channel:
    """A channel by the name that leadgate.yaml has for it. Raises BadConfigError without showing a URL."""
    variable = _PREFIX + name.upper().replace("-", "_")
    url = (home.settings.alert_channels or {}).get(name) or os.environ.get(variable)
    if not url:
        raise BadConfigError(
            f"Channel {name!r} has no URL; give it one in the environment: {variable}=slack://..., mailto://..., "
            "workflows://..., pagerduty://... or json://...: docs/alerts.md has an example of each."
        )
    return Channel(name, url, home.project.alerts.timeout_s)


def send_test(home: Home, name: str | None) -> list[Tested]:
    """Send a message now to one channel or to all. Raises RefusedError where there is none of that name."""
    channels = home.project.alerts.channels
    if not channels:
        raise RefusedError(
            "No channel is configured, so nobody is told of anything. Name one in leadgate.yaml (alerts: channels: "
            f"[ops]) and give it a URL in the environment ({_PREFIX}OPS=slack://...); see docs/alerts.md."
        )
    if name is not None:
        _require_channel(home, name)
    return [_test(home, channel) for channel in channels if name in (None, channel)]


def _test(home: Home, name: str) -> Tested:
    try:
        channel = channel_of(home, name)
    except BadConfigError as error:
        return Tested(channel=name, shown="", sent=Sent(taken=False, error=str(error)))
    number = str(uuid_utils.uuid7())
    text = text_of_test(home.project.name, name, home.author)
    message = NewMessage(
        message_id=number,
        model_name=home.project.name,
        channel=name,
        kind="test",
        severity="green",
        thread=f"{home.project.name}: test {number}",
        about=[],
        title=text.title,
        body=with_id(text, number),
        written_at=home.clock(),
    )
    return Tested(channel=name, shown=channel.shown, sent=channel.send(message))


def listed(home: Home, *, everything: bool = False) -> list[Listed]:
    """The open alerts, and with ``everything`` the resolved ones; the last first."""
    now, name = home.clock(), home.project.name
    with home.connection() as connection:
        found = [alert_of(row) for row in store.alerts_of(connection, name)]
        quiet = [silence_of_row(row) for row in store.silences_of(connection, name, after=now)]
    folded = sort_out(found, quiet, now).folded
    result = []
    for alert in found:
        if alert.state == "resolved" and not everything:
            continue
        silence = silence_of(alert, quiet, now) if alert.state != "resolved" else None
        result.append(Listed(alert=alert, silenced_until=silence.until if silence else None, folded=alert in folded))
    return result


def undelivered(home: Home) -> list[Message]:
    """The messages that wait or were given up."""
    with home.connection() as connection:
        return store.undelivered(connection, home.project.name)


def told(home: Home, alert_id: int) -> Told:
    """All that happened to an alert. Raises NotFoundError."""
    with home.connection() as connection:
        alert = _alert(connection, home.project.name, alert_id)
        history = store.history_of(connection, alert_id)
        messages = store.messages_about(connection, home.project.name, alert.about)
    return Told(alert=alert, history=tuple(history), messages=tuple(messages))


def acknowledge_alert(home: Home, alert_id: int, *, comment: str, by: str | None = None) -> Alert:
    """Take an alert into care: no reminders any more, unless it becomes worse. Raises IllegalMoveError."""
    actor, now = by or home.author, home.clock()
    _require(comment, "An acknowledgement says what is being done; give a comment that is not empty.")
    with home.connection() as connection, connection.transaction():
        store.lock_alerts(connection, home.project.name)
        after = acknowledge(_alert(connection, home.project.name, alert_id), actor, now)
        store.change_alert(connection, row_of(after, home.project.name))
        write_history(connection, after, "acknowledge", actor, comment, now)
        what = {"check": after.check, "subject": after.subject, "severity": after.severity, "comment": comment}
        append_entry(connection, at=now, actor=actor, act="alert.acknowledge", subject=after.about, details=what)
    return after


def silence(home: Home, check: str, subject: str, *, until: datetime, reason: str) -> int:
    """Tell nobody of alerts until a time; gives the silence's number. Raises RefusedError."""
    now = home.clock()
    _require(reason, "A silence says why; give a reason that is not empty.")
    if until <= now:
        raise RefusedError(
            f"A silence ends in the future, and {until:%Y-%m-%d %H:%M} UTC is over (it is {now:%Y-%m-%d %H:%M} UTC)."
        )
    row = SilenceRow(
        silence_id=0,
        check_pattern=check,
        subject_pattern=subject,
        since=now,
        until=until,
        reason=reason,
        silenced_by=home.author,
        ended_by=None,
    )
    with home.connection() as connection, connection.transaction():
        number = store.add_silence(connection, home.project.name, row)
        what = {"check": check, "subject": subject, "until": until.isoformat(), "reason": reason}
        about = f"silence {number}"
        append_entry(connection, at=now, actor=home.author, act="alert.silence", subject=about, details=what)
    return number


def silences(home: Home, *, everything: bool = False) -> list[SilenceRow]:
    """The silences that hold, and with ``everything`` those that are over; the last first."""
    now = home.clock()
    after = now - timedelta(days=36_500) if everything else now
    with home.connection() as connection:
        return store.silences_of(connection, home.project.name, after=after)


def unsilence(home: Home, silence_id: int) -> None:
    """End a silence now. Raises NotFoundError."""
    now = home.clock()
    with home.connection() as connection, connection.transaction():
        if not store.end_silence(connection, home.project.name, silence_id, at=now, by=home.author):
            raise NotFoundError(f"No silence {silence_id} holds; `leadgate alerts silences` lists those that do.")
        about = f"silence {silence_id}"
        append_entry(connection, at=now, actor=home.author, act="alert.unsilence", subject=about, details={})


def retry(home: Home, channel: str | None) -> int:
    """Let messages that were given up, or wait for their next try, be tried now; gives how many.

    Raises RefusedError for a channel that leadgate.yaml does not name.
    """
    now = home.clock()
    if channel is not None:
        _require_channel(home, channel)
    with home.connection() as connection, connection.transaction():
        revived = store.revive_messages(connection, home.project.name, channel=channel, now=now)
        if revived:
            about, what = f"channel {channel or 'any'}", {"messages": revived}
            append_entry(connection, at=now, actor=home.author, act="alert.retry", subject=about, details=what)
    return revived


def _alert(connection: Connection, model_name: str, alert_id: int) -> Alert:
    row = store.find_alert(connection, model_name, alert_id)
    if row is None:
        raise NotFoundError(f"There is no alert {alert_id}; `leadgate alerts list --all` has every one.")
    return alert_of(row)


def _require_channel(home: Home, name: str) -> None:
    known = home.project.alerts.channels
    if name not in known:
        raise RefusedError(f"There is no channel {name!r}; leadgate.yaml has: {', '.join(known) or 'none'}.")


def _require(text: str, sentence: str) -> None:
    if not text.strip():
        raise RefusedError(sentence)


def _roll_back(home: Home, now: datetime) -> str | None:
    """Take the live challenger back where red is its doing; gives why. Whoever comes second finds nothing to move."""
    name = home.project.name
    with home.connection() as connection, connection.transaction():
        rollout = alive_rollout(connection, name)
        if rollout is None:
            return None
        alerts = [alert_of(row) for row in store.open_alerts(connection, name)]
        if _charge(home, rollout, steps_of(connection, rollout.rollout_id), alerts) is None:
            return None
        if not lock_rollout(connection, rollout.rollout_id):
            return None
        why = _charge(home, rollout, steps_of(connection, rollout.rollout_id), alerts)
        if why is None:
            return None
        act_by_hand(connection, home.project, "roll_back", Person(name=CONTROLLER, at=now, comment=why))
    reconcile(home)
    return why


def _charge(home: Home, rollout: Rollout, steps: list[Step], alerts: list[Alert]) -> str | None:
    """What a live challenger is taken back for; None where nothing is its doing."""
    stage = history_of(rollout, steps, ()).state.stage
    if stage not in _LIVE:
        return None
    its = [alert for alert in alerts if _may_be_its_doing(alert, steps, stage, {a.key for a in alerts})]
    several = home.project.alerts.several
    many = several is not None and len(metrics_of(alert.check for alert in its)) >= several
    charged = [alert for alert in its if many or alert.severity == "red"]
    if not charged:
        return None
    return f"red: {'; '.join(f'{_what(a)}: {a.sentence} (alert {a.alert_id})' for a in charged)}"[:1_500]


def _may_be_its_doing(alert: Alert, steps: list[Step], stage: Stage, out: set[tuple[str, str]]) -> bool:
    """Whether a version that answers can be the cause, by what and since when.

    Of the service's errors and latencies since it answers. Of what its own arm shows, and the champion's does not; in
    stage full, in which it is the champion, since that stage began. What eased to yellow meanwhile went out before.
    """
    live: tuple[str, ...] = ("full",) if stage == "full" and alert.check not in _ITS_DOING else tuple(_LIVE)
    since = next(step.acted_at for step in steps if step.stage in live)
    if (alert.severity_since if alert.severity == "red" else alert.opened_at) < since:
        return False
    if alert.check in _ITS_DOING:
        return True
    if stage == "full":
        return alert.subject == "champion"
    return alert.subject == "challenger" and (alert.check, "champion") not in out


def _what(alert: Alert) -> str:
    return f"{alert.check} of {alert.subject}" if alert.subject else alert.check
