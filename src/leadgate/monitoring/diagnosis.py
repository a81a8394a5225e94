"""From findings to the most likely root cause (quiet).

The plan's investigation: step by step from the system to the integration, each finding with its evidence. What lies
upstream explains what lies downstream; ``causes.py`` has the weights, and nothing here is learnt from data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from leadgate.monitoring.causes import CAUSES, Cause
from leadgate.monitoring.findings import URGENCY, Finding, Severity, ranked, worst
from leadgate.monitoring.signs import STEP_OF, STEPS, Facts, Sign, signs_of

Confidence = Literal["almost certain", "likely", "possible"]
StepState = Literal["out", "fine", "partly", "unknown"]
"""partly: what is known is fine, and not all is known."""

_CLEAR, _AHEAD = 0.4, 0.15
"""By which share of its score a cause leads the next one."""
_RED = 0.75
"""A sign as strong as this is red, and about something that matters."""
_ALARM = 0.5
"""A weaker one is no alarm yet."""
_LEAST = 1.0
"""Causes with a lower score are not named."""
_MOST = 0.5
"""More unknown findings than this share, and silence says little."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A sign that speaks for a cause, or against it."""

    sign: str
    weight: float
    """What it adds to the score, or takes from it."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A cause that explains something of what was found."""

    name: str
    title: str
    step: int
    means: str
    confidence: Confidence
    score: float
    """Weights for it minus weights against it; only to rank with."""
    speaks_for: tuple[Reason, ...]
    """The strongest first."""
    speaks_against: tuple[Reason, ...]
    action: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the investigation."""

    number: int
    name: str
    asks: str
    state: StepState
    findings: tuple[Finding, ...]
    """The most urgent first."""
    missing: tuple[str, ...]
    """The checks of which nothing is known; ``unchecked`` says why."""


@dataclass(frozen=True, kw_only=True)
class Unchecked:
    """What could not be judged."""

    check: str
    subject: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is wrong, why, and what to do."""

    model_name: str
    diagnosed_at: datetime
    """UTC."""
    since: datetime
    """The window that was judged, from here to ``diagnosed_at``."""
    severity: Severity
    """The most urgent of the findings."""
    sentence: str
    cause: Candidate | None
    """The most likely one; None where nothing speaks for any."""
    others: tuple[Candidate, ...]
    """The other candidates, the likeliest first."""
    steps: tuple[Step, ...]
    unexplained: tuple[Finding, ...]
    """Alarms that the cause does not explain."""
    unchecked: tuple[Unchecked, ...]


def diagnose(
    findings: Sequence[Finding], *, model_name: str, sources: frozenset[str], since: datetime, now: datetime
) -> Diagnosis:
    """Walk the steps, weigh the causes, name the likeliest. ``sources``: features that say where leads come from."""
    signs = signs_of(Facts(findings=findings, sources=sources))
    weighed = sorted(
        (w for cause in CAUSES if (w := _weighed(cause, signs)) is not None), key=lambda w: (-w.score, w.cause.step)
    )
    candidates = [_candidate(w, weighed, signs, since) for w in weighed]
    first = candidates[0] if candidates else None
    unchecked = _unchecked(findings)
    return Diagnosis(
        model_name=model_name,
        diagnosed_at=now,
        since=since,
        severity=worst(f.severity for f in findings),
        sentence=_sentence(first, findings, len(unchecked)),
        cause=first,
        others=tuple(candidates[1:]),
        steps=tuple(_step(number, findings, sources) for number in STEPS),
        unexplained=_unexplained(first, findings),
        unchecked=unchecked,
    )


@dataclass(frozen=True, kw_only=True)
class _Weighed:
    cause: Cause
    score: float
    speaks_for: tuple[Reason, ...]
    speaks_against: tuple[Reason, ...]


def _weighed(cause: Cause, signs: Mapping[str, Sign]) -> _Weighed | None:
    """None for a cause without a core sign, or with more against it than for it."""
    if not any(signs[name].state == "out" for name in cause.core):
        return None
    speaks_for = _reasons({**cause.explains, **cause.core}, signs)
    speaks_against = _reasons(cause.against, signs)
    score = sum(r.weight for r in speaks_for) - sum(r.weight for r in speaks_against)
    if score < _LEAST:
        return None
    return _Weighed(cause=cause, score=score, speaks_for=speaks_for, speaks_against=speaks_against)


