"""Counting the two sides: who counts, for which side, and when."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2_contingency
from statsmodels.duration.survfunc import survdiff

from leadgate.leads.rollout_rules import ExperimentRules
from leadgate.rollout.comparing import compare_scores, matching_threshold, paired_quality
from leadgate.rollout.evidence import ExperimentEvidence
from leadgate.rollout.experiment import Trial, analyse, difference_of, harm_alpha, with_outcomes
from leadgate.stats.experiments import sums_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HORIZON = 14.0


def leads_of(days_ago: list[float], **columns: list[object]) -> pl.DataFrame:
    """First scores, so many days ago."""
    n = len(days_ago)
    at = [NOW - timedelta(days=d) for d in days_ago]
    given = {
        "lead_id": [f"L{i}" for i in range(n)],
        "scored_at": at,
        "variant": ["champion", "challenger"] * (n // 2) + ["champion"] * (n % 2),
        "priority": pl.Series(["low"] * n, dtype=pl.String),
        "contacted": pl.Series([False] * n, dtype=pl.Boolean),
        "champion_score": [0.3] * n,
        "challenger_score": [0.4] * n,
        **columns,
    }
    return pl.DataFrame(
        given, schema_overrides={"scored_at": pl.Datetime("us", "UTC"), "lead_id": pl.String(), "variant": pl.String()}
    )


def outcomes_of(rows: dict[str, tuple[bool, float]]) -> pl.DataFrame:
    """Outcomes by lead: whether it converted, and how many days ago that was known."""
    return pl.DataFrame(
        {
            "lead_id": list(rows),
            "converted": [won for won, _ in rows.values()],
            "deal_size": [1_000.0 if won else None for won, _ in rows.values()],
            "days_to_close": [None for _ in rows],
            "outcome_at": [NOW - timedelta(days=ago) for _, ago in rows.values()],
        },
        schema={
            "lead_id": pl.String(),
            "converted": pl.Boolean(),
            "deal_size": pl.Float64(),
            "days_to_close": pl.Float64(),
            "outcome_at": pl.Datetime("us", "UTC"),
        },
    )


def test_a_lead_counts_once_its_horizon_has_passed_and_not_before() -> None:
    """An early win of a young lead is known before its losses are: it must not count yet."""
    leads = leads_of([20, 20, 5, 20, 20])
    outcomes = outcomes_of({"L0": (True, 15), "L1": (False, 10), "L2": (True, 1), "L3": (True, 2), "L4": (True, 30)})
    found = with_outcomes(leads, outcomes, NOW, HORIZON, silence_is_loss=False)
    assert found["won"].to_list() == [True, False, None, False, None]  # L3 came after the horizon, L4 before the score
    assert found["matured"].to_list() == [True, True, False, True, False]


def test_silence_is_a_loss_only_where_the_settings_say_so() -> None:
    """A CRM that reports only wins."""
    leads, nothing = leads_of([20, 5]), outcomes_of({})
    assert with_outcomes(leads, nothing, NOW, HORIZON, silence_is_loss=False)["won"].to_list() == [None, None]
    assert with_outcomes(leads, nothing, NOW, HORIZON, silence_is_loss=True)["won"].to_list() == [False, None]


def many(n: int, rates: tuple[float, float], days: tuple[float, float], rng: np.random.Generator) -> pl.DataFrame:
    """Leads of the last sixty days; each side converts at its rate, after exponential days."""
    ago = rng.uniform(0, 60, n)
    side = rng.random(n) < 0.5
    leads = leads_of(ago.tolist(), variant=np.where(side, "challenger", "champion").tolist())
    won = rng.random(n) < np.where(side, rates[1], rates[0])
    took = rng.exponential(np.where(side, days[1], days[0]))
    known = {f"L{i}": (bool(won[i]), float(ago[i] - took[i])) for i in range(n) if not won[i] or ago[i] > took[i]}
    return with_outcomes(leads, outcomes_of(known), NOW, HORIZON, silence_is_loss=True)


def analysed(leads: pl.DataFrame, planned: int = 5_000, **changes: object) -> ExperimentEvidence:
    """The analysis with the default rules."""
    rules = ExperimentRules.model_validate(changes)
    return analyse(leads, rules, Trial(planned=planned, share=0.5, horizon_days=HORIZON), np.random.default_rng(1))


def test_a_version_that_only_speeds_leads_up_shows_no_lift_at_an_equal_rate_within_the_horizon() -> None:
    """Half the days to convert, 4 against 8: what is true within 14 days is 97 % against 83 % of the final rate.

    Counted as the conversions come in, it would look far better than that.
    """
    leads = many(40_000, (0.3, 0.3), (8.0, 4.0), np.random.default_rng(5))
    found = analysed(leads)
    expected = (1 - np.exp(-HORIZON / 4)) / (1 - np.exp(-HORIZON / 8))
    assert found.treatment.rate / found.control.rate == pytest.approx(expected, abs=0.04)


def test_both_sides_wait_for_the_same_horizon() -> None:
    """Only leads older than the horizon are matured, on either side: 46 of 60 days."""
    leads = many(20_000, (0.2, 0.2), (5.0, 5.0), np.random.default_rng(6))
    found = analysed(leads)
    for side in (found.control, found.treatment):
        assert side.matured / side.exposed == pytest.approx(46 / 60, abs=0.015)


def test_the_planned_test_rests_on_the_first_leads_and_is_the_same_at_a_later_look() -> None:
    """More leads after the planned size change the sequence, and not the test."""
    rng = np.random.default_rng(7)
    leads = many(30_000, (0.2, 0.22), (3.0, 3.0), rng)
    cut = leads.filter(pl.col("scored_at") < NOW - timedelta(days=30))
    early, late = analysed(cut, planned=4_000), analysed(leads, planned=4_000)
    assert early.test is not None
    assert early.test == late.test
    assert early.treatment.matured < late.treatment.matured
    assert analysed(cut, planned=400_000).test is None


def test_the_champions_score_takes_variance_out_and_leaves_the_difference() -> None:
    """A covariate that explains a share R2 of the outcomes' variance leaves 1 - R2 of it (Deng and others, 2013)."""
    rng = np.random.default_rng(8)
    n = 20_000
    chance = [rng.beta(1, 4, n) for _ in range(2)]
    won = [rng.random(n) < p for p in chance]
    plain = difference_of((sums_of(won[0]), sums_of(won[1])))
    adjusted = difference_of((sums_of(won[0], chance[0]), sums_of(won[1], chance[1])))
    assert plain is not None
    assert adjusted is not None
    explained = np.corrcoef(np.concatenate(won), np.concatenate(chance))[0, 1] ** 2
    assert adjusted.variance / plain.variance == pytest.approx(1 - explained, rel=0.02)
    assert adjusted.value == pytest.approx(plain.value, abs=4 * plain.variance**0.5)


