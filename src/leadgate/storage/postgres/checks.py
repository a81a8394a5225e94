"""The results of checks, and what checks read beside the profiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """A finding as it is stored: see ``monitoring/findings.py``."""

    run_id: str
    model_name: str
    checked_at: datetime
    since: datetime
    until: datetime
    area: str
    check_name: str
    subject: str
    severity: str
    sentence: str
    value: float | None
    threshold: float | None
    low: float | None
    high: float | None
    level: float | None
    sample: int | None
    p_value: float | None
    family: str | None
    weight: float
    details: Mapping[str, float | str | None]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run of checks."""

    run_id: str
    checked_at: datetime
    since: datetime
    until: datetime
    red: int
    yellow: int
    unknown: int
    findings: int


@dataclass(frozen=True, kw_only=True)
class ScoredBin:
    """Matured leads of one bin of the score with the same fate."""

    bin: int
    """Their scores are above bin / 10,000 and not above (bin + 1) / 10,000."""
    won: bool
    leads: int
    deals: tuple[int, float, float]
    """Number, mean and sum of squared distances of the reported deal sizes."""
    days: tuple[int, float, float]
    """The same of the days to close."""
    own_high: bool = False
    """Whether their scores give them priority high."""
    explored: bool = False
    """Whether they were drawn at random to have it."""


@dataclass(frozen=True, kw_only=True)
class Reports:
    """Whether workers reported in a span."""

    reported_s: float
    """Seconds in which at least one did."""
    known_s: float
    """Seconds of the span since the first report ever: what lies before it is no outage."""
    silent_s: float
    """Seconds from the last report to the end of the span."""


def add_results(connection: Connection, results: Sequence[CheckResult]) -> None:
    """Write the findings of a run down, all or none."""
    with connection.transaction(), connection.cursor() as cursor:
        values = [{**vars(result), "details": Jsonb(dict(result.details))} for result in results]
        cursor.executemany(statement("checks", "add_result"), values)


def last_runs(connection: Connection, model_name: str, *, since: datetime, most: int = 20) -> list[RunSummary]:
    """The last runs since a time, the last first."""
    values = {"model_name": model_name, "since": since, "most": most}
    names = tuple(RunSummary.__dataclass_fields__)
    rows = connection.execute(statement("checks", "last_runs"), values).fetchall()
    return [RunSummary(**dict(zip(names, row, strict=True))) for row in rows]


def results_of_run(connection: Connection, run_id: str) -> list[CheckResult]:
    """All findings of a run, in the order of the checks."""
    with connection.cursor(row_factory=class_row(CheckResult)) as cursor:
        return cursor.execute(statement("checks", "results_of_run"), {"run_id": run_id}).fetchall()


def matured_scores(
    connection: Connection,
    model_name: str,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    window: timedelta,
    silence_is_loss: bool,
    version: str | None = None,
) -> list[ScoredBin]:
    """The leads first scored in a span, by bin of that score and fate within ``window`` after it, as known at ``now``.

    The same leads as ``outcomes.matching.match`` counts; ``until`` must lie a window before ``now``.
    """
    values: dict[str, Any] = {
        "model_name": model_name,
        "since": since,
        "until": until,
        "now": now,
        "window": window,
        "silence_is_loss": silence_is_loss,
        "version": version,
    }
    rows = connection.execute(statement("checks", "matured_scores"), values).fetchall()
    return [
        ScoredBin(
            bin=row[0],
            won=row[1],
            leads=row[2],
            deals=(row[3], row[4] or 0.0, row[5]),
            days=(row[6], row[7] or 0.0, row[8]),
            own_high=row[9],
            explored=row[10],
        )
        for row in rows
    ]


def coverage_of(connection: Connection, *, since: datetime, until: datetime) -> tuple[int, int]:
    """Leads that the CRM reported on in a span, by outcome or contact, and those of them that were ever scored."""
    row = connection.execute(statement("checks", "coverage"), {"since": since, "until": until}).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def reports_of(connection: Connection, *, model_name: str, since: datetime, until: datetime) -> Reports | None:
    """In which part of a span at least one worker of a model reported; None where none ever did."""
    span: dict[str, Any] = {"model_name": model_name, "since": since, "until": until}
    known = connection.execute(statement("checks", "first_and_last_report"), span).fetchone()
    if known is None or known[0] is None:
        return None
    row = connection.execute(statement("checks", "reported_time"), span).fetchone()
    return Reports(
        reported_s=float(row[0]) if row else 0.0,
        known_s=(until - max(since, known[0])).total_seconds(),
        silent_s=(until - known[1]).total_seconds(),
    )


