"""A rollout in a database, without a registry: rows as the service and the CRM leave them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import uuid_utils

from leadgate.leads.project import OutcomeRules, Project
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.records import Outcome, Prediction
from leadgate.rollout.controller import start
from leadgate.rollout.history import History
from leadgate.rollout.moving import Person
from leadgate.rollout.routing import Act, Named, first_route, has_challenger
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from leadgate.storage.postgres.rollouts import NewRollout
from leadgate.storage.postgres.routes import add_route, present_route

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW_DAYS = 10.0

EASY: Mapping[str, Any] = {
    "shadow": {"min_days": 1, "min_leads": 50, "min_matured": 50, "min_conversions": 5},
    "canary": {"min_days": 1, "min_leads": 5, "min_matured": 5},
    "ab_test": {"min_days": 1, "min_leads": 100},
    "full": {"min_days": 1, "min_leads": 10, "min_matured": 20},
    "sign_off": [],
    "gates": {
        **dict.fromkeys(("p95_ms", "p99_ms", "throughput", "error_rate", "memory_mb", "rating", "missing_rise")),
        **dict.fromkeys(("auc", "precision", "recall", "calibration_error", "ab_auc", "quartile_shift", "degradation")),
        "auc_loss": 0.1,
    },
    "experiment": {"leads_per_arm": 100, "deal_size_margin": None, "days_to_close_margin": None},
}
"""Rules that good leads pass within days."""


def project_of(rules: Mapping[str, Any] = EASY) -> Project:
    """A project with two features."""
    return Project(
        name="scene",
        lead=LeadSchema(
            id="lead_id",
            target="converted",
            features=(
                Feature(name="size", type=FeatureType.NUMERIC),
                Feature(name="region", type=FeatureType.CATEGORICAL, categories=("north", "south")),
            ),
            segments=("region",),
        ),
        outcomes=OutcomeRules(window_days=WINDOW_DAYS),
        rollout=RolloutRules.model_validate(dict(rules)),
    )


def begin(connection: Connection, project: Project, *, at: datetime = BEGAN, author: str = "Ada") -> History:
    """A champion in force and a challenger in its shadow."""
    if present_route(connection, project.name) is None:
        act = Act(by="Ada", at=at, reason="first")
        add_route(connection, first_route(project.name, Named(version="1", digest="a" * 64), act))
    new = NewRollout(
        model_name=project.name,
        champion="1",
        champion_digest="a" * 64,
        challenger="2",
        challenger_digest="b" * 64,
        challenger_author=author,
        salt="salt",
        rules=project.rollout.model_dump(mode="json"),
        design=None,
        started_at=at,
        started_by="Ada",
    )
    history = start(connection, new, Person(name="Ada", at=at, comment="try it"))
    connection.commit()
    return history


def serve(
    connection: Connection,
    project: Project,
    *,
    day: int,
    leads: int,
    rates: tuple[float, float] = (0.3, 0.3),
    rng: np.random.Generator | None = None,
    late: timedelta = timedelta(days=3),
) -> None:
    """Answer a day's leads by the route in force and report what became of them; ``rates`` are of the two versions."""
    rng = rng or np.random.default_rng(day)
    route = present_route(connection, project.name)
    assert route is not None
    at = BEGAN + timedelta(days=day, hours=1)
    predictions, outcomes = [], []
    for i in range(leads):
        lead, truth = f"D{day}-{i}", float(rng.beta(2, 4))
        challenger = has_challenger(route, lead) or route.champion == "2"
        scores = [min(0.999, max(0.001, truth + float(rng.normal(0, 0.1)))) for _ in range(2)]
        own = scores[1 if challenger else 0]
        moment = at + timedelta(seconds=i)
        predictions.append(
            Prediction(
                prediction_id=str(uuid_utils.uuid7()),
                lead_id=lead,
                scored_at=moment,
                model_name=project.name,
                model_version="2" if challenger else "1",
                variant="challenger" if has_challenger(route, lead) else "champion",
                predicted_score=own,
                priority="high" if own > 0.7 else "medium" if own > 0.4 else "low",
                features=b'{"size": 3.0, "region": "north"}',
                latency_ms=0.1,
                batch_size=1,
                request_id=f"r{i}",
                route_epoch=route.epoch,
                shadow_version=None if route.challenger is None else "1" if challenger else "2",
                shadow_score=None if route.challenger is None else scores[0 if challenger else 1],
            )
        )
        rate = rates[1 if challenger else 0]
        won = bool(rng.random() < min(1.0, truth * rate * 3))
        outcomes.append(
            Outcome(
                lead_id=lead,
                converted=won,
                deal_size=1_000.0 if won else None,
                days_to_close=late.days if won else None,
                outcome_at=moment + late,
                source="scene",
            )
        )
    with connection.transaction():
        ensure_partitions(connection, [at.date()])
        copy_predictions(connection, predictions)
    record_outcomes(connection, outcomes, at)
    connection.commit()


def counts(url: str) -> dict[str, int]:
    """Rows of everything that a controller writes."""
    tables = ("rollouts", "rollout_steps", "rollout_evidence", "routes", "audit_log", "events", "post_mortems")
    with psycopg.connect(url) as connection:
        found = {}
        for table in tables:
            row = connection.execute(
                psycopg.sql.SQL("SELECT count(*) FROM leadgate.{}").format(psycopg.sql.Identifier(table))
            ).fetchone()
            assert row is not None
            found[table] = int(row[0])
    return found
