"""The world keeps its promises: who is ranked better sells more, and nobody hears of it too early."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats
from sklearn.metrics import roc_auc_score

from leadgate.simulator.drift import Drift
from leadgate.simulator.team import Team, capacity_on
from leadgate.simulator.world import BrokenSegment, LostOutcomes, World, begin, draw_leads, expected_leads, live_day

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WORLD = World()
CROWD = World(leads_a_day=900, team=Team(capacity=270))
"""The same with three times the leads, so that three weeks say as much as nine."""
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Model:
    """Knows the true logit, save for noise; its spread is that of the truth whatever the noise is."""

    noise: float = 0.0
    """Standard deviation, in logits."""
    inflated: float = 0.0
    own: int = 0
    """Another number, other noise."""

    def score(self, probability: Values, rng: np.random.Generator) -> Values:
        centre, spread = -2.04, 1.96
        away = np.log(probability / (1 - probability)) - centre + self.noise * rng.standard_normal(len(probability))
        shrunk = centre + away * spread / np.hypot(spread, self.noise)
        return np.asarray(1 / (1 + np.exp(-shrunk - self.inflated)))


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What came of some weeks, one row a lead, a contact, an outcome."""

    leads: pl.DataFrame
    contacts: pl.DataFrame
    outcomes: pl.DataFrame
    """With reported_on, the end of the day of the report."""

    def rate(self, variant: str) -> float:
        """Conversions over reported leads."""
        return share(self.known.filter(variant=variant)["converted"])

    @property
    def known(self) -> pl.DataFrame:
        return self.leads.join(self.outcomes, on="lead_id")


def live(world: World, days: int, seed: int, champion: Model, challenger: Model | None = None) -> Lived:
    """Live some weeks; the models' noise and the split have generators of their own, so that the leads are the same."""
    rng, noise = np.random.default_rng(seed), np.random.default_rng([seed, 1, champion.own])
    state = begin(MONDAY)
    leads, contacts, outcomes = [], [], []
    for _ in range(days):
        drawn = draw_leads(world, state, rng)
        p = drawn.fate["probability"].to_numpy()
        side = noise.random(len(p)) < (0 if challenger is None else 0.5)
        first, second = (model.score(p, noise) for model in (champion, challenger or champion))
        score = np.where(side, second, first)
        answers = pl.DataFrame(
            {
                "lead_id": drawn.frame["lead_id"],
                "priority": np.select([score > 0.7, score > 0.4], ["high", "medium"], "low"),
                "predicted_score": score,
                "variant": np.where(side, "challenger", "champion"),
                "challenged": side,
            }
        )
        lived = live_day(world, state, drawn, answers)
        state = lived.state
        leads.append(
            drawn.frame.join(answers, on="lead_id").join(drawn.fate.drop("arrived_at", "deal_size"), on="lead_id")
        )
        contacts.append(lived.contacts)
        outcomes.append(lived.reported.with_columns(reported_on=pl.lit(state.midnight, pl.Datetime("us", "UTC"))))
    return Lived(leads=pl.concat(leads), contacts=pl.concat(contacts), outcomes=pl.concat(outcomes))


def sold(world: World, seed: int, model: Model) -> int:
    """Conversions reported in three weeks by a world that has one model only."""
    return int(live(world, 21, seed, model).outcomes["converted"].sum())


def share(true: pl.Series) -> float:
    """Of the rows for which it holds."""
    return float(true.to_numpy().mean())


def lift(lived: Lived) -> float:
    """Of the challenger's conversion rate over the champion's."""
    return lived.rate("challenger") / lived.rate("champion") - 1


def interval(values: list[float]) -> tuple[float, float]:
    """99.9 % of the mean, by Student's t."""
    low, high = stats.t.interval(0.999, len(values) - 1, np.mean(values), stats.sem(values))
    return float(low), float(high)


@pytest.mark.parametrize("order", ("arrival", "score"))
def test_a_better_ranking_sells_more_to_the_same_leads(order: str) -> None:
    """Eight pairs of worlds with the same leads and the same luck: the 99.9 % interval of the gain is above 5 %."""
    world = replace(CROWD, team=Team(capacity=270, order=order))  # type: ignore[arg-type]
    gains = [sold(world, seed, Model(noise=0.9)) / sold(world, seed, Model(noise=2.0)) - 1 for seed in range(8)]
    assert interval(gains)[0] > 0.05