def test_too_few_conversions_give_no_interval() -> None:
    """With three conversions nothing is said."""
    leads = leads_of([20.0] * 40)
    outcomes = outcomes_of({f"L{i}": (i < 3, 15) for i in range(40)})
    found = analysed(with_outcomes(leads, outcomes, NOW, HORIZON, silence_is_loss=False))
    assert (found.sequence, found.harm, found.difference) == (None, None, None)
    assert (found.control.conversions, found.treatment.conversions) == (2, 1)


def test_silence_on_one_side_shows() -> None:
    """Half of one side's losses are never told: 2 x 2 table of silent leads by side, p by scipy's chi-square."""
    rng = np.random.default_rng(11)
    n = 4_000
    side = rng.random(n) < 0.5
    won = rng.random(n) < 0.2
    told = won | ~side | (rng.random(n) < 0.5)
    leads = leads_of([20.0] * n, variant=np.where(side, "challenger", "champion").tolist())
    outcomes = outcomes_of({f"L{i}": (bool(won[i]), 15) for i in range(n) if told[i]})
    found = analysed(with_outcomes(leads, outcomes, NOW, HORIZON, silence_is_loss=False))
    table = [[int((~told[side == s]).sum()), int(told[side == s].sum())] for s in (False, True)]
    assert found.treatment.silent == table[1][0]
    assert found.silent_p == pytest.approx(chi2_contingency(table, correction=False).pvalue)
    assert found.silent_p < 1e-9


def test_a_test_that_was_made_stays_as_it_was() -> None:
    """A correction that comes later changes the rates that are shown, and not the verdict at the planned size."""
    leads = many(30_000, (0.2, 0.22), (3.0, 3.0), np.random.default_rng(7))
    first = analysed(leads, planned=4_000).test
    assert first is not None
    corrected = leads.with_columns(
        won=pl.when(pl.col("variant") == "challenger").then(pl.lit(value=False)).otherwise("won")
    )
    trial = Trial(planned=4_000, share=0.5, horizon_days=HORIZON, test=first)
    found = analyse(corrected, ExperimentRules(), trial, np.random.default_rng(1))
    assert found.test == first
    assert found.treatment.conversions == 0


def test_a_pace_is_compared_over_the_whole_horizon() -> None:
    """Leads that did not convert were watched for 14 days on both sides: log-rank by statsmodels on that."""
    rng = np.random.default_rng(12)
    leads = many(6_000, (0.4, 0.4), (6.0, 2.0), rng)
    found = analysed(leads)
    known = leads.filter(pl.col("matured"))
    days = known["days"].fill_null(HORIZON).to_numpy()
    _, expected = survdiff(days, known["won"].to_numpy().astype(int), (known["variant"] == "challenger").to_numpy())
    assert found.slower_p == pytest.approx(expected)


