"""The two sides of a canary or an A/B test, counted and compared (quiet).

Everything rests on leads whose horizon has passed, on both sides alike: a version that only changes when leads convert
would otherwise look better or worse than it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    Revenue,
    SegmentEvidence,
    Side,
    SustainedEvidence,
)
from leadgate.stats.amounts import AmountComparison, NonInferiority, compare_amounts
from leadgate.stats.auc import auc_interval
from leadgate.stats.experiments import Arm, Sums, adjusted_difference, compare_arms, sample_ratio, sums_of
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


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What an analysis is told beside the leads and the rules."""

    planned: int
    """Leads a side."""
    share: float
    """Of the leads that the challenger should have."""
    horizon_days: float
    left_out: int = 0
    """Leads of the stage that had been scored before it."""
    segments: Mapping[str, str] = field(default_factory=dict)
    """Features that the sides are broken down by, with the column that each one is in."""
    canary: bool = False
    """Whether it is the canary, not the A/B test."""
    test: PlannedTest | None = None
    """The planned test, where an earlier look made it: outcomes that come late or are corrected do not make another."""


CANARY_PART = 0.25
"""Of the probability of a false alarm for harm, the part that the canary's looks may use up; the A/B test has the
rest, so that both together keep to it (Bonferroni)."""


def harm_alpha(rules: ExperimentRules, *, canary: bool) -> float:
    """The probability of a false alarm for harm over all looks of a stage."""
    return rules.harm_alpha * (CANARY_PART if canary else 1 - CANARY_PART)


def analyse(leads: pl.DataFrame, rules: ExperimentRules, trial: Trial, rng: np.random.Generator) -> ExperimentEvidence:
    """Compare the sides.

    ``leads`` is what ``with_outcomes`` gives of the leads first exposed in the stage, with the columns variant,
    priority, contacted (flag), champion_score, challenger_score (null where it was not scored) and one for each of the
    trial's segments.
    """
    control, treatment = (leads.filter(pl.col("variant") == name) for name in ("champion", "challenger"))
    a, b = _known(control), _known(treatment)
    sides = _side(control, a), _side(treatment, b)
    difference = difference_of(_sums(a, b, adjusted=rules.cuped))
    alpha = harm_alpha(rules, canary=trial.canary)
    sequence, harm = looks_of(difference, sides, trial.planned, rules, alpha)
    deals = _deal_size(a, b, rules, rng)
    revenues = _revenues(a, b)
    return ExperimentEvidence(
        control=sides[0],
        treatment=sides[1],
        left_out=trial.left_out,
        planned=trial.planned,
        share=trial.share,
        ratio_p=sample_ratio(control.height, treatment.height, trial.share).p_value if leads.height else 1.0,
        difference=difference.value if difference else None,
        variance=difference.variance if difference else None,
        reduction=difference.reduction if difference else 0.0,
        sequence=sequence,
        harm=harm,
        harm_threshold=float(np.log(1 / alpha)),
        test=trial.test or _planned_test(a, b, trial.planned),
        silent_p=_silent_p(sides),
        deal_size=_margin(deals.non_inferiority),
        deal_size_ratio=deals.geometric,
        deal_size_p=deals.p_value,
        days_to_close=_days(a, b, rules, trial.horizon_days),
        slower_p=_log_rank(a, b, trial.horizon_days),
        segments=_segments(leads, trial.segments, rules),
        auc=_auc(pl.concat([a, b])),
        control_revenue=revenues[0],
        treatment_revenue=revenues[1],
    )


def sustain(before: pl.DataFrame, now: pl.DataFrame) -> SustainedEvidence:
    """The leads of stage full against those of the champion's side of the A/B test; frames as for ``analyse``."""
    known = _known(before), _known(now)
    found = compare_arms(_arm(known[0]), _arm(known[1]))
    return SustainedEvidence(
        before=_side(before, known[0]),
        now=_side(now, known[1]),
        change=found.lift,
        interval=found.lift_interval,
        auc=_auc(known[1]),
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
        contacted=int(side["contacted"].sum()),
    )