def test_an_equal_ranking_sells_the_same() -> None:
    """Other noise of the same size: no gain within the 99.9 % interval of eight pairs, which is narrower than 6 %."""

    def gain(seed: int) -> float:
        # A generator of its own for the noise of the second model, of the same size.
        return sold(CROWD, seed, Model(noise=1.0)) / sold(CROWD, seed, Model(noise=1.0, own=1)) - 1

    low, high = interval([gain(seed) for seed in range(8)])
    assert low <= 0 <= high
    assert high - low < 0.06


def test_scores_that_rank_alike_sell_exactly_the_same() -> None:
    """Alone, an inflated model gains nothing and a timid one loses nothing: all luck is the lead's.

    Not one conversion more or less, where the team works by score; by arrival, it is the thresholds that matter.
    """
    world = replace(CROWD, team=Team(capacity=270, order="score"))
    assert len({sold(world, 1, Model(noise=1.0, inflated=more)) for more in (0.0, 0.8, -4.0)}) == 1


def test_an_equal_challenger_converts_equally() -> None:
    """A/A over twelve worlds: the z of the two sides' rates are standard normal, by their mean and their squares."""
    zs = []
    for seed in range(12):
        known = live(CROWD, 14, seed, Model(noise=1.5), Model(noise=1.5)).known
        won = [known.filter(variant=side)["converted"].to_numpy() for side in ("champion", "challenger")]
        rates = [own.mean() for own in won]
        pooled = known["converted"].to_numpy().mean()
        zs.append((rates[1] - rates[0]) / np.sqrt(pooled * (1 - pooled) * sum(1 / len(own) for own in won)))
    assert abs(np.mean(zs)) < 4 / np.sqrt(12)
    assert stats.chi2.cdf(np.sum(np.square(zs)), 12) < 0.999


def test_a_better_challenger_beats_the_champion_beside_it() -> None:
    """They share one team; eight worlds of three weeks: the 99.9 % interval of the lift is above 0."""
    lived = [live(CROWD, 21, seed, Model(noise=2.0), Model(noise=0.9)) for seed in range(8)]
    assert interval([lift(own) for own in lived])[0] > 0


def test_an_inflated_challenger_steals_first_contacts() -> None:
    """It ranks no better, its leads get more of the contacts, those of the champion convert less: it looks good.

    Against the same worlds with an equal challenger, the 99.9 % intervals over eight seeds exclude no change. The team
    as a whole sells less: it works one side's poor leads before the other's good ones.
    """
    equal, loud = (
        [live(CROWD, 21, seed, Model(noise=1.5), Model(noise=1.5, inflated=more)) for seed in range(8)]
        for more in (0.0, 0.8)
    )
    shares = [[share(own.contacts["variant"] == "challenger") for own in lived] for lived in (equal, loud)]
    assert interval(shares[0])[0] < 0.5 < interval(shares[0])[1]
    assert interval(shares[1])[0] > 0.53
    pairs = list(zip(equal, loud, strict=True))
    assert interval([b.rate("champion") / a.rate("champion") - 1 for a, b in pairs])[1] < 0
    assert interval([lift(b) - lift(a) for a, b in pairs])[0] > 0
    assert interval([share(b.outcomes["converted"]) / share(a.outcomes["converted"]) - 1 for a, b in pairs])[1] < 0


@pytest.fixture(scope="module")
def usual() -> Lived:
    """Ten weeks with one model."""
    return live(WORLD, 70, 3, Model(noise=1.0))


def test_contracts_take_as_long_as_the_knob_says(usual: Lived) -> None:
    """Gamma with shape 2.5 and a mean of 4 days (Kolmogorov-Smirnov), so 97 % within 10 days of the contact.

    Only leads of the first six weeks, all of whose contracts have been reported by now: late ones are not missing.
    """
    early = usual.known.filter(pl.col("converted") & (pl.col("created_at") < MONDAY + timedelta(days=42)))
    took = early["days_to_close"].to_numpy()
    assert len(took) > 1_000
    assert stats.kstest(took, stats.gamma(2.5, scale=4 / 2.5).cdf).pvalue > 0.001
    within = int((took <= 10).sum())
    assert stats.binomtest(within, len(took), stats.gamma(2.5, scale=4 / 2.5).cdf(10)).pvalue > 0.001


