"""What a person would do without a model: a point for each of a few things that speak for a lead (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.leads.schema import FeatureType, LeadSchema
from leadgate.stats.auc import AucComparison, auc, compare_auc
from leadgate.stats.ranking import Decile, lift_by_decile

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

FEATURES = 3
"""That the rule asks for: as many as one can keep in mind."""
EXPLAINED = (
    "The rule gives a lead a point for each of the model's three most important features that speaks for it: a number "
    "on the better side of its median, or a category that converts more often than the average lead. Medians and "
    "categories are those of the leads that the model was trained on."
)


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What one feature has to be for a point."""

    feature: str
    above: bool | None
    """Whether a number has to be above the median, or at most it; None for a category."""
    median: float | None
    categories: frozenset[str]
    """That give a point; empty for a number."""

    def says(self) -> str:
        """The sign in words."""
        if self.median is None:
            return f"{self.feature} is one of {', '.join(sorted(self.categories)) or 'no value'}"
        return f"{self.feature} is {'above' if self.above else 'at most'} {self.median:g}"

    def holds(self, value: str | None) -> bool:
        """Whether a lead's value gives a point; a missing one does not."""
        if value is None:
            return False
        if self.median is None:
            return value in self.categories
        return (float(value) > self.median) == self.above


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The model and the rule on the same leads."""

    leads: int
    conversions: int
    model_auc: float
    rule_auc: float
    difference: AucComparison
    """Model minus rule, DeLong's paired test."""
    model_top: tuple[float, float]
    """Conversion of the first 10 and 20 % by the model's score."""
    rule_top: tuple[float, float]
    """The same by points; leads of equal points count with their mean."""


def learn(leads: pl.DataFrame, schema: LeadSchema, features: Sequence[str]) -> tuple[Sign, ...]:
    """The signs of some features from labelled leads, a column a feature and one for the target."""
    labelled = leads.filter(pl.col(schema.target).is_not_null())
    return tuple(_sign(labelled, schema, name) for name in features)


def contest(signs: Sequence[Sign], values: Sequence[Sequence[str | None]], won: Flags, score: Values) -> Contest:
    """Hold the rule against the model; ``values`` has those of the signs' features, a row a lead.

    Raises OneClassError where all leads converted, or none did.
    """
    points = np.array([sum(s.holds(v) for s, v in zip(signs, row, strict=True)) for row in values], dtype=np.float64)
    return Contest(
        leads=len(won),
        conversions=int(won.sum()),
        model_auc=auc(won, score),
        rule_auc=auc(won, points),
        difference=compare_auc(won, points, score),
        model_top=_top(lift_by_decile(won, score)),
        rule_top=_top(lift_by_decile(won, points)),
    )


def _sign(leads: pl.DataFrame, schema: LeadSchema, name: str) -> Sign:
    known = leads.select(value=pl.col(name), won=pl.col(schema.target)).drop_nulls()
    if schema.feature(name).type is FeatureType.NUMERIC:
        median = float(known["value"].median() or 0.0)  # type: ignore[arg-type]  # of numbers it is a float
        sides = [_rate(known.filter(side)) for side in (pl.col("value") > median, pl.col("value") <= median)]
        return Sign(feature=name, above=sides[0] >= sides[1], median=median, categories=frozenset())
    texts = known.with_columns(pl.col("value").cast(pl.String))
    rates = texts.group_by("value").agg(pl.col("won").mean())
    better = rates.filter(pl.col("won") > _rate(texts))["value"].to_list()
    return Sign(feature=name, above=None, median=None, categories=frozenset(better))


def _rate(leads: pl.DataFrame) -> float:
    return float(leads["won"].mean() or 0.0)  # type: ignore[arg-type]  # of booleans it is a float


def _top(deciles: Sequence[Decile]) -> tuple[float, float]:
    first, second = deciles[0], deciles[: 2 if len(deciles) > 1 else 1]
    return first.rate, sum(d.conversions for d in second) / sum(d.leads for d in second)
