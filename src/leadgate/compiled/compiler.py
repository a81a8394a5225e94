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
from leadgate.compiled.reading import CannotCompileError, Encoded, kind_of, require
from leadgate.compiled.reading_linear import read_linear
from leadgate.compiled.reading_trees import read_hist_gradient_boosting, read_lightgbm
from leadgate.leads.schema import FeatureType, LeadSchema

__all__ = ["CannotCompileError", "compile_pipeline"]

_UNSEEN = "\0unseen"
"""A category that no lead can have."""

_PARTS = (["numeric", "categorical"], ["numeric"], ["categorical"])
"""The parts of a preparation, in the order of their columns."""

_TAKE_UNKNOWN = ("infrequent_if_exist", "ignore")


@dataclass(frozen=True)
class _Calibrated:
    """An estimator, and the calibration around it."""

    estimator: Any
    calibration: Sigmoid | Isotonic | None


def compile_pipeline(pipeline: Any, schema: LeadSchema) -> Program:
    """The program of a fitted pipeline made by ``models.pipeline``. Raises CannotCompileError."""
    try:
        return _program(pipeline, schema)
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        # A part that is not fitted, or a release of the library that keeps its findings elsewhere: the library can
        # still score such a version, so this must not end a training run.
        what = f"{type(error).__name__}: {error}"
        raise CannotCompileError(f"a part of the pipeline is not as Leadgate knows it ({what})") from error


def _program(pipeline: Any, schema: LeadSchema) -> Program:
    steps = dict(getattr(pipeline, "steps", []))
    require(list(steps) == ["prepare", "model"], "the pipeline does not have the steps prepare and model")
    preparation = steps["prepare"]
    columns = _columns(preparation, schema)
    inner = _uncalibrated(steps["model"])
    kind = kind_of(inner.estimator)
    model: Linear | Trees
    match kind:
        case "sklearn LogisticRegression":
            model = read_linear(inner.estimator, preparation, columns)
        case "sklearn HistGradientBoostingClassifier":
            _require_raw_numbers(preparation, columns)
            model = read_hist_gradient_boosting(inner.estimator, columns)
        case "lightgbm LGBMClassifier":
            _require_raw_numbers(preparation, columns)
            model = read_lightgbm(inner.estimator, columns)
        case _:
            raise CannotCompileError(f"{kind} is no kind of model that Leadgate compiles")
    require(len(inner.estimator.classes_) == 2, "the model does not have two classes")  # noqa: PLR2004  # lost and won
    return Program(
        format=FORMAT,
        features=tuple(feature.name for feature in schema.used),
        model=model,
        calibration=inner.calibration,
        calibrates="sum" if hasattr(inner.estimator, "decision_function") else "probability",
    )


def _require_raw_numbers(preparation: Any, columns: Encoded) -> None:
    """Thresholds are compared with values as they were given, so nothing may have changed them before."""
    if not columns.numbers:
        return
    step = preparation.named_transformers_["numeric"]
    identity = kind_of(step) == "sklearn FunctionTransformer" and step.func is None
    require(identity or step == "passthrough", "the numbers are changed before they reach the trees")


def _uncalibrated(model: Any) -> _Calibrated:
    if kind_of(model) != "sklearn CalibratedClassifierCV":
        return _Calibrated(model, None)
    require(len(model.calibrated_classifiers_) == 1, "the calibration averages several models")
    (fitted,) = model.calibrated_classifiers_
    (calibrator,) = fitted.calibrators
    if kind_of(calibrator) == "sklearn IsotonicRegression":
        x, y = calibrator.X_thresholds_.tolist(), calibrator.y_thresholds_.tolist()
        return _Calibrated(fitted.estimator, Isotonic(x=_finite(x), y=_finite(y)))
    require(kind_of(calibrator) == "sklearn _SigmoidCalibration", "the calibration is neither sigmoid nor isotonic")
    slope, intercept = _finite([float(calibrator.a_), float(calibrator.b_)])
    return _Calibrated(fitted.estimator, Sigmoid(slope=slope, intercept=intercept))


def _columns(preparation: Any, schema: LeadSchema) -> Encoded:
    """What each column of the prepared matrix is made of."""
    require(kind_of(preparation) == "sklearn ColumnTransformer", "the preparation is no ColumnTransformer")
    require(preparation.transformer_weights is None, "the parts of the preparation are weighted")
    position = {feature.name: i for i, feature in enumerate(schema.used)}
    parts = {name: (transformer, names) for name, transformer, names in preparation.transformers_ if len(names)}
    require(list(parts) in _PARTS, f"the preparation has the parts {', '.join(parts)}, not numeric, then categorical")
    numbers = [position[column] for column in parts.get("numeric", (None, []))[1]]
    categories: list[CategoryCodes] = []
    if "categorical" in parts:
        encoder, names = parts["categorical"]
        categories = _one_hot(encoder, [position[column] for column in names])
    taken = [*numbers, *(c.feature for c in categories)]
    require(sorted(taken) == sorted(position.values()), "the preparation does not take all features, each once")
    kinds = [schema.used[c.feature].type for c in categories]
    require(all(kind is FeatureType.CATEGORICAL for kind in kinds), "a numeric feature is one-hot encoded")
    return Encoded(numbers=tuple(numbers), categories=tuple(categories))


def _one_hot(encoder: Any, features: list[int]) -> list[CategoryCodes]:
    """The column that each category sets, found by asking the encoder itself."""
    full = kind_of(encoder) == "sklearn OneHotEncoder" and encoder.drop is None
    require(full, "the categories are not encoded by a full OneHotEncoder")
    require(encoder.handle_unknown in _TAKE_UNKNOWN, "the encoder refuses categories that training did not see")
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
