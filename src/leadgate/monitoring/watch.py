"""Gathers what is known, judges it, writes the judgement down."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import uuid_utils

from leadgate.leads.adding import total_of
from leadgate.leads.baselines import Baseline, UnreadableBaselineError, baseline_from_bytes
from leadgate.leads.layout import NO_LAYOUT, SCORE_EDGES
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profile_bytes import bands_of, scored_until
from leadgate.leads.profiles import Moments, Profile, add_moments
from leadgate.leads.project import Project
from leadgate.monitoring.business import Ratings, Won
from leadgate.monitoring.feedback import Explored
from leadgate.monitoring.findings import CheckRun, Finding
from leadgate.monitoring.integration import Contacted, Deliveries, deliveries_of
from leadgate.monitoring.judging import Seen, Side, judge
from leadgate.monitoring.model import Counts, Matured
from leadgate.monitoring.system import Arrivals, Service
from leadgate.records import Interval, Route
from leadgate.stats.explored import Part
from leadgate.storage.postgres.checks import (
    CheckResult,
    RunSummary,
    ScoredBin,
    add_results,
    coverage_of,
    last_runs,
    matured_scores,
    reports_of,
    results_of_run,
)
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.deliveries import What, contact_waits, delivery_hours, last_delivery
from leadgate.storage.postgres.measurements import service_use
from leadgate.storage.postgres.profiles import find_baseline, hours_between, parts_between
from leadgate.storage.postgres.ratings import rating_figures
from leadgate.storage.postgres.routes import present_route

_BEFORE = 4
"""Windows before the present one that a volume is compared with."""
_DELIVERIES_BEFORE = 8
"""The same of what the CRM sends: a loss is often noticed after weeks, and must not have become what is usual."""


def check(connection: Connection, project: Project, now: datetime) -> CheckRun:
    """Gather what is known at ``now``, judge it, write the findings down."""
    rules = project.monitoring
    seen = gather(connection, project, now)
    run = CheckRun(
        run_id=str(uuid_utils.uuid7()),
        model_name=project.name,
        checked_at=now,
        since=now - timedelta(days=rules.window_days),
        until=now,
        findings=judge(seen, rules),
    )
    add_results(connection, [_stored(run, finding) for finding in run.findings])
    return run


def last_run(connection: Connection, model_name: str, *, since: datetime, days: float | None = None) -> CheckRun | None:
    """The last run since a time, as it was written down; None without one.

    With ``days`` the last one over a window of that length; where none of the last hundred was, the last of any length.
    """
    runs = last_runs(connection, model_name, since=since, most=1 if days is None else 100)
    if not runs:
        return None
    last = next((run for run in runs if days is None or _is_over(run, days)), runs[0])
    return find_run(connection, model_name, last.run_id)


def find_run(connection: Connection, model_name: str, run_id: str) -> CheckRun | None:
    """A run of a model, as it was written down; None where there is none of that id."""
    found = [result for result in results_of_run(connection, run_id) if result.model_name == model_name]
    if not found:
        return None
    return CheckRun(
        run_id=run_id,
        model_name=model_name,
        checked_at=found[0].checked_at.astimezone(UTC),
        since=found[0].since.astimezone(UTC),
        until=found[0].until.astimezone(UTC),
        findings=tuple(_finding(result) for result in found),
    )


def _is_over(run: RunSummary, days: float) -> bool:
    return abs((run.until - run.since) / timedelta(days=days) - 1) < 1e-6  # noqa: PLR2004


def gather(connection: Connection, project: Project, now: datetime) -> Seen:
    """What is known at ``now``: profiles, matured outcomes, arrivals, measurements, ratings."""
    rules = project.monitoring
    window = timedelta(days=rules.window_days)
    present, before = (_bins_between(connection, project, now, None, periods_ago=ago) for ago in (0, 1))
    figures = rating_figures(connection, model_name=project.name, since=now - timedelta(days=28), until=now)
    return Seen(
        now=now,
        days=rules.window_days,
        sides=_sides(connection, project, present_route(connection, project.name), now),
        matured=_matured(present),
        won=_won(present),
        won_before=_won(before),
        arrivals=_arrivals(connection, project, window, now),
        service=_service(connection, project.name, rules, now),
        ratings=Ratings(count=figures.count, mean=figures.mean, deviation=figures.deviation),
        outcomes=_deliveries(connection, "outcomes", window, now),
        contacts=_deliveries(connection, "contacts", window, now),
        bands=_bands(connection, project.name, since=now - window, until=now),
        contacted=_contacted(connection, project.name, since=now - window, until=now),
        contacted_before=_contacted(connection, project.name, since=now - (_BEFORE + 1) * window, until=now - window),
    )


def profile_of(
    connection: Connection,
    model_name: str,
    version: str,
    baseline: Baseline | None,
    *,
    since: datetime,
    until: datetime,
) -> Profile | None:
    """The sum of a version's hours; None without any. Without a baseline it has scores and latencies alone."""
    layout, digest = (NO_LAYOUT, "") if baseline is None else (baseline.layout, baseline.layout.digest)
    parts = parts_between(connection, model_name, since=since, until=until, version=version)
    return total_of(layout, (part.payload for part in parts if part.layout == digest))


