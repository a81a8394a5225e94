"""The features of the scored leads against those of the training leads (quiet).

An alarm needs a distance that matters and evidence that it is not chance. The p-values of all features, and of scores
and segments, are adjusted together (``family``), so that of the alarms of a run the stated share is false on average.
"""

from dataclasses import dataclass, replace

import numpy as np

from leadgate.leads.baselines import Baseline
from leadgate.leads.monitoring_rules import DriftRules, Limit, MonitoringRules
from leadgate.leads.profiles import Categorical, Counts, Numeric, Profile
from leadgate.monitoring.findings import URGENCY, Finding, Severity, graded, not_enough
from leadgate.stats.distances import (
    coarse,
    homogeneity_p_value,
    js_divergence,
    ks_p_value,
    ks_statistic,
    psi,
    quantile,
    shares,
)
from leadgate.stats.proportions import wilson

DRIFT, DATA = "drift", "data"
"""The families of comparisons: has the mix of leads changed; has the quality of the values."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far the values of a feature are from those at training."""

    severity: Severity
    """By the distances alone."""
    by: str
    """The distance that decided."""
    value: float
    limit: Limit
    p_value: float
    ks: float | None
    js: float
    psi: float
    spread: float | None


def feature_drift(baseline: Baseline, profile: Profile, rules: MonitoringRules) -> list[Finding]:
    """One finding a feature: KS, JS and spread, or JS and the shares of categories decide together; PSI is told."""
    return [_numeric(baseline, name, profile.numeric[name], rules) for name in baseline.layout.edges] + [
        _categorical(baseline, name, profile.categorical[name], rules) for name in baseline.layout.known
    ]


def numeric_drift(then: Numeric, now: Numeric, edges: "Edges", rules: DriftRules) -> Drift:
    """Of a numeric feature; both sides have at least one value."""
    return counted_drift(then.counts, now.counts, np.append(edges, edges[-1]), rules)


def counted_drift(then: Counts, now: Counts, upper: "Edges", rules: DriftRules) -> Drift:
    """Of counts in the same bins, whose upper edges are given.

    Evidence is the better one of two tests, Kolmogorov-Smirnov on all bins and chi-square on ten, doubled for that.
    """
    ks = ks_statistic(then, now)
    a, b = coarse(then, then), coarse(now, then)
    p = 2 * min(ks_p_value(ks, int(then.sum()), int(now.sum())), homogeneity_p_value(a, b))
    js, spread = js_divergence(a, b), _spread(then, now, upper)
    judged = [("KS", ks, rules.ks), ("JS divergence", js, rules.js)]
    judged += [] if spread is None else [("spread", spread, rules.spread)]
    return _worst(judged, min(1.0, p), ks=ks, js=js, stability=psi(a, b), spread=spread)


def categorical_drift(then: Categorical, now: Categorical, rules: DriftRules) -> Drift:
    """Of a categorical feature; both sides have at least one value."""
    names = sorted({*then.counts, *now.counts})
    a, b = (np.array([*(side.counts.get(n, 0) for n in names), side.other]) for side in (then, now))
    js, change = js_divergence(a, b), float(np.abs(shares(a) - shares(b)).max())
    judged = [("JS divergence", js, rules.js), ("share of a category", change, rules.category_change)]
    return _worst(judged, homogeneity_p_value(a, b), ks=None, js=js, stability=psi(a, b), spread=None)


Edges = np.ndarray[tuple[int], np.dtype[np.float64]]


def _worst(
    judged: list[tuple[str, float, Limit]],
    p: float,
    *,
    ks: float | None,
    js: float,
    stability: float,
    spread: float | None,
) -> Drift:
    by, value, limit = max(judged, key=lambda d: (URGENCY[graded(d[1], d[2].yellow, d[2].red)], d[1] / d[2].yellow))
    severity = graded(value, limit.yellow, limit.red)
    return Drift(
        severity=severity, by=by, value=value, limit=limit, p_value=p, ks=ks, js=js, psi=stability, spread=spread
    )


def _spread(then: Counts, now: Counts, upper: Edges) -> float | None:
    """How many times the middle half is wider or narrower; None where it has no width."""
    a, b = (quantile(side, upper, 0.75) - quantile(side, upper, 0.25) for side in (then, now))
    return max(a / b, b / a) if a > 0 and b > 0 else None


def _numeric(baseline: Baseline, name: str, now: Numeric, rules: MonitoringRules) -> Finding:
    then = baseline.profile.numeric[name]
    if min(then.count, now.count) < rules.least_leads:
        return _too_few(baseline, name, now.count, rules)
    drift = numeric_drift(then, now, baseline.layout.edges[name], rules.drift)
    about = f"mean {then.moments.mean:.4g} at training, {now.moments.mean:.4g} now"
    found = _finding(baseline, name, drift, about, now.count)
    times = now.moments.mean / then.moments.mean if then.moments.mean else None
    return replace(found, details={**found.details, "times": times})


def _categorical(baseline: Baseline, name: str, now: Categorical, rules: MonitoringRules) -> Finding:
    then = baseline.profile.categorical[name]
    if min(then.count, now.count) < rules.least_leads:
        return _too_few(baseline, name, now.count, rules)
    drift = categorical_drift(then, now, rules.drift)
    return _finding(baseline, name, drift, _moved_most(then, now), now.count)


