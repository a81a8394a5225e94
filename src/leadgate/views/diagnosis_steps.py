"""A diagnosis as the page shows it (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leadgate.leads.project import Project
from leadgate.monitoring.diagnosis import Candidate, Diagnosis, Reason, Step, StepState, diagnose
from leadgate.monitoring.findings import CheckRun, Finding
from leadgate.monitoring.signs import source_features
from leadgate.views.diagnosis_links import name_of, page_of
from leadgate.views.wording import count, number

Mark = Literal["green", "yellow", "red", "unknown"]

_PAGES: Mapping[int, tuple[str, str]] = {
    1: ("/#card-system", "System health"),
    2: ("/ui/models", "Models"),
    3: ("/ui/drift", "Drift"),
    4: ("/ui/drift", "Drift"),
    5: ("/#card-business", "Business impact"),
    6: ("/ui/alerts", "Alerts"),
    7: ("/#card-system", "System health"),
}
"""Where each step is looked at."""

_STATES: Mapping[StepState, str] = {
    "out": "out of its limits",
    "fine": "fine",
    "partly": "fine as far as known",
    "unknown": "not known",
}
_NAMED = 4
"""Findings of a reason that are named."""


@dataclass(frozen=True, kw_only=True)
class FoundRow:
    """A finding."""

    name: str
    mark: Mark
    says: str
    value: str
    limit: str
    sample: str
    page: str


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A step of the investigation."""

    number: int
    name: str
    asks: str
    mark: Mark
    says: str
    page: str
    where: str
    """What the page is called."""
    out: Sequence[FoundRow]
    """What alarms, the most urgent first."""
    missing: str
    """The checks of which nothing is known; empty without any."""


@dataclass(frozen=True, kw_only=True)
class ReasonRow:
    """A sign that speaks for a cause, or against it."""

    sign: str
    about: Sequence[tuple[str, str]]
    """What shows it: names and pages."""
    more: int
    """Further findings that are not named."""


@dataclass(frozen=True, kw_only=True)
class CauseRow:
    """A cause that explains something of what was found."""

    title: str
    means: str
    confidence: str
    step: int
    speaks_for: Sequence[ReasonRow]
    speaks_against: Sequence[ReasonRow]
    action: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """A diagnosis for readers."""

    mark: Mark
    sentence: str
    cause: CauseRow | None
    others: Sequence[CauseRow]
    steps: Sequence[StepRow]
    unexplained: Sequence[FoundRow]
    unchecked: Sequence[tuple[str, str]]
    """Names, and why they could not be judged."""


def weighed(run: CheckRun, project: Project) -> Diagnosis:
    """What a run of checks says of the cause: the same weighing as that of ``leadgate diagnose``, on what is known.

    What only a fresh look finds out, such as why answers are slow, is not among them.
    """
    named = [feature.name for feature in project.lead.sound]
    return diagnose(
        run.findings,
        model_name=project.name,
        sources=source_features(named, project.monitoring.integration.source_feature),
        since=run.since,
        now=run.checked_at,
    )


def report_of(found: Diagnosis) -> Report:
    """A diagnosis for readers."""
    return Report(
        mark=found.severity,
        sentence=found.sentence,
        cause=None if found.cause is None else _cause(found.cause),
        others=[_cause(each) for each in found.others],
        steps=[_step(each) for each in found.steps],
        unexplained=[_found(each) for each in found.unexplained] if found.cause else [],
        unchecked=[(name_of(each.check, each.subject), each.why) for each in found.unchecked],
    )


def _step(step: Step) -> StepRow:
    out = [f for f in step.findings if f.severity in ("yellow", "red")]
    green = sum(f.severity == "green" for f in step.findings)
    page, where = _PAGES.get(step.number, ("/", "Overview"))
    says = _STATES[step.state]
    if out:
        says = f"{count(len(out), 'finding')} {says}"
    elif green:
        says = f"{says}: {count(green, 'finding')} in order"
    mark: Mark = out[0].severity if out else "green" if step.state in ("fine", "partly") else "unknown"
    return StepRow(
        number=step.number,
        name=step.name,
        asks=step.asks,
        mark=mark,
        says=says,
        page=page,
        where=where,
        out=[_found(each) for each in out],
        missing=", ".join(step.missing),
    )


def _found(finding: Finding) -> FoundRow:
    return FoundRow(
        name=name_of(finding.check, finding.subject),
        mark=finding.severity,
        says=finding.sentence,
        value=number(finding.value),
        limit=number(finding.threshold),
        sample=count(finding.sample),
        page=page_of(finding.check, finding.subject),
    )


def _cause(cause: Candidate) -> CauseRow:
    return CauseRow(
        title=cause.title,
        means=cause.means,
        confidence=cause.confidence,
        step=cause.step,
        speaks_for=[_reason(each) for each in cause.speaks_for],
        speaks_against=[_reason(each) for each in cause.speaks_against],
        action=cause.action,
        command=cause.command,
    )


def _reason(reason: Reason) -> ReasonRow:
    about = list(dict.fromkeys((name_of(f.check, f.subject), page_of(f.check, f.subject)) for f in reason.findings))
    return ReasonRow(sign=reason.sign, about=about[:_NAMED], more=max(0, len(about) - _NAMED))
