"""Outcomes tell of a model that has become worse; scores tell before them, and say when they cannot."""

import numpy as np
import pytest

from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.monitoring.business import conversion, correlation
from leadgate.monitoring.findings import Finding, named
from leadgate.monitoring.model import estimated, quality
from leadgate.stats.binned import auc_of_counts
from stable_leads import RULES, baseline, draw, matured, profile, scores_of

BASELINE = baseline(np.random.default_rng(0))


def one(findings: list[Finding], check: str) -> Finding:
    """The only finding of a check."""
    (found,) = named(findings, check)
    return found


def sample(n: int, seed: int) -> tuple[np.ndarray, np.random.Generator]:
    """Scores of stable leads."""
    rng = np.random.default_rng(seed)
    return scores_of(draw(n, rng)), rng


def test_a_model_that_holds_raises_no_alarm() -> None:
    """A hundred months of 1,000 matured leads: with intervals, at most two of four hundred findings are alarms."""
    alarmed = 0
    for seed in range(100):
        scores, rng = sample(1_000, seed)
        found = quality(BASELINE, matured(scores, rng.random(1_000) < scores), RULES, "champion")
        alarmed += sum(f.severity in ("yellow", "red") for f in found)
    assert alarmed <= 2


def test_a_point_below_the_threshold_is_no_alarm_with_its_interval_above() -> None:
    """The figure alone alarms only when leadgate.yaml says so: needs_interval."""
    rules = MonitoringRules.model_validate({"model": {"auc_loss": {"yellow": 0.001, "red": 0.9}}})
    bare = MonitoringRules.model_validate(
        {"model": {"auc_loss": {"yellow": 0.001, "red": 0.9}, "needs_interval": False}}
    )
    findings = []
    for seed in range(40):
        scores, rng = sample(600, seed)
        leads = matured(scores, rng.random(600) < scores)
        findings.append([one(quality(BASELINE, leads, r, "champion"), "AUC").severity for r in (rules, bare)])
    assert [with_interval for with_interval, _ in findings].count("yellow") <= 3
    assert [alone for _, alone in findings].count("yellow") >= 10


def test_scores_that_say_nothing_are_red() -> None:
    """Outcomes that have nothing to do with the score: AUC 0.5 and no correlation."""
    scores, rng = sample(3_000, 1)
    leads = matured(scores, rng.random(3_000) < scores.mean())
    found = quality(BASELINE, leads, RULES, "champion")
    assert one(found, "AUC").severity == "red"
    assert one(found, "AUC").value == pytest.approx(0.5, abs=0.05)
    assert one(found, "calibration").severity == "red"
    assert correlation(BASELINE, leads, RULES).severity == "red"


def test_half_the_conversions_are_told_as_calibration_and_conversion() -> None:
    """Half of those who would convert stay away: the ranking stays, so AUC stays green, and nothing else is told."""
    scores, rng = sample(4_000, 2)
    converted = rng.random(4_000) < scores
    came = ~converted | (rng.random(4_000) < 0.5)
    leads = matured(scores[came], converted[came])
    found = quality(BASELINE, leads, RULES, "champion")
    assert one(found, "calibration").severity in ("yellow", "red")
    assert one(found, "AUC").severity == "green"
    assert conversion(BASELINE, leads, RULES).severity == "red"


def test_few_outcomes_are_not_enough() -> None:
    """Ninety matured leads, or no conversion among a thousand: nothing is said of the ranking."""
    scores, rng = sample(90, 3)
    found = quality(BASELINE, matured(scores, rng.random(90) < scores), RULES, "champion")
    assert {f.severity for f in found} == {"unknown"}
    scores, _ = sample(1_000, 4)
    found = quality(BASELINE, matured(scores, np.zeros(1_000, dtype=bool)), RULES, "champion")
    assert one(found, "AUC").severity == "unknown"
    assert one(found, "calibration").severity == "red"


def test_a_floor_counts_for_versions_that_reached_it() -> None:
    """A version whose hold-out had an AUC of 0.84 does not alarm for 0.85 for ever."""
    scores, rng = sample(3_000, 5)
    leads = matured(scores, rng.random(3_000) < scores)
    low = MonitoringRules.model_validate({"model": {"auc_at_least": 0.99}})
    assert one(quality(BASELINE, leads, low, "champion"), "AUC").severity == "green"
    then = auc_of_counts(BASELINE.won, BASELINE.lost)
    assert then is not None
    noisy = matured(np.clip(scores + rng.normal(0, 0.12, 3_000), 0, 1), rng.random(3_000) < scores)
    reached = MonitoringRules.model_validate(
        {"model": {"auc_at_least": then.value - 0.001, "auc_loss": {"yellow": 0.5, "red": 0.9}}}
    )
    assert one(quality(BASELINE, noisy, reached, "champion"), "AUC").severity == "yellow"


@pytest.mark.parametrize("shift", (0.0, -1.5, 1.5))
def test_the_auc_is_estimated_before_outcomes_come(shift: float) -> None:
    """Other leads, converting as their scores say: the estimate is the AUC that the outcomes show later."""
    rng = np.random.default_rng(8)
    columns = draw(40_000, rng, visits=rng.normal(10 + shift, 1.2, 40_000))
    scores = scores_of(columns)
    found = one(estimated(BASELINE, profile(BASELINE, columns), None, RULES, "champion"), "estimated AUC")
    truth = auc_of_counts(*vars(matured(scores, rng.random(40_000) < scores)).values())
    assert truth is not None
    assert found.value == pytest.approx(truth.value, abs=0.015)


def test_the_estimate_is_withdrawn_when_outcomes_contradict_the_scores() -> None:
    """Confidence-based estimation cannot see that the same leads convert otherwise; then it says so."""
    scores, rng = sample(3_000, 9)
    leads = matured(scores, rng.random(3_000) < scores / 3)
    columns = draw(3_000, rng)
    for found in estimated(BASELINE, profile(BASELINE, columns), leads, RULES, "champion"):
        assert found.severity == "unknown"
        assert "not to be relied on" in found.sentence