def _sides(connection: Connection, project: Project, route: Route | None, now: datetime) -> list[Side]:
    if route is None:
        return []
    named = [("champion", route.champion), ("challenger", route.challenger)]
    return [_side(connection, project, arm, version, now) for arm, version in named if version is not None]


def _side(connection: Connection, project: Project, arm: str, version: str, now: datetime) -> Side:
    baseline = _baseline(connection, project.name, version)
    since = now - timedelta(days=project.monitoring.window_days)
    bins = _bins_between(connection, project, now, version, periods_ago=0)
    return Side(
        arm=arm,
        version=version,
        baseline=baseline,
        profile=profile_of(connection, project.name, version, baseline, since=since, until=now),
        matured=_matured(bins),
        explored=_explored(connection, project, now, version, bins),
    )


def _baseline(connection: Connection, model_name: str, version: str) -> Baseline | None:
    """None for one that this release cannot read, too: what does not rest on it is judged all the same."""
    content = find_baseline(connection, model_name, version)
    try:
        return None if content is None else baseline_from_bytes(content)
    except UnreadableBaselineError:
        return None


def _bins_between(
    connection: Connection, project: Project, now: datetime, version: str | None, *, periods_ago: int
) -> list[ScoredBin]:
    """The leads scored in the last ``matured_days`` that have matured, or in as many days before."""
    since, until = _matured_span(project, now, periods_ago)
    return matured_scores(
        connection,
        project.name,
        since=since,
        until=until,
        now=now,
        window=timedelta(days=project.outcomes.window_days),
        silence_is_loss=project.outcomes.silence_means == "not_converted",
        version=version,
    )


def _matured_span(project: Project, now: datetime, periods_ago: int = 0) -> tuple[datetime, datetime]:
    span = timedelta(days=project.monitoring.matured_days)
    until = now - timedelta(days=project.outcomes.window_days) - periods_ago * span
    return until - span, until


def _matured(bins: Sequence[ScoredBin]) -> Matured:
    won, lost = _counts(bins)
    return Matured(won=won, lost=lost)


def _counts(bins: Iterable[ScoredBin]) -> tuple[Counts, Counts]:
    """Won and lost leads by bin."""
    won, lost = (np.zeros(len(SCORE_EDGES) + 1, dtype=np.int64) for _ in range(2))
    for found in bins:
        (won if found.won else lost)[found.bin] += found.leads
    return won, lost


def _explored(
    connection: Connection, project: Project, now: datetime, version: str, bins: Sequence[ScoredBin]
) -> Explored | None:
    """The leads that were worked as high, and how many leads each of them stands for.

    The profiles count those, by every score: a lead that was scored again counts again.
    """
    if not any(found.explored for found in bins):
        return None
    since, until = _matured_span(project, now)
    bands = _bands(connection, project.name, since=since, until=until, version=version)
    high = _counts(found for found in bins if found.own_high)
    others = _counts(found for found in bins if found.explored and not found.own_high)
    drawn = _counts(found for found in bins if found.explored and found.own_high)
    return Explored(
        high=Part(leads=bands.get("high", 0), won=high[0], lost=high[1]),
        others=Part(leads=sum(bands.values()) - bands.get("high", 0), won=others[0], lost=others[1]),
        drawn_high=drawn,
    )


