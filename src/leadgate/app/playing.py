"""Plays a simulated world against the real code: the route in the database, the compiled scorers, the logs.

What takes weeks is played in seconds, on a clock that follows the world. Only the world is simulated, and what the
world alone knows; every score, route, prediction and outcome goes the way that it goes in production, save HTTP and the
spool.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from leadgate.app.routing import route_in_force
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.schema import Feature, FeatureType, FeatureValue
from leadgate.models.bundles import fetch
from leadgate.models.scorers import Scored
from leadgate.records import Contact, Outcome, Prediction
from leadgate.rollout.exploring import explored_buckets
from leadgate.scoring.answering import Arm, Live, Request, live_of, record
from leadgate.scoring.contract import LeadIn
from leadgate.scoring.folding import log_predictions
from leadgate.scoring.metrics import SECONDS
from leadgate.scoring.watch import Versions, load_live
from leadgate.simulator.disguise import Disguise, disguised
from leadgate.simulator.faults import Faults, arrived, reported, spoiled
from leadgate.simulator.ids import uuid7_at
from leadgate.simulator.world import ANSWER, DayLeads, LivedDay, World, WorldState, begin, draw_leads, live_day
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.contacts import record_contacts
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions

_DAY = timedelta(days=1)
_LATENCY_MS, _LATENCY_SPREAD = 0.8, 0.4
"""Median latency of an answer without a disguise, and the standard deviation of its logarithm."""
_BUSY_S, _MEMORY_BYTES = 25e-6, 91_400_000
"""Processor time of a request and memory of a worker, as docs/benchmarks/serving.md has them."""
_SOURCE = "simulated CRM"


class SimulatedClock:
    """A clock that goes when it is told to."""

    def __init__(self, now: datetime) -> None:
        """``now`` in UTC."""
        self.now = now

    def __call__(self) -> datetime:
        """The simulated time."""
        return self.now


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """What happened in the days that were played."""

    state: WorldState
    """The world at their end, to go on from."""
    predictions: int
    """Answers logged."""
    outcomes: int
    """Outcomes that the CRM reported."""
    contacts: pl.DataFrame
    """First contacts of the team: lead_id, variant, challenged, priority, arrived_at, left_at (UTC, the contact),
    waited_days."""

    @property
    def challenger_contacts(self) -> float | None:
        """Share of the first contacts that went to leads the challenger answered; None without any contact."""
        return None if self.contacts.is_empty() else float((self.contacts["variant"] == "challenger").mean())  # type: ignore[arg-type]  # of booleans it is a float


def play(
    home: Home,
    world: World,
    days: int,
    *,
    each_day: Callable[[datetime], None],
    rng: np.random.Generator,
    challenger: Disguise | None = None,
    faults: Faults | None = None,
    begun: WorldState | None = None,
) -> Played:
    """Play days of a world against a project, from the time of its clock on or from where ``begun`` ended.

    ``home`` has a SimulatedClock (``home.on(SimulatedClock(start))``), which stands at the end of each day when
    ``each_day`` is called with that time. Each day:

    1. The leads of the day come and are answered by the route in force, each version in its disguise if it has one.
    2. The predictions are logged, and what a worker would have measured.
    3. The team works the leads of the days before; the CRM reports the outcomes that came.
    4. ``each_day`` does what is due: judges a rollout, say. A route that it changes holds from the next day on.

    ``faults`` spoils what the service hears of the world, and what others hear of the service. The same state of
    ``rng`` gives the same leads, ids, predictions and outcomes. Raises RefusedError for a project
    with another clock, or without a champion.
    """
    clock = _clock_of(home)
    player = _Player(home, challenger, faults, rng)
    state = begin(clock()) if begun is None else begun
    predicted = outcomes = 0
    contacts = []
    for _ in range(days):
        clock.now = state.midnight
        drawn = draw_leads(world, state, rng)
        predictions = player.answer(drawn)
        lived = live_day(world, state, drawn, player.known_of(predictions))
        written = player.log(predictions, lived, state.midnight)
        state = lived.state
        predicted += written[0]
        outcomes += written[1]
        contacts.append(lived.contacts)
        clock.now = state.midnight
        each_day(clock.now)
    return Played(state=state, predictions=predicted, outcomes=outcomes, contacts=_together(contacts))


class _Player:
    """What a play keeps from day to day: the versions that are loaded, and the disguise that one of them wears."""

    def __init__(self, home: Home, disguise: Disguise | None, faults: Faults | None, rng: np.random.Generator) -> None:
        self._home = home
        self._disguise = disguise
        self._faults = faults
        self._rng = rng
        # Of their own, so that the same world lives on beside them.
        self._luck = rng if faults is None else rng.spawn(1)[0]
        self._versions = Versions(Path(home.bundles), home.project.name, self._fetch)
        self._live: Live | None = None

    def answer(self, drawn: DayLeads) -> list[Prediction]:
        """Answer the leads of a day as a worker would: the route in force, both versions' scores."""
        live = self._route()
        leads = _requests(live.contract.features, spoiled(self._faults, drawn.frame, self._luck))
        arms = [live.arm_of(lead.lead_id) for lead in leads]
        scores = {arm.version: arm.score_many(leads) for arm in (live.champion, live.challenger) if arm and leads}
        noise = _LATENCY_MS * np.exp(_LATENCY_SPREAD * self._rng.standard_normal(len(leads)))
        return [
            self._record(live, arm, lead, {version: own[i] for version, own in scores.items()}, moment, float(noise[i]))
            for i, (arm, lead, moment) in enumerate(zip(arms, leads, drawn.frame["created_at"], strict=True))
        ]

    def known_of(self, predictions: Sequence[Prediction]) -> pl.DataFrame:
        """What the team and the world know of the answers."""
        rows = [(p.lead_id, p.priority, p.predicted_score, p.variant, self._challenged(p)) for p in predictions]
        return pl.DataFrame(rows, schema={**ANSWER, "challenged": pl.Boolean()}, orient="row")

    def log(self, predictions: Sequence[Prediction], lived: LivedDay, day: datetime) -> tuple[int, int]:
        """Write a day into the database: predictions as the drainer does, contacts and outcomes as the API does.

        Gives the numbers of predictions and outcomes.
        """
        evening, faults = day + _DAY, self._faults
        given = arrived(faults, predictions, self._luck)
        outcomes = reported(faults, lived.reported, "outcome_at", self._luck).to_dicts()
        worked = lived.contacts.select("lead_id", contacted_at="left_at")
        contacts = reported(faults, worked, "contacted_at", self._luck).to_dicts()
        with self._home.connection() as connection:
            ensure_partitions(connection, {day.date()})
            log_predictions(connection, given)
            if outcomes:
                record_outcomes(connection, [Outcome(**row, source=_SOURCE) for row in outcomes], evening)
            record_contacts(connection, [Contact(**row, source=_SOURCE) for row in contacts], evening)
            _measure(connection, self._home.project.name, given, self._slowed(given), day, faults)
        return len(given), len(outcomes)

    def _route(self) -> Live:
        """The route in force with its versions; loaded anew when it has changed."""
        route = route_in_force(self._home)
        if self._live is None or self._live.route.epoch != route.epoch:
            real = load_live(route, self._versions)
            second = None if real.challenger is None else self._dressed(real.challenger)
            live = live_of(route, self._dressed(real.champion), second)
            self._live = replace(live, explored=explored_buckets(self._home.project.exploration.share))
        return self._live

    def _dressed(self, arm: Arm) -> Scored:
        return disguised(arm.scored, self._disguise)

    def _fetch(self, version: str) -> None:
        fetch(self._home.registry, version, self._home.bundles)

    def _record(  # noqa: PLR0917  # private
        self, live: Live, arm: Arm, lead: LeadIn, scores: dict[str, float], moment: datetime, latency_ms: float
    ) -> Prediction:
        """What is logged of a lead: the answer, and the score of the version that did not answer."""
        prediction_id = uuid7_at(moment, self._rng)
        slow = self._faults.slow if self._faults is not None and moment >= self._faults.begins else None
        took = latency_ms + (self._slow_ms if self._wears(arm.version) else 0.0) + (slow.extra_ms if slow else 0.0)
        request = Request(moment, took, prediction_id, slow.batch_size if slow else 1)
        logged = record(live, arm, lead, scores[arm.version], None, prediction_id, request)
        beside = next((version for version in scores if version != arm.version), None)
        return msgspec.structs.replace(
            logged, shadow_version=beside, shadow_score=None if beside is None else scores[beside]
        )

    def _challenged(self, prediction: Prediction) -> bool:
        """Whether the challenger answered; the one in disguise is it in every role, after its promotion too."""
        if self._disguise is None:
            return prediction.variant == "challenger"
        return self._wears(prediction.model_version)

    def _wears(self, version: str | None) -> bool:
        return self._disguise is not None and version == self._disguise.version

    @property
    def _slow_ms(self) -> float:
        return 0.0 if self._disguise is None else self._disguise.slow_ms

    def _slowed(self, predictions: Sequence[Prediction]) -> list[float]:
        """Milliseconds that each request waited for the other version's score beside its own."""
        return [self._slow_ms if self._wears(p.shadow_version) else 0.0 for p in predictions]