@dataclass(frozen=True, kw_only=True)
class LatestRun:
    """The run of checks that tells how things are now."""

    run_id: str
    checked_at: datetime
    since: datetime
    until: datetime


def latest_run(connection: Connection, model_name: str, *, now: datetime, days: float) -> LatestRun | None:
    """The last run that judged a window of so many days; of any length where none did; None without any."""
    for length in (days * 86_400, None):
        values = {"model_name": model_name, "now": now, "length_s": length}
        row = connection.execute(statement("checks", "latest_run"), values).fetchone()
        if row is not None:
            return LatestRun(run_id=row[0], checked_at=row[1], since=row[2], until=row[3])
    return None


@dataclass(frozen=True, kw_only=True)
class PastValue:
    """What a check found in a slot of time."""

    check_name: str
    subject: str
    slot: datetime
    """Its begin."""
    value: float | None
    threshold: float | None
    severity: str


def history_of_checks(
    connection: Connection,
    model_name: str,
    checks: Sequence[str],
    *,
    since: datetime,
    until: datetime,
    every: timedelta,
    days: float,
) -> list[PastValue]:
    """What checks of these names found in a span, a value a slot and subject, oldest first within each.

    ``days``: of the window that they judged; runs over other windows are other figures.
    """
    values = {
        "model_name": model_name,
        "checks": list(checks),
        "since": since,
        "until": until,
        "every": every,
        "length_s": days * 86_400,
    }
    with connection.cursor(row_factory=class_row(PastValue)) as cursor:
        return cursor.execute(statement("checks", "history_of_checks"), values).fetchall()


def runs_by_length(
    connection: Connection, model_name: str, days: Sequence[float], *, since: datetime, now: datetime
) -> list[LatestRun]:
    """The last run over each of these lengths of window since a time, the shortest first; one without any is left out.

    Of runs of the same microsecond, which a clock that stands still can make, one is seen.
    """
    values = {"model_name": model_name, "lengths_s": [d * 86_400 for d in days], "since": since, "now": now}
    rows = connection.execute(statement("checks", "runs_by_length"), values).fetchall()
    return [LatestRun(run_id=row[0], checked_at=row[1], since=row[2], until=row[3]) for row in rows]


@dataclass(frozen=True, kw_only=True)
class PastFigures:
    """What a check found of one subject at a time."""

    checked_at: datetime
    value: float | None
    threshold: float | None
    severity: str
    details: Mapping[str, float | str | None]


def figures_over_time(
    connection: Connection,
    model_name: str,
    *,
    check: str,
    subject: str,
    since: datetime,
    until: datetime,
    every: timedelta,
    days: float,
) -> list[PastFigures]:
    """What a check found of one subject in a span, oldest first: the last result in each ``every``.

    ``days``: of the window that was judged.
    """
    values: dict[str, Any] = {
        "model_name": model_name,
        "check": check,
        "subject": subject,
        "since": since,
        "until": until,
        "every": every,
        "length_s": days * 86_400,
    }
    with connection.cursor(row_factory=class_row(PastFigures)) as cursor:
        return cursor.execute(statement("checks", "figures_over_time"), values).fetchall()


@dataclass(frozen=True, kw_only=True)
class VersionSpan:
    """A time in which a version was what a check calls ``subject``: champion or challenger."""

    version: str
    subject: str
    since: datetime
    until: datetime
    """Exclusive."""


@dataclass(frozen=True, kw_only=True)
class VersionFigure:
    """What a check last found of a version."""

    version: str
    checked_at: datetime
    value: float
    low: float | None
    high: float | None
    sample: int | None
    severity: str
    sentence: str


def last_in_spans(
    connection: Connection, model_name: str, check: str, spans: Sequence[VersionSpan]
) -> list[VersionFigure]:
    """The last figure of a check in each span; a span in which it found none has none."""
    values: dict[str, Any] = {
        "model_name": model_name,
        "check": check,
        "versions": [span.version for span in spans],
        "subjects": [span.subject for span in spans],
        "since": [span.since for span in spans],
        "until": [span.until for span in spans],
    }
    with connection.cursor(row_factory=class_row(VersionFigure)) as cursor:
        return cursor.execute(statement("checks", "last_in_spans"), values).fetchall()
