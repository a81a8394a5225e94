"""Trying other hyperparameters: only those of the grid, on leads that the hold-out has no part in, and repeatably."""

import builtins
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from pydantic import ValidationError
from scipy.special import expit
from sklearn.metrics import log_loss

from leadgate.app.lineage import reproduce_version
from leadgate.app.wire import Home
from leadgate.errors import BadConfigError, RefusedError
from leadgate.leads.project import ModelRules, SearchRules, parse_project
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.pipeline import build_pipeline, frame_of, predict
from leadgate.models.searching import Search, search
from workshop import train_version

SCHEMA = LeadSchema(
    id="lead",
    timestamp="created",
    target="won",
    features=tuple(Feature(name=f"x{i}", type=FeatureType.NUMERIC) for i in range(4)),
)
TIMELESS = SCHEMA.model_copy(update={"timestamp": None})


def leads(count: int = 600) -> pl.DataFrame:
    """Leads of which one column matters, and three are noise; sorted by id, their times in another order."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(count, 4))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "lead": [f"{i:04}" for i in range(count)],
            "created": [at + timedelta(minutes=int(m)) for m in rng.permutation(count)],
            "won": rng.random(count) < expit(1.5 * x[:, 0] - 0.5),
            **{f"x{i}": x[:, i] for i in range(4)},
        }
    )


def rules(
    grid: dict[str, list[Any]], *, trials: int = 20, kind: str = "logistic_regression", **declared: Any
) -> ModelRules:
    """The section model with a search."""
    return ModelRules.model_validate(
        {"kind": kind, "hyperparameters": declared, "search": {"grid": grid, "trials": trials}}
    )


def found(frame: pl.DataFrame, model: ModelRules, schema: LeadSchema = SCHEMA) -> Search:
    """What the search says."""
    result = search(frame, schema, model)
    assert result is not None
    return result


def test_a_small_grid_is_tried_whole_and_its_best_is_kept() -> None:
    """The best of the grid is that which scikit-learn's log loss on the last fifth, by time, says."""
    frame = leads()
    grid: dict[str, list[Any]] = {"C": [1e-6, 0.1, 1.0], "class_weight": [None, "balanced"]}
    got = found(frame, rules(grid, C=1e-6))
    ordered = frame.sort("created")
    before, later = ordered.head(480).sort("lead"), ordered.tail(120).sort("lead")

    def loss(c: float, weight: str | None) -> float:
        pipeline = build_pipeline(SCHEMA, ModelRules(hyperparameters={"C": c, "class_weight": weight}))
        values = [tuple(row) for row in before.select("x0", "x1", "x2", "x3").rows()]
        pipeline.fit(frame_of(SCHEMA, values), before["won"].to_numpy())
        rows = [tuple(row) for row in later.select("x0", "x1", "x2", "x3").rows()]
        return float(log_loss(later["won"].to_numpy(), predict(pipeline, frame_of(SCHEMA, rows))))

    by_hand = {pair: loss(*pair) for pair in itertools.product(grid["C"], grid["class_weight"])}
    best = min(by_hand, key=by_hand.__getitem__)
    assert (got.hyperparameters["C"], got.hyperparameters["class_weight"]) == best
    assert got.loss == pytest.approx(by_hand[best], abs=1e-9)
    assert got.declared_loss == pytest.approx(by_hand[1e-6, None], abs=1e-9)
    assert got.tried == 6


def test_the_declared_hyperparameters_stay_unless_another_is_better() -> None:
    """A grid of worse settings changes nothing, and the sentence says so."""
    got = found(leads(), rules({"C": [1e-6, 1e-7]}, C=1.0))
    assert got.hyperparameters == {"C": 1.0}
    assert "stay" in got.sentence


def test_a_large_grid_is_searched_within_itself_and_repeatably() -> None:
    """Optuna picks; nothing outside the grid, at most so many settings, and twice the same."""
    grid: dict[str, list[Any]] = {"C": [10.0**e for e in range(-6, 3)], "class_weight": [None, "balanced"]}
    first, again = (found(leads(300), rules(grid, trials=6, C=1e-6)) for _ in range(2))
    assert first == again
    assert 1 < first.tried <= 6
    assert first.loss < first.declared_loss
    assert first.hyperparameters["C"] in grid["C"]


def test_a_setting_that_the_estimator_refuses_is_left_out_and_told() -> None:
    """One bad value of a grid does not end a training that runs by itself."""
    got = found(leads(), rules({"C": [-1.0, 1.0]}, C=1e-6))
    assert got.hyperparameters["C"] == 1.0
    assert got.refused == 1
    assert "refused 1 of them, C -1.0: The 'C' parameter of LogisticRegression must be" in got.sentence


