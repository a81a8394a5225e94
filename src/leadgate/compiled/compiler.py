"""Turns a fitted scikit-learn pipeline into a program (quiet).

Only what is fully understood is compiled; anything else raises CannotCompileError, and the library scores instead.
Reads fitted attributes of scikit-learn and LightGBM's documented model dump; every compiled pipeline is proven against
the library afterwards, so a change in either shows as a failed proof and never as a wrong score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from leadgate.compiled.program import FORMAT, CategoryCodes, Isotonic, Linear, Program, Sigmoid, Trees
from leadgate.compiled.reading import CannotCompileError, Encoded, require
from leadgate.compiled.reading_linear import read_linear
from leadgate.compiled.reading_trees import read_hist_gradient_boosting, read_lightgbm
from leadgate.leads.schema import FeatureType, LeadSchema

__all__ = ["CannotCompileError", "compile_pipeline"]

_UNSEEN = "\0unseen"
"""A category that no lead can have."""


@dataclass(frozen=True)
class _Calibrated:
    """An estimator, and the calibration around it."""

    estimator: Any
    calibration: Sigmoid | Isotonic | None


def compile_pipeline(pipeline: Any, schema: LeadSchema) -> Program:
    """The program of a fitted pipeline made by ``models.pipeline``. Raises CannotCompileError."""
    steps = dict(getattr(pipeline, "steps", []))
    require(list(steps) == ["prepare", "model"], "the pipeline does not have the steps prepare and model")
    columns = _columns(steps["prepare"], schema)
    inner = _uncalibrated(steps["model"])
    kind = type(inner.estimator).__name__
    model: Linear | Trees
    match kind:
        case "LogisticRegression":
            model = read_linear(inner.estimator, steps["prepare"], columns)
        case "HistGradientBoostingClassifier":
            model = read_hist_gradient_boosting(inner.estimator, columns)
        case "LGBMClassifier":
            model = read_lightgbm(inner.estimator, columns)
        case _:
            raise CannotCompileError(f"{kind} is no kind of model that Leadgate compiles")
    return Program(
        format=FORMAT,
        features=tuple(feature.name for feature in schema.used),
        model=model,
        calibration=inner.calibration,
        calibrates="sum" if hasattr(inner.estimator, "decision_function") else "probability",
    )


def _uncalibrated(model: Any) -> _Calibrated:
    if type(model).__name__ != "CalibratedClassifierCV":
        return _Calibrated(model, None)
    require(len(model.calibrated_classifiers_) == 1, "the calibration averages several models")
    (fitted,) = model.calibrated_classifiers_
    (calibrator,) = fitted.calibrators
    if type(calibrator).__name__ == "IsotonicRegression":
        x, y = calibrator.X_thresholds_.tolist(), calibrator.y_thresholds_.tolist()
        return _Calibrated(fitted.estimator, Isotonic(x=_finite(x), y=_finite(y)))
    require(type(calibrator).__name__ == "_SigmoidCalibration", "the calibration is neither sigmoid nor isotonic")
    slope, intercept = _finite([float(calibrator.a_), float(calibrator.b_)])
    return _Calibrated(fitted.estimator, Sigmoid(slope=slope, intercept=intercept))


def _columns(preparation: Any, schema: LeadSchema) -> Encoded:
    """What each column of the prepared matrix is made of."""
    require(type(preparation).__name__ == "ColumnTransformer", "the preparation is no ColumnTransformer")
    position = {feature.name: i for i, feature in enumerate(schema.used)}
    numbers: list[int] = []
    categories: list[CategoryCodes] = []
    for name, transformer, names in preparation.transformers_:
        if name == "numeric":
            numbers = [position[column] for column in names]
        elif name == "categorical":
            categories = _one_hot(transformer, [position[column] for column in names])
        else:
            require(name == "remainder" and not len(names), f"the preparation has a part {name!r}")
    covered = {*numbers, *(c.feature for c in categories)}
    require(covered == set(position.values()), "the preparation does not take all features, each once")
    kinds = [schema.used[c.feature].type for c in categories]
    require(all(kind is FeatureType.CATEGORICAL for kind in kinds), "a numeric feature is one-hot encoded")
    return Encoded(numbers=tuple(numbers), categories=tuple(categories))


def _one_hot(encoder: Any, features: list[int]) -> list[CategoryCodes]:
    """The column that each category sets, found by asking the encoder itself."""
    require(type(encoder).__name__ == "OneHotEncoder" and encoder.drop is None, "the encoder is no full OneHotEncoder")
    codes, offset = [], 0
    for i, feature in enumerate(features):
        known = list(encoder.categories_[i])
        rare = encoder.infrequent_categories_[i] if hasattr(encoder, "infrequent_categories_") else None
        width = len(known) if rare is None else len(known) - len(rare) + 1
        asked: list[Any] = [*(value for value in known if value is not None), None, _UNSEEN]
        rows = np.full((len(asked), len(features)), None, dtype=object)
        rows[:, i] = asked
        block = np.asarray(encoder.transform(_frame(rows, encoder)))[:, offset : offset + width]
        found = [offset + int(row.argmax()) if row.any() else -1 for row in block]
        by_value = dict(zip(asked, found, strict=True))
        missing, unknown = by_value.pop(None), by_value.pop(_UNSEEN)
        codes.append(CategoryCodes(feature=feature, codes=_text_keys(by_value), missing=missing, unknown=unknown))
        offset += width
    return codes


def _frame(rows: Any, encoder: Any) -> Any:
    """Rows as the encoder was fitted: by name, where it knows names."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(rows, columns=getattr(encoder, "feature_names_in_", None), dtype=object)


def _text_keys(codes: Mapping[Any, int]) -> dict[str, int]:
    require(all(isinstance(key, str) for key in codes), "a category is not text")
    return {str(key): code for key, code in codes.items()}


def _finite(values: list[float]) -> tuple[float, ...]:
    require(all(isfinite(value) for value in values), "the calibration holds a number that is not finite")
    return tuple(values)
