"""What the compiler does not fully understand it refuses, by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from leadgate.compiled.compiler import CannotCompileError, compile_pipeline
from leadgate.compiled.scorer import Scorer
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import Feature, FeatureType, FeatureValue, LeadSchema
from leadgate.models.pipeline import build_pipeline, frame_of, predict

SCHEMA = LeadSchema(
    id="id",
    target="won",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="visits", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
    ),
)
NUMBERS = ["size", "visits"]


def _leads(count: int = 600) -> tuple[list[Sequence[FeatureValue]], np.ndarray[Any, np.dtype[np.bool_]]]:
    rng = np.random.default_rng(7)
    numbers = rng.normal(size=(count, 2))
    sources = rng.choice(["web", "fair", "call"], count)
    rows: list[Sequence[FeatureValue]] = [
        (float(a), float(b), str(s)) for (a, b), s in zip(numbers, sources, strict=True)
    ]
    return rows, numbers[:, 0] * numbers[:, 1] + (sources == "web") + rng.normal(size=count) > 0.3


ROWS, WON = _leads()
FRAME = frame_of(SCHEMA, ROWS)


class Reversed(LogisticRegression):  # type: ignore[misc]  # scikit-learn ships no types
    """A regression that answers the other way round, as a subclass may."""

    def predict_proba(self, rows: Any) -> Any:
        """Both columns exchanged."""
        return super().predict_proba(rows)[:, ::-1]


def one_hot(**settings: Any) -> OneHotEncoder:
    """An encoder that takes unknown categories."""
    return OneHotEncoder(**{"handle_unknown": "infrequent_if_exist", "sparse_output": False, **settings})


def preparation(numeric: Any = "passthrough", categorical: Any = None, **settings: Any) -> ColumnTransformer:
    """The preparation of trees, with a part exchanged."""
    parts = [("numeric", numeric, NUMBERS), ("categorical", categorical or one_hot(), ["source"])]
    return ColumnTransformer(parts, **settings)


def linear_preparation() -> Any:
    """The preparation of a regression."""
    return build_pipeline(SCHEMA, ModelRules()).named_steps["prepare"]


def refusal(model: Any, prepare: Any = None, won: Any = WON) -> str:
    """Why a pipeline, fitted, is not compiled."""
    pipeline = Pipeline([("prepare", prepare or preparation()), ("model", model)]).fit(FRAME, won)
    with pytest.raises(CannotCompileError) as caught:
        compile_pipeline(pipeline, SCHEMA)
    return str(caught.value)


def boosted(**settings: Any) -> LGBMClassifier:
    """A small LightGBM model."""
    return LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1, **settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    (
        ({"linear_tree": True}, "linear models"),
        ({"zero_as_missing": True}, "zero is treated as missing"),
        ({"categorical_feature": [2]}, "not numeric"),
        ({"sigmoid": 2.0}, "not plain binary"),
        ({"objective": "cross_entropy"}, "not plain binary"),
    ),
)
@pytest.mark.filterwarnings("ignore:categorical_feature keyword")
def test_unusual_lightgbm_models_are_refused(settings: dict[str, Any], reason: str) -> None:
    """Each of these settings changes what a stored tree means."""
    assert reason in refusal(boosted(**settings))


def test_native_category_splits_are_refused() -> None:
    """A bitset of categories is no threshold."""
    assert "natively" in refusal(HistGradientBoostingClassifier(max_iter=3, categorical_features=[2]))


@pytest.mark.parametrize("model", (boosted(), HistGradientBoostingClassifier(max_iter=3), LogisticRegression()))
def test_a_third_class_is_refused(model: Any) -> None:
    """A lead converts or it does not."""
    prepare = linear_preparation() if isinstance(model, LogisticRegression) else None
    assert "two classes" in refusal(model, prepare, won=np.arange(len(WON)) % 3)


def test_averaged_calibrations_are_refused() -> None:
    """Five models behind one score are not the one model that was looked at."""
    assert "averages several models" in refusal(CalibratedClassifierCV(boosted(), cv=3, ensemble=True))


@pytest.mark.parametrize(
    ("prepare", "reason"),
    (
        (preparation(StandardScaler()), "changed before they reach the trees"),
        (preparation("drop"), "changed before they reach the trees"),
        (preparation(transformer_weights={"numeric": 2.0}), "weighted"),
        (preparation(categorical=OrdinalEncoder()), "OneHotEncoder"),
        (preparation(categorical=one_hot(drop="first")), "OneHotEncoder"),
        (preparation(categorical=one_hot(handle_unknown="error")), "refuses categories"),
        (ColumnTransformer(preparation().transformers[::-1]), "not numeric, then categorical"),
        (ColumnTransformer([("numeric", "passthrough", ["size"]), preparation().transformers[1]]), "remainder"),
    ),
)
def test_foreign_preparations_are_refused(prepare: Any, reason: str) -> None:
    """Compiled all the same, a scaled number would be held against thresholds of another scale."""
    assert reason in refusal(HistGradientBoostingClassifier(max_iter=3), prepare)


def test_a_foreign_preparation_of_numbers_is_refused() -> None:
    """A regression is compiled with fill, clip and scale or not at all."""
    foreign = preparation(Pipeline([("scale", StandardScaler())]))
    assert "fill, clip, scale" in refusal(LogisticRegression(), foreign)
    unscaled = linear_preparation()
    unscaled.set_params(numeric__scale__with_mean=False)
    assert "mean 0" in refusal(LogisticRegression(), unscaled)


def test_a_subclass_is_not_taken_for_its_parent() -> None:
    """Even under its parent's name: who overrides predict_proba scores otherwise."""
    impostor = type("LogisticRegression", (Reversed,), {})
    for kind in (Reversed, impostor):
        assert "no kind of model" in refusal(kind(), linear_preparation())


@pytest.mark.parametrize("kind", ("logistic_regression", "hist_gradient_boosting", "lightgbm"))
def test_an_unfitted_pipeline_is_refused(kind: ModelKind) -> None:
    """With a sentence, not with the library's AttributeError: a training run goes on with the library."""
    with pytest.raises(CannotCompileError, match="not as Leadgate knows it"):
        compile_pipeline(build_pipeline(SCHEMA, ModelRules(kind=kind)), SCHEMA)


@pytest.mark.parametrize("kind", ("hist_gradient_boosting", "lightgbm"))
@pytest.mark.parametrize("calibration", ("none", "isotonic"))
def test_trees_score_to_the_last_bit(kind: ModelKind, calibration: Any) -> None:
    """Trees are summed in the library's order, so that a steep isotonic step has no difference to magnify."""
    pipeline = build_pipeline(SCHEMA, ModelRules(kind=kind, calibration=calibration)).fit(FRAME, WON)
    scores = Scorer(compile_pipeline(pipeline, SCHEMA)).score_many(ROWS)
    assert scores == predict(pipeline, FRAME).tolist()


def test_too_large_an_ensemble_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence gives the size and the limit."""
    monkeypatch.setattr("leadgate.compiled.reading_trees.MOST_NODES", 10)
    assert "more than 10" in refusal(boosted())
