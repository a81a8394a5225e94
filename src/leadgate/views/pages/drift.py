"""Whether the leads, and their scores, are still those that the champion knows: what drifted most, and how.

The findings are those of the last run of checks. A feature's distribution is the sum of the hourly profiles of the
window that the run judged, gathered as the run gathered it, and kept: the window of a run does not change.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Generic, TypeVar

from leadgate.leads.baselines import Baseline, UnreadableBaselineError, baseline_from_bytes
from leadgate.leads.profiles import Profile
from leadgate.leads.project import Project
from leadgate.monitoring.watch import profile_of
from leadgate.storage.postgres.checks import (
    CheckResult,
    LatestRun,
    PastFigures,
    figures_over_time,
    latest_run,
    results_of_run,
    runs_by_length,
)
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.profiles import find_baseline
from leadgate.storage.postgres.routes import routes_of
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.charts import Chart
from leadgate.views.drift_history import feature_history, scores_history, span_of
from leadgate.views.drift_rows import (
    FeatureRow,
    FindingRow,
    Headline,
    feature_rows,
    headline_of,
    ranked_features,
    score_rows,
    segment_rows,
    value_rows,
)
from leadgate.views.drift_shapes import feature_chart, missing_of, scores_chart, unseen_of
from leadgate.views.freshness import Freshness, freshness_of
from leadgate.views.sources import Sources

_DAYS = (1.0, 7.0, 28.0)
_MOST_FEATURES = 200
"""That are listed: a page of thousands is too heavy for a phone."""
_SEARCHED = timedelta(days=10)
"""How far back runs over the other windows are looked for: the weekly one is among them."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Window:
    """A span that checks judge."""

    name: str
    days: str
    """As the address says it."""
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One feature in full."""

    name: str
    row: FeatureRow
    chart: Chart | None
    missing: tuple[str, str] | None
    """Shares of leads without a value, at training and now."""
    unseen: str | None
    """Of values of categories that no training lead had; None for a number."""
    values: Sequence[FindingRow]
    history: Chart | None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the page shows."""

    model_name: str
    headline: Headline
    freshness: Freshness
    windows: Sequence[Window]
    run: LatestRun | None = None
    """None where no check has run; then nothing of the rest is there."""
    version: str | None = None
    """The champion at that time, whose training leads are the measure."""
    leads: int | None = None
    """That it scored in the window; None without a profile."""
    features: Sequence[FeatureRow] = ()
    more_features: int = 0
    """That are less urgent than these."""
    detail: Detail | None = None
    scores: Sequence[FindingRow] = ()
    charts: Sequence[Chart] = ()
    """Of the scores: now and on the hold-out, and over time."""
    segments: Sequence[FindingRow] = ()
    more_segments: int = 0


def gather(sources: Sources, ask: Ask) -> Drift:
    """Read a run of checks and what it judged. Raises NoSuchPageError for a feature or window that is not there."""
    project = sources.project()
    with sources.reader.connection() as connection:
        runs = _runs(connection, project, ask)
        run = _chosen(runs, project, ask)
        if run is None:
            return _nothing(project, ask)
        results = results_of_run(connection, run.run_id)
        return _shown(connection, project, ask, runs, run, results)


def _nothing(project: Project, ask: Ask) -> Drift:
    return Drift(
        model_name=project.name,
        headline=Headline(mark="unknown", sentence="Nothing is known yet: no check has run."),
        freshness=freshness_of(None, project.worker.schedule.checks, ask.now),
        windows=(),
    )


def _shown(  # noqa: PLR0917  # private
    connection: Connection,
    project: Project,
    ask: Ask,
    runs: Sequence[LatestRun],
    run: LatestRun,
    results: Sequence[CheckResult],
) -> Drift:
    version = _champion_at(connection, project.name, run)
    sides = None if version is None else _sides(connection, project.name, version, run)
    feature = _feature(ask, results)
    kept = {"days": f"{_length(run):g}"} if ask.text("days") else {}
    rows = feature_rows(results, feature, kept)
    listed = [row for i, row in enumerate(rows) if i < _MOST_FEATURES or row.chosen]
    segments, more = segment_rows(results)
    distribution = None if sides is None else scores_chart(*sides)
    past = _past(connection, project.name, run, "score drift", "champion")
    history = scores_history(past, project.monitoring.drift)
    return Drift(
        model_name=project.name,
        headline=headline_of(results, version),
        freshness=freshness_of(run.checked_at, _schedule(project, run), ask.now),
        windows=[_window(each, run) for each in runs],
        run=run,
        version=version,
        leads=None if sides is None else sides[1].predictions,
        features=listed,
        more_features=len(rows) - len(listed),
        detail=None if feature is None else _detail(connection, project, run, results, rows, sides),
        scores=score_rows(results),
        charts=[chart for chart in (distribution, history) if chart is not None],
        segments=segments,
        more_segments=more,
    )


