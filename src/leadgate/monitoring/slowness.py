"""Why answers are slow: the plan's tree of a latency spike, batch size, model, load, what lies outside (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadgate.monitoring.findings import Finding, Severity
from leadgate.stats.proportions import wilson

FEW = 10
"""A request with more leads is a batch."""

_GREW = 3.0
"""Times the batch size of before."""
_SLOWER = 2.0
"""Times the latency of another version."""
_BUSY = 0.7
"""Share of a worker's time beyond which requests queue up."""
_LEAST = 30


@dataclass(frozen=True, kw_only=True)
class Group:
    """Leads of one version, in requests of few leads or in batches."""

    version: str
    large: bool
    leads: int
    batch: float
    """Leads in the request of a lead, on average."""
    mean_ms: float
    slow: int
    """Leads whose answer was slow."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How the service worked in a span."""

    groups: Sequence[Group]
    requests: int | None
    """None where no worker reported."""
    busy: float | None
    """Share of its time that a worker computed."""

    @property
    def leads(self) -> int:
        """Answered."""
        return sum(group.leads for group in self.groups)

    @property
    def batch(self) -> float:
        """Leads in the request of a lead, on average."""
        return sum(group.leads * group.batch for group in self.groups) / max(1, self.leads)

    def means(self) -> Mapping[str, float]:
        """Latency in ms by version."""
        leads: dict[str, int] = {}
        total: dict[str, float] = {}
        for group in self.groups:
            leads[group.version] = leads.get(group.version, 0) + group.leads
            total[group.version] = total.get(group.version, 0.0) + group.leads * group.mean_ms
        return {version: total[version] / n for version, n in leads.items() if n >= _LEAST}


def why_slow(now: Load, before: Load) -> list[Finding]:
    """One finding a branch of the tree; yellow is one that explains it. ``before``: as long a span, a while ago."""
    if now.leads < _LEAST:
        return [_unknown(check, now.leads) for check in ("batch size", "model latency", "worker load", "waiting")]
    found = [_batches(now, before), _model(now, before), _load(now, before)]
    return [*found, _outside(now, found)]


def _batches(now: Load, before: Load) -> Finding:
    limit = max(float(FEW), _GREW * before.batch)
    large = [g for g in now.groups if g.large]
    small = [g for g in now.groups if not g.large]
    slow = wilson(sum(g.slow for g in large), max(1, sum(g.leads for g in large)))
    rest = wilson(sum(g.slow for g in small), max(1, sum(g.leads for g in small)))
    there = now.batch > limit and (not small or slow.low > rest.high)
    return _finding(
        "batch size",
        there,
        f"requests have {now.batch:,.3g} leads on average, {before.batch:,.3g} before; beyond {limit:,.3g} they "
        "explain it where they are slower than the others",
        now.batch,
        limit,
        now.leads,
    )


def _model(now: Load, before: Load) -> Finding:
    """Another version than before, or one beside another, that takes twice as long."""
    means, known = now.means(), before.means()
    others = {**known, **{f"{version} ": ms for version, ms in means.items()}}
    worst, times, against = "", 0.0, ""
    for version, ms in means.items():
        for other, reference in others.items():
            if other.strip() != version and version not in known and reference > 0 and ms / reference > times:
                worst, times, against = version, ms / reference, other.strip()
    if not worst:
        sentence = "the version that answers is the one that answered before: it has not become another"
        return _finding("model latency", there=False, sentence=sentence, value=1.0, limit=_SLOWER, n=now.leads)
    return _finding(
        "model latency",
        times >= _SLOWER,
        f"version {worst}, which is new, takes {times:,.3g} times as long as version {against}; "
        f"{_SLOWER:g} times are allowed",
        times,
        _SLOWER,
        now.leads,
    )


def _load(now: Load, before: Load) -> Finding:
    if now.busy is None:
        return _unknown("worker load", now.leads)
    grown = f", {now.requests or 0:,} requests, {before.requests or 0:,} in as long a time before"
    return _finding(
        "worker load",
        now.busy >= _BUSY,
        f"workers compute {now.busy:.0%} of their time{grown}; beyond {_BUSY:.0%} requests wait for each other",
        now.busy,
        _BUSY,
        now.requests or 0,
    )


def _outside(now: Load, found: Sequence[Finding]) -> Finding:
    """What is left when nothing inside explains it, and the processors are idle."""
    explained = [f.check for f in found if f.severity == "yellow"]
    if now.busy is None and not explained:
        return _unknown("waiting", now.leads)
    idle = 1 - (now.busy or 0.0)
    told = f"explained by {explained[0]}" if explained else "neither batches, nor a new version, nor load explain it"
    return _finding(
        "waiting",
        not explained,
        f"workers are idle {idle:.0%} of their time; {told}",
        idle,
        1 - _BUSY,
        now.leads,
    )


def _finding(check: str, there: bool, sentence: str, value: float, limit: float, n: int) -> Finding:  # noqa: PLR0917
    severity: Severity = "yellow" if there else "green"
    return Finding(
        area="system", check=check, severity=severity, sentence=sentence, value=value, threshold=limit, sample=n
    )


def _unknown(check: str, n: int) -> Finding:
    sentence = f"not enough data: {n:,} answers in the span, or no worker reported"
    return Finding(area="system", check=check, severity="unknown", sentence=sentence, sample=n)
