"""What explored leads tell, from the log to the figures: the same by ``leadgate performance`` and by the checks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import psycopg
import pytest
import uuid_utils

from leadgate.leads.project import parse_project
from leadgate.monitoring.feedback import feedback_bias
from leadgate.monitoring.watch import gather
from leadgate.outcomes.exploring import feedback_of
from leadgate.outcomes.matching import Matched
from leadgate.outcomes.performance import measure
from leadgate.records import Contact, Outcome, Prediction
from leadgate.rollout.routing import Act, Named, first_route
from leadgate.scoring.folding import log_predictions
from leadgate.simulator.following import Following, Leads, live
from leadgate.simulator.team import Team
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.contacts import record_contacts
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.routes import add_route

NOW = datetime(2026, 6, 30, tzinfo=UTC)
SCORED = NOW - timedelta(days=20)
PROJECT = parse_project(
    """
name: leads
lead:
  id: lead_id
  target: converted
  features:
    size: {type: numeric}
outcomes: {window_days: 14}
""",
    "leadgate.yaml",
)
N = 4_000
HEARD_OF = 0.7
"""Share of the leads whose outcome is ever reported."""


def fill(connection: Connection) -> tuple[int, int]:
    """Log a world in which a team follows the scores; gives the explored leads with an outcome, and how many won."""
    rng = np.random.default_rng(8)
    probability = 0.8 / (1 + np.exp(1.8 - 1.7 * rng.normal(size=50_000)))
    leads = Leads(probability=probability, score=probability)
    lived = live(leads, Following(), Team(), n=N, share=0.2, rng=rng)
    known = rng.random(N) < HEARD_OF
    predictions = []
    for i in range(N):
        own = "high" if lived.own_high[i] else "low"
        predictions.append(
            Prediction(
                prediction_id=str(uuid_utils.uuid7()),
                lead_id=f"L-{i}",
                scored_at=SCORED + timedelta(seconds=i),
                model_name="leads",
                model_version="1",
                variant="champion",
                predicted_score=float(lived.score[i]),
                priority="high" if lived.explored[i] else own,
                features=b'{"size": 3.0}',
                latency_ms=0.1,
                batch_size=1,
                request_id=f"r{i}",
                route_epoch=1,
                own_priority=own if lived.explored[i] else None,
            )
        )
    ensure_partitions(connection, [SCORED.date()])
    log_predictions(connection, predictions)
    then = SCORED + timedelta(days=5)
    record_outcomes(
        connection,
        [
            Outcome(
                lead_id=f"L-{i}",
                converted=bool(lived.converted[i]),
                deal_size=None,
                days_to_close=None,
                outcome_at=then,
                source="test",
            )
            for i in np.flatnonzero(known)
        ],
        then,
    )
    contacts = [Contact(lead_id=f"L-{i}", contacted_at=then, source="test") for i in np.flatnonzero(lived.explored)]
    record_contacts(connection, contacts, then)
    act = Act(by="ann", at=SCORED, reason="test")
    add_route(connection, first_route("leads", Named(version="1", digest="d"), act))
    drawn = lived.explored & known
    return int(drawn.sum()), int(lived.converted[drawn].sum())


def test_performance_and_checks_tell_the_same_of_the_log(database: str) -> None:
    """Leads that nobody worked were closed as lost, so the ordinary figure is too high; both say by how much."""
    with psycopg.connect(database) as connection:
        assert measure(connection, PROJECT, now=NOW)[0].feedback is None
        explored, won = fill(connection)
        found = measure(connection, PROJECT, now=NOW)[0].feedback
        (side,) = gather(connection, PROJECT, NOW).sides
    assert found is not None
    assert (found.explored, found.conversions) == (explored, won)
    assert found.unbiased is not None
    assert found.difference is not None
    assert found.difference > 0.02
    assert found.worked_alike
    (finding,) = feedback_bias(side.matured, side.explored, PROJECT.monitoring, "champion")
    assert finding.sample == explored
    assert finding.value == pytest.approx(found.unbiased.value, abs=0.002)
    assert finding.details["difference"] == pytest.approx(found.difference, abs=0.002)


def leads_with(score: list[float], *, own_high: list[bool], won: list[bool]) -> pl.DataFrame:
    """Explored leads as they are matched."""
    ids = [f"L-{i}" for i in range(len(score))]
    return pl.DataFrame(
        {"lead_id": ids, "predicted_score": score, "own_high": own_high, "explored": True, "converted": won}
    )


def matched(leads: pl.DataFrame) -> Matched:
    """All of them have matured, and their outcome is known."""
    n = leads.height
    return Matched(leads=leads, matured=leads, predictions=n, scored=n, immature=0, silent=0, decided_before=0, late=0)


@pytest.mark.parametrize(("reached", "alike"), ((60, True), (20, False)))
def test_a_list_that_is_sorted_by_score_is_seen_in_the_contacts(reached: int, alike: bool) -> None:
    """Explored leads of low score that come last are not worked like the others, and then no figure is to be trusted.

    All 20 of high score are reached; of the 60 of low score all, or a third.
    """
    leads = leads_with([0.9] * 20 + [0.2] * 60, own_high=[True] * 20 + [False] * 60, won=[True, False] * 40)
    known = replace(matched(leads), leads=leads.head(40))  # nothing is heard of the rest, whoever reached them
    found = feedback_of(known, 1, frozenset(f"L-{i}" for i in range(20 + reached)))
    assert found is not None
    assert found.contacted is not None
    assert (found.contacted[1].leads, found.contacted[1].of) == (reached, 60)
    assert found.worked_alike is alike


def test_leads_of_one_fate_give_no_figure() -> None:
    """The first explored leads are told as they are: so many, and nothing to compare yet."""
    found = feedback_of(matched(leads_with([0.9, 0.2], own_high=[True, False], won=[False, False])), 1)
    assert found is not None
    assert (found.explored, found.conversions, found.unbiased, found.differs) == (2, 0, None, False)


def test_a_handful_of_explored_leads_is_not_told_as_a_bias() -> None:
    """A team that works all leads alike: by 20 explored ones the AUC was surely off in a quarter of such worlds."""
    rng, told = np.random.default_rng(3), []
    for _ in range(100):
        chance = 0.8 / (1 + np.exp(1.8 - 1.7 * rng.normal(size=1_000)))
        leads = leads_with(list(chance), own_high=list(chance > 0.3), won=list(rng.random(1_000) < chance))
        found = feedback_of(matched(leads.with_columns(explored=pl.Series(rng.random(1_000) < 0.02))), 30)
        assert found is not None
        told.append(found.differs)
        assert (found.unbiased, found.needed) == (None, None)
    assert not any(told)
