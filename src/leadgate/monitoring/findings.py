"""What a check says (quiet).

The hand-over of monitoring: checks make findings, each run of them is written to ``check_results``, and alerts,
diagnosis, dashboards and reports read them there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from leadgate.records import Interval

Severity = Literal["green", "yellow", "red", "unknown"]
"""unknown: there is not enough to judge, or what the check rests on does not hold. It is never "all is well"."""

Area = Literal["system", "model", "scores", "drift", "data", "business", "integration"]

URGENCY: Mapping[Severity, int] = {"green": 0, "unknown": 1, "yellow": 2, "red": 3}
"""The higher, the sooner somebody has to look."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The judgement of one check on one subject."""

    area: Area
    check: str
    """Which check: ``feature drift``, ``coverage``. Together with ``subject`` it names the same thing in every run."""
    subject: str = ""
    """What it is about: a feature, a version, ``feature=value`` of a segment; empty for the model as a whole."""
    severity: Severity
    sentence: str
    """For the person who has to act: what was found, against what, on how many."""
    value: float | None = None
    """What was measured, in the unit of the threshold."""
    threshold: float | None = None
    """Beyond it the check is yellow."""
    interval: Interval | None = None
    """Of the value."""
    sample: int | None = None
    """Leads, outcomes, requests or ratings that it rests on."""
    p_value: float | None = None
    """That chance alone makes such a difference; adjusted for all comparisons of the run where ``family`` is set."""
    family: str | None = None
    """The comparisons among which the false discovery rate is controlled; None where there is one comparison only."""
    weight: float = 1.0
    """How much it matters, 0 to 1: the importance of a feature, as a share of the largest."""
    details: Mapping[str, float | str | None] = field(default_factory=dict)
    """Further figures, by name."""


@dataclass(frozen=True, kw_only=True)
class CheckRun:
    """All findings of one run."""

    run_id: str
    """UUIDv7."""
    model_name: str
    checked_at: datetime
    """UTC."""
    since: datetime
    """The window that was judged, from here..."""
    until: datetime
    """...to here, exclusive."""
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The most urgent of the findings; unknown without any."""
        return worst(finding.severity for finding in self.findings)


def worst(severities: Iterable[Severity]) -> Severity:
    """The most urgent severity; unknown for none."""
    return max(severities, key=URGENCY.__getitem__, default="unknown")


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The most urgent first, and among those of one severity what matters more."""
    return sorted(findings, key=lambda f: (-URGENCY[f.severity], -f.weight, f.area, f.check, f.subject))


def alarms(findings: Iterable[Finding]) -> list[Finding]:
    """Those that ask for somebody: yellow and red, ranked."""
    return [finding for finding in ranked(findings) if finding.severity in ("yellow", "red")]


def not_enough(area: Area, check: str, subject: str = "", *, have: int, need: int, of: str) -> Finding:
    """The finding of a check that has too little to judge."""
    return Finding(
        area=area,
        check=check,
        subject=subject,
        severity="unknown",
        sentence=f"not enough data: {have:,} {of}, {need:,} are needed",
        sample=have,
    )


def graded(value: float, yellow: float, red: float) -> Severity:
    """Green below ``yellow``, red from ``red`` on."""
    return "red" if value >= red else "yellow" if value >= yellow else "green"


def named(findings: Sequence[Finding], check: str) -> list[Finding]:
    """Those of one check, in their order."""
    return [finding for finding in findings if finding.check == check]