def _moved_most(then: Categorical, now: Categorical) -> str:
    def share(side: Categorical, name: str) -> float:
        return side.counts.get(name, 0) / side.count

    name = max({*then.counts, *now.counts}, key=lambda n: (abs(share(now, n) - share(then, n)), n))
    return f"{name!r} {share(then, name):.1%} at training, {share(now, name):.1%} now"


def _finding(baseline: Baseline, name: str, drift: Drift, about: str, sample: int) -> Finding:
    figures: dict[str, float | str | None] = {
        "ks": drift.ks,
        "js": drift.js,
        "psi": drift.psi,
        "spread": drift.spread,
        "by": drift.by,
        "importance": baseline.importance.get(name),
    }
    return Finding(
        area="drift",
        check="feature drift",
        subject=name,
        severity=drift.severity,
        sentence=f"{drift.by} {drift.value:.3f} of at most {drift.limit.yellow:g} on {sample:,} leads: {about}",
        value=drift.value,
        threshold=drift.limit.yellow,
        sample=sample,
        p_value=drift.p_value,
        family=DRIFT,
        weight=baseline.weight(name),
        details=figures,
    )


def _too_few(baseline: Baseline, name: str, have: int, rules: MonitoringRules) -> Finding:
    found = not_enough("drift", "feature drift", name, have=have, need=rules.least_leads, of="values")
    return Finding(**{**vars(found), "weight": baseline.weight(name)})


def missing_values(baseline: Baseline, profile: Profile, rules: MonitoringRules) -> list[Finding]:
    """Whether values are missing more often than at training, one finding a feature."""
    found = []
    before_by: dict[str, Numeric | Categorical] = {**baseline.profile.numeric, **baseline.profile.categorical}
    now_by: dict[str, Numeric | Categorical] = {**profile.numeric, **profile.categorical}
    for name, now in now_by.items():
        then = before_by[name]
        a, b = then.missing + then.count, now.missing + now.count
        if b < rules.least_leads or a == 0:
            found.append(not_enough("data", "missing values", name, have=b, need=rules.least_leads, of="leads"))
            continue
        before, share, limit = then.missing / a, now.missing / b, rules.drift.missing_rise
        p = homogeneity_p_value(np.array([then.missing, then.count]), np.array([now.missing, now.count]))
        found.append(
            Finding(
                area="data",
                check="missing values",
                subject=name,
                severity=graded(share - before, limit.yellow, limit.red),
                sentence=f"{share:.1%} of {b:,} leads have no {name}, {before:.1%} at training",
                value=share - before,
                threshold=limit.yellow,
                interval=wilson(now.missing, b),
                sample=b,
                p_value=p,
                family=DATA,
                weight=baseline.weight(name),
                details={"share": share, "at_training": before},
            )
        )
    return found


def new_categories(baseline: Baseline, profile: Profile, rules: MonitoringRules) -> list[Finding]:
    """Whether leads have categories that no training lead had, one finding a categorical feature.

    Some are to be expected: a value that one of n training leads has is missed by chance (Good 1953).
    """
    found = []
    for name, now in profile.categorical.items():
        then = baseline.profile.categorical[name]
        if now.count < rules.least_leads or then.count == 0:
            found.append(
                not_enough("data", "new categories", name, have=now.count, need=rules.least_leads, of="values")
            )
            continue
        known = baseline.layout.known[name]
        new = {value: n for value, n in now.counts.items() if value not in known}
        unseen = sum(new.values()) + now.other
        expected = max(1, sum(n == 1 for n in then.counts.values())) / then.count
        largest = ", ".join(sorted(new, key=lambda v: (-new[v], v))[:3])
        told = f": {largest}" if largest else ""
        found.append(_rare(baseline, name, "new categories", unseen, now.count, expected, rules.drift.unseen, told))
    return found


def ranges(baseline: Baseline, profile: Profile, rules: MonitoringRules) -> list[Finding]:
    """Whether values lie outside the range of the training leads, one finding a numeric feature."""
    found = []
    for name, now in profile.numeric.items():
        then = baseline.profile.numeric[name]
        if now.count < rules.least_leads or then.count == 0:
            found.append(not_enough("data", "range", name, have=now.count, need=rules.least_leads, of="values"))
            continue
        # What is below the smallest training value has the first bin for itself, if the smallest is no edge.
        below = int(now.counts[0]) if baseline.layout.edges[name][0] < then.low else 0
        outside = below + int(now.counts[-1])
        told = f" ({then.low:.4g} to {then.high:.4g}); now {now.low:.4g} to {now.high:.4g}"
        expected = 2 / (then.count + 1)
        found.append(_rare(baseline, name, "range", outside, now.count, expected, rules.drift.outside, told))
    return found


def _rare(  # noqa: PLR0917  # private
    baseline: Baseline, name: str, check: str, events: int, n: int, expected: float, limit: Limit, told: str
) -> Finding:
    """The finding about values that should hardly occur."""
    from scipy.stats import binom  # noqa: PLC0415

    share = events / n
    what = "of a category that no training lead had" if check == "new categories" else "outside the training range"
    return Finding(
        area="data",
        check=check,
        subject=name,
        severity=graded(share, limit.yellow, limit.red),
        sentence=f"{share:.1%} of {n:,} values are {what}{told}",
        value=share,
        threshold=limit.yellow,
        interval=wilson(events, n),
        sample=n,
        p_value=float(binom.sf(events - 1, n, min(1.0, expected))),
        family=DATA,
        weight=baseline.weight(name),
        details={"events": float(events)},
    )
