"""The rows of the dashboard's cards, made of the results of checks (quiet).

The rows and targets are the plan's; where leadgate.yaml sets others, those are shown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.project import Project
from leadgate.storage.postgres.checks import CheckResult, LatestRun, PastValue
from leadgate.storage.postgres.measurements import ServiceLoad
from leadgate.views.freshness import Freshness
from leadgate.views.wording import NONE, count, number, percent

Mark = Literal["green", "yellow", "red", "unknown"]

CHECKS = (
    "latency p95",
    "latency p99",
    "error rate",
    "uptime",
    "AUC",
    "precision",
    "recall",
    "calibration",
    "feedback bias",
    "freshness",
    "missing values",
    "feature drift",
    "coverage",
    "conversion",
    "deal size",
    "sales rating",
    "usage",
    "score drift",
)
"""Those whose history is shown."""

_NAMED = 5
"""Checks that are named in a sentence."""
_URGENCY: Mapping[str, int] = {"green": 0, "unknown": 1, "yellow": 2, "red": 3}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure against its target."""

    name: str
    value: str
    about: str = ""
    """Of which feature, or how it moved."""
    target: str
    mark: Mark
    says: str
    """The check's own sentence."""
    trend: Sequence[float | None] = ()
    """The last values, oldest first."""
    link: str | None = None
    """Where more is to be seen."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A subject and its rows."""

    name: str
    title: str
    rows: Sequence[Row]

    @property
    def mark(self) -> Mark:
        """The most urgent of its rows that say something; unknown without any."""
        known = [row.mark for row in self.rows if row.mark != "unknown"]
        return max(known, key=_URGENCY.__getitem__, default="unknown")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is known of a moment."""

    run: LatestRun | None
    """None where no check has run."""
    results: tuple[CheckResult, ...] = ()
    history: tuple[PastValue, ...] = ()
    use: ServiceLoad | None = None
    """Of the hours that leadgate.yaml calls recent; None where no worker reported."""

    def of(self, check: str, subject: str | None = None) -> list[CheckResult]:
        """The results of a check, of one subject or of all."""
        return [r for r in self.results if r.check_name == check and subject in (None, r.subject)]

    def worst(self, check: str, subject: str | None = None) -> CheckResult | None:
        """The most urgent result of a check, and of those the one with the largest value."""
        found = self.of(check, subject)
        return max(found, key=lambda r: (_URGENCY[r.severity], r.value or 0.0), default=None)

    def trend(self, check: str, subject: str | None) -> list[float | None]:
        """The last values; over several subjects the largest of each time."""
        slots: dict[datetime, list[float]] = defaultdict(list)
        for past in self.history:
            if past.check_name == check and subject in (None, past.subject) and past.value is not None:
                slots[past.slot].append(past.value)
        return [max(values) for _, values in sorted(slots.items())]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Whether the scores can be trusted today, in one sentence."""

    mark: Mark
    headline: str
    because: Sequence[str] = field(default_factory=tuple)
    """What is out, the most urgent first."""


def standing_of(look: Look, fresh: Freshness) -> Standing:
    """Judge nothing anew: the most urgent finding of the last run, and whether that run is of now."""
    if look.run is None:
        return Standing(
            mark="unknown",
            headline="Nothing is known yet: no check has run.",
            because=("`leadgate worker` runs the checks; `leadgate check run` does so once.",),
        )
    out = sorted(
        (r for r in look.results if r.severity in ("yellow", "red")), key=lambda r: (-_URGENCY[r.severity], -r.weight)
    )
    because = [f"{r.check_name}{f' of {r.subject}' if r.subject else ''}: {r.sentence}" for r in out[:4]]
    if len(out) > len(because):
        because.append(f"and {len(out) - len(because)} more")
    if fresh.stale:
        return Standing(
            mark="unknown",
            headline="Nobody knows at present: the last checks are too old.",
            because=("No check has run for a while; is `leadgate worker` running?", *because),
        )
    if any(r.severity == "red" for r in out):
        return Standing(mark="red", headline="Do not rely on the scores until somebody has looked.", because=because)
    if out:
        figures = f"{len(out)} figure{'s are' if len(out) > 1 else ' is'}"
        headline = f"The scores can be used; {figures} out of the target and should be looked at within two days."
        return Standing(mark="yellow", headline=headline, because=because)
    return _within(look.results)


