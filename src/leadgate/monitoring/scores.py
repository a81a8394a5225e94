"""The scores of now against those of the hold-out (quiet)."""

import numpy as np

from leadgate.leads.baselines import Baseline
from leadgate.leads.layout import SCORE_EDGES
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profiles import Counts, Moments, Profile
from leadgate.monitoring.data import DRIFT
from leadgate.monitoring.findings import URGENCY, Finding, Severity, graded, not_enough
from leadgate.stats.distances import (
    entropy_of,
    homogeneity_p_value,
    js_divergence,
    ks_p_value,
    ks_statistic,
    mean_difference_p_value,
    quantile,
    shares,
)

PERCENTILES = (0.10, 0.25, 0.50, 0.75, 0.90)
BANDS = ("high", "medium", "low")

_UPPER = np.append(SCORE_EDGES, 1.0)
_TWENTIETH = 500
"""Bins of a score in a twentieth of the range."""


def score_drift(baseline: Baseline, profile: Profile, rules: MonitoringRules, arm: str) -> Finding:
    """Median, percentiles, KS and JS of the scores in one verdict: the worst of them decides."""
    then, now = baseline.profile.scores, profile.scores
    if min(then.count, now.count) < rules.least_leads:
        return not_enough("scores", "score drift", arm, have=now.count, need=rules.least_leads, of="scores")
    ks = ks_statistic(then.counts, now.counts)
    a, b = _twentieths(then.counts), _twentieths(now.counts)
    before, after = _percentiles(then.counts), _percentiles(now.counts)
    shift = abs(after[2] - before[2])
    change = max(abs(new - old) / max(old, before[-1] - before[0]) for old, new in zip(before, after, strict=True))
    judged = [
        ("median shift", shift, rules.drift.median_shift),
        ("percentile change", change, rules.drift.percentile_change),
        ("KS", ks, rules.drift.ks),
        ("JS divergence", js_divergence(a, b), rules.drift.js),
    ]
    by, value, limit = max(judged, key=lambda d: (URGENCY[graded(d[1], d[2].yellow, d[2].red)], d[1] / d[2].yellow))
    return Finding(
        area="scores",
        check="score drift",
        subject=arm,
        severity=graded(value, limit.yellow, limit.red),
        sentence=f"{by} {value:.3f} of at most {limit.yellow:g} on {now.count:,} scores: median {before[2]:.3f} on the "
        f"hold-out, {after[2]:.3f} now",
        value=value,
        threshold=limit.yellow,
        sample=now.count,
        p_value=min(1.0, 2 * min(ks_p_value(ks, then.count, now.count), homogeneity_p_value(a, b))),
        family=DRIFT,
        details={
            "by": by,
            **{name: figure for name, figure, _ in judged},
            **{f"p{round(100 * q)}": figure for q, figure in zip(PERCENTILES, after, strict=True)},
            "mean": now.moments.mean,
            "mean_of_holdout": then.moments.mean,
        },
    )


def score_entropy(baseline: Baseline, profile: Profile, rules: MonitoringRules, arm: str) -> Finding:
    """Whether the scores say more or less than they did: a model that lost its inputs gives everybody the same."""
    then, now = baseline.profile.scores, profile.scores
    if min(then.count, now.count) < rules.least_leads:
        return not_enough("scores", "score entropy", arm, have=now.count, need=rules.least_leads, of="scores")
    a, b = _twentieths(then.counts), _twentieths(now.counts)
    before, after, limit = entropy_of(shares(a)), entropy_of(shares(b)), rules.drift.entropy_change
    return Finding(
        area="scores",
        check="score entropy",
        subject=arm,
        severity=graded(abs(after - before), limit.yellow, limit.red),
        sentence=f"entropy {after:.2f} nats over twenty bins, {before:.2f} on the hold-out",
        value=abs(after - before),
        threshold=limit.yellow,
        sample=now.count,
        p_value=homogeneity_p_value(a, b),
        family=DRIFT,
        details={"entropy": after, "entropy_of_holdout": before},
    )


def score_bands(baseline: Baseline, profile: Profile, rules: MonitoringRules, arm: str) -> Finding:
    """Whether the shares of leads with priority high, medium and low have changed."""
    then, now = (np.array([side.bands.get(band, 0) for band in BANDS]) for side in (baseline.profile, profile))
    have = int(now.sum())
    if min(have, int(then.sum())) < rules.least_leads:
        return not_enough("scores", "score bands", arm, have=have, need=rules.least_leads, of="scores")
    before, after, limit = shares(then), shares(now), rules.drift.band_change
    i = int(np.argmax(np.abs(after - before)))
    change = float(abs(after[i] - before[i]))
    return Finding(
        area="scores",
        check="score bands",
        subject=arm,
        severity=graded(change, limit.yellow, limit.red),
        sentence=f"priority {BANDS[i]} for {after[i]:.1%} of {have:,} leads, {before[i]:.1%} of the hold-out",
        value=change,
        threshold=limit.yellow,
        sample=have,
        p_value=homogeneity_p_value(then, now),
        family=DRIFT,
        details={f"share_{band}": float(share) for band, share in zip(BANDS, after, strict=True)},
    )


def segment_scores(baseline: Baseline, profile: Profile, rules: MonitoringRules) -> list[Finding]:
    """Whether the mean score of a segment has moved; segments with too few leads on a side are left out."""
    nothing = Moments()
    found = []
    for feature, values in profile.segments.items():
        for value, now in sorted(values.items()):
            then = baseline.profile.segments[feature].get(value, nothing)
            if min(then.count, now.count) >= rules.least_leads:
                found.append(_segment(f"{feature}={value}", then, now, rules))
    return found


def _segment(name: str, then: Moments, now: Moments, rules: MonitoringRules) -> Finding:
    shift, limit = now.mean - then.mean, rules.drift.segment_shift
    severity: Severity = graded(abs(shift), limit.yellow, limit.red)
    return Finding(
        area="scores",
        check="segment scores",
        subject=name,
        severity=severity,
        sentence=f"mean score {now.mean:.3f} of {now.count:,} leads, {then.mean:.3f} of the hold-out",
        value=abs(shift),
        threshold=limit.yellow,
        sample=now.count,
        p_value=mean_difference_p_value(shift, then.variance, then.count, now.variance, now.count),
        family=DRIFT,
        details={"mean": now.mean, "mean_of_holdout": then.mean},
    )


def _twentieths(counts: Counts) -> Counts:
    return np.add.reduceat(counts[:-1], np.arange(0, len(counts) - 1, _TWENTIETH))


def _percentiles(counts: Counts) -> list[float]:
    return [quantile(counts, _UPPER, q) for q in PERCENTILES]
