"""The two sides of a canary or an A/B test, counted and compared (quiet).

Everything rests on leads whose horizon has passed, on both sides alike: a version that only changes when leads convert
would otherwise look better or worse than it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.leads.rollout_rules import ExperimentRules
from leadgate.records import Interval
from leadgate.rollout.evidence import (
    ExperimentEvidence,
    Figure,
    MarginEvidence,
    PlannedTest,
    SegmentEvidence,
    Side,
)
from leadgate.stats.amounts import NonInferiority, compare_amounts
from leadgate.stats.auc import auc_interval
from leadgate.stats.experiments import Arm, adjusted_difference, compare_arms, sample_ratio
from leadgate.stats.multiplicity import compare_segments
from leadgate.stats.sequential import MIN_CONVERSIONS, harm_bound, sequence_interval
from leadgate.stats.survival import log_rank, slower

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


def with_outcomes(
    leads: pl.DataFrame, outcomes: pl.DataFrame, now: datetime, horizon_days: float, *, silence_is_loss: bool
) -> pl.DataFrame:
    """Join first scores to last outcomes.

    ``leads`` has lead_id and scored_at, among others; ``outcomes`` one row a lead with converted, deal_size,
    days_to_close, outcome_at. Adds: matured (the horizon has passed by ``now`` and the outcome, if any, came after the
    score), won (converted within the horizon; null unless matured with an outcome), deal_size and days (null unless
    won; days from the score to the outcome).
    """
    horizon = timedelta(days=horizon_days)
    joined = leads.join(outcomes, on="lead_id", how="left", maintain_order="left")
    before = (pl.col("outcome_at") < pl.col("scored_at")).fill_null(value=False)
    passed = (pl.col("scored_at") + horizon <= now) & ~before
    in_time = pl.col("converted") & (pl.col("outcome_at") <= pl.col("scored_at") + horizon)
    won = pl.when(pl.col("outcome_at").is_not_null() | pl.lit(silence_is_loss)).then(in_time.fill_null(value=False))
    return (
        joined.with_columns(matured=passed)
        .with_columns(won=pl.when("matured").then(won))
        .with_columns(
            deal_size=pl.when("won").then("deal_size"),
            days=pl.when("won").then((pl.col("outcome_at") - pl.col("scored_at")).dt.total_seconds() / 86_400),
        )
        .drop("outcome_at", "days_to_close", "converted")
    )


def analyse(
    leads: pl.DataFrame,
    rules: ExperimentRules,
    *,
    planned: int,
    share: float,
    left_out: int,
    segments: tuple[str, ...],
    rng: np.random.Generator,
) -> ExperimentEvidence:
    """Compare the sides.

    ``leads`` is what ``with_outcomes`` gives of the leads first exposed in the stage, with the columns variant,
    priority, champion_score, challenger_score (null where it was not scored) and one for each of ``segments``.
    """
    control, treatment = (leads.filter(pl.col("variant") == name) for name in ("champion", "challenger"))
    a, b = _known(control), _known(treatment)
    sides = _side(control, a), _side(treatment, b)
    difference = difference_of((_won(a), _won(b)), _covariate(a, b) if rules.cuped else None)
    sequence, harm = looks_of(difference, sides, planned, rules)
    return ExperimentEvidence(
        control=sides[0],
        treatment=sides[1],
        left_out=left_out,
        planned=planned,
        share=share,
        ratio_p=sample_ratio(control.height, treatment.height, share).p_value if leads.height else 1.0,
        difference=difference.value if difference else None,
        variance=difference.variance if difference else None,
        reduction=difference.reduction if difference else 0.0,
        sequence=sequence,
        harm=harm,
        harm_threshold=float(np.log(1 / rules.harm_alpha)),
        test=_planned_test(a, b, planned),
        deal_size=_deal_size(a, b, rules, rng),
        days_to_close=_days(a, b, rules),
        slower_p=_log_rank(a, b),
        segments=_segments(leads, segments, rules),
        auc=_auc(pl.concat([a, b])),
    )


def _known(side: pl.DataFrame) -> pl.DataFrame:
    """Matured leads with an outcome, in the order of their first score."""
    return side.filter(pl.col("matured") & pl.col("won").is_not_null()).sort("scored_at", "lead_id")


def _side(side: pl.DataFrame, known: pl.DataFrame) -> Side:
    return Side(
        exposed=side.height,
        matured=known.height,
        conversions=int(known["won"].sum()),
        silent=int(side["matured"].sum()) - known.height,
        high=int((side["priority"] == "high").sum()),
    )


def _won(known: pl.DataFrame) -> Flags:
    return known["won"].to_numpy().astype(bool)


def _covariate(a: pl.DataFrame, b: pl.DataFrame) -> tuple[Values, Values] | None:
    """The champion's scores; None where a lead has none, since leaving it out would choose among the leads."""
    if a["champion_score"].null_count() or b["champion_score"].null_count():
        return None
    return a["champion_score"].to_numpy(), b["champion_score"].to_numpy()