def _detail(  # noqa: PLR0917  # private
    connection: Connection,
    project: Project,
    run: LatestRun,
    results: Sequence[CheckResult],
    rows: Sequence[FeatureRow],
    sides: tuple[Baseline, Profile] | None,
) -> Detail:
    row = next(row for row in rows if row.chosen)
    past = _past(connection, project.name, run, "feature drift", row.name)
    return Detail(
        name=row.name,
        row=row,
        chart=None if sides is None else feature_chart(row.name, *sides),
        missing=None if sides is None else missing_of(row.name, *sides),
        unseen=None if sides is None else unseen_of(row.name, *sides),
        values=value_rows(row.name, results),
        history=feature_history(past, project.monitoring.drift, row.name),
    )


def _feature(ask: Ask, results: Sequence[CheckResult]) -> str | None:
    """The feature that is asked for, or the one to look at first; None where none was judged."""
    ranked = [result.subject for result in ranked_features(results)]
    asked = ask.text("feature")
    if asked and asked not in ranked:
        raise NoSuchPageError(f"The last checks know no feature {asked!r}; they know: {', '.join(ranked) or 'none'}.")
    return asked or next(iter(ranked), None)


def _runs(connection: Connection, project: Project, ask: Ask) -> list[LatestRun]:
    """The last run over each window that there is to choose, the shortest first."""
    usual = project.monitoring.window_days
    days = sorted({*_DAYS, usual})
    found = runs_by_length(connection, project.name, days, since=ask.now - _SEARCHED, now=ask.now)
    if any(abs(_length(run) - usual) < 1e-6 for run in found):  # noqa: PLR2004
        return found
    last = latest_run(connection, project.name, now=ask.now, days=usual)
    there = last is None or any(run.run_id == last.run_id for run in found)
    return found if there or last is None else sorted([*found, last], key=_length)


def _chosen(runs: Sequence[LatestRun], project: Project, ask: Ask) -> LatestRun | None:
    asked = ask.text("days")
    if asked:
        run = next((run for run in runs if f"{_length(run):g}" == asked), None)
        if run is None:
            there = ", ".join(f"{_length(run):g}" for run in runs) or "none"
            raise NoSuchPageError(f"No check has judged {asked!r} days lately; windows that were judged: {there}.")
        return run
    usual = project.monitoring.window_days
    return min(runs, key=lambda run: abs(_length(run) - usual), default=None)


def _window(run: LatestRun, chosen: LatestRun) -> Window:
    days = f"{_length(run):g}"
    name = "1 day" if days == "1" else f"{days} days"
    return Window(name=name, days=days, chosen=run.run_id == chosen.run_id)


def _length(run: LatestRun) -> float:
    return round((run.until - run.since) / timedelta(days=1), 6)


def _schedule(project: Project, run: LatestRun) -> str | None:
    """When runs over this window are due."""
    schedule, days = project.worker.schedule, _length(run)
    if days == project.monitoring.window_days:
        return schedule.checks
    return {1.0: schedule.daily_checks, 28.0: schedule.weekly_checks}.get(days)


def _champion_at(connection: Connection, model_name: str, run: LatestRun) -> str | None:
    """The version that the run held the features against."""
    routes = routes_of(connection, model_name)
    return next((route.champion for route in routes if route.changed_at <= run.checked_at), None)


def _sides(connection: Connection, model_name: str, version: str, run: LatestRun) -> tuple[Baseline, Profile] | None:
    """What a run judged, training and now; None where there is no baseline that this release reads, or no profile."""
    key = (model_name, version, run.run_id)
    return _SIDES.of(key, lambda: _read(connection, model_name, version, run))


def _read(connection: Connection, model_name: str, version: str, run: LatestRun) -> tuple[Baseline, Profile] | None:
    content = find_baseline(connection, model_name, version)
    try:
        baseline = None if content is None else baseline_from_bytes(content)
    except UnreadableBaselineError:
        return None
    if baseline is None:
        return None
    profile = profile_of(connection, model_name, version, baseline, since=run.since, until=run.until)
    return None if profile is None else (baseline, profile)


def _past(connection: Connection, model_name: str, run: LatestRun, check: str, subject: str) -> Sequence[PastFigures]:
    """What the runs over the same window found of a subject, up to a run."""
    span, every = span_of(_length(run))
    return _PAST.of(
        (model_name, run.run_id, check, subject),
        lambda: figures_over_time(
            connection,
            model_name,
            check=check,
            subject=subject,
            since=run.checked_at - span,
            until=run.checked_at,
            every=every,
            days=_length(run),
        ),
    )


class _Kept(Generic[T]):
    """What was read for a run, which does not change, for those that were looked at last."""

    def __init__(self, most: int) -> None:
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def of(self, key: Hashable, read: Callable[[], T]) -> T:
        """Kept, or read now; nothing is kept of nothing."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = read()
        if found:
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return found


_SIDES: _Kept[tuple[Baseline, Profile] | None] = _Kept(12)
_PAST: _Kept[Sequence[PastFigures]] = _Kept(200)