def _within(results: Sequence[CheckResult]) -> Standing:
    """Of results of which none is out: what cannot be judged is not within its target."""
    unknown = [r for r in results if r.severity == "unknown"]
    if len(unknown) == len(results):
        return Standing(mark="unknown", headline="There is too little data yet to say whether the scores hold.")
    if unknown:
        headline = "The scores can be trusted today, as far as is known: every figure that can be judged is within its"
        return Standing(mark="green", headline=f"{headline} target.", because=tuple(_unjudged(unknown)))
    return Standing(mark="green", headline="The scores can be trusted today: every figure is within its target.")


def _unjudged(unknown: Sequence[CheckResult]) -> Iterator[str]:
    """The checks of which something cannot be judged yet, those of the model first; then those without a target."""
    asked = [r for r in unknown if not _unasked(r)]
    if asked:
        yield f"Too little is known to judge {_named(sorted(asked, key=lambda r: r.area != 'model'))}."
    if len(asked) < len(unknown):
        yield f"No target is set for {_named([r for r in unknown if _unasked(r)])}."


def _unasked(result: CheckResult) -> bool:
    """Whether the figure is known, and leadgate.yaml does not say what it should be."""
    return result.check_name == "usage" and result.threshold is None


def _named(results: Sequence[CheckResult]) -> str:
    names = list(dict.fromkeys(r.check_name for r in results))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def cards_of(look: Look, project: Project) -> list[Card]:
    """The four cards of the plan's picture, and drift."""
    rules = project.monitoring
    return [
        Card(name="system", title="System health", rows=_system(look, project)),
        Card(name="model", title="Model performance", rows=_model(look, rules)),
        Card(name="data", title="Data quality and drift", rows=_data(look, rules)),
        Card(name="business", title="Business impact", rows=_business(look, rules)),
        Card(name="drift", title="Drift detection", rows=_drift(look, project)),
    ]


def _row(
    look: Look,
    name: str,
    check: str,
    show: Callable[[float], str],
    target: str,
    *,
    subject: str | None = None,
    link: str | None = None,
    names_subject: bool = False,
) -> Row:
    found = look.worst(check, subject)
    if found is None:
        return Row(name=name, value=NONE, target=target, mark="unknown", says="this check has not run", link=link)
    assert found.severity in ("green", "yellow", "red", "unknown")
    return Row(
        name=name,
        value=NONE if found.value is None else show(found.value),
        about=found.subject if names_subject else "",
        target=target,
        mark=found.severity,  # type: ignore[arg-type]  # asserted above
        says=found.sentence,
        trend=look.trend(check, subject),
        link=link,
    )


def _system(look: Look, project: Project) -> list[Row]:
    limits, gates = project.monitoring.system, project.rollout.gates
    return [
        _row(look, "API latency p95", "latency p95", _ms, f"< {limits.p95_ms.yellow:g} ms"),
        _row(look, "API latency p99", "latency p99", _ms, f"< {limits.p99_ms.yellow:g} ms"),
        _throughput(look.use, gates.throughput.at_least if gates.throughput else None, project.monitoring.recent_hours),
        _error_rate(look, project),
        _row(look, "Uptime", "uptime", lambda v: percent(v, 2), f"> {limits.uptime:.2%}"),
    ]


