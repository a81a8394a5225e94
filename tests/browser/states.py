"""The states that a dashboard can be in, made by the real code on a clock that goes as it is told.

What is healthy is played once; copies of it go on as what has drifted, and as a rollout.
"""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import uuid_utils
import yaml

from conftest import _url
from leadgate.app.alerting import acknowledge_alert, listed, silence, update_alerts
from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.rollouts import approve, evaluate, start
from leadgate.app.routing import set_route
from leadgate.app.settings import Settings
from leadgate.app.wire import CONFIG, Home
from leadgate.records import Outcome, Prediction
from leadgate.rollout.controller import Judged
from leadgate.simulator.disguise import Disguise
from leadgate.simulator.drift import Drift
from leadgate.simulator.team import Team
from leadgate.simulator.world import World, WorldState
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from leadgate.storage.postgres.ratings import Rating, add_rating
from prepared import create_database, once

BEGAN = datetime(2026, 6, 1, tzinfo=UTC)
HOSTILE = "<script>window.taken = 1</script><img src=x onerror='window.taken = 1'>"
"""What somebody may have typed wherever something can be typed."""
HOSTILE_LEAD = f"Ada {HOSTILE}"
SALES = "Sam (sales operations)"

RULES: dict[str, dict[str, Any]] = {
    "outcomes": {"window_days": 4, "silence_means": "not_converted"},
    "monitoring": {"matured_days": 14},
    "rollout": {
        "shadow": {"min_days": 2, "min_leads": 100, "min_matured": 100, "min_conversions": 10},
        "canary": {"min_days": 1, "min_leads": 5, "min_matured": 1},
        "ab_test": {"min_days": 14, "min_leads": 1_000},
        "gates": {
            **dict.fromkeys(("auc", "precision", "recall", "calibration_error", "ab_auc", "agreement")),
            **dict.fromkeys(("quartile_shift", "degradation", "attention", "missing_rise", "rating")),
            "auc_loss": 0.1,
        },
        "experiment": {"leads_per_arm": 1_000, "horizon_days": 2},
    },
}
"""A short sales cycle, and gates that a good version passes within days."""

_WORLD = World(
    leads_a_day=150,
    season=0.0,
    days_to_decide=1.0,
    given_up_days=3.5,
    team=Team(capacity=400, weekend=1.0, gain=1.0, floor=0.9, fresh_days=3.0),
)
_DRIFT = Drift(day=0, engagement=25, purchased=0.35)
_HEALTHY_DAYS, _DRIFT_DAYS, _LONGEST_DAYS = 16, 4, 12


@dataclass(frozen=True, kw_only=True)
class State:
    """A project at a moment."""

    home: Home
    """Its clock stands."""
    world: WorldState | None = None
    """To go on from."""

    @property
    def name(self) -> str:
        """Of its model."""
        return self.home.project.name


class Workbench:
    """Makes states, each once a run for all its test processes, and hands out copies."""

    def __init__(self, shared: Path, server: str, template: str, workshop: Path) -> None:
        """``workshop`` has two versions, ``template`` names a database with tables and no rows."""
        self._shared = shared
        self._server = server
        self._template = template
        self._workshop = workshop

    def state(self, name: str) -> State:
        """A state by name, in a folder and on a database that the caller has for itself."""
        shelf = self._shared / f"state {name}.pickle"
        with once(self._shared, shelf.name) as missing:
            if missing:
                shelf.write_bytes(pickle.dumps(self._shelved(STATES[name](self))))
        kept: _Shelved = pickle.loads(shelf.read_bytes())
        home = self._home(name, kept.database)
        shutil.copytree(kept.folder, home.folder, symlinks=True, dirs_exist_ok=True)
        return State(home=home.on(SimulatedClock(kept.now)), world=kept.world)

    def trained(self, name: str) -> Home:
        """A project with two versions of which none has answered yet, on a clock that stands where the story begins."""
        return self._begun(name, self._workshop.name)

    def bare(self, name: str) -> Home:
        """A project that has been initialised, and nothing else."""
        return self._begun(name, self._template)

    def _begun(self, name: str, database: str) -> Home:
        home = self._home(name, database)
        home.state.mkdir()
        _write_rules(self._workshop / CONFIG, home.folder / CONFIG)
        return home.on(SimulatedClock(BEGAN))

    def _home(self, name: str, database: str) -> Home:
        """A new folder, and a copy of a database."""
        target = f"{name.replace(' ', '_')}_{uuid_utils.uuid4().hex[:12]}"
        create_database(self._server, target, database)
        folder = self._shared / target
        folder.mkdir()
        return Home(folder, Settings(database_url=_url(self._server, target), author="tester"))

    def _shelved(self, state: State) -> "_Shelved":
        """What is to be kept of a state; nobody is connected to its database any more, so that it can be copied."""
        with psycopg.connect(str(state.home.settings.database_url)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            database = connection.info.dbname
        return _Shelved(folder=state.home.folder, database=database, now=state.home.clock(), world=state.world)


@dataclass(frozen=True, kw_only=True)
class _Shelved:
    folder: Path
    database: str
    now: datetime
    world: WorldState | None


def _write_rules(source: Path, target: Path) -> None:
    """leadgate.yaml with the rules above instead of its own."""
    text: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    for section, rules in RULES.items():
        for key, value in rules.items():
            before = text[section].get(key)
            text[section][key] = {**before, **value} if isinstance(before, dict) else value
    target.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")


def _fresh(bench: Workbench) -> State:
    """A version answers, and nobody has asked it anything."""
    home = bench.trained("fresh")
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="the first version")
    return State(home=home)


