"""A project that has been lived in: weeks that are played once, for all tests of reports to read."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import patch

import numpy as np
import uuid_utils

from leadgate.app.alerting import update_alerts
from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.rollouts import act, approve, evaluate, start
from leadgate.app.routing import set_route
from leadgate.app.wire import Home
from leadgate.leads.project import OutcomeRules
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.records import Prediction
from leadgate.rollout.controller import alive
from leadgate.rollout.moving import Person, carry_out
from leadgate.rollout.stages import Act
from leadgate.simulator.drift import Drift
from leadgate.simulator.team import Team
from leadgate.simulator.world import World
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from leadgate.storage.postgres.ratings import Rating, add_rating

START = datetime(2026, 6, 1, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> | [a](http://evil.example) `code` **b** www.evil.example"
"""What somebody types."""
_WORLD = World(
    leads_a_day=200,
    days_to_decide=1.0,
    given_up_days=2.5,
    team=Team(capacity=80, gain=1.5, floor=0.6, patience_days=0.8),
    drift=Drift(day=18, engagement=25.0),
)
_RULES = {
    "shadow": {"min_days": 1, "min_leads": 50, "min_matured": 50, "min_conversions": 5},
    "canary": {"min_days": 1, "min_leads": 5, "min_matured": 5},
    "ab_test": {"min_days": 1, "min_leads": 100},
    "full": {"min_days": 1, "min_leads": 10, "min_matured": 20},
    "sign_off": ["shadow", "canary", "ab_test", "full"],
    "gates": dict.fromkeys(
        ("auc", "precision", "recall", "calibration_error", "ab_auc", "quartile_shift", "degradation", "auc_loss")
    ),
    "experiment": {"leads_per_arm": 200},
}


def live(prepared: Home) -> Home:
    """Four weeks: a rollout that goes the whole way, pushed from stage to stage; then one that somebody takes back."""
    home = prepared.on(SimulatedClock(START))
    rules = home.project.model_copy(
        update={
            "outcomes": OutcomeRules(window_days=3, silence_means="not_converted"),
            "rollout": RolloutRules.model_validate(_RULES),
        }
    )
    home.__dict__["project"] = rules
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="the first one")
    due: dict[int, tuple[Callable[[], object], ...]] = {
        5: (partial(_check, home), partial(start, home, "2", reason="it ranks better")),
        9: (partial(_push, home, "advance", approved_by="Eve <b>x</b>"),),
        11: (partial(_push, home, "advance"),),
        18: (partial(_rate, home), partial(_push, home, "advance")),
        20: (
            partial(_push, home, "finish"),
            partial(_check, home),
            partial(start, home, "1", reason="is the old one still better?"),
        ),
        21: (partial(_push, home, "advance"),),
        22: (partial(_push, home, "advance"),),
        27: (
            partial(_hostile_lead, home),
            partial(act, home, "roll_back", comment=f"sales complain. {HOSTILE}", by="Sam"),
        ),
        28: (partial(_check, home),),
    }

    def evening(now: datetime) -> None:
        day = (now - START) // timedelta(days=1)
        if day in (13, 15, 17, 24):
            evaluate(home)
        for what in due.get(day, ()):
            what()

    # Who is on which side follows from a rollout's salt; with an unlucky one a rollout would be taken back by chance.
    with patch("leadgate.app.rollouts.secrets.token_hex", return_value="3f9c2b7a10d4e688"):
        play(home, _WORLD, 28, each_day=evening, rng=np.random.default_rng(5))
    return home


def _push(home: Home, what: Act, approved_by: str | None = None) -> None:
    """Move the rollout as if every gate had passed, on the evidence of this evening."""
    evaluate(home)
    if approved_by:
        approve(home, comment=f"looked at it. {HOSTILE}", by=approved_by)
    with home.connection() as connection, connection.transaction():
        history = alive(connection, home.project.name)
        row = connection.execute("SELECT max(evidence_id) FROM leadgate.rollout_evidence").fetchone()
        assert row is not None
        person = Person(name="controller", at=home.clock(), comment="every gate passes")
        carry_out(connection, history, what, person, history.state, evidence_id=row[0])


def _check(home: Home) -> None:
    run_checks(home)
    update_alerts(home)


def _rate(home: Home) -> None:
    with home.connection() as connection:
        for rating in (8.0, 9.0, 7.5, 8.5, 9.0, 9.0):
            now = home.clock()
            given = Rating(
                model_name=home.project.name,
                rated_at=now - timedelta(hours=1),
                rated_by="Sam",
                rating=rating,
                model_version=None,
                comment="",
                recorded_at=now,
            )
            add_rating(connection, given)


def _hostile_lead(home: Home) -> None:
    """Leads whose industry is what somebody typed into a form."""
    at = home.clock() - timedelta(days=5)
    with home.connection() as connection:
        row = connection.execute("SELECT features FROM leadgate.prediction_logs LIMIT 1").fetchone()
        assert row is not None
        features = {**row[0], **dict.fromkeys(home.project.lead.segments, HOSTILE)}
        lead = Prediction(
            prediction_id=str(uuid_utils.uuid7()),
            lead_id="hostile",
            scored_at=at,
            model_name=home.project.name,
            model_version="2",
            variant="champion",
            predicted_score=0.2,
            priority="low",
            features=json.dumps(features).encode(),
            latency_ms=1.0,
            batch_size=1,
            request_id="r",
            route_epoch=1,
        )
        with connection.transaction():
            ensure_partitions(connection, [at.date()])
            copy_predictions(connection, [lead])
