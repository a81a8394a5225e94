"""Which prediction of a lead counts for a rollout."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg

from leadgate.records import Contact, Prediction
from leadgate.storage.postgres.contacts import record_contacts
from leadgate.storage.postgres.exposures import first_predictions
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from predicted import prediction

BEGAN = datetime(2026, 3, 10, tzinfo=UTC)
BEFORE = BEGAN - timedelta(days=7)
NOW = BEGAN + timedelta(days=7)
EPOCH = 5
HOURS = (NOW - BEFORE) // timedelta(hours=1)


def scored(lead: str, at: datetime, epoch: int) -> Prediction:
    """An answer by version 1, with version 2 as its shadow from the rollout's first route on."""
    shadow = {"shadow_version": "2", "shadow_score": 0.5} if epoch >= EPOCH else {}
    return prediction(lead, at, predicted_score=0.25, features=b'{"region": "north"}', route_epoch=epoch, **shadow)


def test_the_first_prediction_of_all_and_of_the_rollout_and_the_contacts_after_them(database: str) -> None:
    """Against a count by hand: leads scored up to four times, by routes old and new, contacted now and then."""
    rng = np.random.default_rng(8)
    hours = {f"L{i}": sorted(rng.choice(HOURS, rng.integers(1, 5), replace=False)) for i in range(80)}
    log = [
        scored(lead, at := BEFORE + timedelta(hours=int(h)), EPOCH - (at < BEGAN or rng.random() < 0.3))
        for lead, own in hours.items()
        for h in own
    ]
    calls = [(lead, BEFORE + timedelta(hours=int(h))) for lead in hours for h in rng.choice(HOURS, rng.integers(3))]
    with psycopg.connect(database) as connection:
        ensure_partitions(connection, sorted({p.scored_at.date() for p in log}))
        copy_predictions(connection, log)
        for lead, at in calls:  # the CRM tells half of them too late to be known
            late = timedelta(days=30) if at.hour % 2 else timedelta()
            record_contacts(connection, [Contact(lead_id=lead, contacted_at=at, source="crm")], at + late)
        found = first_predictions(
            connection,
            model_name="leads",
            versions=("1", "2"),
            since=BEFORE,
            until=NOW,
            rollout_since=BEGAN,
            rollout_epoch=EPOCH,
            segments=("region",),
        )
    known = [(lead, at) for lead, at in calls if not at.hour % 2]

    def first(of: list[Prediction]) -> dict[str, tuple[datetime, int, bool, float | None]]:
        firsts = {p.lead_id: p for p in sorted(of, key=lambda p: p.scored_at, reverse=True)}
        return {
            lead: (
                p.scored_at,
                p.route_epoch,
                any(who == lead and at >= p.scored_at for who, at in known),
                p.shadow_score,
            )
            for lead, p in firsts.items()
        }

    wanted = ("lead_id", "scored_at", "route_epoch", "contacted", "challenger_score")
    inside = {row[0]: row[1:] for row in found.filter("in_rollout").select(wanted).iter_rows()}
    of_all = {row[0]: row[1:] for row in found.sort("scored_at", descending=True).select(wanted).iter_rows()}
    assert inside == first([p for p in log if p.scored_at >= BEGAN and p.route_epoch >= EPOCH])
    assert of_all == first(log)
    assert 20 < len(inside) < len(of_all) == 80
    assert set(found["segment_1"]) == {"north"}
    assert set(found["champion_score"]) == {0.25}
