"""The gates of the system: latency, errors, memory, throughput (quiet)."""

from collections.abc import Callable

from leadgate.leads.rollout_rules import Bar, RolloutRules
from leadgate.rollout.evidence import Evidence, Figure, SystemEvidence
from leadgate.rollout.judging import against, coloured, unknown
from leadgate.rollout.verdicts import Answer, Verdict
from leadgate.stats.proportions import wilson

_FEW_REQUESTS = 1_000
"""Below as many, the system's figures are not judged."""
_FEW_NOW = 50
"""Below as many, nothing is said to be on fire."""
_WORSE: tuple[Answer, ...] = ("pass", "inconclusive", "wait", "fail")
_RED_LATENCY_MS = 500.0
_RED_ERROR_RATE = 0.05
"""The plan's red: back at once."""


def p95(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The latency that 95 % of the requests stay under."""
    return _latency("latency p95", rules.gates.p95_ms, evidence, lambda system: [system.p95_ms])


def p99(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The latency that 99 % of the requests stay under; of the challenger's own where that is known."""
    return _latency(
        "latency p99", rules.gates.p99_ms, evidence, lambda system: [system.p99_ms, system.challenger_p99_ms]
    )


def errors(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The share of requests that were answered with an error of ours: of all, and of the challenger's own."""
    system, bar = evidence.system, rules.gates.error_rate
    if bar is None:
        return None
    burning = next((said for part in (evidence.recent, system) if part and (said := _burning(part))), None)
    if burning is not None:
        return Verdict(gate="error rate", answer="fail", sentence=burning, red=True)
    if system is None or system.requests < _FEW_REQUESTS:
        return _few_requests("error rate", evidence)
    verdicts = [
        against("error rate", Figure(value=failed / n, interval=wilson(failed, n)), bar, None, n, "{:.3%}")
        for failed, n in _failures(system)
    ]
    return max(verdicts, key=lambda verdict: _WORSE.index(verdict.answer))


def shadow_failures(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The share of leads that the challenger could not score beside the champion: those it would fail to answer."""
    system, bar, gate = evidence.system, rules.gates.error_rate, "shadow failures"
    if bar is None:
        return None
    if system is None or system.shadow_asked < _FEW_REQUESTS:
        have = system.shadow_asked if system else 0
        return unknown(gate, f"{have:,} of at least {_FEW_REQUESTS:,} leads were given to both versions")
    failed, n = system.shadow_failed, system.shadow_asked
    figure = Figure(value=failed / n, interval=wilson(failed, n))
    verdict = against(gate, figure, bar, None, n, "{:.3%}")
    return coloured(verdict, red=wilson(failed, n).low > _RED_ERROR_RATE)


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


def _latency(
    gate: str, bar: Bar | None, evidence: Evidence, of: Callable[[SystemEvidence], list[float | None]]
) -> Verdict | None:
    if bar is None:
        return None
    system, recent = evidence.system, evidence.recent
    now = _largest(recent, of) if recent and recent.requests >= _FEW_NOW else None
    if now is not None and now > _RED_LATENCY_MS:
        sentence = f"{now:,.0f} ms in the last hour, above the {_RED_LATENCY_MS:g} ms at which the challenger goes back"
        return Verdict(gate=gate, answer="fail", sentence=sentence, value=now, threshold=_RED_LATENCY_MS, red=True)
    value = _largest(system, of) if system else None
    if system is None or value is None or system.requests < _FEW_REQUESTS:
        return _few_requests(gate, evidence)
    verdict = against(gate, Figure(value=value, interval=None), bar, None, system.requests, "{:,.1f} ms")
    return coloured(verdict, red=value > _RED_LATENCY_MS)


def _largest(system: SystemEvidence, of: Callable[[SystemEvidence], list[float | None]]) -> float | None:
    return max((value for value in of(system) if value is not None), default=None)


def _failures(system: SystemEvidence) -> list[tuple[int, int]]:
    """Failures and requests: of all, and of the challenger's own where it had enough."""
    found = [(system.failures, system.requests)]
    if system.challenger_answers >= _FEW_NOW:
        found.append((system.challenger_failures, system.challenger_answers))
    return found


def _burning(system: SystemEvidence) -> str | None:
    """Why the challenger goes back at once; None where it need not."""
    for failed, n in _failures(system):
        if n >= _FEW_NOW and wilson(failed, n).low > _RED_ERROR_RATE:
            whose = "all" if (failed, n) == (system.failures, system.requests) else "the challenger's"
            return (
                f"{failed / n:.1%} of {n:,} of {whose} requests failed since {system.since:%Y-%m-%d %H:%M}, above the "
                f"{_RED_ERROR_RATE:.0%} at which the challenger goes back"
            )
    return None


def _few_requests(gate: str, evidence: Evidence) -> Verdict:
    have = evidence.system.requests if evidence.system else 0
    return unknown(gate, f"{have:,} of at least {_FEW_REQUESTS:,} measured requests")
