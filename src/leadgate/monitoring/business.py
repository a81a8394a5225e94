"""Whether leads still convert, and pay, as they did, and whether the scores are used and liked (quiet)."""

from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np

from leadgate.leads.baselines import Baseline
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profiles import Moments
from leadgate.monitoring.findings import Area, Finding, Severity, graded, not_enough
from leadgate.monitoring.model import MIDDLES, Matured
from leadgate.records import Interval
from leadgate.stats.binned import correlation_of_counts
from leadgate.stats.distances import homogeneity_p_value, mean_difference_p_value
from leadgate.stats.proportions import Z95, wilson

BUSINESS = "business"
"""The family of comparisons."""
_AREA: Area = "business"


@dataclass(frozen=True, kw_only=True)
class Won:
    """The matured leads of a span that converted."""

    deal_size: Moments
    days_to_close: Moments


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """What sales people say of the scores."""

    count: int
    mean: float | None
    deviation: float | None


def conversion(baseline: Baseline, matured: Matured, rules: MonitoringRules) -> Finding:
    """Whether matured leads convert as those of the hold-out did; a rise is told like a decline."""
    n, limit = matured.leads, rules.business.conversion_change
    if n < rules.least_leads:
        return not_enough(_AREA, "conversion", have=n, need=rules.least_leads, of="matured leads")
    then = np.array([baseline.won.sum(), baseline.lost.sum()])
    before, rate = float(then[0] / then.sum()), matured.conversions / n
    change = (rate - before) / before if before > 0 else 0.0
    return Finding(
        area=_AREA,
        check="conversion",
        severity=graded(abs(change), limit.yellow, limit.red),
        sentence=f"{rate:.1%} of {n:,} matured leads converted, {before:.1%} of the hold-out ({change:+.0%})",
        value=abs(change),
        threshold=limit.yellow,
        interval=wilson(matured.conversions, n),
        sample=n,
        p_value=homogeneity_p_value(then, np.array([matured.conversions, n - matured.conversions])),
        family=BUSINESS,
        details={"rate": rate, "at_holdout": before, "change": change},
    )


def amounts(now: Won, before: Won, rules: MonitoringRules) -> list[Finding]:
    """Deal size and days to close against the matured leads before."""
    return [
        _amount("deal size", now.deal_size, before.deal_size, rules),
        _amount("days to close", now.days_to_close, before.days_to_close, rules),
    ]


def _amount(check: str, now: Moments, before: Moments, rules: MonitoringRules) -> Finding:
    have, limit = min(now.count, before.count), rules.business.amount_change
    if have < rules.least_conversions:
        return not_enough(_AREA, check, have=have, need=rules.least_conversions, of="conversions on each side")
    change = (now.mean - before.mean) / before.mean if before.mean else 0.0
    half = Z95 * now.deviation / sqrt(now.count)
    return Finding(
        area=_AREA,
        check=check,
        severity=graded(abs(change), limit.yellow, limit.red),
        sentence=f"mean {now.mean:,.4g} of {now.count:,} conversions, {before.mean:,.4g} before ({change:+.0%})",
        value=abs(change),
        threshold=limit.yellow,
        interval=Interval(low=now.mean - half, high=now.mean + half),
        sample=now.count,
        p_value=mean_difference_p_value(now.mean - before.mean, now.variance, now.count, before.variance, before.count),
        family=BUSINESS,
        details={"mean": now.mean, "before": before.mean, "change": change},
    )


def correlation(baseline: Baseline, matured: Matured, rules: MonitoringRules) -> Finding:
    """Whether score and outcome still go together; by Fisher's z (1915)."""
    now = correlation_of_counts(matured.won, matured.lost, MIDDLES)
    then = correlation_of_counts(baseline.won, baseline.lost, MIDDLES)
    n, m = matured.leads, int(baseline.won.sum() + baseline.lost.sum())
    if now is None or then is None or min(n, m) < rules.least_matured:
        return not_enough(_AREA, "correlation", have=n, need=rules.least_matured, of="matured leads of both kinds")
    loss, limit = then - now, rules.business.correlation_loss
    bounded = [max(-0.999999, min(0.999999, r)) for r in (now, then)]
    gap, error = atanh(bounded[1]) - atanh(bounded[0]), sqrt(1 / (n - 3) + 1 / (m - 3))
    sure = gap - Z95 * error > 0
    half = Z95 / sqrt(n - 3)
    return Finding(
        area=_AREA,
        check="correlation",
        severity=graded(loss, limit.yellow, limit.red) if sure else "green",
        sentence=f"correlation of score and outcome {now:.3f} on {n:,} matured leads, {then:.3f} on the hold-out",
        value=loss,
        threshold=limit.yellow,
        interval=Interval(low=tanh(atanh(bounded[0]) - half), high=tanh(atanh(bounded[0]) + half)),
        sample=n,
        details={"correlation": now, "at_holdout": then},
    )


def ratings(found: Ratings, rules: MonitoringRules) -> Finding:
    """Whether sales people find the scores helpful."""
    asked = rules.business.rating
    if found.mean is None or found.count < rules.least_ratings:
        return not_enough(_AREA, "sales rating", have=found.count, need=rules.least_ratings, of="ratings")
    half = Z95 * (found.deviation or 0.0) / sqrt(found.count)
    return Finding(
        area=_AREA,
        check="sales rating",
        severity="green" if found.mean + half >= asked else "yellow",
        sentence=f"mean {found.mean:.1f} of 10 from {found.count:,} ratings; {asked:g} is asked",
        value=found.mean,
        threshold=asked,
        interval=Interval(low=max(0.0, found.mean - half), high=min(10.0, found.mean + half)),
        sample=found.count,
    )


def usage(scores: int, days: float, rules: MonitoringRules) -> Finding:
    """How many scores a day are asked for; whether they are enough is known only where somebody counts on some."""
    a_day, asked = scores / days, rules.business.scores_a_day
    severity: Severity = "unknown" if asked is None else "yellow" if a_day < asked else "green"
    counted = "monitoring.business.scores_a_day does not say how many" if asked is None else f"{asked:,}"
    told = f"; {counted} are counted on"
    return Finding(
        area=_AREA,
        check="usage",
        severity=severity,
        sentence=f"{a_day:,.0f} scores a day{told}",
        value=a_day,
        threshold=None if asked is None else float(asked),
        sample=scores,
    )