def test_a_grid_of_which_the_model_takes_nothing_is_refused_with_the_first_reason() -> None:
    """A version with the declared hyperparameters would look searched; the declared one in the grid saves nothing."""
    for grid in ([-1.0, -2.0], [1.0, -1.0, -2.0]):
        with pytest.raises(RefusedError, match=r"none of the 2 settings .* the first, C -1\.0: The 'C' parameter"):
            search(leads(), SCHEMA, rules({"C": grid}, C=1.0))
    assert found(leads(), rules({"C": [1.0]}, C=1.0)).hyperparameters == {"C": 1.0}


@pytest.mark.parametrize(
    ("section", "said"),
    (
        ("{search: {grid: {random_state: [1, 2]}}}", r"line 2: model\.search\.grid: random_state .* set model\.seed"),
        ("{hyperparameters: {random_state: 1}}", r"line 2: model\.hyperparameters: random_state .* set model\.seed"),
    ),
)
def test_seeds_are_not_searched_and_there_is_one(section: str, said: str) -> None:
    """The best of several seeds is luck; the card of a version that was trained with one is readable all the same."""
    text = f"lead: {{id: a, target: b, features: {{c: {{type: numeric}}}}}}\nmodel: {section}\n"
    with pytest.raises(BadConfigError, match=said):
        parse_project(text, "leadgate.yaml")
    assert ModelRules.model_validate(yaml.safe_load(section)).seed == 42


def test_lightgbm_refuses_in_words_of_its_own() -> None:
    """Its error is none of Python's; a retraining would have begun again each hour, and died of it each time."""
    got = found(leads(300), rules({"num_leaves": [1, 4]}, kind="lightgbm", n_estimators=5, num_leaves=2))
    assert (got.tried, got.refused) == (2, 1)


def test_leads_without_a_time_are_ranked_on_a_random_fifth() -> None:
    """The seed decides it, so it is repeatable."""
    model = rules({"C": [1e-6, 1.0]}, C=1e-6)
    first, again = (found(leads(), model, TIMELESS) for _ in range(2))
    assert first == again
    assert first.hyperparameters["C"] == 1.0
    assert "training leads drawn at random" in first.sentence


def test_a_misspelt_hyperparameter_is_told_with_its_place() -> None:
    """The grid is another place than model.hyperparameters."""
    with pytest.raises(BadConfigError, match=r"model\.search\.grid: logistic_regression has no 'c'; did you mean 'C'"):
        search(leads(), SCHEMA, rules({"c": [1.0]}))


def test_too_few_leads_are_refused_with_what_to_do() -> None:
    """Ranking settings by a handful of conversions would be chance."""
    with pytest.raises(RefusedError, match=r"too few leads to search .* Set model\.search to null"):
        search(leads(60), SCHEMA, rules({"C": [1.0]}))


def test_without_optuna_a_large_grid_is_refused_and_a_small_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna is an extra; the sentence says how to get it, and what does without it."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "optuna":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert found(leads(), rules({"C": [1e-6, 1.0]}, C=1e-6)).tried == 2
    with pytest.raises(RefusedError, match=r"leadgate\[search\]"):
        search(leads(), SCHEMA, rules({"C": [1e-6, 1.0, 2.0]}, trials=2))


def test_an_empty_grid_is_told_with_its_line() -> None:
    """Where there is nothing to try, the file says something that nobody can have meant."""
    with pytest.raises(ValidationError, match="at least 1 item"):
        rules({})
    with pytest.raises(ValidationError, match="at least 1 item"):
        rules({"C": []})
    text = "lead: {id: a, target: b, features: {c: {type: numeric}}}\nmodel:\n  search:\n    grid: {C: []}\n"
    with pytest.raises(BadConfigError, match=r"line 4: model\.search\.grid\.C: .*at least 1 item"):
        parse_project(text, "leadgate.yaml")


def test_what_was_found_is_on_the_card_and_is_made_again_without_a_search(own_workshop: Home) -> None:
    """An auditor sees why C is what it is, and the version does not depend on a search that comes out otherwise."""
    searched = SearchRules(grid={"C": (1e-4, 1.0)})
    card = train_version(own_workshop, hyperparameters={"C": 1e-4}, search=searched).card
    assert card.model.hyperparameters == {"C": 1.0}
    assert card.searched is not None
    assert card.searched.startswith("C 1.0: log loss ")
    assert reproduce_version(own_workshop, "3", lambda _: None).verdict == "identical"