def _error_rate(look: Look, project: Project) -> Row:
    """The target is the stricter one, at which no challenger passes; the alert comes later."""
    alert, gate = project.monitoring.system.error_rate.yellow, project.rollout.gates.error_rate
    target = alert if gate is None or gate.at_most is None else min(alert, gate.at_most)
    found = _row(look, "Error rate", "error rate", lambda v: percent(v, 2), f"< {percent(target, 2)}")
    result = look.worst("error rate")
    surely_above = result is not None and result.low is not None and result.low > target
    if found.mark == "green" and surely_above:
        return replace(found, mark="yellow", says=f"{found.says}; the target is {percent(target, 2)}")
    return found


def _throughput(use: ServiceLoad | None, asked: float | None, hours: float) -> Row:
    """What the workers could answer, from what their answers cost (the service demand law)."""
    target = "not asked" if asked is None else f"> {count(asked)} req/s capacity"
    if use is None or use.busy_s <= 0 or not use.requests:
        says = "no worker reported requests lately"
        return Row(name="Throughput", value=NONE, target=target, mark="unknown", says=says)
    seconds = max(1.0, (use.until - use.since).total_seconds())
    capacity = max(1.0, use.workers) * use.requests / use.busy_s
    says = (
        f"{use.requests:,} requests in the last {hours:g} hours, {use.requests / seconds:,.2f} a second; one kept a "
        f"processor busy for {1000 * use.busy_s / use.requests:.2f} ms, idle time of the workers included"
    )
    mark: Mark = "green" if asked is None or capacity > asked else "unknown"  # idle workers show less than they can
    return Row(name="Throughput", value=f"≥ {number(capacity)} req/s", target=target, mark=mark, says=says)


def _model(look: Look, rules: MonitoringRules) -> list[Row]:
    asked, arm = rules.model, "champion"
    return [
        _row(look, "AUC", "AUC", number, _least(look, "AUC", asked.auc_at_least), subject=arm, link="/ui/models"),
        *_unbiased(look, asked.feedback_bias, arm),
        _row(look, "Precision", "precision", number, _least(look, "precision", asked.precision_at_least), subject=arm),
        _row(look, "Recall", "recall", number, _least(look, "recall", asked.recall_at_least), subject=arm),
        _row(look, "Calibration error", "calibration", number, f"< {asked.calibration.yellow:g}", subject=arm),
    ]


def _unbiased(look: Look, limit: float | None, arm: str) -> list[Row]:
    """The AUC by explored leads, where there are some: the one above leans to who was worked."""
    if not look.of("feedback bias", arm):
        return []
    target = "not asked" if limit is None else f"within {limit:g} of the AUC"
    return [_row(look, "AUC, unbiased", "feedback bias", number, target, subject=arm, link="/ui/models")]


def _data(look: Look, rules: MonitoringRules) -> list[Row]:
    drift = rules.drift
    missing = f"< {drift.missing_rise.yellow:.0%} more than at training"
    return [
        _row(look, "Data freshness", "freshness", lambda v: f"{v:.1f} h", f"< {rules.system.fresh_hours.yellow:g} h"),
        _row(look, "Missing values", "missing values", percent, missing, names_subject=True),
        _distance(look, "Feature drift", "ks", "KS", drift.ks.yellow),
        _distance(look, "Distribution delta", "js", "JS", drift.js.yellow),
        _row(look, "Coverage", "coverage", percent, f"> {rules.coverage:.0%}"),
    ]


def _distance(look: Look, name: str, detail: str, called: str, limit: float) -> Row:
    """The largest distance of one kind between a feature's values now and at training.

    The check judges several distances; this one is out only where it is beyond its own limit.
    """
    target = f"{called} < {limit:g}"
    found = [(r, d) for r in look.of("feature drift") if isinstance(d := r.details.get(detail), float)]
    if not found:
        return Row(name=name, value=NONE, target=target, mark="unknown", says="not judged yet", link="/ui/drift")
    worst, distance = max(found, key=lambda pair: pair[1])
    return Row(
        name=name,
        value=number(distance),
        about=worst.subject,
        target=target,
        mark="green" if distance < limit and worst.severity != "unknown" else worst.severity,  # type: ignore[arg-type]  # one of the four
        says=worst.sentence,
        link="/ui/drift",
    )


