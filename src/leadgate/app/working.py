"""The worker: puts jobs into the queue when they are due and runs what is in it, through all losses of the database.

A lane of jobs is a Procrastinate worker, all of them in one process.
"""

import asyncio
import atexit
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from leadgate.app.jobs import JOBS, WORKER, Job, queues_of
from leadgate.app.queueing import Pace, defer_due, make_app, take_over, until_next
from leadgate.app.wire import Home
from leadgate.errors import DatabaseDownError
from leadgate.storage.postgres.jobs import connector, ensure_queue
from leadgate.storage.postgres.runs import Run

log = logging.getLogger("leadgate.worker")


def work(home: Home, *, once: bool = False, jobs: Sequence[Job] = JOBS, pace: Pace | None = None) -> list[Run]:
    """Run jobs until the process is told to stop; with ``once`` until nothing is due any more.

    Gives the runs that have ended, with ``once``. SIGTERM lets the running jobs end; a second one does not.
    """
    _quiet_libraries()
    return asyncio.run(_Shift(home.acting(WORKER), jobs, pace or Pace()).work(once=once))


@dataclass
class _Shift:
    """A worker from its start to its end, through all losses of the database."""

    home: Home
    jobs: Sequence[Job]
    pace: Pace
    runs: list[Run] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    handled: dict[str, int] = field(default_factory=dict)
    """The last time each job was due that was seen to."""
    lost: list[int] = field(default_factory=list)
    """Earlier workers of this process that could not sign off."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self, *, once: bool) -> list[Run]:
        self._listen_to_signals()
        down = False
        while not self.stopping.is_set():
            try:
                await asyncio.to_thread(self._prepare)
                app = make_app(
                    self.home,
                    connector(self.home.database_url, project=self.home.project.name, patience_s=self.pace.answer),
                    self.jobs,
                    self.pace,
                    self._ended(once),
                )
                async with app.open_async():
                    log.info("the database answers again" if down else "the worker has started")
                    down = False
                    await (self._once if once else self._until_stopped)(app)
                if once:
                    return self.runs
            except (ConnectorException, psycopg.OperationalError, DatabaseDownError) as error:
                if once:
                    raise DatabaseDownError(_why(error)) from error
                if not down:
                    log.warning("%s Trying again every %g seconds.", _why(error), self.pace.reconnect)
                down = True
                await _sleep(self.stopping, self.pace.reconnect)
        log.info("the worker has stopped")
        return self.runs

    def _prepare(self) -> None:
        url = self.home.database_url  # starts the project's own at the first time, and looks at its tables
        self.home.keep_database()
        ensure_queue(url)

    async def _once(self, app: App) -> None:
        await self._sign_off_the_lost(app)
        await take_over(app, self.home, self.jobs, self.pace, ())
        await defer_due(app, self.home, self.jobs, self.handled)
        self.workers = self._make_workers(app, wait=False)
        await asyncio.gather(*(_run(worker) for worker in self.workers))

    async def _until_stopped(self, app: App) -> None:
        """Run the lanes and tend the queue until told to stop, or until one of them fails: then all of them end."""
        await self._sign_off_the_lost(app)
        self.workers = self._make_workers(app, wait=True)
        lanes = [asyncio.create_task(_run(worker)) for worker in self.workers]
        tending = asyncio.create_task(self._tend(app))
        await asyncio.wait([*lanes, tending], return_when=asyncio.FIRST_COMPLETED)
        tending.cancel()
        for worker in self.workers:
            worker.stop()  # type: ignore[no-untyped-call]
        ends = await asyncio.gather(*lanes, tending, return_exceptions=True)
        self.lost += [worker.worker_id for worker in self.workers if worker.worker_id is not None]
        for end in ends:
            if isinstance(end, Exception):
                raise end
        if not self.stopping.is_set():
            raise DatabaseDownError("The queue of jobs was lost.")

    async def _tend(self, app: App) -> None:
        """Put what is due into the queue, and take over what the dead have left."""
        while not self.stopping.is_set():
            await asyncio.to_thread(self.home.keep_database)
            for worker in self.workers:  # by hand, too: the library's own heartbeat dies unnoticed
                if worker.worker_id is not None:
                    await app.job_manager.update_heartbeat(worker.worker_id)
            await take_over(app, self.home, self.jobs, self.pace, [w.worker_id for w in self.workers])
            await defer_due(app, self.home, self.jobs, self.handled)
            await _sleep(self.stopping, min(self.pace.heartbeat / 2, until_next(self.home, self.jobs)))

    async def _sign_off_the_lost(self, app: App) -> None:
        while self.lost:
            await app.job_manager.unregister_worker(self.lost[-1])
            self.lost.pop()

    def _make_workers(self, app: App, *, wait: bool) -> list[Worker]:
        return [
            Worker(
                app=app,
                queues=[queue],
                name=queue,
                wait=wait,
                fetch_job_polling_interval=self.pace.look,
                listen_notify=False,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=self.pace.heartbeat,
                stalled_worker_timeout=self.pace.dead_after,
            )
            for queue in queues_of(self.home, self.jobs)
        ]

    def _ended(self, once: bool) -> Callable[[Run], None]:
        return self.runs.append if once else lambda _: None

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_pass_over_losses)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, loop)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.stopping.is_set():
            _stop_hard("told to a second time")
        log.info("stopping: what runs may end, for up to %g seconds", self.pace.grace)
        self.stopping.set()
        for worker in self.workers:
            worker.stop()  # type: ignore[no-untyped-call]
        loop.call_later(self.pace.grace, _stop_hard, f"{self.pace.grace:g} seconds have passed")


async def _run(worker: Worker) -> None:
    await worker.run()  # type: ignore[no-untyped-call]


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _why(error: BaseException) -> str:
    if isinstance(error, DatabaseDownError):
        return str(error)
    cause = error.__cause__ or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return f"The database does not answer ({first})."


def _pass_over_losses(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the library's tasks lose with the database is told once, by whoever waits for it to come back."""
    if not isinstance(context.get("exception"), ConnectorException):
        loop.default_exception_handler(context)


def _stop_hard(why: str) -> None:
    """End at once. The database undoes what was not finished, and the next worker does it again."""
    log.warning("stopping at once: %s", why)
    signal.alarm(10)  # should the project's own database not stop either
    atexit._run_exitfuncs()  # noqa: SLF001  # threads that still work would be waited for otherwise
    os._exit(1)


def _quiet_libraries() -> None:
    """A line a job: what the libraries have to say of it is in that line."""
    for name in ("procrastinate", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
