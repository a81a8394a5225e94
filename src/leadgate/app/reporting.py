"""Reports on demand: drift by our own judgement, or by Evidently, which rereads the rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from leadgate.app.checking import over, require_baselines
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.frames import TYPES
from leadgate.leads.made import with_made
from leadgate.leads.schema import FeatureType, FeatureValue, LeadSchema
from leadgate.leads.snapshots import read_snapshot
from leadgate.monitoring.findings import Finding
from leadgate.monitoring.judging import judge
from leadgate.monitoring.watch import gather
from leadgate.storage.postgres.profiles import hours_between
from leadgate.storage.postgres.routes import present_route
from leadgate.storage.postgres.samples import logged_features

INSTALL = "pip install 'leadgate[evidently]'"


@dataclass(frozen=True, kw_only=True)
class DriftFindings:
    """What our own check says of a window."""

    since: datetime
    until: datetime
    findings: tuple[Finding, ...]
    """One a feature, the most urgent first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftRows:
    """The leads of now and those of the training."""

    version: str
    """The champion, whose training leads they are."""
    snapshot_version: int
    schema: LeadSchema
    training: pl.DataFrame
    """A column a used feature, as is that of now."""
    current: pl.DataFrame
    answered: int
    """Predictions in the window; ``current`` has an even share of them where they are too many."""
    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class ForeignVerdict:
    """What a tool says of a feature."""

    feature: str
    method: str
    value: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """A report in a file."""

    file: Path
    version: str
    snapshot_version: int
    since: datetime
    until: datetime
    training_leads: int
    answered: int
    leads: int
    """Of these, the ones that were read."""
    drifted: int
    """Features that the tool calls drifted."""
    verdicts: tuple[ForeignVerdict, ...]
    left_out: tuple[str, ...]
    """Features without a value on one of the sides."""


def drift_findings(home: Home, *, since: datetime | None) -> DriftFindings:
    """Our own judgement of the features in a window, from the profiles; nothing is written down."""
    require_baselines(home)
    now = home.clock()
    project = over(home.project, _days(since, now))
    with home.connection() as connection:
        found = judge(gather(connection, project, now), project.monitoring)
    return DriftFindings(
        since=now - timedelta(days=project.monitoring.window_days),
        until=now,
        findings=tuple(finding for finding in found if finding.check == "feature drift"),
    )


def drift_rows(home: Home, *, since: datetime | None, most: int) -> DriftRows:
    """Read the leads of a window from the log, at most about ``most``, and the champion's training leads.

    Raises RefusedError where no version answers, or no lead was scored in the window.
    """
    until = home.clock()
    start = since or until - timedelta(days=home.project.monitoring.window_days)
    with home.connection() as connection:
        route = present_route(connection, home.project.name)
        if route is None:
            raise RefusedError("No version answers yet; `leadgate train` makes one, `leadgate serve` lets it answer.")
        card = home.registry.card(home.registry.find(route.champion))
        hours = hours_between(connection, home.project.name, since=start, until=until)
        answered = sum(hour.predictions for hour in hours)
        share = min(1.0, most / max(1, answered))
        rows = logged_features(connection, home.project.name, since=start, until=until, share=share)
        current = _frame(card.lead, rows)
    if current.is_empty():
        raise RefusedError(f"No lead was scored since {start:%Y-%m-%d %H:%M} UTC; give an earlier --since.")
    _, leads = read_snapshot(home.snapshots_uri, card.lead, card.snapshot_version)
    labelled = leads.filter(pl.col(card.lead.target).is_not_null())
    return DriftRows(
        version=route.champion,
        snapshot_version=card.snapshot_version,
        schema=card.lead,
        training=with_made(labelled, card.lead, as_served=True).select(current.columns),
        current=current,
        answered=max(answered, current.height),
        since=start,
        until=until,
    )