def _arm(known: pl.DataFrame) -> Arm:
    return Arm(leads=known.height, conversions=int(known["won"].sum()))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of the conversion rates, challenger minus champion."""

    value: float
    variance: float
    """Of the estimate."""
    reduction: float
    """Share of the variance that the champion's score took out."""


def difference_of(won: tuple[Flags, Flags], score: tuple[Values, Values] | None) -> Difference | None:
    """The difference between champion's and challenger's matured leads; None while it is too early for an interval.

    ``won`` and ``score`` are of the two sides, each of shape (leads of the side,); ``score`` is the champion's, known
    before the exposure, and takes variance out (CUPED).
    """
    conversions = sum(int(side.sum()) for side in won)
    if conversions < MIN_CONVERSIONS or min(len(side) for side in won) <= 1:
        return None
    if score is not None:
        found = adjusted_difference(won[0], score[0], won[1], score[1])
        return Difference(value=found.difference, variance=found.variance, reduction=found.reduction)
    rates = [float(side.mean()) for side in won]
    variance = sum(rate * (1 - rate) / len(side) for rate, side in zip(rates, won, strict=True))
    return Difference(value=rates[1] - rates[0], variance=variance, reduction=0.0)


def looks_of(
    difference: Difference | None, sides: tuple[Side, Side], planned: int, rules: ExperimentRules
) -> tuple[Interval | None, float | None]:
    """The confidence sequence of the difference, and the evidence of harm: valid at every look."""
    if difference is None or difference.variance <= 0 or not sides[0].rate:
        return None, None
    leads = min(side.matured for side in sides)
    margin = rules.harm_margin * sides[0].rate
    return (
        sequence_interval(difference.value, difference.variance, leads, planned, rules.alpha),
        harm_bound(difference.value, difference.variance, margin, rules.harm_alpha).evidence,
    )


def _planned_test(a: pl.DataFrame, b: pl.DataFrame, planned: int) -> PlannedTest | None:
    """On the first leads of each side, so that a later look finds the same."""
    if min(a.height, b.height) < planned:
        return None
    arms = _arm(a.head(planned)), _arm(b.head(planned))
    found = compare_arms(*arms)
    return PlannedTest(
        control_conversions=arms[0].conversions,
        treatment_conversions=arms[1].conversions,
        leads=planned,
        p_value=found.p_value,
        lift=found.lift,
        interval=found.lift_interval,
    )


def _deal_size(a: pl.DataFrame, b: pl.DataFrame, rules: ExperimentRules, rng: np.random.Generator) -> MarginEvidence:
    sizes = [frame["deal_size"].drop_nulls().to_numpy() for frame in (a, b)]
    found = compare_amounts(sizes[0], sizes[1], rules.deal_size_margin or 0.0, rng)
    return _margin(found.non_inferiority)


def _days(a: pl.DataFrame, b: pl.DataFrame, rules: ExperimentRules) -> MarginEvidence:
    return _margin(slower(*_times(a), *_times(b), rules.days_to_close_margin or 0.0))


def _margin(found: NonInferiority) -> MarginEvidence:
    return MarginEvidence(change=found.change, interval=found.interval, verdict=found.verdict, leads=found.leads)


def _log_rank(a: pl.DataFrame, b: pl.DataFrame) -> float | None:
    if not a["won"].any() or not b["won"].any():
        return None
    return log_rank(*_times(a), *_times(b)).p_value


def _times(known: pl.DataFrame) -> tuple[Values, Flags]:
    """Days to conversion and whether there was one; a lead without one was watched to the end of the horizon."""
    longest = known["days"].max()
    watched = float(longest) if isinstance(longest, float) else 1.0
    return known["days"].fill_null(watched).to_numpy(), _won(known)


def _segments(leads: pl.DataFrame, segments: tuple[str, ...], rules: ExperimentRules) -> tuple[SegmentEvidence, ...]:
    sides: dict[str, tuple[Side, Side]] = {}
    for feature in segments:
        for (value,), part in (
            leads.with_columns(pl.col(feature).fill_null("(missing)")).partition_by(feature, as_dict=True).items()
        ):
            both = [part.filter(pl.col("variant") == name) for name in ("champion", "challenger")]
            sides[f"{feature} = {value}"] = (_side(both[0], _known(both[0])), _side(both[1], _known(both[1])))
    arms: Mapping[str, tuple[Arm, Arm]] = {name: (_of(pair[0]), _of(pair[1])) for name, pair in sorted(sides.items())}
    return tuple(
        SegmentEvidence(
            segment=found.name,
            control=sides[found.name][0],
            treatment=sides[found.name][1],
            lift=found.two_arms.lift,
            p_value=found.adjusted_p,
            harmed=found.harmed,
        )
        for found in compare_segments(arms, q=rules.alpha)
    )


def _of(side: Side) -> Arm:
    return Arm(leads=side.matured, conversions=side.conversions)


def _auc(known: pl.DataFrame) -> Figure | None:
    scored = known.filter(pl.col("challenger_score").is_not_null())
    won = _won(scored)
    if not won.any() or won.all():
        return None
    found = auc_interval(won, scored["challenger_score"].to_numpy())
    return Figure(value=found.value, interval=found.interval)
