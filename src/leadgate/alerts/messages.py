"""What a message says (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from leadgate.alerts.causes import title_of
from leadgate.alerts.states import Alert
from leadgate.alerts.telling import Telling
from leadgate.leads.alert_rules import Level

_LONGEST = 12
"""Alerts that a message lists; the rest is a number."""


OVER = ("partly_resolved", "resolved")
"""Kinds of messages that end an alarm."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A message for people, whatever the channel."""

    title: str
    body: str


def text_of(telling: Telling, model_name: str, now: datetime) -> Text:
    """A telling in words."""
    checks = list(dict.fromkeys(alert.check for alert in telling.alerts))
    more = f" and {len(checks) - 2} more" if len(checks) > 2 else ""  # noqa: PLR2004  # of those that have a name
    title = f"{model_name}: {_word(telling)}: {', '.join(checks[:2])}{more}"
    lines = [_line(alert, telling.kind, now) for alert in telling.alerts[:_LONGEST]]
    if len(telling.alerts) > _LONGEST:
        lines.append(f"... and {len(telling.alerts) - _LONGEST} more")
    over = telling.kind in OVER
    if telling.following:
        lines.append(f"{'Still out' if over else 'Follows from it'}: {_named(telling.following)}.")
    if over:
        return Text(title=title, body="\n".join(lines))
    if telling.metrics:
        lines.append(f"Red, for several metrics are out at once: {', '.join(telling.metrics)}.")
    when = "now" if telling.severity == "red" else "within two days"
    ack = f"`leadgate alerts ack {telling.alerts[0].alert_id} --comment ...` ends the reminders."
    lines.append(f"Look {when}, at {title_of(telling.cause)}: `leadgate diagnose`. {ack}")
    return Text(title=title, body="\n".join(lines))


def text_of_event(model_name: str, kind: str, subject: str, message: str) -> Text:
    """Something that happened, in words."""
    what = kind.replace(".", " ").replace("_", " ")
    return Text(title=f"{model_name}: {what} ({subject})", body=message)


def text_of_test(model_name: str, channel: str, by: str) -> Text:
    """A message that only shows that a channel works."""
    body = f"{by} tries whether channel {channel} takes messages of Leadgate. Nothing is wrong."
    return Text(title=f"{model_name}: test", body=body)


def with_id(text: Text, message_id: str) -> str:
    """The body as it goes out: a message that comes twice has the same last line both times."""
    return f"{text.body}\nmessage {message_id}"


def level_word(severity: str, kind: str) -> Level:
    """The level by which a message is shown: green where nothing of its cause is out any more."""
    if kind == "resolved" or severity not in ("yellow", "red"):
        return "green"
    return "red" if severity == "red" else "yellow"


def _word(telling: Telling) -> str:
    match telling.kind:
        case "firing":
            return telling.severity
        case "reminder":
            return f"still {telling.severity}"
        case "partly_resolved" | "resolved":
            return telling.kind.replace("_", " ")
        case _:
            assert_never(telling.kind)


def _line(alert: Alert, kind: str, now: datetime) -> str:
    what = f"{alert.check} of {alert.subject}" if alert.subject else alert.check
    if kind in OVER:
        return f"resolved after {_span(alert, now)}: {what} (alert {alert.alert_id})"
    since = f", since {alert.opened_at:%Y-%m-%d %H:%M} UTC" if kind == "reminder" else ""
    return f"{alert.severity}: {what}: {alert.sentence} (alert {alert.alert_id}{since})"


def _named(alerts: Sequence[Alert]) -> str:
    return ", ".join(
        f"{alert.check} of {alert.subject}" if alert.subject else alert.check for alert in alerts[:_LONGEST]
    )


def _span(alert: Alert, now: datetime) -> str:
    hours = ((alert.resolved_at or now) - alert.opened_at).total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004  # two days
