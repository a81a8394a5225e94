"""The frame and the pipeline are what leadgate.yaml says."""

from typing import Any

import numpy as np
import pytest

from leadgate.errors import BadConfigError
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.pipeline import accepted, build_pipeline, frame_of, predict

KINDS: tuple[ModelKind, ...] = ("logistic_regression", "hist_gradient_boosting", "lightgbm")
SCHEMA = LeadSchema(
    id="id",
    target="won",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="notes", type=FeatureType.CATEGORICAL, use=False),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="budget", type=FeatureType.BOOLEAN),
    ),
)


def leads(count: int = 400) -> tuple[list[tuple[float | None, str | None, bool]], Any]:
    """Leads whose size decides, with missing values; "fair" is rare."""
    rng = np.random.default_rng(3)
    rows = [
        (
            None if rng.random() < 0.1 else float(rng.normal()),
            None if rng.random() < 0.1 else "fair" if k < 5 else "web" if rng.random() < 0.5 else "call",
            bool(rng.random() < 0.5),
        )
        for k in range(count)
    ]
    return rows, np.array([(row[0] or 0) + rng.normal() > 0 for row in rows])


def fitted(**rules: Any) -> Any:
    """A pipeline fitted on them."""
    rows, won = leads()
    return build_pipeline(SCHEMA, ModelRules(**rules)).fit(frame_of(SCHEMA, rows), won)


def test_the_frame_has_the_used_features_typed() -> None:
    """Numbers and booleans are float64; text stays object with None, where pandas 3 would make it a string type."""
    frame = frame_of(SCHEMA, [(3, "web", True), (None, None, None), (2.5, "ü", False)])
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "size": "float64",
        "source": "object",
        "budget": "float64",
    }
    assert frame["source"].tolist() == ["web", None, "ü"]
    np.testing.assert_array_equal(frame["size"], [3.0, np.nan, 2.5])
    np.testing.assert_array_equal(frame["budget"], [1.0, np.nan, 0.0])


def test_a_column_of_text_alone_or_of_nothing_keeps_its_type() -> None:
    """Neither is inferred to be something else; a frame without rows has its columns."""
    for rows in ([(1.0, "web", True)], [(None, None, None)], []):
        frame = frame_of(SCHEMA, rows)
        assert (str(frame["source"].dtype), str(frame["size"].dtype)) == ("object", "float64")


@pytest.mark.parametrize("calibration", ("none", "sigmoid", "isotonic"))
@pytest.mark.parametrize("kind", KINDS)
def test_predict_gives_the_probability_of_conversion(kind: ModelKind, calibration: str) -> None:
    """One float64 a lead, from 0 to 1, and higher for the leads that convert."""
    rows, won = leads()
    scores = predict(fitted(kind=kind, calibration=calibration), frame_of(SCHEMA, rows))
    assert scores.shape == (len(rows),)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[won].mean() > scores[~won].mean() + 0.1


def test_one_absurd_value_scores_like_the_largest_seen() -> None:
    """A typing slip must not carry a linear score to 1 by itself."""
    pipeline = fitted(kind="logistic_regression")
    largest = max(row[0] for row in leads()[0] if row[0] is not None)
    scores = predict(pipeline, frame_of(SCHEMA, [(largest, "web", True), (1e12, "web", True)]))
    assert scores[0] == scores[1]


def test_rare_and_unseen_categories_are_one() -> None:
    """Below model.rare_below leads a category is not told from one that was never seen; missing is a category."""
    rare, unseen, common, missing = predict(
        fitted(rare_below=10), frame_of(SCHEMA, [(0.0, name, True) for name in ("fair", "new", "web", None)])
    )
    assert rare == unseen != common
    assert missing not in {rare, common}


def test_the_number_of_categories_is_bounded() -> None:
    """model.max_categories columns a feature, the rare ones' column included."""
    schema = LeadSchema(id="i", target="t", features=(Feature(name="c", type=FeatureType.CATEGORICAL),))
    rows = [(f"c{k % 30}",) for k in range(300)]
    pipeline = build_pipeline(schema, ModelRules(rare_below=1, max_categories=7)).fit(
        frame_of(schema, rows), np.arange(300) % 2 == 0
    )
    assert pipeline["prepare"].transform(frame_of(schema, rows)).shape == (300, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_model(kind: ModelKind) -> None:
    """Bit for bit, as the lineage promises."""
    frame = frame_of(SCHEMA, leads()[0])
    first, again = (predict(fitted(kind=kind, calibration="isotonic"), frame) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(
    ("kind", "given", "hint"),
    (
        ("logistic_regression", {"c": 0.1}, "'C'"),
        ("hist_gradient_boosting", {"learning_rat": 0.1}, "'learning_rate'"),
        ("lightgbm", {"n_estimatrs": 10}, "'n_estimators'"),
    ),
)
def test_an_unknown_hyperparameter_names_the_nearest(kind: ModelKind, given: dict[str, Any], hint: str) -> None:
    """LightGBM by itself would take the misspelt one in silence."""
    with pytest.raises(BadConfigError, match=f"did you mean {hint}") as caught:
        build_pipeline(SCHEMA, ModelRules(kind=kind, hyperparameters=given))
    assert "model.hyperparameters" in str(caught.value)
    assert "leadgate.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given"),
    (
        ("logistic_regression", {"C": -1.0}),
        ("hist_gradient_boosting", {"max_iter": "ten"}),
        ("lightgbm", {"num_leaves": 1}),
    ),
)
def test_a_value_that_the_estimator_does_not_take_is_told_in_its_words(kind: ModelKind, given: dict[str, Any]) -> None:
    """With its place in leadgate.yaml, not as a traceback of a library."""
    rules, (rows, converted) = ModelRules(kind=kind, hyperparameters=given), leads()
    said = rf"model\.hyperparameters: {kind} says: .*{next(iter(given))}"
    with pytest.raises(BadConfigError, match=said), accepted(rules):
        build_pipeline(SCHEMA, rules).fit(frame_of(SCHEMA, rows), converted)


def test_hyperparameters_go_over_the_defaults() -> None:
    """What leadgate.yaml says wins; the rest stays."""
    rules = ModelRules(kind="lightgbm", hyperparameters={"n_estimators": 7, "random_state": 1}, seed=9)
    model = build_pipeline(SCHEMA, rules)["model"].get_params()
    assert (model["n_estimators"], model["random_state"], model["n_jobs"]) == (7, 1, 1)
