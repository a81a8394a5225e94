"""The scikit-learn pipeline of each kind of model (quiet)."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from leadgate.errors import BadConfigError
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import FeatureType, FeatureValue, LeadSchema

if TYPE_CHECKING:
    import pandas as pd


def frame_of(schema: LeadSchema, rows: Sequence[Sequence[FeatureValue]]) -> "pd.DataFrame":
    """Raw values, in the order of ``schema.used``, as the frame that a pipeline takes.

    Numeric and boolean features become float64 with NaN for missing, categorical ones objects with None for missing.
    """
    import pandas as pd  # noqa: PLC0415  # 0.3 s

    columns: dict[str, Any] = {}
    for i, feature in enumerate(schema.used):
        values = [row[i] for row in rows]
        if feature.type is FeatureType.CATEGORICAL:
            columns[feature.name] = pd.Series(values, dtype=object)
        else:
            columns[feature.name] = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return pd.DataFrame(columns)


def predict(pipeline: Any, frame: "pd.DataFrame") -> npt.NDArray[np.float64]:
    """Probability of conversion of each row, shape (n,)."""
    scores: npt.NDArray[np.float64] = pipeline.predict_proba(frame)[:, 1].astype(np.float64)
    return scores


def build_pipeline(schema: LeadSchema, rules: ModelRules) -> Any:
    """An unfitted pipeline with the steps ``prepare`` and ``model``.

    Raises BadConfigError for a hyperparameter that the estimator does not have.
    """
    from sklearn.pipeline import Pipeline  # noqa: PLC0415  # scikit-learn takes a second

    return Pipeline([("prepare", _preparation(schema, rules)), ("model", _model(rules))])


def _preparation(schema: LeadSchema, rules: ModelRules) -> Any:
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    categorical = [f.name for f in schema.used if f.type is FeatureType.CATEGORICAL]
    numeric = [f.name for f in schema.used if f.type is not FeatureType.CATEGORICAL]
    # None is a category like any other; rare and unseen ones share a column, or are all zeros when none was rare.
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=rules.rare_below,
        max_categories=rules.max_categories,
        sparse_output=False,
    )
    numbers = _linear_numbers() if rules.kind == "logistic_regression" else "passthrough"
    parts = [("numeric", numbers, numeric), ("categorical", one_hot, categorical)]
    return ColumnTransformer([part for part in parts if part[2]])


def _linear_numbers() -> Any:
    """Numbers for a linear model: filled, held to the range seen in training, scaled.

    A missing value is filled with the median and marked by a column of its own, where any was missing in training.
    MinMaxScaler(clip=True) winsorises at the training range: one absurd value (a unit error, a typing slip) must not
    carry a linear score to 0 or 1 by itself.
    """
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415
    from sklearn.preprocessing import MinMaxScaler, StandardScaler  # noqa: PLC0415

    return Pipeline(
        [
            ("fill", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("clip", MinMaxScaler(clip=True)),
            ("scale", StandardScaler()),
        ]
    )


def _model(rules: ModelRules) -> Any:
    from sklearn.calibration import CalibratedClassifierCV  # noqa: PLC0415
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    estimator = _estimator(rules)
    if rules.calibration == "none":
        return estimator
    # Ids often follow time, and leads come sorted by id: unshuffled folds would be eras, each scored by a model of the
    # others, and where conversion drifts the calibration would learn the drift with its sign turned.
    folds = StratifiedKFold(5, shuffle=True, random_state=rules.seed)
    return CalibratedClassifierCV(estimator, method=rules.calibration, cv=folds, ensemble=False)


def require_known(rules: ModelRules, names: Iterable[str], key: str) -> None:
    """Raise BadConfigError for a hyperparameter that the estimator does not have; ``key`` is its place in the file."""
    estimator, _ = _kind(rules)
    known = {name.lower(): name for name in estimator().get_params()}
    for name in names:
        if name not in known.values():
            near = difflib.get_close_matches(
                name.lower(), known, n=1, cutoff=0.5
            )  # `c` is meant for scikit-learn's `C`
            hint = f"did you mean {known[near[0]]!r}?" if near else f"known: {', '.join(known.values())}."
            raise BadConfigError(f"leadgate.yaml: {key}: {rules.kind} has no {name!r}; {hint}")


@contextmanager
def accepted(rules: ModelRules) -> Iterator[None]:
    """Fit a pipeline within. Raises BadConfigError for a value of a hyperparameter that the estimator does not take."""
    from lightgbm.basic import LightGBMError  # noqa: PLC0415
    from sklearn.utils._param_validation import InvalidParameterError  # noqa: PLC0415

    try:
        yield
    except (LightGBMError, InvalidParameterError) as error:
        why = str(error).strip().splitlines()[0]
        raise BadConfigError(f"leadgate.yaml: model.hyperparameters: {rules.kind} says: {why}") from error


def _estimator(rules: ModelRules) -> Any:
    require_known(rules, rules.hyperparameters, "model.hyperparameters")
    estimator, defaults = _kind(rules)
    return estimator(**{**defaults, **rules.hyperparameters})


def _kind(rules: ModelRules) -> tuple[Any, dict[str, Any]]:
    """The estimator's class, and what it is made with where nothing else is declared."""
    from lightgbm import LGBMClassifier  # noqa: PLC0415
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    kinds: dict[ModelKind, tuple[Any, dict[str, Any]]] = {
        "logistic_regression": (LogisticRegression, {"max_iter": 1000}),
        "hist_gradient_boosting": (
            HistGradientBoostingClassifier,
            {"early_stopping": False, "random_state": rules.seed},
        ),
        "lightgbm": (
            LGBMClassifier,
            {"deterministic": True, "force_row_wise": True, "n_jobs": 1, "verbose": -1, "random_state": rules.seed},
        ),
    }
    return kinds[rules.kind]
