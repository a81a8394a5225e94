"""Leads of a business-to-business CRM whose truth is known (quiet)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.simulator.truth import INDUSTRIES, REGIONS, SOURCES, TITLES, true_probability
from leadgate.stats.auc import auc

Values = npt.NDArray[np.float64]

_INDUSTRY_SHARES = (24, 15, 13, 6, 10, 8, 12, 8, 2, 1.5, 0.5)
_SOURCE_SHARES = (22, 18, 16, 10, 8, 6, 11, 8.5, 0.5)
_TITLE_SHARES = (12, 10, 16, 24, 16, 12, 8, 2)
_REGION_SHARES = (36, 24, 12, 10, 11, 5.5, 1.5)
"""Percent, in the order of the tables of the truth. Each column has some that are rare, as every CRM has."""

_MISSING = {"company_size": 0.04, "engagement_score": 0.03, "job_title": 0.03, "email_opens": 0.02}
"""Share of values lost on the way, whatever the lead is like."""


_WITH_BUDGET = 0.45
"""Share of the leads that have money for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedLeads:
    """Leads as the CRM exports them, and what only the simulator knows. Arrays have one entry a lead, in its order."""

    frame: pl.DataFrame
    """Sorted by ``created_at`` (UTC). ``call_duration`` (seconds) comes from the call that closes the lead: it gives
    ``converted`` away and is not known when a lead is scored."""
    probability: Values
    """With which the lead converts, 0 to 1: the best score there is."""
    deal_size: Values
    """What the lead pays if it converts, in the team's currency."""
    days_to_close: Values
    """From first contact to the decision, for or against."""

    @property
    def best_auc(self) -> float:
        """The AUC of the true probabilities on these leads, which no model beats but by luck. Raises OneClassError."""
        return auc(self.frame["converted"].to_numpy(), self.probability)


def simulate_leads(
    n: int,
    rng: np.random.Generator,
    start: datetime,
    days: float,
    *,
    first_number: int = 0,
    mix: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    truth: Callable[[pl.DataFrame], Values] = true_probability,
) -> SimulatedLeads:
    """Draw ``n`` leads that came in during ``days`` days from ``start`` (UTC).

    Ids follow the time and go on from ``first_number``, the leads that were there before: L-000001 is the first. The
    same state of ``rng`` gives the same leads. ``mix`` changes the complete leads before ``truth`` gives their
    probabilities: a world that drifts.
    """
    complete = _complete(n, rng)
    if mix is not None:
        complete = mix(complete)
    probability = truth(complete)
    converted = rng.random(n) < probability
    size = complete["company_size"].to_numpy()
    frame = pl.DataFrame(
        {
            "lead_id": pl.Series([f"L-{first_number + i:06d}" for i in range(1, n + 1)], dtype=pl.String),
            "created_at": _times(n, rng, start, days),
            **_with_gaps(complete, rng).to_dict(),
            "call_duration": _call_duration(converted, rng),
            "converted": converted,
        }
    )
    return SimulatedLeads(
        frame=frame, probability=probability, deal_size=_deal_size(size, rng), days_to_close=_days(converted, rng)
    )


def outcomes_of(simulated: SimulatedLeads, scored_at: datetime) -> pl.DataFrame:
    """What the CRM reports of leads that were first contacted when they were scored, at ``scored_at`` (UTC).

    Columns: lead_id, converted, deal_size (null for lost leads), days_to_close, outcome_at (UTC). Lost leads are
    reported too, when they are given up.
    """
    outcomes = simulated.frame.select("lead_id", "converted").with_columns(
        deal_size=pl.when(pl.col("converted")).then(pl.Series(simulated.deal_size)),
        days_to_close=pl.Series(simulated.days_to_close),
    )
    seconds = pl.duration(seconds=(pl.col("days_to_close") * 86_400).round().cast(pl.Int64))
    return outcomes.with_columns(outcome_at=pl.lit(scored_at, pl.Datetime("us", "UTC")) + seconds)


def _times(n: int, rng: np.random.Generator, start: datetime, days: float) -> pl.Series:
    seconds = np.sort(rng.integers(0, max(1, round(days * 86_400)), n))
    moments = np.datetime64(start.astimezone(UTC).replace(tzinfo=None), "us") + seconds.astype("timedelta64[s]")
    return pl.Series("created_at", moments).dt.replace_time_zone("UTC")


def _complete(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Leads before any value is lost; those who are interested are so in all they do."""
    interest = rng.normal(size=n)
    # Nobody asks every lead for its budget, and the promising ones are asked a little more often.
    asked = rng.random(n) < 1 / (1 + np.exp(-(1.2 + 0.2 * interest)))
    budget = rng.random(n) < _WITH_BUDGET
    return pl.DataFrame(
        {
            "company_size": np.clip(np.exp(rng.normal(np.log(130), 1.5, n)).round(), 1, 250_000).astype(np.int64),
            "engagement_score": np.clip(50 + 20 * interest + rng.normal(0, 12, n), 0, 100).round(1),
            "website_visits": rng.poisson(np.exp(0.9 + 0.55 * interest)),
            "email_opens": rng.poisson(np.exp(0.8 + 0.3 * interest + rng.normal(0, 0.5, n))),
            "industry": _draw(INDUSTRIES, _INDUSTRY_SHARES, n, rng),
            "region": _draw(REGIONS, _REGION_SHARES, n, rng),
            "lead_source": _draw(SOURCES, _SOURCE_SHARES, n, rng),
            "job_title": _draw(TITLES, _TITLE_SHARES, n, rng),
            "has_budget": pl.select(pl.when(pl.Series(asked)).then(pl.Series(budget))).to_series(),
        }
    )


def _draw(names: tuple[str, ...], shares: tuple[float, ...], n: int, rng: np.random.Generator) -> pl.Series:
    weights = np.array(shares) / sum(shares)
    return pl.Series([names[i] for i in rng.choice(len(names), n, p=weights)], dtype=pl.String)


def _with_gaps(complete: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    gaps = {name: pl.Series(rng.random(complete.height) < share) for name, share in _MISSING.items()}
    return complete.with_columns(
        pl.when(~gap).then(pl.col(name)).otherwise(None).alias(name) for name, gap in gaps.items()
    )


def _call_duration(converted: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Seconds: a call that ends in a contract takes its time."""
    median = np.where(converted, np.log(900), np.log(200))
    return np.exp(rng.normal(median, 0.6)).round().astype(np.int64)


def _deal_size(size: Values, rng: np.random.Generator) -> Values:
    """Log-normal, and larger for larger companies: ten times the size pays 2.8 times as much."""
    pays: Values = np.exp(rng.normal(np.log(9_000) + 0.45 * np.log(size / 130), 0.6))
    return pays.round(2)


def _days(converted: npt.NDArray[np.bool_], rng: np.random.Generator) -> Values:
    """Gamma: contracts after 22 days on average, and 98 % within 60; lost leads are given up a little later."""
    return np.where(converted, rng.gamma(2.5, 9.0, len(converted)), rng.gamma(2.5, 11.0, len(converted))).round(2)
