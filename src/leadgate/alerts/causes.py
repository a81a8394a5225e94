"""Which checks share a cause, and what follows from what, as tables (quiet)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What is wrong, where several checks see it. Its alerts share their messages."""

    name: str
    title: str
    checks: frozenset[str] = frozenset()
    """Those that see it."""
    areas: frozenset[str] = frozenset()
    """Areas all of whose checks see it."""


CAUSES: tuple[Cause, ...] = (
    Cause(
        name="service",
        title="the service",
        checks=frozenset({"uptime", "error rate", "latency p95", "latency p99"}),
    ),
    Cause(
        name="arrivals",
        title="the leads that arrive",
        checks=frozenset({"freshness", "volume", "coverage", "usage"}),
    ),
    Cause(name="data", title="the data", areas=frozenset({"data", "drift"})),
    Cause(name="scores", title="the scores", areas=frozenset({"scores"})),
    Cause(name="model", title="the model", areas=frozenset({"model"})),
    Cause(name="business", title="the business", areas=frozenset({"business"})),
    Cause(name="integration", title="the CRM", areas=frozenset({"integration"})),
    Cause(name="other", title="the system"),
)
"""The first that fits holds; the last fits all."""

FOLLOWS: Mapping[str, frozenset[str]] = {
    "uptime": frozenset({"arrivals"}),
    "error rate": frozenset({"arrivals"}),
    "feature drift": frozenset({"scores"}),
    "missing values": frozenset({"scores"}),
    "new categories": frozenset({"scores"}),
    "range": frozenset({"scores"}),
}
"""While a check is out, what follows from it: causes whose alerts fold into its messages."""

_SAME_METRIC: Mapping[str, str] = {
    "latency p95": "latency",
    "latency p99": "latency",
    "missing values": "data quality",
    "new categories": "data quality",
    "range": "data quality",
    "score drift": "prediction drift",
    "score entropy": "prediction drift",
    "score bands": "prediction drift",
    "segment scores": "prediction drift",
    "estimated AUC": "AUC",
    "estimated calibration": "calibration",
    "feedback bias": "AUC",
}
"""Checks that look at one metric of the plan, by its name; any other check is a metric of its own."""

_BY_NAME = {cause.name: cause for cause in CAUSES}


def cause_of(area: str, check: str) -> str:
    """The name of the cause that a check sees."""
    return next((c.name for c in CAUSES if check in c.checks or area in c.areas), CAUSES[-1].name)


def title_of(cause: str) -> str:
    """A cause in a sentence."""
    return _BY_NAME[cause].title


def upstream_of(cause: str, out: Collection[str]) -> str | None:
    """The check, of those that are out, that the alerts of a cause follow from; None where they stand alone."""
    return next((check for check, causes in FOLLOWS.items() if check in out and cause in causes), None)


def metrics_of(checks: Iterable[str]) -> frozenset[str]:
    """The metrics that checks look at."""
    return frozenset(_SAME_METRIC.get(check, check) for check in checks)