def write_evidently(home: Home, *, since: datetime | None, out: Path, most: int) -> WrittenReport:
    """Write Evidently's report on data drift: a page that needs no network. Raises RefusedError without Evidently."""
    evidently = _evidently()
    if not out.parent.is_dir():
        raise RefusedError(f"There is no folder {out.parent}; make it, or give another --out.")
    rows = drift_rows(home, since=since, most=most)
    names = [name for name in rows.current.columns if _has_values(rows, name)]
    if not names:
        raise RefusedError("No feature has values both at training and in the window, so there is nothing to compare.")
    report = evidently.Report([evidently.presets.DataDriftPreset(columns=names)])
    sides = [_dataset(evidently, rows.schema, side.select(names)) for side in (rows.current, rows.training)]
    made = report.run(*sides, name=f"{home.project.name}: drift since {rows.since:%Y-%m-%d %H:%M} UTC")
    try:
        made.save_html(str(out))
    except OSError as error:
        raise RefusedError(f"Cannot write {out} ({error.strerror}); give another --out.") from error
    drifted, verdicts = _verdicts(made.dict()["metrics"])
    return WrittenReport(
        file=out,
        version=rows.version,
        snapshot_version=rows.snapshot_version,
        since=rows.since,
        until=rows.until,
        training_leads=rows.training.height,
        answered=rows.answered,
        leads=rows.current.height,
        drifted=drifted,
        verdicts=verdicts,
        left_out=tuple(name for name in rows.current.columns if name not in names),
    )


def _days(since: datetime | None, now: datetime) -> float | None:
    if since is None:
        return None
    if since >= now:
        raise RefusedError(f"--since {since:%Y-%m-%d %H:%M} UTC is not in the past.")
    return (now - since) / timedelta(days=1)


def _frame(schema: LeadSchema, rows: Iterable[Mapping[str, FeatureValue]]) -> pl.DataFrame:
    types = {feature.name: TYPES[feature.type] for feature in schema.used}
    values = [[row.get(name) for name in types] for row in rows]
    return pl.DataFrame(values, schema=types, orient="row", strict=False)


def _has_values(rows: DriftRows, name: str) -> bool:
    return rows.training[name].count() > 0 and rows.current[name].count() > 0


def _evidently() -> Any:
    """Evidently, without which this report cannot be."""
    try:
        import evidently  # type: ignore[import-not-found]  # noqa: PLC0415  # an extra
        import evidently.presets  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError as error:
        raise RefusedError(
            f"This report needs Evidently, which is not here or does not fit what is ({error}); {INSTALL} brings it, "
            "best into an environment of its own. Without it: leadgate report drift."
        ) from error
    return evidently


def _dataset(evidently: Any, schema: LeadSchema, side: pl.DataFrame) -> Any:
    """Leads as Evidently takes them: numbers, and everything else as text."""
    import pandas as pd  # noqa: PLC0415

    types = {feature.name: feature.type for feature in schema.used}
    numeric = [name for name in side.columns if types[name] is FeatureType.NUMERIC]
    texts = [name for name in side.columns if name not in numeric]
    columns: dict[str, Any] = {name: side[name].to_numpy() for name in numeric}
    columns |= {name: side[name].cast(pl.String).to_list() for name in texts}
    definition = evidently.DataDefinition(numerical_columns=numeric, categorical_columns=texts)
    return evidently.Dataset.from_pandas(pd.DataFrame(columns), data_definition=definition)


def _verdicts(metrics: Sequence[Mapping[str, Any]]) -> tuple[int, tuple[ForeignVerdict, ...]]:
    counted = next(m["value"]["count"] for m in metrics if m["config"]["type"].endswith(":DriftedColumnsCount"))
    found = [
        ForeignVerdict(
            feature=metric["config"]["column"],
            method=metric["config"]["method"],
            value=float(metric["value"]),
            threshold=float(metric["config"]["threshold"]),
        )
        for metric in metrics
        if metric["config"]["type"].endswith(":ValueDrift")
    ]
    return int(counted), tuple(found)
