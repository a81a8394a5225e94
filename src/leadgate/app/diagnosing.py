"""Finds out why scores no longer help: gathers what is known, judges it afresh, names the likeliest cause."""

from datetime import datetime, timedelta

from leadgate.app.checking import over, require_baselines
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.project import Project
from leadgate.monitoring.diagnosis import Diagnosis
from leadgate.monitoring.diagnosis import diagnose as weigh
from leadgate.monitoring.findings import Finding
from leadgate.monitoring.judging import judge
from leadgate.monitoring.signs import source_features
from leadgate.monitoring.slowness import FEW, Group, Load, why_slow
from leadgate.monitoring.watch import gather
from leadgate.storage.postgres.connection import Connection, limit_statements
from leadgate.storage.postgres.latencies import latencies_by
from leadgate.storage.postgres.measurements import service_use

_LONGEST = timedelta(days=366)
_STATEMENT_S = 100.0
"""Less than a caller over HTTP waits: what PostgreSQL does for a command that was ended would go on without it."""
_SLOW = ("latency p95", "latency p99")


def diagnose(home: Home, since: datetime | None = None) -> Diagnosis:
    """Say what is wrong, why, and what to do; needs no run of checks before it, and writes nothing down.

    1. Read what checks read, over the window from ``since`` (UTC; None: monitoring.window_days). 2. Judge it. 3. If
    answers are slow, look at batches, versions and load. 4. Weigh the causes. Raises RefusedError before the first
    version answers, or when ``since`` is not in the past or more than a year ago.
    """
    now = home.clock()
    _require_past(since, now)
    require_baselines(home)
    project = over(home.project, None if since is None else (now - since) / timedelta(days=1))
    rules = project.monitoring
    with home.connection() as connection:
        limit_statements(connection, _STATEMENT_S)
        findings: tuple[Finding, ...] = judge(gather(connection, project, now), rules)
        if any(f.check in _SLOW and f.severity in ("yellow", "red") for f in findings):
            findings += tuple(_why_slow(connection, project, now, home.project.monitoring.window_days))
    return weigh(
        findings,
        model_name=project.name,
        sources=source_features([f.name for f in project.lead.sound], rules.integration.source_feature),
        since=now - timedelta(days=rules.window_days),
        now=now,
    )


def _require_past(since: datetime | None, now: datetime) -> None:
    if since is not None and since >= now:
        raise RefusedError(f"--since {since:%Y-%m-%d %H:%M} UTC is not in the past; give an earlier time.")
    if since is not None and now - since > _LONGEST:
        raise RefusedError(
            f"--since {since:%Y-%m-%d %H:%M} UTC is more than {_LONGEST.days} days ago; give a later time."
        )


def _why_slow(connection: Connection, project: Project, now: datetime, usual_days: float) -> list[Finding]:
    """The span in which latency was judged, against the same hours a window before.

    However short a window was asked for, the spans do not overlap, and a version of these days is not in both.
    """
    rules = project.monitoring
    ago = max(timedelta(days=max(rules.window_days, usual_days)), timedelta(hours=rules.recent_hours))
    return why_slow(_load(connection, project, now), _load(connection, project, now - ago))


def _load(connection: Connection, project: Project, until: datetime) -> Load:
    rules = project.monitoring
    since = until - timedelta(hours=rules.recent_hours)
    groups = latencies_by(
        connection, project.name, since=since, until=until, few=FEW, slow_ms=rules.system.p95_ms.yellow
    )
    use = service_use(connection, model_name=project.name, since=since, until=until)
    seconds = use.workers * (use.until - use.since).total_seconds() if use else 0.0
    return Load(
        groups=[Group(**vars(group)) for group in groups],
        requests=use.requests if use else None,
        busy=use.busy_s / seconds if use and seconds > 0 else None,
    )
