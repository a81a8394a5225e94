"""Reads a fitted logistic regression and its preparation (quiet)."""

from typing import Any

import numpy as np

from leadgate.compiled.program import CategoryCodes, Linear, LinearCategory, LinearNumber
from leadgate.compiled.reading import Encoded, kind_of, require

_STEPS = [("fill", "sklearn SimpleImputer"), ("clip", "sklearn MinMaxScaler"), ("scale", "sklearn StandardScaler")]


def read_linear(model: Any, preparation: Any, columns: Encoded) -> Linear:
    """Fold imputation, clipping, scaling and one-hot encoding into one weight or table for each feature."""
    require(model.coef_.shape[0] == 1, "the regression has more than two classes")
    weights = model.coef_[0]
    require(bool(np.isfinite(weights).all()), "a weight is not finite")
    intercept = float(model.intercept_[0])
    numbers: list[LinearNumber] = []
    used = 0
    if columns.numbers:
        numbers, constant, used = _numbers(preparation.named_transformers_["numeric"], columns.numbers, weights)
        intercept += constant
    one_hot = weights[used:]
    return Linear(
        intercept=intercept,
        numbers=tuple(numbers),
        categories=tuple(_category(codes, one_hot) for codes in columns.categories),
    )


def _numbers(steps: Any, features: tuple[int, ...], weights: Any) -> tuple[list[LinearNumber], float, int]:
    """The shares of the numbers, what they add to the intercept, and how many columns they take."""
    kinds = [(name, kind_of(part)) for name, part in getattr(steps, "steps", [])]
    require(kinds == _STEPS, "the numeric preparation is not fill, clip, scale")
    fill, clip, scale = (part for _, part in steps.steps)
    require(scale.with_mean and scale.with_std, "the scaling is not to mean 0 and deviation 1")
    require(bool(np.isnan(fill.missing_values)), "something else than NaN is filled")
    require(tuple(clip.feature_range) == (0, 1) and clip.clip, "the clipping is not to 0 and 1")
    marked = list(fill.indicator_.features_) if fill.indicator_ is not None else []
    width = len(features) + len(marked)
    slope = weights[:width] / scale.scale_
    constant = -float(np.dot(slope, scale.mean_))
    shares = []
    for i, feature in enumerate(features):
        missing = slope[i] * _clipped(clip, i, fill.statistics_[i])
        if i in marked:
            column = len(features) + marked.index(i)
            present, absent = (slope[column] * _clipped(clip, column, mark) for mark in (0.0, 1.0))
            constant += present
            missing += absent - present
        shares.append(
            LinearNumber(
                feature=feature,
                scale=float(clip.scale_[i]),
                offset=float(clip.min_[i]),
                weight=float(slope[i]),
                missing=float(missing),
            )
        )
    return shares, float(constant), width


def _clipped(clip: Any, column: int, value: float) -> float:
    return float(min(1.0, max(0.0, value * clip.scale_[column] + clip.min_[column])))


def _category(codes: CategoryCodes, weights: Any) -> LinearCategory:
    def weight(code: int) -> float:
        return float(weights[code]) if code >= 0 else 0.0

    return LinearCategory(
        feature=codes.feature,
        weights={value: weight(code) for value, code in codes.codes.items()},
        missing=weight(codes.missing),
        unknown=weight(codes.unknown),
    )