def _business(look: Look, rules: MonitoringRules) -> list[Row]:
    limits = rules.business
    usage = "not set" if limits.scores_a_day is None else f"> {limits.scores_a_day:,} scores a day"
    return [
        _conversion(look, limits.conversion_change.yellow),
        _figure(look, "Average deal size", "deal size", "mean", f"changes by < {limits.amount_change.yellow:.0%}"),
        _row(look, "Sales satisfaction", "sales rating", lambda v: f"{v:.1f}/10", f"≥ {limits.rating:g}/10"),
        _row(look, "Model usage", "usage", lambda v: f"{count(v, 'score')} a day", usage),
    ]


def _conversion(look: Look, limit: float) -> Row:
    return _figure(look, "Conversion rate", "conversion", "rate", f"changes by < {limit:.0%}")


def _figure(look: Look, name: str, check: str, detail: str, target: str) -> Row:
    """A row whose value is a detail of the check, which itself judges the change."""
    found = look.worst(check)
    shown = found.details.get(detail) if found else None
    if found is None or not isinstance(shown, float):
        says = found.sentence if found else "this check has not run"
        return Row(name=name, value=NONE, target=target, mark="unknown", says=says)
    change = found.details.get("change")
    told = f"{100 * change:+.0f} %" if isinstance(change, float) else ""
    return Row(
        name=name,
        value=percent(shown) if detail == "rate" else number(shown),
        about=told,
        target=target,
        mark=found.severity,  # type: ignore[arg-type]  # one of the four
        says=found.sentence,
        trend=look.trend(check, None),
    )


def _drift(look: Look, project: Project) -> list[Row]:
    """More drifted features than call for a training at once are red, whatever each of them is."""
    features, most = look.of("feature drift"), project.retraining.triggers.drifted_features
    out = [r for r in features if r.severity in ("yellow", "red")]
    known = [r for r in features if r.severity != "unknown"]
    level: Mark = "red" if most is not None and len(out) > most else _worst(r.severity for r in known)
    names = ", ".join(r.subject for r in sorted(out, key=lambda r: -(r.value or 0))[:3])
    return [
        _scores_moved(look, project.monitoring),
        Row(
            name="Feature shift",
            value=f"{len(out)} of {len(known)}" if known else NONE,
            about=names,
            target="none" if most is None else f"none, red from {most + 1} on",
            mark=level,
            says=f"drifted most: {names}" if out else "no feature has drifted" if known else "not judged yet",
            link="/ui/drift",
        ),
    ]


def _scores_moved(look: Look, rules: MonitoringRules) -> Row:
    """The check's figure is that of several which is nearest to its limit, or the farthest beyond."""
    target = f"median moves < {rules.drift.median_shift.yellow:g}"
    row = _row(look, "Prediction drift", "score drift", number, target, subject="champion", link="/ui/drift")
    found = look.worst("score drift", "champion")
    by = found.details.get("by") if found else None
    if found is None or found.threshold is None or not isinstance(by, str):
        return row
    return replace(row, about=by, target=f"< {found.threshold:g}")


def _worst(marks: Iterable[str]) -> Mark:
    return max(marks, key=_URGENCY.__getitem__, default="unknown")  # type: ignore[arg-type]


def _ms(value: float) -> str:
    return number(value, 3, " ms")


def _least(look: Look, check: str, asked: float | None) -> str:
    """What the check held the champion to: a version that was below the setting on its hold-out is held to that."""
    found = look.worst(check, "champion")
    if found is not None and found.threshold is not None:
        return f"> {number(found.threshold)}"
    return "not asked" if asked is None else f"> {asked:g}"