def test_an_outcome_window_of_fourteen_days_sees_nearly_all(usual: Lived) -> None:
    """Of the conversions at least 95 % come within 14 days of the score; every lost lead is reported by then."""
    early = usual.known.filter(pl.col("created_at") < MONDAY + timedelta(days=42))
    days = (early["outcome_at"] - early["created_at"]).dt.total_seconds().to_numpy() / 86_400
    converted = early["converted"].to_numpy()
    assert (days[converted] <= 14).mean() > 0.95
    assert (days[~converted] <= 13.001).all()
    scored = usual.leads.filter(pl.col("created_at") < MONDAY + timedelta(days=42))
    assert early.height == scored.height


def test_nothing_is_reported_before_its_time(usual: Lived) -> None:
    """Nor before the lead was there, nor twice; lost leads have no deal size."""
    known = usual.known
    assert known["lead_id"].is_unique().all()
    assert (known["outcome_at"] >= known["created_at"]).all()
    assert (known["outcome_at"] <= known["reported_on"]).all()
    assert (known["reported_on"] - known["outcome_at"]).max() <= timedelta(days=1)  # type: ignore[operator]
    assert (known["deal_size"].is_null() == ~known["converted"]).all()


def test_capacity_is_never_exceeded(usual: Lived) -> None:
    """On none of seventy days; and the team is busy on all but the first."""
    by_day = usual.contacts.group_by(pl.col("left_at").dt.date()).len().sort("left_at")
    limits = [capacity_on(WORLD.team, datetime(d.year, d.month, d.day, tzinfo=UTC)) for d in by_day["left_at"]]
    assert by_day.height == 69
    assert by_day["len"].to_list() == limits


def test_leads_convert_as_the_attention_says() -> None:
    """Leads that are worked the next morning convert with 1.2 times their probability, within four standard errors."""
    lived = live(replace(WORLD, team=Team(capacity=10_000, weekend=1.0)), 42, 4, Model(noise=1.0))
    known = lived.known.filter(pl.col("created_at") < MONDAY + timedelta(days=21))
    fresh = known.join(lived.contacts.select("lead_id", "waited_days"), on="lead_id").filter(pl.col("waited_days") <= 1)
    p = np.minimum(1.2 * fresh["probability"].to_numpy(), 1.0)
    error = np.sqrt((p * (1 - p)).sum()) / len(p)
    assert fresh["converted"].to_numpy().mean() == pytest.approx(p.mean(), abs=4 * error)


def test_weeks_and_years_have_their_seasons() -> None:
    """A Saturday has 40 % of the leads of a Friday; a year has the average asked for, and the best day is 15 % above.

    The numbers drawn are Poisson: their mean is right within four standard errors, their dispersion by chi-square.
    """
    year = np.array([expected_leads(WORLD, MONDAY + timedelta(days=day)) for day in range(364)])
    flat = replace(WORLD, season=0.0)
    assert expected_leads(flat, MONDAY + timedelta(days=5)) == pytest.approx(0.4 * expected_leads(flat, MONDAY))
    assert year.mean() == pytest.approx(300, rel=0.005)
    best, flat_best = (expected_leads(own, datetime(2026, 10, 27, tzinfo=UTC)) for own in (WORLD, flat))
    assert best == pytest.approx(1.15 * flat_best)
    rng = np.random.default_rng(6)
    counts = np.array([draw_leads(WORLD, begin(MONDAY), rng).frame.height for _ in range(200)])
    assert counts.mean() == pytest.approx(year[0], abs=4 * np.sqrt(year[0] / 200))
    assert 0.0005 < stats.chi2.cdf(((counts - year[0]) ** 2 / year[0]).sum(), 200) < 0.9995


