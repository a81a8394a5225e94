"""What chance explains is no alarm (quiet)."""

from collections.abc import Sequence
from dataclasses import replace

from leadgate.monitoring.findings import Finding
from leadgate.stats.multiplicity import benjamini_hochberg


def with_evidence(findings: Sequence[Finding], q: float) -> tuple[Finding, ...]:
    """Adjust the p-values of each family, and take alarms back that they do not bear.

    Benjamini & Hochberg (1995) over all findings of a family that have a p-value, alarms or not: of the alarms that
    stay, a share of at most ``q`` is false on average.
    """
    adjusted = _adjusted(findings, q)
    return tuple(_judged(finding, adjusted.get(i), q) for i, finding in enumerate(findings))


def _adjusted(findings: Sequence[Finding], q: float) -> dict[int, float]:
    found: dict[int, float] = {}
    for family in sorted({f.family for f in findings if f.family is not None}):
        members = [(i, f.p_value) for i, f in enumerate(findings) if f.family == family and f.p_value is not None]
        judged = benjamini_hochberg([p for _, p in members], q)
        found |= {i: p.adjusted for (i, _), p in zip(members, judged, strict=True)}
    return found


def _judged(finding: Finding, p: float | None, q: float) -> Finding:
    if p is None:
        return finding
    told = replace(finding, p_value=p, details={**finding.details, "unadjusted_p": finding.p_value})
    if finding.severity not in ("yellow", "red") or p <= q:
        return told
    return replace(told, severity="green", sentence=f"{finding.sentence}; within chance (p = {p:.2g})")
