"""Which alerts people are told of now, and together with what (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from leadgate.alerts.causes import CAUSES, metrics_of, upstream_of
from leadgate.alerts.silences import Silence, silence_of
from leadgate.alerts.states import URGENCY, Alert, Severity
from leadgate.leads.alert_rules import AlertRules

Kind = Literal["firing", "reminder", "partly_resolved", "resolved"]
"""partly_resolved: another alert of the cause is still open."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """One message: of all that is new, or still so, or over, about one cause."""

    kind: Kind
    cause: str
    severity: Severity
    """The most urgent of its alerts; red where several metrics are out. Where a part is over, of what is left."""
    alerts: tuple[Alert, ...]
    """The most urgent first."""
    following: tuple[Alert, ...] = ()
    """Alerts that follow from these, and have no message of their own; where some are resolved, those that are not."""
    metrics: tuple[str, ...] = ()
    """The metrics that are out, where their number makes it red; else empty."""


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The open alerts by what keeps people from being told of them."""

    free: tuple[Alert, ...]
    silenced: tuple[Alert, ...]
    folded: tuple[Alert, ...]
    """They follow from another alert that is open and at least as urgent."""


def sort_out(alerts: Sequence[Alert], silences: Sequence[Silence], now: datetime) -> Sorted:
    """Part the open alerts. What follows from a silenced alert is as silent as it."""
    alive = [alert for alert in alerts if alert.state != "resolved"]
    worst: dict[str, int] = {}
    for alert in alive:
        worst[alert.check] = max(worst.get(alert.check, 0), URGENCY[alert.severity])
    folded: list[Alert] = []
    free: list[Alert] = []
    silenced: list[Alert] = []
    for alert in alive:
        held = silence_of(alert, silences, now) is not None
        (folded if _follows(alert, worst) else silenced if held else free).append(alert)
    return Sorted(free=tuple(free), silenced=tuple(silenced), folded=tuple(folded))


def tellings(alerts: Sequence[Alert], silences: Sequence[Silence], rules: AlertRules, now: datetime) -> list[Telling]:
    """What to tell of the open alerts and of those that were just resolved; the most urgent first.

    Each alert is told when it fires and when it becomes worse; again after ``remind_hours`` unless somebody
    acknowledged it; and when it is resolved, if it was told before. One that is silenced, or follows from another, is
    told as soon as nothing holds it back any more.
    """
    parted = sort_out(alerts, silences, now)
    metrics = tuple(sorted(metrics_of(alert.check for alert in parted.free)))
    several = metrics if rules.several is not None and len(metrics) >= rules.several else ()
    found = [
        telling
        for cause in CAUSES
        for telling in (
            _open(cause.name, parted, several, rules, now),
            _resolved(cause.name, alerts, parted),
        )
        if telling is not None
    ]
    return sorted(found, key=lambda telling: -URGENCY[telling.severity])


def _open(cause: str, parted: Sorted, several: tuple[str, ...], rules: AlertRules, now: datetime) -> Telling | None:
    members = [alert for alert in parted.free if alert.cause == cause]
    news = [alert for alert in members if _is_news(alert)]
    told = [alert for alert in members if not _is_news(alert) and alert.state == "firing"]
    if not news and not any(_is_due(alert, rules, now, red=bool(several)) for alert in told):
        return None
    of = _by_urgency(news or told)
    return Telling(
        kind="firing" if news else "reminder",
        cause=cause,
        severity="red" if several else of[0].severity,
        alerts=of,
        following=tuple(a for a in parted.folded if upstream_of(a.cause, {alert.check for alert in members})),
        metrics=several,
    )


def _resolved(cause: str, alerts: Sequence[Alert], parted: Sorted) -> Telling | None:
    over = [a for a in alerts if a.cause == cause and a.state == "resolved" and a.told_severity is not None]
    if not over:
        return None
    of = _by_urgency(over)
    # One that fires now counts too: its message goes into the same incident, which the end of another must not close.
    still = [
        a
        for a in alerts
        if a.cause == cause and a.state != "resolved" and (a.told_severity is not None or a in parted.free)
    ]
    return Telling(
        kind="partly_resolved" if still else "resolved",
        cause=cause,
        severity=_by_urgency(still or over)[0].severity,
        alerts=of,
        following=_by_urgency(still),
    )


def _follows(alert: Alert, worst: Mapping[str, int]) -> bool:
    """Whether an open alert is another's consequence; what is worse than its cause has more to tell than the cause.

    ``worst``: by check that is out, how urgent its most urgent alert is.
    """
    out = [check for check, urgency in worst.items() if urgency >= URGENCY[alert.severity]]
    return upstream_of(alert.cause, out) is not None


def _is_news(alert: Alert) -> bool:
    """Whether nobody knows of it, or not how bad it is."""
    return alert.told_severity is None or URGENCY[alert.severity] > URGENCY[alert.told_severity]


def _is_due(alert: Alert, rules: AlertRules, now: datetime, *, red: bool) -> bool:
    hours = rules.remind_hours.red if red or alert.severity == "red" else rules.remind_hours.yellow
    return alert.told_at is not None and now - alert.told_at >= timedelta(hours=hours)


def _by_urgency(alerts: Sequence[Alert]) -> tuple[Alert, ...]:
    return tuple(sorted(alerts, key=lambda a: (-URGENCY[a.severity], a.check, a.subject)))
