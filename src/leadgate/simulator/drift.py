"""What changes in a world while models stay as they were (quiet)."""

from dataclasses import dataclass

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


def drifted_mix(drift: Drift, complete: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The leads of a day after the change, before their probabilities are known."""
    bought = pl.Series(rng.random(complete.height) < drift.purchased)
    return complete.with_columns(
        engagement_score=(pl.col("engagement_score") + drift.engagement).clip(0, 100),
        lead_source=pl.when(bought).then(pl.lit("Purchased list")).otherwise("lead_source"),
    )


def drifted_truth(drift: Drift, complete: pl.DataFrame) -> Values:
    """The probabilities after the change, shape (n,): between the old truth and one with its tables reversed."""
    swapped = complete.with_columns(
        pl.col(column).replace_strict(dict(zip(names, reversed(names), strict=True)), return_dtype=pl.String)
        for column, names in (("lead_source", SOURCES), ("job_title", TITLES), ("industry", INDUSTRIES))
    )
    return (1 - drift.truth) * true_probability(complete) + drift.truth * true_probability(swapped)
