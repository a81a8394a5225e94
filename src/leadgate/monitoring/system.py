"""Whether the service answers, fast enough, about every lead (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from leadgate.leads.monitoring_rules import Limit, MonitoringRules
from leadgate.monitoring.findings import Finding, Severity, graded, not_enough
from leadgate.stats.latency import quantile_of
from leadgate.stats.proportions import wilson

_LATENCIES = (0.50, 0.90, 0.95, 0.99)
SILENT_S = 300.0
"""A worker reports every minute; after so many seconds without a report none is there."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the workers measured in a span."""

    requests: int
    failures: int
    edges_s: Sequence[float]
    """Upper edges of the buckets of latencies."""
    latencies: Mapping[str, Sequence[int]]
    """Counts by variant, one more than edges."""
    reported_s: float
    """Seconds of the span in which at least one worker reported."""
    known_s: float
    """Seconds of the span since the first report ever: what lies before it is no outage."""
    silent_s: float
    """Seconds since the last report."""

    @property
    def is_silent(self) -> bool:
        """Whether no worker is there now."""
        return self.silent_s > SILENT_S

    @property
    def reported(self) -> float:
        """Share of the time since the first report in which a worker reported; the next report may be on its way."""
        known = self.known_s if self.is_silent else self.known_s - self.silent_s
        return min(1.0, self.reported_s / known) if known > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """When leads were scored, and which were not."""

    last_scored_at: datetime | None
    window: int
    """Scores in the window."""
    before: tuple[int, ...]
    """Scores in each of the windows before, the last first; only those since the first score."""
    seen: int
    """Leads on which the CRM reported in the window."""
    scored: int
    """Of these, the ones with a score."""


def latency(service: Service | None, rules: MonitoringRules) -> list[Finding]:
    """The 95 and 99 % of latencies, over all answers of /predict."""
    counts = [0] * (len(service.edges_s) + 1) if service else []
    for variant in service.latencies.values() if service else ():
        counts = [a + b for a, b in zip(counts, variant, strict=True)]
    n = sum(counts)
    if service is None or n < rules.least_requests:
        have, need = n, rules.least_requests
        return [not_enough("system", f"latency {p}", have=have, need=need, of="requests") for p in ("p95", "p99")]
    figures: dict[str, float | str | None] = {
        f"p{round(100 * q)}_ms": 1000 * quantile_of(counts, service.edges_s, q) for q in _LATENCIES
    }
    asked = ((0.95, rules.system.p95_ms), (0.99, rules.system.p99_ms))
    return [_latency(counts, service.edges_s, q, limit, figures) for q, limit in asked]


def _latency(
    counts: Sequence[int], edges: Sequence[float], q: float, limit: Limit, figures: Mapping[str, float | str | None]
) -> Finding:
    """Beyond a limit when surely more than a 1 - q share of the answers took longer than it."""
    severity: Severity = "green"
    levels: tuple[tuple[Severity, float], ...] = (("yellow", limit.yellow), ("red", limit.red))
    for level, allowed in levels:
        slow = sum(n for n, edge in zip(counts, (*edges, float("inf")), strict=True) if edge * 1000 > allowed)
        if wilson(slow, sum(counts)).low > 1 - q:
            severity = level
    value, n = 1000 * quantile_of(counts, edges, q), sum(counts)
    name = f"p{round(100 * q)}"
    return Finding(
        area="system",
        check=f"latency {name}",
        severity=severity,
        sentence=f"{name} at most {value:.3g} ms on {n:,} answers; {limit.yellow:g} ms are allowed",
        value=value,
        threshold=limit.yellow,
        sample=n,
        details=figures,
    )


def errors(service: Service | None, rules: MonitoringRules) -> Finding:
    """The share of requests that failed by our own fault."""
    n, limit = service.requests if service else 0, rules.system.error_rate
    if service is None or n < rules.least_requests:
        return not_enough("system", "error rate", have=n, need=rules.least_requests, of="requests")
    interval = wilson(service.failures, n)
    return Finding(
        area="system",
        check="error rate",
        severity=graded(interval.low, limit.yellow, limit.red),
        sentence=f"{service.failures:,} of {n:,} requests failed ({service.failures / n:.2%}); "
        f"{limit.yellow:.2%} are allowed",
        value=service.failures / n,
        threshold=limit.yellow,
        interval=interval,
        sample=n,
    )


