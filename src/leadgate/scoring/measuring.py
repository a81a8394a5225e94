"""What one worker did in a span of time, written into PostgreSQL: the gates of a rollout read it there.

A span ends once a minute, where the route changes, and when the worker stops. Counts are taken in the event loop and
written in a thread, so that no answer waits. While the database is away the span that could not be written is kept, and
what happens meanwhile goes into the next one.
"""

import asyncio
import logging
import resource
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from leadgate.scoring.metrics import SECONDS, Metrics
from leadgate.scoring.service import Service
from leadgate.storage.postgres.measurements import Measurement

_EVERY_S = 60.0
_STOP_S = 8.0
"""How long a stop waits for the last span to be written."""
_ROUTES = ("/predict", "/predict/batch")
"""What is counted: probes and figures would thin out the failures."""
_FAILURE = 500

log = logging.getLogger("leadgate.scoring")


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a worker did since it began; the difference of two is a span."""

    requests: int
    failures: int
    busy_s: float
    latencies: dict[str, tuple[int, ...]]
    """Counts by variant, for the buckets of SECONDS and one above."""
    answers: Counter[str]
    """Leads by variant, as are failed ones."""
    failed: Counter[str]
    shadow_asked: int
    shadow_failed: int


def totals_of(metrics: Metrics, busy_s: float) -> Totals:
    """Add up a worker's instruments."""
    others = [(int(s[1]), sum(c.counts)) for s, c in metrics.request_seconds.series.items() if _is_counted(s)]
    latencies: dict[str, tuple[int, ...]] = {}
    for (_, variant), series in metrics.prediction_seconds.series.items():
        before = latencies.get(variant, (0,) * len(series.counts))
        latencies[variant] = tuple(map(sum, zip(before, series.counts, strict=True)))
    answers, failed = Counter[str](), Counter[str]()
    for (_, variant, _), count in metrics.predictions.series.items():
        answers[variant] += int(count)
    for (_, variant), count in metrics.prediction_failures.series.items():
        failed[variant] += int(count)
    shadow_failed = int(sum(metrics.shadow_failures.series.values()))
    return Totals(
        requests=sum(map(sum, latencies.values())) + sum(count for _, count in others),
        failures=sum(count for status, count in others if status >= _FAILURE),
        busy_s=busy_s,
        latencies=latencies,
        answers=answers,
        failed=failed,
        shadow_asked=shadow_failed + sum(sum(s.counts) for s in metrics.shadow_difference.series.values()),
        shadow_failed=shadow_failed,
    )


class Recorder:
    """Writes the spans of one worker down."""

    def __init__(self, service: Service, *, start: str, worker: str) -> None:
        """``start`` names the start of ``leadgate serve``. The first span begins now."""
        self._service = service
        self._start = start
        self._worker = worker
        self._since = service.clock()
        self._before = totals_of(service.metrics, time.process_time())
        self._epoch = service.live.route.epoch
        self._ended = time.monotonic()
        self._unwritten: deque[Measurement] = deque()
        self._thread: threading.Thread | None = None
        self._told = False

    def tick(self) -> None:
        """End a span where it is time; called in the event loop a few times a second."""
        if self._thread is not None and self._thread.is_alive():
            return
        turned = self._service.live.route.epoch != self._epoch
        if turned or time.monotonic() - self._ended > _EVERY_S:
            self._epoch, self._ended = self._service.live.route.epoch, time.monotonic()
            # An hour without a database is one long span, but none holds the requests of two routes.
            if turned or not self._unwritten:
                self._unwritten.append(self._end_span())
            self._write_beside()

    async def close(self) -> None:
        """Write the last span."""
        self._unwritten.append(self._end_span())
        await self._wait()
        if self._unwritten:
            self._write_beside()
            await self._wait()

    def _end_span(self) -> Measurement:
        before, since = self._before, self._since
        # A clock that was set back must not give two spans of one name.
        self._since = max(self._service.clock(), since + timedelta(microseconds=1))
        self._before = totals_of(self._service.metrics, time.process_time())
        who = _Who(self._service.live.route.model_name, self._start, self._worker)
        return _difference(before, self._before, who, since, self._since)

    def _write_beside(self) -> None:
        # A daemon, so that a database that hangs keeps no process from its end.
        self._thread = threading.Thread(target=self._write, name="measurements", daemon=True)
        self._thread.start()

    async def _wait(self) -> None:
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_S)

    def _write(self) -> None:
        try:
            while self._unwritten:
                self._service.log.measure(self._unwritten[0])
                self._unwritten.popleft()  # not before: the same span again would add nothing
            self._told = False
        except Exception as error:  # noqa: BLE001  # whatever it is, answers go on
            if not self._told:
                log.warning("measurements cannot be written; they are kept", extra={"reason": str(error)})
            self._told = True


class _Who(NamedTuple):
    """Whose spans they are."""

    model_name: str
    start: str
    worker: str


def _difference(before: Totals, after: Totals, who: _Who, since: datetime, until: datetime) -> Measurement:
    edges = (*SECONDS, None)
    nothing = (0,) * len(edges)
    return Measurement(
        model_name=who.model_name,
        service=who.start,
        worker=who.worker,
        since=since,
        until=until,
        requests=after.requests - before.requests,
        failures=after.failures - before.failures,
        busy_s=after.busy_s - before.busy_s,
        peak_memory_bytes=peak_memory_bytes(),
        latencies={
            variant: [
                (edge, new - old)
                for edge, new, old in zip(edges, counts, before.latencies.get(variant, nothing), strict=True)
            ]
            for variant, counts in after.latencies.items()
        },
        answers_by_variant=after.answers - before.answers,
        failures_by_variant=after.failed - before.failed,
        shadow_asked=after.shadow_asked - before.shadow_asked,
        shadow_failed=after.shadow_failed - before.shadow_failed,
    )


def _is_counted(labels: tuple[str, ...]) -> bool:
    return labels[0] in _ROUTES and labels[1].isdecimal()


def peak_memory_bytes() -> int:
    """The most memory that this process ever had resident."""
    # Linux hands the figure of getrusage on to a program from the one that started it.
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