def _silent_p(sides: tuple[Side, Side]) -> float:
    arms = [Arm(leads=side.silent + side.matured, conversions=side.silent) for side in sides]
    return compare_arms(arms[0], arms[1]).p_value


def _won(known: pl.DataFrame) -> Flags:
    return known["won"].to_numpy().astype(bool)


def _sums(a: pl.DataFrame, b: pl.DataFrame, *, adjusted: bool) -> tuple[Sums, Sums]:
    """With the champion's scores, unless a lead has none, since leaving it out would choose among the leads."""
    if not adjusted or a["champion_score"].null_count() or b["champion_score"].null_count():
        return sums_of(_won(a)), sums_of(_won(b))
    return sums_of(_won(a), a["champion_score"].to_numpy()), sums_of(_won(b), b["champion_score"].to_numpy())


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


def difference_of(sides: tuple[Sums, Sums]) -> Difference | None:
    """The difference between champion's and challenger's matured leads; None while it is too early for an interval.

    The scores are the champion's, known before the exposure; they take variance out (CUPED).
    """
    if sum(side.won for side in sides) < MIN_CONVERSIONS or min(side.leads for side in sides) <= 1:
        return None
    found = adjusted_difference(*sides)
    return Difference(value=found.difference, variance=found.variance, reduction=found.reduction)


def looks_of(
    difference: Difference | None, sides: tuple[Side, Side], planned: int, rules: ExperimentRules, alpha: float
) -> tuple[Interval | None, float | None]:
    """The confidence sequence of the difference, and the evidence of harm: valid at every look.

    ``alpha`` is the probability of a false alarm for harm over all looks.
    """
    if difference is None or difference.variance <= 0 or not sides[0].rate:
        return None, None
    leads = min(side.matured for side in sides)
    margin = rules.harm_margin * sides[0].rate
    return (
        sequence_interval(difference.value, difference.variance, leads, planned, rules.alpha),
        harm_bound(difference.value, difference.variance, margin, alpha).evidence,
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


def _deal_size(a: pl.DataFrame, b: pl.DataFrame, rules: ExperimentRules, rng: np.random.Generator) -> AmountComparison:
    sizes = [frame["deal_size"].drop_nulls().to_numpy() for frame in (a, b)]
    return compare_amounts(sizes[0], sizes[1], rules.deal_size_margin or 0.0, rng)


def _revenues(a: pl.DataFrame, b: pl.DataFrame) -> tuple[Revenue | None, Revenue | None]:
    """What the known leads of each side paid; None where nobody reports deal sizes, or a side has no variance yet."""
    if min(a.height, b.height) <= 1 or not any(side["deal_size"].count() for side in (a, b)):
        return None, None
    return _revenue(a), _revenue(b)


def _revenue(known: pl.DataFrame) -> Revenue:
    sizes = known["deal_size"].fill_null(0.0).to_numpy()
    return Revenue(mean=float(sizes.mean()), variance=float(sizes.var(ddof=1)))


def _days(a: pl.DataFrame, b: pl.DataFrame, rules: ExperimentRules, horizon: float) -> MarginEvidence:
    return _margin(slower(*_times(a, horizon), *_times(b, horizon), rules.days_to_close_margin or 0.0))


def _margin(found: NonInferiority) -> MarginEvidence:
    return MarginEvidence(change=found.change, interval=found.interval, verdict=found.verdict, leads=found.leads)


def _log_rank(a: pl.DataFrame, b: pl.DataFrame, horizon: float) -> float | None:
    if not a["won"].any() or not b["won"].any():
        return None
    return log_rank(*_times(a, horizon), *_times(b, horizon)).p_value


def _times(known: pl.DataFrame, horizon: float) -> tuple[Values, Flags]:
    """Days to conversion and whether there was one; a lead without one was watched to the end of the horizon."""
    return known["days"].fill_null(horizon).to_numpy(), _won(known)


def _segments(leads: pl.DataFrame, segments: Mapping[str, str], rules: ExperimentRules) -> tuple[SegmentEvidence, ...]:
    sides: dict[str, tuple[Side, Side]] = {}
    for feature, column in segments.items():
        for (value,), part in (
            leads.with_columns(pl.col(column).fill_null("(missing)")).partition_by(column, as_dict=True).items()
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
