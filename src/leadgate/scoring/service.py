"""What one worker serves with, and how leads are scored with it."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import msgspec
import uuid_utils

from leadgate.leads.events import Events, events_before
from leadgate.records import ApiKey, Prediction
from leadgate.scoring.answering import Arm, Live, Request, record
from leadgate.scoring.contract import BadRequestError, LeadIn
from leadgate.scoring.keys import Keyring, Scope
from leadgate.scoring.log import LOOK_UPS, ServingLog
from leadgate.scoring.making import NO_EVENTS, Making
from leadgate.scoring.metrics import Metrics
from leadgate.scoring.plan import Limits
from leadgate.scoring.spool import Spool
from leadgate.storage.postgres.events import KnownLead

_SLICE = 100
"""Leads of a batch that are scored before other requests get their turn: about a millisecond of trees."""

_SHADOW_WAIT_S = 0.05
"""A shadow that the library scores may keep an answer this long."""

_TELL_AGAIN_S = 60.0

log = logging.getLogger("leadgate.scoring")


class BusyError(Exception):
    """More requests wait for the library than could be answered in time."""


class _LeftOutError(Exception):
    """A shadow would make an answer wait."""


Done = TypeVar("Done")


class LibraryQueue:
    """Scores with the library in one thread of its own, so that the event loop goes on; a bounded number may wait.

    What waits for the database and not for the interpreter may have more threads.
    """

    def __init__(self, most: int, threads: int = 1) -> None:
        self.waiting = 0
        self._most = most
        # One thread: the library holds the interpreter's lock most of the time, so two would only take turns.
        self._thread = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="library")

    async def score(self, arm: Arm, leads: Sequence[LeadIn]) -> list[float]:
        """Probabilities of conversion. Raises BusyError when too many requests wait."""
        return await self.run(partial(arm.score_many, leads))

    async def run(self, work: Callable[[], Done]) -> Done:
        """Whatever takes its time. Raises BusyError when too many requests wait."""
        if self.waiting >= self._most:
            raise BusyError
        loop = asyncio.get_running_loop()
        self.waiting += 1
        future = self._thread.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self.waiting -= 1


@dataclass(kw_only=True)
class Service:
    """One worker's state. ``live`` and ``keyring`` are replaced between two requests, never changed."""

    live: Live
    spool: Spool
    log: ServingLog
    clock: Callable[[], datetime]
    metrics: Metrics = field(default_factory=Metrics)
    keyring: Keyring | None = None
    """None where nobody is asked for a key."""
    limits: Limits = field(default_factory=Limits)
    explored: int = 0
    """Buckets, of 10,000, whose leads are explored, on every route."""
    library: LibraryQueue = field(init=False, repr=False)
    shadows: LibraryQueue = field(init=False, repr=False)
    """Of the library's scores that nobody is told: a thread of their own, so that no answer ever stands behind one."""
    explaining: LibraryQueue = field(init=False, repr=False)
    """Of the reasons of scores: a thread of their own too."""
    lookups: LibraryQueue = field(init=False, repr=False)
    """Of what the database knows of leads that are to be scored."""
    _told: float = field(init=False, repr=False, default=-_TELL_AGAIN_S)
    """When a feature that failed was last told, in seconds of the performance counter."""

    def __post_init__(self) -> None:
        self.library = LibraryQueue(self.limits.library_queue)
        self.shadows = LibraryQueue(self.limits.library_queue)
        self.explaining = LibraryQueue(self.limits.library_queue)
        self.lookups = LibraryQueue(self.limits.library_queue, LOOK_UPS)
        self.take_up(self.live)

    def take_up(self, live: Live) -> None:
        """Answer by this route from now on."""
        self.metrics.begin([(arm.version, arm.variant) for arm in live.arms], live.making.names if live.making else ())
        self.live = replace(live, explored=self.explored)

    def admit(self, authorization: bytes | None, scope: Scope, seconds: float) -> ApiKey | None:
        """The key of a caller who may do this; None where none is asked for. Raises RefusedCallerError."""
        if self.keyring is None:
            return None
        return self.keyring.admit(authorization, scope, now=self.clock(), seconds=seconds)

    def make_now(self, live: Live, lead: LeadIn) -> LeadIn:
        """A lead with what features.py makes of its columns, on a route that looks nothing up."""
        assert live.making is not None
        return self._made(live.making, lead, NO_EVENTS, self.clock(), perf_counter())

    async def prepare(self, live: Live, leads: Sequence[LeadIn]) -> Sequence[LeadIn]:
        """The leads with what features.py makes of them; those that came without their columns are looked up.

        What they did is asked for in one query, and is what was known at the score's time. Raises BadRequestError for
        a lead that is not known, DatabaseDownError, TimeoutError, BusyError: a score on what is not known to be
        nothing would be a wrong score. For a shadow alone nobody waits long, and nothing is refused.
        """
        making = live.making
        if making is None:
            return leads
        at, started = self.clock(), perf_counter()
        needed = any(not live.is_whole(lead) or live.arm_of(lead.lead_id).takes_events for lead in leads)
        known = await self._known(live, leads, needed=needed) if needed or making.takes_events else {}
        found = []
        for start in range(0, len(leads), _SLICE):
            if start:
                await asyncio.sleep(0)
            for i, lead in enumerate(leads[start : start + _SLICE], start):
                whole = self._whole(live, lead, known, None if len(leads) == 1 else i)
                events = events_before(known[lead.lead_id].events, at) if known else NO_EVENTS
                found.append(self._made(making, whole, events, at, started, blind=making.takes_events and not known))
        return found

    async def _known(self, live: Live, leads: Sequence[LeadIn], *, needed: bool) -> Mapping[str, KnownLead]:
        """What the database knows of leads; nothing where it does not answer and no answer needs it."""
        ids = [lead.lead_id for lead in leads]
        columns = not all(live.is_whole(lead) for lead in leads)
        ask = partial(self.log.look_up, ids, columns=columns, events=live.looks_up)
        started = perf_counter()
        try:
            return await asyncio.wait_for(self.lookups.run(ask), self.limits.lookup_s if needed else _SHADOW_WAIT_S)
        except Exception as error:
            if needed:
                raise
            for arm in live.arms:
                if arm.takes_events:
                    self.metrics.shadow_skips.add((arm.version,), len(ids))
            self._tell("shadows are left out: what leads did cannot be asked for", {"reason": repr(error)})
            return {}
        finally:
            self.metrics.lookup_seconds.observe((), perf_counter() - started)

    def _whole(self, live: Live, lead: LeadIn, known: Mapping[str, KnownLead], place: int | None) -> LeadIn:
        """A lead with its columns. Raises BadRequestError for one that came without and that no import had."""
        if live.is_whole(lead):
            return lead
        columns = known[lead.lead_id].columns
        if columns is None:
            raise BadRequestError(
                f"No import had the lead {lead.lead_id!r}, so its columns are not known here; send its features.",
                "$.features" if place is None else f"$.leads[{place}].features",
            )
        return LeadIn(lead.lead_id, live.contract.read_columns(columns), lead.event_id)

    def _made(
        self, making: Making, lead: LeadIn, events: Events, at: datetime, started: float, *, blind: bool = False
    ) -> LeadIn:
        values, failures = making.extend(lead.values, events, at)
        for failure in failures:
            self.metrics.feature_failures.add((failure.feature,))
            self._tell("feature failed; it is missing", {"feature": failure.feature, "reason": failure.why})
        return LeadIn(lead.lead_id, values, lead.event_id, at, (perf_counter() - started) * 1000, blind)

    def _tell(self, what: str, facts: dict[str, str]) -> None:
        """Log what may come with every request, once a minute."""
        if perf_counter() - self._told >= _TELL_AGAIN_S:
            self._told = perf_counter()
            log.warning(what, extra=facts)

    def score_now(self, live: Live, lead: LeadIn, request_id: str | None) -> tuple[Prediction, Arm]:
        """Score a lead, and its shadow, on a route whose versions are all compiled; nothing is written yet."""
        arm = live.arm_of(lead.lead_id)
        started = perf_counter()
        try:
            score = _probability(arm.score(lead.values))
        except Exception:
            self.metrics.prediction_failures.add((arm.version, arm.variant))
            raise
        took = (perf_counter() - started) * 1000 + lead.making_ms
        other = live.beside(arm)
        shadow = None
        if other is not None and not (lead.blind and other.takes_events):
            shadow = self._shadow_now(other, arm, lead, score)
        prediction_id = str(uuid_utils.uuid7())
        request = Request(lead.at or self.clock(), took, request_id or prediction_id, 1)
        return record(live, arm, lead, score, shadow, prediction_id, request), arm

    async def score_one(self, live: Live, lead: LeadIn, request_id: str | None) -> tuple[Prediction, Arm]:
        """Score a lead, and its shadow; nothing is written yet. Raises BusyError, TimeoutError."""
        if live.compiled:
            return self.score_now(live, lead, request_id)
        ((prediction, arm),) = await self.score_batch(live, [lead], request_id or str(uuid_utils.uuid7()))
        return prediction, arm

    async def score_batch(self, live: Live, leads: Sequence[LeadIn], request_id: str) -> list[tuple[Prediction, Arm]]:
        """Score many leads, each by the version that answers it; nothing is written yet."""
        arms = [live.arm_of(lead.lead_id) for lead in leads]
        sides = [(arm, [i for i, own in enumerate(arms) if own is arm]) for arm in {id(a): a for a in arms}.values()]
        scores = [math.nan] * len(leads)
        started = perf_counter()
        for arm, places in sides:
            try:
                found = await self._score_many(arm, [leads[i] for i in places])
                _put(scores, places, [_probability(score) for score in found])
            except Exception:
                self.metrics.prediction_failures.add((arm.version, arm.variant), len(places))
                raise
        took = (perf_counter() - started) * 1000 + leads[-1].making_ms
        shadows: list[float | None] = [None] * len(leads)
        for arm, places in sides:
            other = live.beside(arm)
            if other is not None and not (leads[0].blind and other.takes_events):
                own = [scores[i] for i in places]
                _put(shadows, places, await self._shadow_scores(other, arm, [leads[i] for i in places], own))
        request = Request(leads[0].at or self.clock(), took, request_id, len(leads))
        return [
            (record(live, arm, lead, score, shadow, str(uuid_utils.uuid7()), request), arm)
            for arm, lead, score, shadow in zip(arms, leads, scores, shadows, strict=True)
        ]

    def _shadow_now(self, shadow: Arm, arm: Arm, lead: LeadIn, score: float) -> float | None:
        """A score that nobody is told; whatever goes wrong here, the answer is as it would have been."""
        try:
            found = _probability(shadow.score(lead.values))
        except Exception as error:  # noqa: BLE001  # see above
            self.metrics.shadow_failures.add((shadow.version,))
            log.warning("shadow failed", extra={"shadow_version": shadow.version, "reason": repr(error)})
            return None
        self.metrics.shadow_difference.observe((arm.version, shadow.version), abs(score - found))
        return found

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count what has been answered."""
        for p in predictions:
            self.metrics.predictions.add((p.model_version, p.variant, p.priority))
            self.metrics.scores.observe((p.model_version, p.variant), p.predicted_score)

    async def _score_many(self, arm: Arm, leads: Sequence[LeadIn]) -> list[float]:
        if not arm.compiled:
            return await self._by_library(arm, leads)
        scores: list[float] = []
        for start in range(0, len(leads), _SLICE):
            if start:
                await asyncio.sleep(0)
            scores += arm.score_many(leads[start : start + _SLICE])
        return scores

    async def _by_library(self, arm: Arm, leads: Sequence[LeadIn]) -> list[float]:
        return await asyncio.wait_for(self.library.score(arm, leads), self.limits.request_s)

    async def _shadow_by_library(self, shadow: Arm, leads: Sequence[LeadIn]) -> list[float]:
        if self.library.waiting:  # the interpreter's lock belongs to those who wait for an answer
            raise _LeftOutError
        return await asyncio.wait_for(self.shadows.score(shadow, leads), _SHADOW_WAIT_S)

    async def _shadow_scores(
        self, shadow: Arm, arm: Arm, leads: Sequence[LeadIn], scores: Sequence[float]
    ) -> Sequence[float | None]:
        """Scores that nobody is told; whatever goes wrong here, the answer is as it would have been."""
        try:
            made = await (self._score_many if shadow.compiled else self._shadow_by_library)(shadow, leads)
            found = [_probability(score) for score in made]
        except _LeftOutError:  # our choice, and no fault of the version
            self.metrics.shadow_skips.add((shadow.version,), len(leads))
            return [None] * len(leads)
        except Exception as error:  # noqa: BLE001  # see above
            self.metrics.shadow_failures.add((shadow.version,), len(leads))
            log.warning("shadow failed", extra={"shadow_version": shadow.version, "reason": repr(error)})
            return [None] * len(leads)
        for own, other in zip(scores, found, strict=True):
            self.metrics.shadow_difference.observe((arm.version, shadow.version), abs(own - other))
        return found


def _probability(score: float) -> float:
    """The same; no lead is answered with anything else, and nothing else is logged."""
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"a score is no probability: {score!r}")
    return score


def _put(into: list[Any], places: Sequence[int], values: Sequence[float | None]) -> None:
    for i, value in zip(places, values, strict=True):
        into[i] = value


encode = msgspec.json.Encoder().encode
"""Answers as JSON."""
