"""What is out, who was told, who takes care of it; and whether the worker is there that looks and tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from leadgate.leads.project import Project
from leadgate.monitoring.signs import STEP_OF
from leadgate.storage.postgres import alerts as store
from leadgate.storage.postgres.alerts import AlertRow, HistoryRow, Message, SilenceRow
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.jobs import worker_lives
from leadgate.storage.postgres.runs import Run, failures, jobs_held, last_runs, runs_of
from leadgate.views.alert_board import (
    DOES,
    EVENTS,
    ChannelRow,
    JobRow,
    Mark,
    OpenAlert,
    WorkerState,
    channel_rows,
    exactly,
    headline_of,
    job_rows,
    open_alerts,
    worker_state,
)
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.diagnosis_links import name_of, page_of
from leadgate.views.sources import Sources

_MOST = 25
_MOST_OPEN = 100
_LEVELS = ("yellow", "red")


@dataclass(frozen=True, kw_only=True)
class OneAlert:
    """An alert and all that happened to it."""

    row: AlertRow
    name: str
    page: str
    exactly: str
    """A pattern of its subject alone."""
    history: Sequence[HistoryRow]
    events: Mapping[str, str]
    """What its events are called."""
    messages: Sequence[Message]


@dataclass(frozen=True, kw_only=True)
class OneJob:
    """A job and its last runs."""

    name: str
    does: str
    runs: Sequence[Run]
    """The last first."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """All alerts, and who looks after them."""

    mark: Mark
    headline: str
    open: Sequence[OpenAlert]
    """The most urgent ones."""
    more_open: int
    """That are not listed."""
    silences: Sequence[SilenceRow]
    """Those that hold, the last first."""
    channels: Sequence[ChannelRow]
    undelivered: Sequence[Message]
    worker: WorkerState
    jobs: Sequence[JobRow]
    resolved: Sequence[AlertRow]
    """A page of them, the last first."""
    older: str | None
    """Address of the next page; None on the last."""
    newest: str | None
    """Address of the first page; None where this is it."""
    severity: str
    check: str
    """What is asked for of the resolved ones; empty for all."""
    checks: Sequence[str]
    """Names of checks."""


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """What the page shows: one of these."""

    alert: OneAlert | None = None
    job: OneJob | None = None
    board: Board | None = None


def gather(sources: Sources, ask: Ask) -> Alerts:
    """Read the alerts, or all of one; or the runs of a job."""
    project = sources.project()
    number, job = ask.number("alert"), ask.text("job")
    with sources.reader.connection() as connection:
        if number is not None:
            return Alerts(alert=_alert(connection, project, number))
        if job:
            return Alerts(job=_job(connection, project, job))
        return Alerts(board=_board(connection, project, ask))


def _alert(connection: Connection, project: Project, number: int) -> OneAlert:
    row = store.find_alert(connection, project.name, number)
    if row is None:
        raise NoSuchPageError(f"There is no alert {number}; the page Alerts lists those that there are.")
    return OneAlert(
        row=row,
        name=name_of(row.check_name, row.subject),
        page=page_of(row.check_name, row.subject),
        exactly=exactly(row.subject),
        history=store.history_of(connection, number),
        events=EVENTS,
        messages=store.messages_about(connection, project.name, f"alert {number}"),
    )


def _job(connection: Connection, project: Project, name: str) -> OneJob:
    if name not in DOES:
        raise NoSuchPageError(f"There is no job {name!r}; there are {', '.join(DOES)}.")
    return OneJob(name=name, does=DOES[name], runs=runs_of(connection, project.name, name))


def _board(connection: Connection, project: Project, ask: Ask) -> Board:
    name = project.name
    rows = store.open_alerts(connection, name)
    silences = store.silences_of(connection, name, after=ask.now)
    told = store.channels_of(connection, name, [f"alert {row.alert_id}" for row in rows])
    found = open_alerts(rows, silences, told, ask.now)
    mark, headline = headline_of(found)
    jobs = _jobs(connection, project, ask.now)
    resolved, asked, more = _resolved(connection, name, ask)
    worker = worker_state(lives=worker_lives(connection, name), jobs=jobs)
    looked_after = worker.mark in ("green", "yellow")
    return Board(
        mark="unknown" if mark == "green" and not looked_after else mark,
        headline=headline,
        open=found[:_MOST_OPEN],
        more_open=len(found) - len(found[:_MOST_OPEN]),
        silences=silences,
        channels=channel_rows(project.alerts.channels, store.channel_states(connection, name)),
        undelivered=store.undelivered(connection, name, most=20),
        worker=worker,
        jobs=jobs,
        resolved=resolved,
        older=_address(ask, {**asked, "before": str(resolved[-1].alert_id)}) if more else None,
        newest=_address(ask, asked) if ask.text("before") else None,
        severity=asked.get("severity", ""),
        check=asked.get("check", ""),
        checks=tuple(STEP_OF),
    )


def _jobs(connection: Connection, project: Project, now: datetime) -> list[JobRow]:
    schedule = dict(project.worker.schedule)
    held = jobs_held(connection, project.name, list(schedule))
    return job_rows(schedule, last_runs(connection, project.name), failures(connection, project.name), held, now)


def _resolved(connection: Connection, name: str, ask: Ask) -> tuple[list[AlertRow], dict[str, str], bool]:
    """A page of the resolved alerts, what was asked for, and whether there are more."""
    severity, check = ask.text("severity"), ask.text("check")
    if severity and severity not in _LEVELS:
        raise NoSuchPageError(f"An alert is yellow or red, and not {severity!r}.")
    asked = {key: value for key, value in (("severity", severity), ("check", check)) if value}
    found = store.resolved_alerts(
        connection, name, severity=severity or None, check=check or None, before=ask.number("before"), most=_MOST + 1
    )
    return found[:_MOST], asked, len(found) > _MOST


def _address(ask: Ask, query: Mapping[str, str]) -> str:
    return f"{ask.path}?{urlencode(query)}#resolved" if query else f"{ask.path}#resolved"
