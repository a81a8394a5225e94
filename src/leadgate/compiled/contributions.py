"""What each feature contributes to one score of a program (quiet).

Contributions are in log-odds of the model's sum, before any calibration, and exact: with the base they add up to the
sum. A linear model's contribution is its share of the sum less the mean share of the training leads; trees have the
Shapley values of ``shapley.py``. All that is made of one feature (its one-hot columns, its mark for a missing value)
is one player and has one contribution.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum, nan

import numpy as np

from leadgate.compiled.background import share_of
from leadgate.compiled.program import Linear, LinearCategory, LinearNumber, Program, Trees
from leadgate.compiled.scorer import link_of
from leadgate.compiled.shapley import TreeShapley
from leadgate.errors import LeadgateError
from leadgate.leads.schema import FeatureValue

Row = Sequence[FeatureValue]

_Parts = tuple[float, dict[int, frozenset[str]], Callable[[Row], list[float]]]
"""The base; by categorical feature, its known categories; and what moves a lead from the base, by feature."""

_FAR = 700.0
"""Log-odds beyond which a probability is 0 or 1."""


class CannotExplainError(LeadgateError):
    """A version whose scores have no reasons; says why."""


@dataclass(frozen=True, kw_only=True)
class Contributions:
    """Of one lead; in log-odds before calibration."""

    base: float
    """The mean over the training leads: what the model says of a lead it knows nothing of."""
    of: tuple[float, ...]
    """By feature, in the program's order."""

    @property
    def total(self) -> float:
        """The model's sum for this lead."""
        return fsum((self.base, *self.of))


class Explainer:
    """Takes the scores of one program apart."""

    def __init__(self, program: Program) -> None:
        """Raises CannotExplainError for a program that does not hold what the training leads were like."""
        self.medians = program.medians or (None,) * len(program.features)
        """By feature; None for what is no number, and where it was not kept."""
        self.probability = link_of(program)
        """From the model's sum to the score, through the calibration."""
        self.rises: bool = self.probability(_FAR) >= self.probability(-_FAR)
        """Whether a larger sum is a higher score; a calibration can turn a useless model round."""
        self._base, self._known, self._moved = _parts_of(program)

    def contributions(self, values: Row) -> Contributions:
        """Of a lead, from its raw values in the order of the program's features."""
        return Contributions(base=self._base, of=tuple(self._moved(values)))

    def is_new(self, feature: int, value: FeatureValue) -> bool:
        """Whether it is a category that training did not see."""
        return feature in self._known and value is not None and value not in self._known[feature]


def _parts_of(program: Program) -> _Parts:
    count = len(program.features)
    return _linear(program.model, count) if isinstance(program.model, Linear) else _trees(program.model, count)


def _linear(model: Linear, count: int) -> _Parts:
    parts: list[LinearNumber | LinearCategory] = [*model.numbers, *model.categories]
    known = [(part, part.mean) for part in parts if part.mean is not None]
    if len(known) < len(parts):
        raise CannotExplainError(_TOO_OLD)

    def moved(values: Row) -> list[float]:
        found = [0.0] * count
        for part, mean in known:
            found[part.feature] = share_of(part, values[part.feature]) - mean
        return found

    base = fsum((model.intercept, *(mean for _, mean in known)))
    return base, {c.feature: frozenset(c.weights) for c in model.categories}, moved


def _trees(model: Trees, count: int) -> _Parts:
    if any(tree.cover is None and len(tree.feature) > 1 for tree in model.trees):
        raise CannotExplainError(_TOO_OLD)
    shapley = TreeShapley(model.trees, count)

    def moved(values: Row) -> list[float]:
        lead = np.array([nan if value is None or isinstance(value, str) else float(value) for value in values])
        for category in model.categories:
            value = values[category.feature]
            code = category.missing if value is None else category.codes.get(str(value), category.unknown)
            lead[category.feature] = code
        found: list[float] = shapley.values(lead).tolist()
        return found

    return model.baseline + shapley.mean, {c.feature: frozenset(c.codes) for c in model.categories}, moved


_TOO_OLD = (
    "the version was trained before Leadgate kept what reasons are made of (how many training leads came to each part "
    "of the model); train it again to have reasons"
)