def test_outcomes_are_lost_in_the_span_and_no_longer() -> None:
    """30 % of those due on days 20 to 29 (binomial), none before and after; the others are as they were."""
    span = LostOutcomes(share=0.3, first_day=20, until_day=30)
    whole, holed = (live(replace(WORLD, lost_outcomes=lost), 40, 7, Model()).outcomes for lost in (None, span))
    due = ((whole["reported_on"] - MONDAY).dt.total_days() - 1).to_numpy()
    lost = ~whole["lead_id"].is_in(holed["lead_id"].to_list()).to_numpy()
    inside = (due >= 20) & (due < 30)
    assert not lost[~inside].any()
    assert stats.binomtest(int(lost[inside].sum()), int(inside.sum()), 0.3).pvalue > 0.001
    assert_frame_equal(whole.filter(pl.Series(~lost)), holed)


def test_a_broken_segment_converts_less_where_the_challenger_answers() -> None:
    """With a factor of 0.4: those leads convert 0.4 times as often as in the whole world, all others as before.

    In both worlds the leads, their luck and their contacts are the same, so it holds lead by lead.
    """
    broken = BrokenSegment(feature="region", value="Western Europe", factor=0.4)
    whole, hurt = (
        live(replace(WORLD, broken_segment=segment), 42, 8, Model(noise=1.0), Model(noise=1.0))
        for segment in (None, broken)
    )
    both = whole.known.join(hurt.outcomes.select("lead_id", hurt="converted"), on="lead_id")
    hit = (pl.col("region") == "Western Europe") & (pl.col("variant") == "challenger")
    others = both.filter(~hit.fill_null(value=False))
    assert (others["converted"] == others["hurt"]).all()
    inside = both.filter(hit)
    before, after = (int(inside[name].sum()) for name in ("converted", "hurt"))
    assert stats.binomtest(after, before, 0.4).pvalue > 0.001


@pytest.mark.parametrize(
    ("drift", "falls"),
    (
        (Drift(day=28, truth=1.0), 0.15),
        (Drift(day=28, truth=0.5), 0.05),
    ),
)
def test_a_drift_of_the_truth_costs_an_old_model_its_ranking(drift: Drift, falls: float) -> None:
    """The old truth, as the model, ranks the new leads' conversions worse by as much, DeLong's error being 0.01."""
    from leadgate.simulator.truth import true_probability  # noqa: PLC0415  # the oracle of this test

    lived = live(replace(WORLD, drift=drift, team=Team(capacity=10_000, weekend=1.0)), 56, 9, Model())
    leads = lived.known.filter(pl.col("created_at") < MONDAY + timedelta(days=50)).drop_nulls(
        ["company_size", "engagement_score", "job_title", "email_opens"]
    )
    old = leads["created_at"] < MONDAY + timedelta(days=28)
    aucs = [
        roc_auc_score(part["converted"], true_probability(part)) for part in (leads.filter(old), leads.filter(~old))
    ]
    assert aucs[0] > 0.85
    assert aucs[1] < aucs[0] - falls


def test_a_drift_of_the_mix_shows_in_the_leads_and_not_in_the_truth() -> None:
    """Engagement falls by 15 points (less where it is at the edge), half the leads come from purchased lists."""
    drift = Drift(day=28, engagement=-15, purchased=0.5)
    lived = live(replace(WORLD, drift=drift), 56, 10, Model())
    old = lived.leads["created_at"] < MONDAY + timedelta(days=28)
    before, after = lived.leads.filter(old), lived.leads.filter(~old)
    moved = float(after["engagement_score"].mean()) - float(before["engagement_score"].mean())  # type: ignore[arg-type]
    assert -15 < moved < -12
    bought = int((after["lead_source"] == "Purchased list").sum())
    assert stats.binomtest(bought, after.height, 0.5 + 0.5 * 0.085).pvalue > 0.001
    assert after["probability"].to_numpy().mean() < 0.8 * before["probability"].to_numpy().mean()


def test_the_same_generator_gives_the_same_world() -> None:
    """And another seed another one."""
    first, again, other = (live(WORLD, 14, seed, Model(noise=1.0), Model(noise=0.5)) for seed in (11, 11, 12))
    for part in ("leads", "contacts", "outcomes"):
        assert_frame_equal(getattr(first, part), getattr(again, part))
        assert not getattr(first, part).equals(getattr(other, part))


def test_ids_go_on_from_day_to_day(usual: Lived) -> None:
    """Beyond those that were imported, without a gap."""
    numbers = usual.leads["lead_id"].str.slice(2).cast(pl.Int64)
    assert numbers.to_list() == list(range(500_001, 500_001 + usual.leads.height))
