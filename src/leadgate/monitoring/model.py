"""What matured outcomes say of a version, and what its scores let expect before they come (quiet)."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from leadgate.leads.baselines import Baseline
from leadgate.leads.layout import SCORE_EDGES
from leadgate.leads.monitoring_rules import Limit, MonitoringRules
from leadgate.leads.profiles import Profile
from leadgate.monitoring.findings import Finding, Severity, graded, not_enough
from leadgate.records import Interval
from leadgate.stats.binned import BinnedAuc, auc_of_counts, calibrated, calibration_of_counts
from leadgate.stats.proportions import Z95, wilson

Counts = npt.NDArray[np.int64]

MIDDLES = np.append(SCORE_EDGES, 1.0) - 0.00005
"""The score of each bin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matured:
    """Leads whose outcome window has passed, by their first score."""

    won: Counts
    """Those that converted within the window, by bin of the score."""
    lost: Counts

    @property
    def leads(self) -> int:
        """All of them."""
        return int(self.won.sum() + self.lost.sum())

    @property
    def conversions(self) -> int:
        """Those that converted."""
        return int(self.won.sum())


def quality(baseline: Baseline, matured: Matured, rules: MonitoringRules, arm: str) -> list[Finding]:
    """AUC, precision, recall and calibration of matured leads against the hold-out's."""
    ranking, n = ("AUC", "precision", "recall"), matured.leads
    if n < rules.least_matured:
        few = [
            not_enough("model", check, arm, have=n, need=rules.least_matured, of="matured leads") for check in ranking
        ]
        return [*few, _calibration(matured, rules, arm)]
    if min(matured.conversions, matured.leads - matured.conversions) < rules.least_conversions:
        have, need = matured.conversions, rules.least_conversions
        few = [not_enough("model", check, arm, have=have, need=need, of="conversions") for check in ranking]
        return [*few, _calibration(matured, rules, arm)]
    return [
        _auc(baseline, matured, rules, arm),
        _precision(baseline, matured, rules, arm),
        _recall(baseline, matured, rules, arm),
        _calibration(matured, rules, arm),
    ]


def estimated(
    baseline: Baseline, profile: Profile, matured: Matured | None, rules: MonitoringRules, arm: str
) -> list[Finding]:
    """AUC and calibration of the present leads before their outcomes are known.

    Confidence-based estimation (NannyML's CBPE): a score says how probably its lead converts, so the scores alone say
    what an AUC is to be expected. The hold-out's outcomes calibrate the scores first. It sees leads that have become
    harder to tell apart; it cannot see that the same leads convert otherwise than they did. Where matured outcomes
    show that they do, the estimate is not given.
    """
    if profile.scores.count < rules.least_leads or baseline.quality.leads < rules.least_matured:
        have = min(profile.scores.count, baseline.quality.leads)
        return [not_enough("model", "estimated AUC", arm, have=have, need=rules.least_leads, of="scores")]
    probability = calibrated(baseline.won, baseline.lost)
    counts = profile.scores.counts
    expected = auc_of_counts(counts * probability, counts * (1 - probability))
    at_holdout = auc_of_counts(baseline.won, baseline.lost)
    if expected is None or at_holdout is None:
        return [not_enough("model", "estimated AUC", arm, have=0, need=1, of="scores that differ")]
    broken = _assumption(matured, rules)
    return [
        _estimated_auc(expected, at_holdout, profile.scores.count, rules, broken, arm),
        _estimated_calibration(probability, profile, rules, broken, arm),
    ]


def _estimated_auc(  # noqa: PLR0917  # private
    expected: BinnedAuc, then: BinnedAuc, sample: int, rules: MonitoringRules, broken: str | None, arm: str
) -> Finding:
    loss, limit = then.value - expected.value, rules.model.auc_loss
    half = Z95 * sqrt(then.variance)
    severity: Severity = "unknown" if broken else graded(loss, limit.yellow, limit.red)
    return Finding(
        area="model",
        check="estimated AUC",
        subject=arm,
        severity=severity,
        sentence=f"{expected.value:.3f} is to be expected of these {sample:,} scores, {then.value:.3f} on the hold-out"
        + (f"; not to be relied on: {broken}" if broken else ""),
        value=expected.value,
        threshold=then.value - limit.yellow,
        interval=Interval(low=max(0.0, expected.value - half), high=min(1.0, expected.value + half)),
        sample=sample,
        details={"holdout": then.value, "assumption": broken or "holds as far as outcomes are known"},
    )


def _estimated_calibration(
    probability: npt.NDArray[np.float64], profile: Profile, rules: MonitoringRules, broken: str | None, arm: str
) -> Finding:
    counts, limit = profile.scores.counts, rules.model.calibration
    found = calibration_of_counts(counts * probability, counts * (1 - probability), MIDDLES)
    assert found is not None
    value = max(0.0, found.error - found.by_chance)
    return Finding(
        area="model",
        check="estimated calibration",
        subject=arm,
        severity="unknown" if broken else graded(value, limit.yellow, limit.red),
        sentence=f"an error of {value:.3f} is to be expected if leads of like scores convert as on the hold-out: "
        f"{found.rate:.1%} instead of {found.mean_score:.1%}" + (f"; not to be relied on: {broken}" if broken else ""),
        value=value,
        threshold=limit.yellow,
        sample=profile.scores.count,
        details={"expected_rate": found.rate, "mean_score": found.mean_score, "assumption": broken or ""},
    )