def uptime(service: Service | None, rules: MonitoringRules) -> Finding:
    """The share of the time in which a worker reported; red while none does."""
    if service is None:
        sentence = "no worker has ever reported: is `leadgate serve` how leads are scored?"
        return Finding(area="system", check="uptime", severity="unknown", sentence=sentence, sample=0)
    asked, share, hours = rules.system.uptime, service.reported, min(rules.recent_hours, service.known_s / 3600)
    long = service.is_silent and share < asked - 0.1
    state = f"none has for {service.silent_s / 60:,.0f} min" if service.is_silent else "one does now"
    return Finding(
        area="system",
        check="uptime",
        severity="green" if share >= asked else "red" if long else "yellow",
        sentence=f"workers reported in {share:.2%} of the last {hours:.3g} h, {state}; {asked:.1%} is asked",
        value=share,
        threshold=asked,
        details={"silent_s": service.silent_s},
    )


def freshness(arrivals: Arrivals, now: datetime, rules: MonitoringRules) -> Finding:
    """How long ago the last lead was scored."""
    limit = rules.system.fresh_hours
    if arrivals.last_scored_at is None:
        sentence = "no lead has been scored yet, or none since profiles are kept"
        return Finding(area="system", check="freshness", severity="unknown", sentence=sentence)
    hours = max(0.0, (now - arrivals.last_scored_at).total_seconds() / 3600)
    return Finding(
        area="system",
        check="freshness",
        severity=graded(hours, limit.yellow, limit.red),
        sentence=f"the last lead was scored {hours:.1f} h ago, at {arrivals.last_scored_at:%Y-%m-%d %H:%M} UTC; "
        f"{limit.yellow:g} h are allowed",
        value=hours,
        threshold=limit.yellow,
    )


def volume(arrivals: Arrivals, rules: MonitoringRules) -> Finding:
    """Whether as many leads were scored as in the windows before.

    Weeks differ by more than chance: the change has to lie outside what the windows before differ among themselves.
    """
    before, limit = arrivals.before, rules.volume_change
    if len(before) < 2:  # noqa: PLR2004  # one window has no spread
        return not_enough("system", "volume", have=len(before), need=2, of="windows before this one")
    usual = sorted(before)[len(before) // 2]
    change = (arrivals.window - usual) / max(1, usual)
    spread = max(abs(n - usual) for n in before) + 3 * usual**0.5
    within = abs(arrivals.window - usual) <= spread
    return Finding(
        area="system",
        check="volume",
        severity="green" if within else graded(abs(change), limit.yellow, limit.red),
        sentence=f"{arrivals.window:,} scores, {usual:,} are usual ({change:+.0%})",
        value=abs(change),
        threshold=limit.yellow,
        sample=arrivals.window,
        details={"usual": float(usual), "change": change},
    )


def coverage(arrivals: Arrivals, rules: MonitoringRules) -> Finding:
    """Of the leads that the CRM reports on, the share that has a score."""
    if arrivals.seen < rules.least_leads:
        need = rules.least_leads
        return not_enough("system", "coverage", have=arrivals.seen, need=need, of="leads that the CRM reported on")
    interval = wilson(arrivals.scored, arrivals.seen)
    share, asked = arrivals.scored / arrivals.seen, rules.coverage
    severity: Severity = "green" if interval.high >= asked else "red" if interval.high < asked - 0.15 else "yellow"
    return Finding(
        area="system",
        check="coverage",
        severity=severity,
        sentence=f"{share:.1%} of {arrivals.seen:,} leads that the CRM reported on have a score; {asked:.0%} is asked",
        value=share,
        threshold=asked,
        interval=interval,
        sample=arrivals.seen,
    )
