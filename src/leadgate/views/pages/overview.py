"""The first page: whether the scores can be trusted today, and what the new model is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from leadgate.leads.project import Project
from leadgate.storage.postgres.alerts import AlertRow, alerts_of
from leadgate.storage.postgres.checks import PastValue, history_of_checks, latest_run, results_of_run
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.measurements import ServiceLoad, service_load
from leadgate.storage.postgres.routes import present_route
from leadgate.views.asking import Ask
from leadgate.views.freshness import Freshness, freshness_of
from leadgate.views.health import CHECKS, Card, Look, Standing, cards_of, standing_of
from leadgate.views.pages.rollout import Brief, gather_brief
from leadgate.views.sources import Sources

_SPARK = timedelta(days=14)
_SLOT = timedelta(hours=8)
_ALERTS = 6


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the page shows."""

    model_name: str
    standing: Standing
    freshness: Freshness
    cards: Sequence[Card]
    alerts: Sequence[AlertRow]
    """The last ones, open ones first."""
    rollout: Brief
    """Who answers, and what the new model is worth."""


def gather(sources: Sources, ask: Ask) -> Overview:
    """Read the last run of checks, its history, the alerts, the route; no row of the log."""
    project = sources.project()
    with sources.reader.connection() as connection:
        look = _look(connection, project, ask)
        brief = gather_brief(connection, project, present_route(connection, project.name), ask.now)
        alerts = alerts_of(connection, project.name, most=50)
    run = look.run
    newest = sorted(alerts, key=lambda a: (a.resolved_at is not None, -a.severity_since.timestamp()))[:_ALERTS]
    fresh = freshness_of(run.checked_at if run else None, project.worker.schedule.checks, ask.now)
    return Overview(
        model_name=project.name,
        standing=standing_of(look, fresh),
        freshness=fresh,
        cards=cards_of(look, project),
        alerts=newest,
        rollout=brief,
    )


def _look(connection: Connection, project: Project, ask: Ask) -> Look:
    days = project.monitoring.window_days
    run = latest_run(connection, project.name, now=ask.now, days=days)
    results = results_of_run(connection, run.run_id) if run else []
    history: list[PastValue] = []
    use: ServiceLoad | None = None
    if run is not None:
        length = (run.until - run.since) / timedelta(days=1)
        since = run.checked_at - _SPARK
        history = history_of_checks(
            connection, project.name, CHECKS, since=since, until=run.checked_at, every=_SLOT, days=length
        )
        recent = ask.now - timedelta(hours=project.monitoring.recent_hours)
        use = service_load(connection, model_name=project.name, since=recent, until=ask.now)
    return Look(run=run, results=tuple(results), history=tuple(history), use=use)