def _assumption(matured: Matured | None, rules: MonitoringRules) -> str | None:
    """Why leads of like scores do not convert as they did; None where nothing speaks against it."""
    if matured is None or matured.leads < rules.least_matured:
        return None
    found = calibration_of_counts(matured.won, matured.lost, MIDDLES)
    if found is None or found.interval.low <= rules.model.calibration.yellow:
        return None
    return (
        f"of the last {matured.leads:,} matured leads {found.rate:.1%} converted, not the {found.mean_score:.1%} that "
        "their scores said"
    )


def _auc(baseline: Baseline, matured: Matured, rules: MonitoringRules, arm: str) -> Finding:
    now, then = auc_of_counts(matured.won, matured.lost), auc_of_counts(baseline.won, baseline.lost)
    assert now is not None
    before = then.value if then else None
    # The hold-out's own uncertainty belongs to the loss.
    half = Z95 * sqrt(now.variance + (then.variance if then else 0.0))
    return _loss(
        "AUC",
        arm,
        value=now.value,
        interval=now.interval,
        before=before,
        half=half,
        floor=rules.model.auc_at_least,
        limit=rules.model.auc_loss,
        sample=matured.leads,
        rules=rules,
    )


def _precision(baseline: Baseline, matured: Matured, rules: MonitoringRules, arm: str) -> Finding:
    place = _place(baseline.quality.decision)
    hits, calls = int(matured.won[place:].sum()), int((matured.won + matured.lost)[place:].sum())
    hits_then, calls_then = int(baseline.won[place:].sum()), int((baseline.won + baseline.lost)[place:].sum())
    if calls < rules.least_conversions:
        need = rules.least_conversions
        return not_enough("model", "precision", arm, have=calls, need=need, of="matured leads above the threshold")
    floor = rules.model.precision_at_least
    return _share("precision", arm, (hits, calls), (hits_then, calls_then), floor, rules)


def _recall(baseline: Baseline, matured: Matured, rules: MonitoringRules, arm: str) -> Finding:
    place = _place(baseline.quality.decision)
    now = (int(matured.won[place:].sum()), matured.conversions)
    then = (int(baseline.won[place:].sum()), int(baseline.won.sum()))
    return _share("recall", arm, now, then, rules.model.recall_at_least, rules)


def _share(  # noqa: PLR0917  # private
    check: str,
    arm: str,
    now: tuple[int, int],
    then: tuple[int, int],
    floor: float | None,
    rules: MonitoringRules,
) -> Finding:
    value, before = now[0] / now[1], then[0] / then[1] if then[1] else None
    variances = [hits / n * (1 - hits / n) / n for hits, n in (now, then) if n]
    return _loss(
        check,
        arm,
        value=value,
        interval=wilson(*now),
        before=before,
        half=Z95 * sqrt(sum(variances)),
        floor=floor,
        limit=rules.model.precision_loss,
        sample=now[1],
        rules=rules,
    )


def _loss(
    check: str,
    arm: str,
    *,
    value: float,
    interval: Interval,
    before: float | None,
    half: float,
    floor: float | None,
    limit: Limit,
    sample: int,
    rules: MonitoringRules,
) -> Finding:
    """The finding about a figure that must not fall: below the hold-out's, and below the floor that was reached then.

    A version that never reached the floor was promoted all the same; that it is still below it is no news.
    """
    slack = half if rules.model.needs_interval else 0.0
    loss = 0.0 if before is None else before - value
    severity = graded(loss - slack, limit.yellow, limit.red) if before is not None else "green"
    held = floor if floor is not None and (before is None or before >= floor) else None
    reaches = interval.high if rules.model.needs_interval else value
    if held is not None and reaches < held and severity == "green":
        severity = "yellow"
    threshold = max(x for x in (held, None if before is None else before - limit.yellow, 0.0) if x is not None)
    told = "unknown" if before is None else f"{before:.3f}"
    asked = f"; at least {held:g} is asked" if held is not None else ""
    return Finding(
        area="model",
        check=check,
        subject=arm,
        severity=severity,
        sentence=f"{value:.3f} ({interval.low:.3f} to {interval.high:.3f}) on {sample:,} matured leads, {told} on the "
        f"hold-out{asked}",
        value=value,
        threshold=threshold,
        interval=interval,
        sample=sample,
        details={"holdout": before, "floor": held},
    )


def _calibration(matured: Matured, rules: MonitoringRules, arm: str) -> Finding:
    """Fewer leads do than for a ranking: the interval says how sure it is."""
    if matured.leads < rules.least_leads:
        return not_enough("model", "calibration", arm, have=matured.leads, need=rules.least_leads, of="matured leads")
    found, limit = calibration_of_counts(matured.won, matured.lost, MIDDLES), rules.model.calibration
    assert found is not None
    judged = found.interval.low if rules.model.needs_interval else found.error
    return Finding(
        area="model",
        check="calibration",
        subject=arm,
        severity=graded(judged, limit.yellow, limit.red),
        sentence=f"error {found.error:.3f} ({found.by_chance:.3f} of it by chance) on {matured.leads:,} matured leads: "
        f"{found.rate:.1%} converted, the scores said {found.mean_score:.1%}",
        value=found.error,
        threshold=limit.yellow,
        interval=found.interval,
        sample=matured.leads,
        details={"by_chance": found.by_chance, "rate": found.rate, "mean_score": found.mean_score},
    )


def _place(threshold: float) -> int:
    """The first bin of scores above a threshold."""
    return int(np.searchsorted(SCORE_EDGES, threshold, side="left")) + 1
