"""Drift is told where it is, and not where it is not."""

from collections import Counter

import numpy as np
import pytest

from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.monitoring.data import feature_drift, missing_values, new_categories, ranges
from leadgate.monitoring.evidence import with_evidence
from leadgate.monitoring.findings import Finding, alarms, ranked
from leadgate.monitoring.moved import explain, parts_of
from leadgate.monitoring.scores import score_bands, score_drift, score_entropy, segment_scores
from stable_leads import RULES, baseline, draw, profile, scores_of

BASELINE = baseline(np.random.default_rng(0))


def judged(columns: object, rules: MonitoringRules = RULES) -> tuple[Finding, ...]:
    """Every check of features and scores, with its evidence."""
    now = profile(BASELINE, columns)  # type: ignore[arg-type]
    found = [
        *feature_drift(BASELINE, now, rules),
        *missing_values(BASELINE, now, rules),
        *new_categories(BASELINE, now, rules),
        *ranges(BASELINE, now, rules),
        score_drift(BASELINE, now, rules, "champion"),
        score_entropy(BASELINE, now, rules, "champion"),
        score_bands(BASELINE, now, rules, "champion"),
        *segment_scores(BASELINE, now, rules),
    ]
    return with_evidence(found, rules.false_discovery)


def told(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    """Check and subject of the alarms."""
    return {(f.check, f.subject) for f in alarms(findings)}


def test_stable_leads_raise_hardly_an_alarm() -> None:
    """Two hundred weeks of 120 to 3,000 stable leads: at most 1 % of the feature-weeks alarm."""
    rng = np.random.default_rng(7)
    runs = [judged(draw(int(n), rng)) for n in rng.choice([120, 300, 1_000, 3_000], 200)]
    features = [f for run in runs for f in run if f.check == "feature drift"]
    false = [f for f in features if f.severity in ("yellow", "red")]
    assert len(features) == 1_000
    assert len(false) <= 10
    assert sum(bool(alarms(run)) for run in runs) <= 8


@pytest.mark.parametrize(
    ("what", "subject", "check"),
    (
        ("half a deviation", "visits", "feature drift"),
        ("wider", "visits", "feature drift"),
        ("other categories", "source", "feature drift"),
        ("missing", "opens", "missing values"),
        ("a thousand times", "size", "range"),
        ("a new category", "source", "new categories"),
    ),
)
def test_a_known_change_is_told_where_it_is(what: str, subject: str, check: str) -> None:
    """Twenty weeks of 2,000 leads each, and no other feature is blamed."""
    rng = np.random.default_rng(11)
    for _ in range(20):
        columns = draw(2_000, rng)
        values = np.array(columns[subject], dtype=object)
        hit = rng.random(2_000) < 0.05
        if what == "half a deviation":
            columns["visits"] = rng.normal(11, 2, 2_000).tolist()
        elif what == "wider":
            columns["visits"] = rng.normal(10, 4, 2_000).tolist()
        elif what == "other categories":
            columns["source"] = rng.choice(["web", "fair", "list", "referral"], 2_000, p=[0.1, 0.2, 0.2, 0.5]).tolist()
        elif what == "missing":
            columns["opens"] = [None if lost else v for v, lost in zip(values, hit, strict=True)]
        elif what == "a thousand times":
            columns["size"] = (values * 1_000).tolist()
        else:
            columns["source"] = ["tiktok" if new else v for v, new in zip(values, hit, strict=True)]
        alarmed = told(judged(columns))
        assert (check, subject) in alarmed
        assert not {s for c, s in alarmed if c == "feature drift"} - {subject}


def test_few_leads_are_not_enough() -> None:
    """Thirty leads are never "ok", however alike; a KS of 0.15 would fire on half of such windows."""
    found = judged(draw(30, np.random.default_rng(1)))
    assert {f.severity for f in found if f.check in ("feature drift", "missing values", "score drift")} == {"unknown"}
    assert all("not enough data" in f.sentence for f in found if f.check == "feature drift")


def test_a_large_distance_without_evidence_is_no_alarm() -> None:
    """A window of 110 leads with KS 0.16 by chance alone stays green, and says why."""
    rng = np.random.default_rng(3)
    rules = MonitoringRules.model_validate({"drift": {"ks": {"yellow": 0.05, "red": 0.2}}})
    findings = [f for _ in range(50) for f in judged(draw(110, rng), rules) if f.check == "feature drift"]
    beyond = [f for f in findings if f.details["ks"] is not None and float(f.details["ks"]) > 0.07]
    assert len(beyond) > 20
    assert {f.severity for f in beyond} == {"green"}
    assert any("within chance" in f.sentence for f in beyond)


def test_an_important_feature_comes_first() -> None:
    """Two features drift alike; the one that the model leans on is looked at first."""
    rng = np.random.default_rng(5)
    columns = draw(3_000, rng, visits=rng.normal(12.5, 2, 3_000), opens=rng.poisson(6, 3_000).astype(float))
    drifted = [f for f in ranked(judged(columns)) if f.check == "feature drift" and f.severity == "red"]
    assert [f.subject for f in drifted] == ["visits", "opens"]
    assert drifted[0].weight == 1.0
    assert drifted[1].weight == pytest.approx(0.01)


def test_all_comparisons_of_a_family_are_counted() -> None:
    """Features, scores and segments share one false discovery rate; data quality has its own."""
    found = judged(draw(2_000, np.random.default_rng(2)))
    # Five features, three of scores, four sources; missing of five, categories of two, ranges of three.
    assert Counter(f.family for f in found if f.p_value is not None) == {"drift": 12, "data": 10}


def test_scores_that_rise_are_told() -> None:
    """The median's shift, the bands and the segments; a model that gives everybody the same loses its entropy."""
    rng = np.random.default_rng(4)
    columns = draw(2_000, rng, visits=rng.normal(13, 2, 2_000))
    alarmed = told(judged(columns))
    assert {("score drift", "champion"), ("score bands", "champion"), ("segment scores", "source=web")} <= alarmed
    flat = profile(BASELINE, draw(2_000, rng), np.full(2_000, 0.12))
    assert score_entropy(BASELINE, flat, RULES, "champion").severity == "red"


def test_the_part_that_moved_is_named() -> None:
    """More leads from a source that scores higher: the mix explains it, and the parts add up to the move."""
    rng = np.random.default_rng(6)
    then = draw(20_000, rng)
    lift = np.array([2.0 if s == "referral" else 0.0 for s in then["source"]])
    then["visits"] = (np.array(then["visits"], dtype=float) + lift).tolist()
    known = profile(BASELINE, then)
    now = draw(5_000, rng, source=rng.choice(["web", "fair", "list", "referral"], 5_000, p=[0.2, 0.2, 0.2, 0.4]))
    lift = np.array([2.0 if s == "referral" else 0.0 for s in now["source"]])
    now["visits"] = (np.array(now["visits"], dtype=float) + lift).tolist()
    parts = parts_of("source", known.segments["source"], profile(BASELINE, now).segments["source"])
    shift = float(scores_of(now).mean() - scores_of(then).mean())
    assert sum(p.moved for p in parts) == pytest.approx(shift, abs=1e-9)
    most = max(parts, key=lambda p: abs(p.moved))
    assert most.value == "referral"
    assert most.mix > 5 * abs(most.within)


def test_the_explanation_weighs_features_by_importance() -> None:
    """Features that drifted and matter lead the list."""
    rng = np.random.default_rng(5)
    columns = draw(3_000, rng, visits=rng.normal(12.5, 2, 3_000), opens=rng.poisson(6, 3_000).astype(float))
    moved = explain(BASELINE, profile(BASELINE, columns), judged(columns))
    assert moved.features[0][0] == "visits"
    assert moved.features[0][1] > 0.9
    assert moved.shift > 0
