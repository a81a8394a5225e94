"""What changes in a world while models stay as they were (quiet)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.simulator.truth import INDUSTRIES, SOURCES, TITLES, true_probability

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A change from one day on."""

    day: int
    """The first day of it; 0 is the day on which the world begins."""
    engagement: float = 0.0
    """Points by which the engagement of new leads moves: the same truth, other leads."""
    purchased: float = 0.0
    """Share of new leads that come from a purchased list instead of where they came from."""
    truth: float = 0.0
    """How far the truth itself moves, 0 to 1: at 1, sources, titles and industries have changed places. A model that
    is trained on the new leads can learn it."""
    odds: float = 1.0
    """By which the odds of conversion are multiplied: the market, the same for every lead."""
    times: Mapping[str, float] = field(default_factory=dict)
    """By numeric feature: what the values of new leads are multiplied by. Other leads, the same truth."""
    comes: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """By categorical feature: a value, and the share of new leads that has it instead of its own."""


def drifted_mix(drift: Drift, complete: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The leads of a day after the change, before their probabilities are known."""
    bought = pl.Series(rng.random(complete.height) < drift.purchased)
    moved = complete.with_columns(
        engagement_score=(pl.col("engagement_score") + drift.engagement).clip(0, 100),
        lead_source=pl.when(bought).then(pl.lit("Purchased list")).otherwise("lead_source"),
    ).with_columns(_multiplied(name, by, complete.schema[name]) for name, by in drift.times.items())
    for name, (value, share) in drift.comes.items():
        here = pl.Series(rng.random(moved.height) < share)
        moved = moved.with_columns(pl.when(here).then(pl.lit(value)).otherwise(name).alias(name))
    return moved


def with_odds(probability: Values, odds: float) -> Values:
    """Probabilities whose odds are multiplied, shape (n,)."""
    if odds == 1:
        return probability
    times = probability / (1 - probability) * odds
    return np.asarray(times / (1 + times), dtype=np.float64)


def _multiplied(name: str, by: float, kind: pl.DataType) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64) * by
    return (value.round().cast(kind) if kind.is_integer() else value.clip(0, 100)).alias(name)


def drifted_truth(drift: Drift, complete: pl.DataFrame) -> Values:
    """The probabilities after the change, shape (n,): between the old truth and one with its tables reversed."""
    swapped = complete.with_columns(
        pl.col(column).replace_strict(dict(zip(names, reversed(names), strict=True)), return_dtype=pl.String)
        for column, names in (("lead_source", SOURCES), ("job_title", TITLES), ("industry", INDUSTRIES))
    )
    mixed = (1 - drift.truth) * true_probability(complete) + drift.truth * true_probability(swapped)
    return with_odds(mixed, drift.odds)
