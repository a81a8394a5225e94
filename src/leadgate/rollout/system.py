"""The gates of the system: latency, errors, memory, throughput (quiet)."""

from leadgate.leads.rollout_rules import Bar, RolloutRules
from leadgate.rollout.evidence import Evidence, Figure
from leadgate.rollout.judging import against, coloured, unknown
from leadgate.rollout.verdicts import Verdict
from leadgate.stats.proportions import wilson

_FEW_REQUESTS = 1_000
"""Below as many, the system's figures are not judged."""
_RED_LATENCY_MS = 500.0
_RED_ERROR_RATE = 0.05
"""The plan's red: back at once."""


def p95(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The latency that 95 % of the requests stay under."""
    value = evidence.system.p95_ms if evidence.system else None
    return _latency("latency p95", value, rules.gates.p95_ms, evidence)


def p99(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The latency that 99 % of the requests stay under; of the challenger's own where that is known."""
    system = evidence.system
    values = [v for v in (system.p99_ms, system.challenger_p99_ms) if v is not None] if system else []
    return _latency("latency p99", max(values, default=None), rules.gates.p99_ms, evidence)


def errors(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The share of requests that were answered with an error of ours."""
    system, bar = evidence.system, rules.gates.error_rate
    if bar is None:
        return None
    if system is None or system.requests < _FEW_REQUESTS:
        return _few_requests("error rate", evidence)
    rate, interval = system.failures / system.requests, wilson(system.failures, system.requests)
    verdict = against("error rate", Figure(value=rate, interval=interval), bar, None, system.requests, "{:.3%}")
    red = interval.low > _RED_ERROR_RATE
    return coloured(verdict, red=red)


def memory(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The largest memory of a worker."""
    system, bar = evidence.system, rules.gates.memory_mb
    if bar is None:
        return None
    if system is None or system.requests < _FEW_REQUESTS:
        return _few_requests("memory", evidence)
    return against("memory", Figure(value=system.memory_mb, interval=None), bar, None, system.requests, "{:,.0f} MB")


def throughput(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """What the workers could answer, from what their answers cost (the service demand law)."""
    system, bar = evidence.system, rules.gates.throughput
    if bar is None:
        return None
    if system is None or system.capacity is None:
        return _few_requests("throughput", evidence)
    figure = Figure(value=system.capacity, interval=None)
    return against("throughput", figure, bar, None, system.requests, "{:,.0f} requests/s")


def _latency(gate: str, value: float | None, bar: Bar | None, evidence: Evidence) -> Verdict | None:
    if bar is None:
        return None
    system = evidence.system
    if system is None or value is None or system.requests < _FEW_REQUESTS:
        return _few_requests(gate, evidence)
    verdict = against(gate, Figure(value=value, interval=None), bar, None, system.requests, "{:,.1f} ms")
    return coloured(verdict, red=value > _RED_LATENCY_MS)


def _few_requests(gate: str, evidence: Evidence) -> Verdict:
    have = evidence.system.requests if evidence.system else 0
    return unknown(gate, f"{have:,} of at least {_FEW_REQUESTS:,} measured requests")
