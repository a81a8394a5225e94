"""What the workers of the service did in spans of time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import inf

from psycopg.types.json import Jsonb

from leadgate.storage.postgres.connection import Connection, statement

Buckets = Sequence[tuple[float | None, int]]
"""Counts by upper edge in seconds, the last one None: above every edge."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one worker did in a span."""

    model_name: str
    service: str
    """One start of ``leadgate serve``."""
    worker: str
    since: datetime
    until: datetime
    requests: int
    """For scores, answered with anything."""
    failures: int
    """Of these, answered with 5xx."""
    busy_s: float
    """Processor time."""
    peak_memory_bytes: int
    """Resident, since the worker began."""
    latencies: Mapping[str, Buckets]
    """Of /predict, by variant."""
    answers_by_variant: Mapping[str, int] = field(default_factory=dict)
    """Leads that a variant's version scored for a caller, in batches too."""
    failures_by_variant: Mapping[str, int] = field(default_factory=dict)
    """Leads that a variant's version failed to score."""
    shadow_asked: int = 0
    """Scores that were asked for beside an answer."""
    shadow_failed: int = 0
    """Of these, the ones that failed or were too slow."""


@dataclass(frozen=True, kw_only=True)
class ServiceUse:
    """What all workers did in a span."""

    since: datetime
    until: datetime
    requests: int
    failures: int
    busy_s: float
    peak_memory_bytes: int
    """The largest of a worker."""
    workers: float
    """At a time, on average."""
    edges: tuple[float, ...]
    """Upper edges of the latencies' buckets, in seconds."""
    latencies: Mapping[str, tuple[int, ...]]
    """Counts by variant, one more than edges."""
    answers_by_variant: Mapping[str, int]
    """Leads that a variant's version scored for a caller, in batches too."""
    failures_by_variant: Mapping[str, int]
    """Leads that a variant's version failed to score."""
    shadow_asked: int
    """Scores that were asked for beside an answer."""
    shadow_failed: int
    """Of these, the ones that failed or were too slow."""


@dataclass(frozen=True, kw_only=True)
class ServiceLoad:
    """How much all workers had to do in a span."""

    since: datetime
    until: datetime
    requests: int
    busy_s: float
    """Processor time."""
    workers: float
    """At a time, on average."""


def service_load(connection: Connection, *, model_name: str, since: datetime, until: datetime) -> ServiceLoad | None:
    """The sums of what was measured of a model's service between two times; None where nothing was."""
    span = {"model_name": model_name, "since": since, "until": until}
    row = connection.execute(statement("measurements", "service_load"), span).fetchone()
    if row is None or row[0] is None:
        return None
    workers = max(1.0, float(row[4]) / max(1.0, (row[1] - row[0]).total_seconds()))
    return ServiceLoad(since=row[0], until=row[1], requests=row[2], busy_s=row[3], workers=workers)


def add_measurement(connection: Connection, measurement: Measurement) -> None:
    """Write a span down; the same again adds nothing."""
    values = {
        **asdict(measurement),
        "latencies": Jsonb({k: list(v) for k, v in measurement.latencies.items()}),
        "answers_by_variant": Jsonb(dict(measurement.answers_by_variant)),
        "failures_by_variant": Jsonb(dict(measurement.failures_by_variant)),
    }
    connection.execute(statement("measurements", "add_measurement"), values)


def service_use(connection: Connection, *, model_name: str, since: datetime, until: datetime) -> ServiceUse | None:
    """What was measured of a model's service between two times; None where nothing was."""
    span = {"model_name": model_name, "since": since, "until": until}
    row = connection.execute(statement("measurements", "service_use"), span).fetchone()
    if row is None or row[0] is None:
        return None
    edges, counts = _latencies(connection, span)
    leads = _leads_by_variant(connection, span)
    return ServiceUse(
        since=row[0],
        until=row[1],
        requests=row[2],
        failures=row[3],
        busy_s=row[4],
        peak_memory_bytes=row[5],
        workers=max(1.0, float(row[6]) / max(1.0, (row[1] - row[0]).total_seconds())),
        edges=edges,
        latencies=counts,
        answers_by_variant=leads["answers"],
        failures_by_variant=leads["failures"],
        shadow_asked=row[7],
        shadow_failed=row[8],
    )


def _latencies(
    connection: Connection, span: Mapping[str, object]
) -> tuple[tuple[float, ...], dict[str, tuple[int, ...]]]:
    """All edges that any worker counted by, and each variant's counts in their order; the last lies above them.

    A count stays at the upper edge that it was made with, so a quantile is an upper bound whatever edges are mixed.
    """
    found: dict[str, dict[float, int]] = {}
    for variant, edge, count in connection.execute(statement("measurements", "latencies"), span).fetchall():
        found.setdefault(variant, {})[inf if edge is None else edge] = count
    edges = sorted({edge for counts in found.values() for edge in counts if edge != inf})
    return tuple(edges), {name: tuple(counts.get(edge, 0) for edge in (*edges, inf)) for name, counts in found.items()}


def _leads_by_variant(connection: Connection, span: Mapping[str, object]) -> dict[str, dict[str, int]]:
    leads: dict[str, dict[str, int]] = {"answers": {}, "failures": {}}
    for side, variant, count in connection.execute(statement("measurements", "leads_by_variant"), span).fetchall():
        leads[side][variant] = count
    return leads