def test_canary_and_test_share_the_probability_of_a_false_alarm() -> None:
    """A quarter and three quarters of it: together no more than was allowed (Bonferroni)."""
    rules = ExperimentRules()
    parts = [harm_alpha(rules, canary=canary) for canary in (True, False)]
    assert sum(parts) == pytest.approx(rules.harm_alpha)
    empty = with_outcomes(leads_of([]), outcomes_of({}), NOW, HORIZON, silence_is_loss=False)
    for canary, part in zip((True, False), parts, strict=True):
        trial = Trial(planned=10, share=0.5, horizon_days=HORIZON, canary=canary)
        found = analyse(empty, rules, trial, np.random.default_rng(1))
        assert np.exp(-found.harm_threshold) == pytest.approx(part)


def test_no_leads_at_all_are_no_crash() -> None:
    """The first minute of a stage."""
    empty = with_outcomes(leads_of([]), outcomes_of({}), NOW, HORIZON, silence_is_loss=False)
    found = analysed(empty)
    assert (found.control.exposed, found.ratio_p, found.test) == (0, 1.0, None)


def test_matched_thresholds_mark_the_same_share_high() -> None:
    """Whatever a version's scale: the share above its threshold is the champion's, to one lead."""
    rng = np.random.default_rng(9)
    old = rng.beta(2, 5, 5_000)
    new = old**0.3  # the same order, scores far higher
    cut = matching_threshold(old, new, 0.5)
    assert (new > 0.5).mean() > 3 * (old > 0.5).mean()
    assert abs(int((new > cut).sum()) - int((old > 0.5).sum())) <= 1


def test_scores_are_compared_lead_by_lead() -> None:
    """A hand calculation on five leads: the top two of each have one in common, one of two high ones is lost."""
    leads = leads_of(
        [1.0] * 5,
        champion_score=[0.9, 0.8, 0.3, 0.2, 0.1],
        challenger_score=[0.95, 0.4, 0.75, 0.2, 0.1],
    )
    found = compare_scores(leads, 0.7, 0.4, 0.4)
    assert found is not None
    assert found.overlap == 0.5
    assert found.churn == 0.5
    assert found.mean_delta == pytest.approx((0.05 - 0.4 + 0.45) / 5)
    assert [w.lead_id for w in found.worst[:2]] == ["L2", "L1"]
    assert found.agreement == pytest.approx(0.9)  # ranks 1 2 3 4 5 against 1 3 2 4 5: 1 - 6 * 2 / (5 * 24)


def test_paired_quality_needs_both_scores_and_a_matured_outcome() -> None:
    """Leads that only one version scored are no pair."""
    leads = leads_of([20.0] * 6, challenger_score=[0.4, None, 0.4, 0.4, 0.4, 0.4])
    outcomes = outcomes_of({f"L{i}": (i % 2 == 0, 15) for i in range(5)})
    joined = with_outcomes(leads, outcomes, NOW, HORIZON, silence_is_loss=False)
    found = paired_quality(joined, 0.5, 0.5, np.random.default_rng(1))
    assert found is not None
    assert (found.leads, found.conversions) == (4, 3)


def test_revenue_counts_every_matured_lead_those_that_paid_nothing_too() -> None:
    """A mean over won leads alone would hide that fewer of them are won; leads still open are not counted."""
    leads = leads_of([30.0] * 8 + [2.0, 2.0])
    outcomes = outcomes_of({f"L{i}": (i in (0, 1, 3), 20.0) for i in range(8)})
    found = analyse(
        with_outcomes(leads, outcomes, NOW, HORIZON, silence_is_loss=True),
        ExperimentRules(),
        Trial(planned=10, share=0.5, horizon_days=HORIZON),
        np.random.default_rng(1),
    )
    assert found.control_revenue is not None
    assert found.treatment_revenue is not None
    # One of four paid 1,000 against two of four: means 250 and 500, variances of (1000, 0, 0, 0), (1000, 1000, 0, 0).
    assert found.control_revenue.mean == pytest.approx(250)
    assert found.control_revenue.variance == pytest.approx(250_000)
    assert found.treatment_revenue.mean == pytest.approx(500)
    assert found.treatment_revenue.variance == pytest.approx(1_000_000 / 3)


def test_where_nobody_reports_deal_sizes_there_is_no_revenue() -> None:
    """A revenue of 0 with an interval of 0 to 0 would be a lie."""
    outcomes = outcomes_of({f"L{i}": (i < 4, 20.0) for i in range(8)}).with_columns(deal_size=pl.lit(None, pl.Float64))
    found = analyse(
        with_outcomes(leads_of([30.0] * 8), outcomes, NOW, HORIZON, silence_is_loss=True),
        ExperimentRules(),
        Trial(planned=10, share=0.5, horizon_days=HORIZON),
        np.random.default_rng(1),
    )
    assert found.control_revenue is None
    assert found.treatment_revenue is None
