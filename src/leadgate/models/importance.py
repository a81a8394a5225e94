"""Which features a model leans on (quiet)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from leadgate.stats.auc import auc

if TYPE_CHECKING:
    import pandas as pd

Scores = npt.NDArray[np.float64]

_REPEATS = 3
_MOST_LEADS = 5_000
"""Of the hold-out; more make it slower and hardly surer."""


def permutation_importance(
    score: Callable[["pd.DataFrame"], Scores],
    frame: "pd.DataFrame",
    converted: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, float]:
    """By column of ``frame``: how much AUC is lost when its values are shuffled among the leads (Breiman 2001).

    The mean of three shuffles, and 0 where it would be negative. Features that say the same share their importance.
    Raises OneClassError.
    """
    if len(frame) > _MOST_LEADS:
        kept = np.sort(rng.choice(len(frame), _MOST_LEADS, replace=False))
        frame, converted = frame.iloc[kept].reset_index(drop=True), converted[kept]
    whole = auc(converted, score(frame))
    return {str(column): max(0.0, whole - _shuffled(score, frame, converted, str(column), rng)) for column in frame}


def _shuffled(
    score: Callable[["pd.DataFrame"], Scores],
    frame: "pd.DataFrame",
    converted: npt.NDArray[np.bool_],
    column: str,
    rng: np.random.Generator,
) -> float:
    """The AUC without what a column says."""
    found = []
    for _ in range(_REPEATS):
        order = rng.permutation(len(frame))
        found.append(auc(converted, score(frame.assign(**{column: frame[column].to_numpy()[order]}))))
    return float(np.mean(found))
