"""The figures of a model on its hold-out, by segment and by name."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

from leadgate.models.evaluation import compare, evaluate, metrics_of
from leadgate.stats.auc import OneClassError, compare_auc
from leadgate.stats.classification import classify


@pytest.fixture
def leads() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """600 leads with honest scores."""
    rng = np.random.default_rng(6)
    score = rng.beta(1, 2, 600)
    return rng.random(600) < score, score


Leads = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]


def test_a_segment_has_the_figures_of_its_leads_alone(leads: Leads) -> None:
    """The largest value first, the missing ones last, each as if the others were not there."""
    converted, score = leads
    values = ["north"] * 200 + ["south"] * 300 + [None] * 100
    found = evaluate(converted, score, 0.5, {"region": values}).segments
    assert [(s.segment, s.value, s.scores.leads) for s in found] == [
        ("region", "south", 300),
        ("region", "north", 200),
        ("region", "(missing)", 100),
    ]
    assert found[0].scores == classify(converted[200:500], score[200:500], 0.5)
    assert found[0].scores.auc == pytest.approx(roc_auc_score(converted[200:500], score[200:500]))


def test_values_beyond_the_twenty_largest_are_one(leads: Leads) -> None:
    """30 values, the first ten of 30 leads and the last twenty of 15: ten of the small ones are told apart."""
    values = [f"v{i:02}" for i in range(10) for _ in range(30)] + [f"v{i}" for i in range(10, 30) for _ in range(15)]
    found = evaluate(*leads, 0.5, {"title": values}).segments
    assert len(found) == 21
    assert [s.value for s in found[:20]] == [f"v{i:02}" for i in range(20)]
    assert (found[-1].value, found[-1].scores.leads) == ("(other)", 150)


def test_missing_values_are_shown_however_rare(leads: Leads) -> None:
    """They are not lost among the others."""
    values = [f"v{i % 25}" for i in range(599)] + [None]
    found = evaluate(*leads, 0.5, {"title": values}).segments
    assert [s.value for s in found[-2:]] == ["(other)", "(missing)"]
    assert found[-1].scores.leads == 1


def test_a_segment_of_one_class_has_no_auc(leads: Leads) -> None:
    """None, and the rest of the evaluation stands."""
    converted, score = leads
    values = ["won" if c else "any" for c in converted[:300]] + ["any"] * 300
    found = {s.value: s.scores for s in evaluate(converted, score, 0.5, {"x": values}).segments}
    assert found["won"].auc is None
    assert found["any"].auc is not None


def test_metrics_are_the_figures_by_name(leads: Leads) -> None:
    """What MLflow logs is what the evaluation says."""
    evaluation = evaluate(*leads, 0.5, {})
    found, overall = metrics_of(evaluation), evaluation.overall
    assert overall.auc_interval is not None
    assert found["auc"] == overall.auc
    assert (found["auc_low"], found["auc_high"]) == (overall.auc_interval.low, overall.auc_interval.high)
    assert found["lift_decile_1"] == evaluation.deciles[0].lift
    assert found["lift_decile_1"] > 1
    names = {"precision", "recall", "brier", "calibration_error", "base_rate", "mean_score", "leads"}
    assert set(found) == names | {"auc", "auc_low", "auc_high"} | {f"lift_decile_{i}" for i in range(1, 11)}
    assert all(math.isfinite(value) for value in found.values())


def test_metrics_that_do_not_exist_are_left_out() -> None:
    """MLflow is never told a 0 that means "unknown"."""
    found = metrics_of(evaluate(np.zeros(40, dtype=np.bool_), np.full(40, 0.2), 0.5, {}))
    assert not [name for name in found if name.startswith(("auc", "precision", "recall", "lift"))]
    assert found["base_rate"] == 0.0


def test_comparison_is_challenger_minus_champion_on_the_same_leads(leads: Leads) -> None:
    """The better challenger has the positive difference."""
    converted, score = leads
    poor = score + np.random.default_rng(7).normal(0, 0.5, 600)
    found = compare(converted, poor, score, 0.5)
    assert found.auc == compare_auc(converted, poor, score)
    assert found.auc.difference == pytest.approx(roc_auc_score(converted, score) - roc_auc_score(converted, poor))
    assert found.auc.difference > 0
    assert found.challenger == classify(converted, score, 0.5)
    assert found.champion == classify(converted, poor, 0.5)


def test_models_cannot_be_compared_on_one_class() -> None:
    """Said in a sentence."""
    with pytest.raises(OneClassError, match="has both kinds"):
        compare(np.ones(4, dtype=np.bool_), np.arange(4.0), np.arange(4.0), 0.5)
