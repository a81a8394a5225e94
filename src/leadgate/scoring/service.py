"""What one worker serves with, and how leads are scored with it."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import msgspec
import uuid_utils

from leadgate.records import ApiKey, Prediction
from leadgate.scoring.answering import Arm, Live, Request, record
from leadgate.scoring.contract import LeadIn
from leadgate.scoring.keys import Keyring, Scope
from leadgate.scoring.log import ServingLog
from leadgate.scoring.metrics import Metrics
from leadgate.scoring.plan import Limits
from leadgate.scoring.spool import Spool

_SLICE = 100
"""Leads of a batch that are scored before other requests get their turn: about a millisecond of trees."""

_SHADOW_WAIT_S = 0.05
"""A shadow that the library scores may keep an answer this long."""

log = logging.getLogger("leadgate.scoring")


class BusyError(Exception):
    """More requests wait for the library than could be answered in time."""


class _LeftOutError(Exception):
    """A shadow would make an answer wait."""


Done = TypeVar("Done")


class LibraryQueue:
    """Scores with the library in one thread of its own, so that the event loop goes on; a bounded number may wait."""

    def __init__(self, most: int) -> None:
        self.waiting = 0
        self._most = most
        # One thread: the library holds the interpreter's lock most of the time, so two would only take turns.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="library")

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

    def __post_init__(self) -> None:
        self.library = LibraryQueue(self.limits.library_queue)
        self.shadows = LibraryQueue(self.limits.library_queue)
        self.explaining = LibraryQueue(self.limits.library_queue)
        self.take_up(self.live)

    def take_up(self, live: Live) -> None:
        """Answer by this route from now on."""
        self.metrics.begin([(arm.version, arm.variant) for arm in live.arms])
        self.live = replace(live, explored=self.explored)

    def admit(self, authorization: bytes | None, scope: Scope, seconds: float) -> ApiKey | None:
        """The key of a caller who may do this; None where none is asked for. Raises RefusedCallerError."""
        if self.keyring is None:
            return None
        return self.keyring.admit(authorization, scope, now=self.clock(), seconds=seconds)

    def score_now(self, live: Live, lead: LeadIn, request_id: str | None) -> tuple[Prediction, Arm]:
        """Score a lead, and its shadow, on a route whose versions are all compiled; nothing is written yet."""
        arm = live.arm_of(lead.lead_id)
        started = perf_counter()
        try:
            score = _probability(arm.score(lead.values))
        except Exception:
            self.metrics.prediction_failures.add((arm.version, arm.variant))
            raise
        took = (perf_counter() - started) * 1000
        other = live.beside(arm)
        shadow = None if other is None else self._shadow_now(other, arm, lead, score)
        prediction_id = str(uuid_utils.uuid7())
        request = Request(self.clock(), took, request_id or prediction_id, 1)
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
        took = (perf_counter() - started) * 1000
        shadows: list[float | None] = [None] * len(leads)
        for arm, places in sides:
            other = live.beside(arm)
            if other is not None:
                own = [scores[i] for i in places]
                _put(shadows, places, await self._shadow_scores(other, arm, [leads[i] for i in places], own))
        request = Request(self.clock(), took, request_id, len(leads))
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
