"""What goes wrong between a world and the service: the world stays, what is heard of it does not."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from leadgate.records import Prediction
from leadgate.simulator.drift import Drift, drifted_mix, drifted_truth, with_odds
from leadgate.simulator.faults import Faults, arrived, reported, spoiled
from leadgate.simulator.leads import simulate_leads
from leadgate.simulator.truth import true_probability
from leadgate.simulator.world import World, begin, draw_leads

DAY = datetime(2026, 6, 1, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)
N = 4_000


def leads() -> pl.DataFrame:
    """Complete leads of a day."""
    return simulate_leads(N, np.random.default_rng(1), DAY, 1).frame.drop_nulls()


def predictions(n: int = N) -> list[Prediction]:
    """One a moment, over the day."""
    return [
        Prediction(
            prediction_id=str(i),
            lead_id=f"L-{i}",
            scored_at=DAY + timedelta(days=i / n),
            model_name="m",
            model_version="1",
            variant="champion",
            predicted_score=0.5,
            priority="medium",
            features=b"{}",
            latency_ms=1.0,
            batch_size=1,
            request_id="",
            route_epoch=1,
            shadow_version=None,
            shadow_score=None,
        )
        for i in range(n)
    ]


def test_values_are_spoiled_from_the_moment_on() -> None:
    """Half of the visits get lost, sizes come in another unit; what came before noon is as it was."""
    frame = leads()
    found = spoiled(
        Faults(begins=NOON, missing={"website_visits": 0.5}, times={"company_size": 1000.0}),
        frame,
        np.random.default_rng(2),
    )
    morning, evening = (frame["created_at"] < NOON), (frame["created_at"] >= NOON)
    assert found.filter(morning).cast(frame.schema).equals(frame.filter(morning))
    after = found.filter(evening)
    assert after["website_visits"].null_count() / after.height == pytest.approx(0.5, abs=0.05)
    assert (after["company_size"] / frame.filter(evening)["company_size"]).to_list() == [1000.0] * after.height
    assert after["industry"].equals(frame.filter(evening)["industry"])


@pytest.mark.parametrize(
    ("faults", "share"),
    (
        (Faults(begins=NOON), 1.0),
        (Faults(begins=NOON, unscored=0.3), 0.7),
        (Faults(begins=NOON, silent="service"), 0.0),
        (Faults(begins=NOON, silent="callers"), 0.0),
    ),
)
def test_answers_are_missed_from_the_moment_on(faults: Faults, share: float) -> None:
    """All of the morning's are there, and the stated share of the others."""
    kept = arrived(faults, predictions(), np.random.default_rng(3))
    assert sum(p.scored_at < NOON for p in kept) == N / 2
    assert sum(p.scored_at >= NOON for p in kept) / (N / 2) == pytest.approx(share, abs=0.04)


def test_a_crm_loses_what_it_does_not_send() -> None:
    """All or a share of what came after the moment."""
    rows = pl.DataFrame({"at": [DAY + timedelta(days=i / N) for i in range(N)]})
    for lost in (0.0, 0.4, 1.0):
        kept = reported(Faults(begins=NOON, unreported=lost), rows, "at", np.random.default_rng(4))
        assert (kept["at"] < NOON).sum() == N / 2
        assert float((kept["at"] >= NOON).sum()) / (N / 2) == pytest.approx(1 - lost, abs=0.04)


def test_without_faults_nothing_is_touched() -> None:
    """And no chance is drawn."""
    frame, rng = leads(), np.random.default_rng(5)
    assert spoiled(None, frame, rng) is frame
    assert len(arrived(None, predictions(10), rng)) == 10
    assert rng.random() == np.random.default_rng(5).random()


def test_a_market_multiplies_the_odds() -> None:
    """1 to 3 becomes 1 to 6, for every lead; a world can have other odds from its first day on."""
    assert with_odds(np.array([0.25, 0.5]), 0.5) == pytest.approx([1 / 7, 1 / 3])
    frame = leads()
    halved = drifted_truth(Drift(day=0, odds=0.5), frame)
    assert halved == pytest.approx(with_odds(true_probability(frame), 0.5))
    rates = [
        draw_leads(World(leads_a_day=N, odds=odds), begin(DAY), np.random.default_rng(6)).fate["probability"].mean()
        for odds in (1.0, 0.5)
    ]
    assert rates[1] < 0.7 * rates[0]  # type: ignore[operator]


def test_other_leads_come() -> None:
    """Sizes are multiplied, engagement stays within its range, a third come from a trade show more than before."""
    frame = leads()
    drift = Drift(
        day=0, times={"company_size": 3.0, "engagement_score": 5.0}, comes={"lead_source": ("Trade show", 1 / 3)}
    )
    found = drifted_mix(drift, frame, np.random.default_rng(7))
    assert found["company_size"].to_list() == (3 * frame["company_size"]).to_list()
    assert found["engagement_score"].max() == 100
    before, after = ((side["lead_source"] == "Trade show").mean() for side in (frame, found))
    assert after == pytest.approx(before + (1 - before) / 3, abs=0.04)  # type: ignore[operator]