def _requests(features: Sequence[Feature], frame: pl.DataFrame) -> list[LeadIn]:
    """The leads as the API decodes them, in the order of the contract's features; what no CRM has is missing."""
    columns = [_values(feature, frame) for feature in features]
    rows = zip(*columns, strict=True)
    return [LeadIn(lead_id, values) for lead_id, values in zip(frame["lead_id"], rows, strict=True)]


def _values(feature: Feature, frame: pl.DataFrame) -> list[FeatureValue]:
    if feature.name not in frame.columns:
        return [None] * frame.height
    types = {
        FeatureType.NUMERIC: pl.Float64(),
        FeatureType.CATEGORICAL: pl.String(),
        FeatureType.BOOLEAN: pl.Boolean(),
    }
    values: list[FeatureValue] = frame[feature.name].cast(types[feature.type]).to_list()
    return values


def _measure(  # noqa: PLR0917  # private
    connection: Connection,
    model_name: str,
    predictions: Sequence[Prediction],
    beside_ms: Sequence[float],
    day: datetime,
    faults: Faults | None,
) -> None:
    """Write what a worker would have measured in a day, one request a lead."""
    end, slow = day + _DAY, None
    if faults is not None and faults.begins < end:
        slow = faults.slow
        end = max(day, faults.begins) if faults.silent == "service" else end
    if end == day:
        return
    times, busy_s = (slow.times, slow.busy_s or _BUSY_S) if slow else (1, _BUSY_S)
    latencies: dict[str, list[int]] = {}
    for p, waited in zip(predictions, beside_ms, strict=True):
        counts = latencies.setdefault(p.variant, [0] * (len(SECONDS) + 1))
        counts[bisect_left(SECONDS, (p.latency_ms + waited) / 1000)] += times
    edges = (*SECONDS, None)
    measured = Measurement(
        model_name=model_name,
        service=_SOURCE,
        worker="0",
        since=day,
        until=end,
        requests=len(predictions) * times,
        failures=0,
        busy_s=len(predictions) * times * busy_s,
        peak_memory_bytes=_MEMORY_BYTES,
        latencies={variant: list(zip(edges, counts, strict=True)) for variant, counts in latencies.items()},
        answers_by_variant={variant: sum(counts) for variant, counts in latencies.items()},
        shadow_asked=sum(p.shadow_version is not None for p in predictions),
    )
    add_measurement(connection, measured)


def _clock_of(home: Home) -> SimulatedClock:
    clock = home.clock
    if not isinstance(clock, SimulatedClock):
        raise RefusedError("A world is played on a clock of its own: call play with home.on(SimulatedClock(start)).")
    return clock


def _together(contacts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(contacts) if contacts else pl.DataFrame()
