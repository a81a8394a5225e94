"""Matches predictions to what became of their leads (quiet)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from leadgate.leads.project import OutcomeRules


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The matured leads whose outcome is known, and where the others went."""

    leads: pl.DataFrame
    """One row a lead: lead_id, model_version, segment, predicted_score, scored_at, converted (within the window),
    deal_size and days_to_close (null unless converted within the window)."""
    matured: pl.DataFrame
    """All leads whose window has passed, by their first score, whether their outcome is known or not."""
    predictions: int
    scored: int
    """Leads with at least one prediction (per version when versions are kept apart)."""
    immature: int
    """Scored too recently: their window has not passed, so they count neither as won nor as lost."""
    silent: int
    """Matured, and no outcome was ever reported."""
    decided_before: int
    """Their outcome came before the score: the score cannot have foreseen it, so they are left out."""
    late: int
    """Their outcome came after the window; at its end they had not converted, and that is what counts."""


def match(
    predictions: pl.DataFrame,
    outcomes: pl.DataFrame,
    rules: OutcomeRules,
    now: datetime,
    *,
    by_version: bool = False,
) -> Matched:
    """Join each lead's first score to its last reported outcome.

    ``predictions`` has lead_id, scored_at, model_version, predicted_score, segment; ``outcomes`` has one row a lead
    with converted, deal_size, days_to_close, outcome_at. A lead counts once, by its first prediction (once for each
    version with ``by_version``), so that a lead scored ten times weighs no more than another. Only leads whose
    window has passed by ``now`` count: an early conversion is known before an early loss is, and counting it would
    flatter the scores.
    """
    window = timedelta(days=rules.window_days)
    keys = ["lead_id", "model_version"] if by_version else ["lead_id"]
    first = predictions.sort("scored_at", maintain_order=True).unique(keys, keep="first", maintain_order=True)
    matured = first.filter(pl.col("scored_at") + window <= now)
    joined = matured.join(outcomes, on="lead_id", how="left", maintain_order="left")
    silent = joined.filter(pl.col("outcome_at").is_null())
    known = joined.filter(pl.col("outcome_at").is_not_null())
    after = known.filter(pl.col("outcome_at") >= pl.col("scored_at"))
    in_window = pl.col("outcome_at") <= pl.col("scored_at") + window
    counted = pl.concat([after, silent]) if rules.silence_means == "not_converted" else after
    won = (pl.col("converted") & in_window).fill_null(value=False)
    return Matched(
        leads=counted.with_columns(
            converted=won,
            deal_size=pl.when(won).then("deal_size"),
            days_to_close=pl.when(won).then("days_to_close"),
        ).drop("outcome_at"),
        matured=matured,
        predictions=predictions.height,
        scored=first.height,
        immature=first.height - matured.height,
        silent=silent.height,
        decided_before=known.height - after.height,
        late=after.filter(~in_window).height,
    )
