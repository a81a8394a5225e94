"""A project whose scored leads have matured: what a retraining learns from."""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import uuid_utils

from leadgate.app.wire import Home
from leadgate.leads.project import Project
from leadgate.records import Outcome, Prediction
from leadgate.simulator.leads import simulate_leads
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions

BEGAN = datetime(2026, 6, 2, tzinfo=UTC)
"""The first lead is scored."""
SCORED_DAYS = 10
LATER = datetime(2026, 8, 20, 12, tzinfo=UTC)
"""Sixty days after the last of them, and some."""
EASY = {"challenger_auc": 0.6, "alert_auc": 0.55, "champion_margin": 0.05, "locked_margin": 0.05}
"""Gates that an honest version of simulated leads passes."""


def simulated(n: int, seed: int = 5) -> pl.DataFrame:
    """New leads with their outcome, in the order in which they came."""
    rng = np.random.default_rng(seed)
    return simulate_leads(n, rng, BEGAN, SCORED_DAYS, first_number=700_000).frame.sort("created_at", "lead_id")


def live(home: Home, leads: pl.DataFrame, *, silent: Collection[str] = (), goes_on: bool = True) -> None:
    """Score leads as they come; a month later the CRM tells, day by day, what became of all but the ``silent`` ones.

    Then it goes on to tell of others, or falls silent itself.
    """
    names = [feature.name for feature in home.project.lead.used]
    rows = list(leads.iter_rows(named=True))
    predictions = [_prediction(home.project.name, row, names, i) for i, row in enumerate(rows)]
    with home.connection() as connection:
        ensure_partitions(connection, {p.scored_at.date() for p in predictions})
        copy_predictions(connection, predictions)
        for day in range(SCORED_DAYS):
            of_day = [row for row in rows if (row["created_at"] - BEGAN).days == day]
            record_outcomes(
                connection,
                [_outcome(row) for row in of_day if row["lead_id"] not in silent],
                BEGAN + timedelta(days=day + 31),
            )
            connection.commit()
        record_outcomes(connection, [_other(BEGAN)], BEGAN + timedelta(days=31))  # it tells of all since then
        for day in range(SCORED_DAYS + 31, (LATER - BEGAN).days + 1 if goes_on else 0, 2):
            at = BEGAN + timedelta(days=day)
            record_outcomes(connection, [_other(at)], at)
            connection.commit()


def ruled(home: Home, **retraining: Any) -> Home:
    """The project with other rules of retraining, now that the leads have matured."""
    tree = home.project.model_dump()
    tree["retraining"] = {**tree["retraining"], **retraining}
    changed = replace(home, own_clock=lambda: LATER)
    changed.__dict__["project"] = Project.model_validate(tree)
    return changed


def _prediction(model: str, row: dict[str, Any], names: list[str], i: int) -> Prediction:
    return Prediction(
        prediction_id=str(uuid_utils.uuid7()),
        lead_id=row["lead_id"],
        scored_at=row["created_at"],
        model_name=model,
        model_version="1",
        variant="champion",
        predicted_score=0.5,
        priority="medium",
        features=json.dumps({name: row[name] for name in names}).encode(),
        latency_ms=0.1,
        batch_size=1,
        request_id=f"r{i}",
        route_epoch=1,
        shadow_version=None,
        shadow_score=None,
    )


def _outcome(row: dict[str, Any]) -> Outcome:
    at = row["created_at"] + timedelta(days=12)
    return Outcome(
        lead_id=row["lead_id"],
        converted=row["converted"],
        deal_size=None,
        days_to_close=None,
        outcome_at=at,
        source="test",
    )


def _other(at: datetime) -> Outcome:
    return Outcome(
        lead_id=f"O-{at:%j}", converted=False, deal_size=None, days_to_close=None, outcome_at=at, source="test"
    )
