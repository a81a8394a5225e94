"""Alerts, channels and jobs as the page shows them (quiet)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from leadgate.alerts.causes import CAUSES
from leadgate.alerts.silences import silence_of
from leadgate.alerts.telling import sort_out
from leadgate.alerts.updating import alert_of, silence_of_row
from leadgate.storage.postgres.alerts import AlertRow, ChannelState, SilenceRow
from leadgate.storage.postgres.runs import Run
from leadgate.views.diagnosis_links import name_of, page_of
from leadgate.views.wording import count

Mark = Literal["green", "yellow", "red", "unknown"]

DOES: Mapping[str, str] = {
    "checks": "checks over the usual window, then the alerts",
    "daily_checks": "checks over one day, then the alerts",
    "weekly_checks": "checks over 28 days, then the alerts",
    "rollout": "evaluates the rollout",
    "retraining": "trains where the triggers say so",
    "alerts": "delivers messages",
    "profiles": "merges hourly profiles",
    "records": "removes old records",
    "prediction_log": "moves old days out of the log",
}
"""Jobs by the names that leadgate.yaml has for them."""

EVENTS: Mapping[str, str] = {
    "fire": "fired",
    "worsen": "became red",
    "ease": "eased to yellow",
    "acknowledge": "taken into care",
    "clear": "resolved",
    "retire": "judged no more",
}
"""What happens to an alert, for readers."""

_TITLES = {cause.name: cause.title for cause in CAUSES}
_URGENCY = {"yellow": 1, "red": 2}
_MANY = 4
"""Failures one after the other that are red."""
_LATE = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class OpenAlert:
    """An alert that is not resolved."""

    row: AlertRow
    name: str
    cause: str
    """In words."""
    page: str
    """Where what it is about is to be seen."""
    silenced_until: datetime | None
    folded: bool
    """It follows from another alert that is open."""
    told: Mapping[str, bool]
    """By channel, whether a message about it has arrived."""


@dataclass(frozen=True, kw_only=True)
class ChannelRow:
    """A channel."""

    name: str
    mark: Mark
    says: str
    delivered_at: datetime | None
    error: str | None
    stuck: bool
    """Whether messages wait or were given up."""


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """A job of the worker."""

    name: str
    does: str
    cron: str | None
    """None: by hand only."""
    last: Run | None
    mark: Mark
    says: str
    due_at: datetime | None
    """When it is due after its last start; None where it never ran, or runs by hand only."""


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """Whether somebody looks after the project."""

    mark: Mark
    sentence: str


def open_alerts(
    rows: Sequence[AlertRow], silences: Sequence[SilenceRow], told: Mapping[str, Mapping[str, bool]], now: datetime
) -> list[OpenAlert]:
    """The open alerts, the most urgent first, and of those the longest open."""
    alerts = {row.alert_id: alert_of(row) for row in rows}
    quiet = [silence_of_row(row) for row in silences]
    folded = {alert.alert_id for alert in sort_out(list(alerts.values()), quiet, now).folded}
    found = []
    for row in sorted(rows, key=lambda r: (-_URGENCY.get(r.severity, 0), r.opened_at, r.alert_id)):
        alert = alerts[row.alert_id]
        silence = silence_of(alert, quiet, now)
        found.append(
            OpenAlert(
                row=row,
                name=name_of(row.check_name, row.subject),
                cause=_TITLES.get(row.cause, row.cause),
                page=page_of(row.check_name, row.subject),
                silenced_until=silence.until if silence else None,
                folded=row.alert_id in folded,
                told=told.get(alert.about, {}),
            )
        )
    return found


def headline_of(alerts: Sequence[OpenAlert]) -> tuple[Mark, str]:
    """What is open, in a sentence."""
    if not alerts:
        return "green", "No alert is open."
    red = sum(each.row.severity == "red" for each in alerts)
    free = sum(each.row.acknowledged_by is None for each in alerts)
    said = f"{count(len(alerts), 'alert')} {'is' if len(alerts) == 1 else 'are'} open"
    said += " and red" if red == len(alerts) else f", {red} of them red" if red else ""
    if not free:
        return ("red" if red else "yellow"), f"{said}; each is in somebody's care."
    care = "in nobody's care" if free == len(alerts) else f"{free} of them in nobody's care"
    return ("red" if red else "yellow"), f"{said}; {care}."


def channel_rows(names: Sequence[str], states: Sequence[ChannelState]) -> list[ChannelRow]:
    """The channels of leadgate.yaml, and those that it had."""
    known = {state.channel: state for state in states}
    gone = [state.channel for state in states if state.channel not in names and (state.waiting or state.dead)]
    return [_channel(name, known.get(name), configured=name in names) for name in (*names, *gone)]


def _channel(name: str, state: ChannelState | None, *, configured: bool) -> ChannelRow:
    waiting, dead = (state.waiting, state.dead) if state else (0, 0)
    parts = [f"{count(waiting, 'message')} {'waits' if waiting == 1 else 'wait'}"] if waiting else []
    parts += [f"{count(dead, 'message')} given up"] if dead else []
    if not configured:
        parts.append("leadgate.yaml has no such channel any more")
    error = state.last_error if state else None
    mark: Mark = "red" if dead else "yellow" if error or not configured else "green"
    if state is None or (state.delivered_at is None and not parts):
        mark, parts = "unknown", ["nothing was sent yet"]
    return ChannelRow(
        name=name,
        mark=mark,
        says="; ".join(parts) or "all messages have arrived",
        delivered_at=state.delivered_at if state else None,
        error=error,
        stuck=bool(waiting or dead),
    )


def job_rows(
    schedule: Mapping[str, str | None],
    last: Mapping[str, Run],
    failed: Mapping[str, int],
    held: frozenset[str] | set[str],
    now: datetime,
) -> list[JobRow]:
    """The jobs in the order of leadgate.yaml. ``held``: those that somebody runs at this moment."""
    return [
        _job(name, cron, last.get(name), failed.get(name, 0), now, running=name in held)
        for name, cron in schedule.items()
    ]


def _job(name: str, cron: str | None, run: Run | None, failed: int, now: datetime, *, running: bool) -> JobRow:
    due = None if cron is None or run is None else _next(cron, run.started_at)
    mark, says = _state(run, failed, running=running)
    if due is not None and cron is not None and not running and _next(cron, due) + _LATE < now:
        says = f"{says}; overdue"
        mark = "red" if mark == "red" else "yellow"
    return JobRow(name=name, does=DOES.get(name, ""), cron=cron, last=run, mark=mark, says=says, due_at=due)


def _state(run: Run | None, failed: int, *, running: bool) -> tuple[Mark, str]:
    if run is None:
        return "unknown", "never ran"
    if running:
        return "green", f"runs now, by {run.started_by}"
    if run.result is None:
        return "yellow", "did not end: its process died"
    if run.result == "failed":
        times = "once" if failed <= 1 else f"{failed} times in a row"
        return ("red" if failed >= _MANY else "yellow"), f"failed {times}"
    return "green", "nothing to do" if run.result == "refused" else "done"


def worker_state(*, lives: bool, jobs: Sequence[JobRow]) -> WorkerState:
    """Whether somebody checks, tells and evaluates."""
    if not lives:
        ran = any(job.last is not None and job.last.started_by == "worker" for job in jobs)
        stopped = "The worker is not running" if ran else "No worker is running"
        said = f"{stopped}: nothing is checked, nobody is told of anything, no rollout is evaluated."
        return WorkerState(mark="red" if ran else "unknown", sentence=said)
    bad = [job.name for job in jobs if job.mark in ("yellow", "red")]
    if bad:
        return WorkerState(mark="yellow", sentence=f"The worker is running, but look at {', '.join(bad)}.")
    return WorkerState(mark="green", sentence="The worker is running, and its jobs are in order.")


def exactly(text: str) -> str:
    """A pattern of a silence that fits this text alone; anything for an empty one."""
    return re.sub(r"([*?[])", r"[\1]", text) or "*"


def _next(cron: str, at: datetime) -> datetime:
    """The first time after a moment that a cron expression names (UTC)."""
    from croniter import croniter  # noqa: PLC0415  # 50 ms, for pages

    return datetime.fromtimestamp(croniter(cron, at.astimezone(UTC)).get_next(float), UTC)