def _won(bins: Sequence[ScoredBin]) -> Won:
    """What the matured conversions paid and took."""
    deals, days = Moments(), Moments()
    for found in bins:
        if found.won:
            deals = add_moments(deals, _moments(found.deals))
            days = add_moments(days, _moments(found.days))
    return Won(deal_size=deals, days_to_close=days)


def _moments(figures: tuple[int, float, float]) -> Moments:
    return Moments(count=figures[0], mean=figures[1], m2=figures[2])


def _arrivals(connection: Connection, project: Project, window: timedelta, now: datetime) -> Arrivals:
    """Scores by window, from the hours' counts; a window before the first score is none."""
    hours = hours_between(connection, project.name, since=now - (_BEFORE + 1) * window, until=now)
    counts = [0] * (_BEFORE + 1)
    for hour in hours:
        counts[min(_BEFORE, int((now - hour.hour) / window))] += hour.predictions
    known = 0 if not hours else int((now - hours[0].hour) / window)
    seen, scored = coverage_of(connection, since=now - window, until=now)
    return Arrivals(
        last_scored_at=_last_scored(connection, project.name, hours[-1].hour if hours else None),
        window=counts[0],
        before=tuple(counts[1 : known + 1]),
        seen=seen,
        scored=scored,
    )


def _deliveries(connection: Connection, what: What, window: timedelta, now: datetime) -> Deliveries:
    hours = delivery_hours(connection, what, since=now - (_DELIVERIES_BEFORE + 1) * window, until=now)
    found = deliveries_of(hours, now, window, _DELIVERIES_BEFORE)
    return replace(found, last_at=last_delivery(connection, what, until=now))


def _contacted(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> Contacted:
    waits, share = contact_waits(connection, model_name, since=since, until=until)
    return Contacted(waits={priority: _moments(figures) for priority, figures in waits.items()}, share=share)


def _bands(
    connection: Connection, model_name: str, *, since: datetime, until: datetime, version: str | None = None
) -> Mapping[str, int]:
    """The leads of a span by priority, of a version or whichever, whatever their bins: a team works them all."""
    bands = Counter[str]()
    for part in parts_between(connection, model_name, since=since, until=until, version=version):
        bands.update(bands_of(part.payload))
    return bands


def _last_scored(connection: Connection, model_name: str, hour: datetime | None) -> datetime | None:
    if hour is None:
        return None
    last: datetime | None = None
    for part in parts_between(connection, model_name, since=hour, until=hour + timedelta(hours=1)):
        at = scored_until(part.payload)
        last = at if last is None or (at is not None and at > last) else last
    return last


def _service(connection: Connection, model_name: str, rules: MonitoringRules, now: datetime) -> Service | None:
    since = now - timedelta(hours=rules.recent_hours)
    reports = reports_of(connection, model_name=model_name, since=since, until=now)
    if reports is None:
        return None
    use = service_use(connection, model_name=model_name, since=since, until=now)
    return Service(
        requests=use.requests if use else 0,
        failures=use.failures if use else 0,
        edges_s=use.edges if use else (),
        latencies=use.latencies if use else {},
        **vars(reports),
    )


def _stored(run: CheckRun, finding: Finding) -> CheckResult:
    interval = finding.interval
    return CheckResult(
        run_id=run.run_id,
        model_name=run.model_name,
        checked_at=run.checked_at,
        since=run.since,
        until=run.until,
        area=finding.area,
        check_name=finding.check,
        subject=finding.subject,
        severity=finding.severity,
        sentence=finding.sentence,
        value=finding.value,
        threshold=finding.threshold,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        level=interval.level if interval else None,
        sample=finding.sample,
        p_value=finding.p_value,
        family=finding.family,
        weight=finding.weight,
        details=finding.details,
    )


def _finding(result: CheckResult) -> Finding:
    known = result.low is not None and result.high is not None and result.level is not None
    interval = Interval(low=result.low, high=result.high, level=result.level) if known else None  # type: ignore[arg-type]
    return Finding(
        area=result.area,  # type: ignore[arg-type]  # it was written by _stored
        check=result.check_name,
        subject=result.subject,
        severity=result.severity,  # type: ignore[arg-type]
        sentence=result.sentence,
        value=result.value,
        threshold=result.threshold,
        interval=interval,
        sample=result.sample,
        p_value=result.p_value,
        family=result.family,
        weight=result.weight,
        details=result.details,
    )