def _healthy(bench: Workbench) -> State:
    """Two weeks in which nothing happened; checks at their end and some before."""
    home = bench.trained("healthy")
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="the first version")
    world = _live(home, _WORLD, _HEALTHY_DAYS, lambda now: _check_late(home, now))
    return State(home=home, world=world)


def _drifting(bench: Workbench) -> State:
    """Other leads come, from other sources; somebody has one alert in care and silenced another."""
    before = bench.state("healthy")
    home = before.home
    assert before.world is not None
    world = _live(
        home, replace(_WORLD, drift=replace(_DRIFT, day=before.world.day)), _DRIFT_DAYS, lambda _: None, before.world
    )
    for hours in (0, 1):  # yellow is told when it is found twice
        _clock(home).now = world.midnight + timedelta(hours=hours)
        _check(home)
    first = min(open_.alert.alert_id for open_ in listed(home))
    acknowledge_alert(home, first, comment=f"I ask the marketing team {HOSTILE}", by=HOSTILE)
    silence(home, "contact*", "*", until=home.clock() + timedelta(days=2), reason=f"holidays {HOSTILE}")
    return State(home=home, world=world)


def _waiting(bench: Workbench) -> State:
    """A challenger in the shadow whose evidence is enough: somebody has to sign it off."""
    before = bench.state("healthy")
    home = before.home
    start(home, "2", reason=f"it ranks better {HOSTILE}")
    world = _until(home, before.world, lambda judged: _missing(judged) == ["sign-off"])
    _check(home)
    return State(home=home, world=world)


def _testing(bench: Workbench) -> State:
    """The A/B test has gone on for three days."""
    before = bench.state("waiting")
    home = before.home
    approve(home, comment=f"the evidence convinces {HOSTILE}", by=f"{SALES} {HOSTILE}")
    evaluate(home)
    world = _until(home, before.world, lambda judged: judged.after.stage == "ab_test")
    world = _live(home, _WORLD, 3, lambda _: evaluate(home), world)
    _check(home)
    return State(home=home, world=world)


def _rolled_back(bench: Workbench) -> State:
    """In the A/B test the challenger became slow, and the controller took it back; one lead is hostile."""
    before = bench.state("testing")
    home = before.home
    disguise = Disguise(version="2", slow_ms=700)
    world = _live(home, _WORLD, 1, lambda _: evaluate(home), before.world, disguise)
    _score_hostile_lead(home)
    _check(home)
    return State(home=home, world=world)


STATES: dict[str, Callable[[Workbench], State]] = {
    "empty": lambda bench: State(home=bench.bare("empty")),
    "fresh": _fresh,
    "healthy": _healthy,
    "drifting": _drifting,
    "waiting": _waiting,
    "testing": _testing,
    "rolled back": _rolled_back,
}


def _clock(home: Home) -> SimulatedClock:
    assert isinstance(home.clock, SimulatedClock)
    return home.clock


def _live(  # noqa: PLR0917  # the tests' own
    home: Home,
    world: World,
    days: int,
    evening: Callable[[datetime], Any],
    begun: WorldState | None = None,
    disguise: Disguise | None = None,
) -> WorldState:
    rng = np.random.default_rng(0 if begun is None else begun.day)
    return play(home, world, days, each_day=evening, rng=rng, begun=begun, challenger=disguise).state


def _until(home: Home, world: WorldState | None, enough: Callable[[Judged], bool]) -> WorldState:
    """Days of a rollout until its evaluation in the evening comes to something."""
    said: Any = None
    for _ in range(_LONGEST_DAYS):
        world = _live(home, _WORLD, 1, lambda _: None, world)
        judged = evaluate(home)
        assert judged is not None
        if enough(judged):
            return world
        said = [(verdict.gate, verdict.answer, verdict.sentence) for verdict in judged.verdicts]
    raise AssertionError(said)


def _missing(judged: Judged) -> list[str]:
    return [verdict.gate for verdict in judged.verdicts if verdict.answer != "pass"]


def _check_late(home: Home, now: datetime) -> None:
    """Ratings all the time; checks on the last days, of which the last is the present."""
    with home.connection() as connection:
        rating = Rating(
            model_name=home.project.name,
            rated_at=now,
            rated_by=SALES,
            rating=8.5,
            model_version=None,
            comment=HOSTILE,
            recorded_at=now,
        )
        add_rating(connection, rating)
    if now > BEGAN + timedelta(days=_HEALTHY_DAYS - 3):
        _check(home)


def _check(home: Home) -> None:
    """What the worker does every quarter of an hour."""
    run_checks(home)
    update_alerts(home)


def _score_hostile_lead(home: Home) -> None:
    """A lead whose id and industry are what somebody typed into a form."""
    now = home.clock()
    features = {"company_size": 80.0, "industry": HOSTILE, "region": "Western Europe", "lead_source": "Referral"}
    prediction = Prediction(
        prediction_id=str(uuid_utils.uuid7()),
        lead_id=HOSTILE_LEAD,
        scored_at=now - timedelta(minutes=20),
        model_name=home.project.name,
        model_version="1",
        variant="champion",
        predicted_score=0.83,
        priority="high",
        features=json.dumps(features).encode(),
        latency_ms=0.4,
        batch_size=1,
        request_id=HOSTILE,
        route_epoch=1,
    )
    won = Outcome(
        lead_id=HOSTILE_LEAD, converted=True, deal_size=9.0, days_to_close=0.0, outcome_at=now, source=HOSTILE
    )
    with home.connection() as connection, connection.transaction():
        ensure_partitions(connection, {prediction.scored_at.date()})
        copy_predictions(connection, [prediction])
        record_outcomes(connection, [won], now)
