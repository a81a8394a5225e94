"""What findings are signs of, before any cause is named (quiet).

A sign is a question that findings answer: do scores rank worse, do values go missing, did outcomes stop? Several
findings may answer the same one; a cause is judged by signs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leadgate.monitoring.findings import Finding
from leadgate.monitoring.system import SILENT_S

State = Literal["out", "fine", "unknown"]

STEPS: Mapping[int, tuple[str, str]] = {
    1: ("system", "Is the service up, are scores fresh (< 4 h), does every lead get one (> 95 %)?"),
    2: ("model", "Is AUC as on the hold-out, do scores mean what they say, are they distributed as they were?"),
    3: ("drift", "Which features have drifted, and are they important ones?"),
    4: ("data quality", "Do values go missing, are there new categories, outliers or other units?"),
    5: ("business", "Have the sales process, the mix of lead sources or the market changed?"),
    6: ("integration", "Does the CRM report, do the thresholds fit, does the sales team use the scores?"),
    7: ("latency", "Are answers slow: by batch size, by the model, by load, or by what lies outside?"),
}
"""The plan's steps, in its order; the last one is the tree of a latency spike."""

STEP_OF: Mapping[str, int] = {
    "uptime": 1,
    "freshness": 1,
    "coverage": 1,
    "error rate": 1,
    "volume": 1,
    "AUC": 2,
    "precision": 2,
    "recall": 2,
    "correlation": 2,
    "calibration": 2,
    "estimated AUC": 2,
    "estimated calibration": 2,
    "feedback bias": 2,
    "score drift": 2,
    "score entropy": 2,
    "segment scores": 2,
    "baseline": 2,
    "feature drift": 3,
    "missing values": 4,
    "new categories": 4,
    "range": 4,
    "conversion": 5,
    "days to close": 5,
    "deal size": 5,
    "contact wait": 5,
    "delivery": 6,
    "delivered volume": 6,
    "contact order": 6,
    "high priority": 6,
    "score bands": 6,
    "sales rating": 6,
    "usage": 6,
    "latency p95": 7,
    "latency p99": 7,
    "batch size": 7,
    "model latency": 7,
    "worker load": 7,
    "waiting": 7,
}
"""Where the plan looks at what a check finds."""

SOURCE_WORDS = ("source", "channel", "campaign", "utm")
"""A feature whose name has one of these says where a lead comes from."""

_MUST_NOT_FALL = ("AUC", "precision", "recall")

UNIT_TIMES = 8.0
"""A mean that is so many times larger or smaller is another unit sooner than other leads."""
_ALARMS = ("yellow", "red")
_WEAK, _YELLOW, _RED = 0.4, 0.6, 1.0
_LEAST_WEIGHT = 0.5
"""How much the drift of a feature counts that matters nothing to the model."""


@dataclass(frozen=True, kw_only=True)
class Sign:
    """The answer to a question, with what it rests on."""

    name: str
    state: State
    strength: float
    """0 for fine and unknown, 0.4 for what is surely lower and no alarm yet; up to 1 for red."""
    findings: tuple[Finding, ...]
    """Those that are out; those that were looked at where none is."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The findings of a run, and what is known of the features."""

    findings: Sequence[Finding]
    sources: frozenset[str]
    """Features that say where a lead comes from."""

    def of(self, *checks: str, subject: str | None = None) -> list[Finding]:
        """Findings of some checks; those of the challenger say nothing of what is in force."""
        return [
            f
            for f in self.findings
            if f.check in checks and (subject is None or f.subject == subject) and f.subject != "challenger"
        ]

    def alarmed(self, *checks: str) -> frozenset[str]:
        """Subjects about which checks alarm."""
        return frozenset(f.subject for f in self.of(*checks) if f.severity in _ALARMS)


def source_features(names: Sequence[str], asked: str | None) -> frozenset[str]:
    """The features that say where a lead comes from: the one that is asked for, or those whose names say so."""
    if asked is not None:
        return frozenset({asked})
    return frozenset(name for name in names if any(word in name.lower() for word in SOURCE_WORDS))


def signs_of(facts: Facts) -> dict[str, Sign]:
    """Every sign by its name."""
    return {name: _sign(name, read(facts)) for name, read in READ.items()}


def _sign(name: str, looked: Sequence[Finding]) -> Sign:
    out = tuple(f for f in looked if f.severity in _ALARMS)
    if out:
        return Sign(name=name, state="out", strength=max(_strength(f) for f in out), findings=out)
    weak = tuple(f for f in looked if _surely_lower(f))
    if weak:
        return Sign(name=name, state="out", strength=_WEAK, findings=weak)
    known = any(f.severity == "green" for f in looked)
    return Sign(name=name, state="fine" if known else "unknown", strength=0.0, findings=tuple(looked))