def _reasons(weights: Mapping[str, float], signs: Mapping[str, Sign]) -> tuple[Reason, ...]:
    found = [
        Reason(sign=name, weight=round(weight * signs[name].strength, 3), findings=signs[name].findings)
        for name, weight in weights.items()
        if signs[name].state == "out"
    ]
    return tuple(sorted(found, key=lambda r: -r.weight))


def _candidate(weighed: _Weighed, ranking: Sequence[_Weighed], signs: Mapping[str, Sign], since: datetime) -> Candidate:
    cause = weighed.cause
    return Candidate(
        name=cause.name,
        title=cause.title,
        step=cause.step,
        means=cause.means,
        confidence=_confidence(weighed, ranking, signs),
        score=round(weighed.score, 2),
        speaks_for=weighed.speaks_for,
        speaks_against=weighed.speaks_against,
        action=cause.action,
        command=cause.command.format(feature=_feature(weighed), since=f"{since:%Y-%m-%dT%H:%M:%S}"),
    )


def _confidence(weighed: _Weighed, ranking: Sequence[_Weighed], signs: Mapping[str, Sign]) -> Confidence:
    """By how far its own signs are out, and how far it leads the others; what trails is possible."""
    others = [w.score for w in ranking if w is not weighed]
    lead = (weighed.score - max(others, default=0.0)) / weighed.score
    own = max(signs[name].strength for name in weighed.cause.core)
    if own < _ALARM:
        return "possible"
    strong = own >= _RED
    if strong and lead >= _CLEAR and not weighed.speaks_against and not weighed.cause.left_over:
        return "almost certain"
    return "likely" if lead >= (_AHEAD if strong else _CLEAR) else "possible"


def _feature(weighed: _Weighed) -> str:
    """What its strongest reason is about; the most urgent, then the most important feature."""
    own = [f for reason in weighed.speaks_for if reason.sign in weighed.cause.core for f in reason.findings]
    return ranked(own)[0].subject if own else ""


def _step(number: int, findings: Sequence[Finding], sources: frozenset[str]) -> Step:
    name, asks = STEPS[number]
    own = ranked(f for f in findings if number in _places(f, sources))
    missing = dict.fromkeys(f.check for f in own if f.severity == "unknown")
    state = _state({f.severity for f in own})
    return Step(number=number, name=name, asks=asks, state=state, findings=tuple(own), missing=tuple(missing))


def _state(severities: set[Severity]) -> StepState:
    """Fine is only what is known to be so in every check that was to be made."""
    if severities & {"yellow", "red"}:
        return "out"
    if "green" not in severities:
        return "unknown"
    return "partly" if "unknown" in severities else "fine"


def _places(finding: Finding, sources: frozenset[str]) -> tuple[int, ...]:
    """The mix of sources is looked at as drift and as business."""
    step = STEP_OF.get(finding.check, 2)
    return (step, 5) if finding.check == "feature drift" and finding.subject in sources else (step,)


def _unexplained(first: Candidate | None, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    explained = {id(f) for reason in (first.speaks_for if first else ()) for f in reason.findings}
    return tuple(f for f in ranked(findings) if URGENCY[f.severity] > URGENCY["unknown"] and id(f) not in explained)


def _unchecked(findings: Sequence[Finding]) -> tuple[Unchecked, ...]:
    return tuple(
        Unchecked(check=f.check, subject=f.subject, why=f.sentence)
        for f in sorted(findings, key=lambda f: (STEP_OF.get(f.check, 2), f.check, f.subject))
        if f.severity == "unknown"
    )


def _sentence(first: Candidate | None, findings: Sequence[Finding], unchecked: int) -> str:
    """The diagnosis in a line. That nothing speaks for a cause is never "all is well" where little was checked."""
    alarms = sum(f.severity in ("yellow", "red") for f in findings)
    if first is not None:
        return f"{first.title} ({first.confidence}): {first.means}."
    if alarms:
        return f"{alarms} of {len(findings)} checks alarm, and no known cause explains them; look at them one by one."
    if unchecked > _MOST * len(findings):
        return (
            f"Nothing is known to be wrong, but {unchecked} of {len(findings)} checks had too little to judge: that is "
            'not "all is well".'
        )
    told = f"; {unchecked} could not be made" if unchecked else ""
    return f"Nothing speaks for a root cause: {len(findings) - unchecked} checks are green{told}."