def _surely_lower(finding: Finding) -> bool:
    """Whether a figure that must not fall lies beyond its limit, and its whole interval below the hold-out's.

    No alarm, for that needs the interval beyond the limit; but whoever asks what is wrong already has a reason to.
    """
    then, interval = finding.details.get("holdout"), finding.interval
    if finding.check not in _MUST_NOT_FALL or finding.severity != "green" or not isinstance(then, float):
        return False
    if finding.value is None or finding.threshold is None or interval is None:
        return False
    return finding.value < finding.threshold and interval.high < then


def _strength(finding: Finding) -> float:
    return (_RED if finding.severity == "red" else _YELLOW) * (_LEAST_WEIGHT + (1 - _LEAST_WEIGHT) * finding.weight)


def _checks(*checks: str, subject: str | None = None) -> Callable[[Facts], list[Finding]]:
    return lambda facts: facts.of(*checks, subject=subject)


def _features_moved(facts: Facts) -> list[Finding]:
    """Drift that is neither the mix of sources nor explained by the quality of the values."""
    spoiled = (
        facts.alarmed("missing values") | facts.alarmed("new categories") | {f.subject for f in _other_unit(facts)}
    )
    return [f for f in facts.of("feature drift") if f.subject not in facts.sources and f.subject not in spoiled]


def _other_unit(facts: Facts) -> list[Finding]:
    """Drifted features whose values lie in large part outside the training range, or are many times larger."""
    outside = {f.subject for f in facts.of("range") if f.severity == "red"}
    return [f for f in facts.of("feature drift") if f.severity in _ALARMS and (f.subject in outside or _scaled(f))]


def _scaled(finding: Finding) -> bool:
    times = finding.details.get("times")
    return isinstance(times, float) and times > 0 and max(times, 1 / times) >= UNIT_TIMES


def _unit(facts: Facts) -> list[Finding]:
    """The same with their ranges, and what was looked at where nothing is out."""
    named = {f.subject for f in _other_unit(facts)}
    if not named:
        return [f for f in facts.of("range") if f.severity not in _ALARMS]
    return [f for f in facts.of("feature drift", "range") if f.subject in named]


def _outliers(facts: Facts) -> list[Finding]:
    named = {f.subject for f in _other_unit(facts)}
    return [f for f in facts.of("range") if f.subject not in named]


def _new_categories(facts: Facts) -> list[Finding]:
    return [f for f in facts.of("new categories") if f.subject not in facts.sources]


def _sources_moved(facts: Facts) -> list[Finding]:
    return [f for f in facts.of("feature drift", "new categories") if f.subject in facts.sources]


def _fewer(facts: Facts) -> list[Finding]:
    """A volume that rose is no sign of anything being lost."""
    return [f for f in facts.of("volume") if f.severity not in _ALARMS or float(f.details.get("change") or 0) < 0]


def _away(facts: Facts) -> list[Finding]:
    """No worker is there now."""
    return [f for f in facts.of("uptime") if f.severity not in _ALARMS or _is_silent(f)]


def _were_away(facts: Facts) -> list[Finding]:
    """Workers are back: what was is no reason to start anything."""
    return [f for f in facts.of("uptime") if f.severity not in _ALARMS or not _is_silent(f)]


def _is_silent(finding: Finding) -> bool:
    return float(finding.details.get("silent_s") or 0) > SILENT_S


READ: Mapping[str, Callable[[Facts], list[Finding]]] = {
    "workers are away": _away,
    "workers were away": _were_away,
    "requests fail": _checks("error rate"),
    "scores are stale": _checks("freshness"),
    "fewer scores": _fewer,
    "leads have no score": _checks("coverage"),
    "ranking is worse": _checks("AUC", "correlation"),
    "decisions are worse": _checks("precision", "recall"),
    "calibration is off": _checks("calibration"),
    "a worse ranking is expected": _checks("estimated AUC", "estimated calibration"),
    "scores have moved": _checks("score drift", "score entropy", "segment scores"),
    "features have moved": _features_moved,
    "values go missing": _checks("missing values"),
    "another unit": _unit,
    "outliers": _outliers,
    "new categories": _new_categories,
    "the source mix has moved": _sources_moved,
    "conversion has moved": _checks("conversion"),
    "closing time has moved": _checks("days to close"),
    "deals have moved": _checks("deal size"),
    "leads wait otherwise": _checks("contact wait"),
    "outcomes have stopped": _checks("delivery", subject="outcomes"),
    "fewer outcomes": _checks("delivered volume", subject="outcomes"),
    "contacts have stopped": _checks("delivery", subject="contacts"),
    "fewer contacts": _checks("delivered volume", subject="contacts"),
    "the mark high does not help": _checks("high priority"),
    "bands have moved": _checks("score bands"),
    "priority is not followed": _checks("contact order"),
    "sales people are unhappy": _checks("sales rating"),
    "answers are slow": _checks("latency p95", "latency p99"),
    "large batches": _checks("batch size"),
    "a slower version": _checks("model latency"),
    "workers are busy": _checks("worker load"),
    "workers wait": _checks("waiting"),
}
"""Which findings answer which question."""
