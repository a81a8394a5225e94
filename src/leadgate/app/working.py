"""The worker: puts jobs into the queue when they are due, and runs what is in it.

Procrastinate keeps the queue, gives each job to one worker, tries again after failures and tells which workers are
dead. When a job is due is decided here: what was missed is one run, and the clock is the project's.
"""

import asyncio
import atexit
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from procrastinate import App
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as Queued
from procrastinate.jobs import Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker

from leadgate.app.jobs import JOBS, WORKER, Job, cron_of, queue_of, queues_of, run_job, task_of
from leadgate.app.schedule import last_due, next_due
from leadgate.app.wire import Home
from leadgate.errors import DatabaseDownError, LeadgateError, RefusedError
from leadgate.storage.postgres.jobs import connector, ensure_queue
from leadgate.storage.postgres.runs import Run

log = logging.getLogger("leadgate.worker")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How patient a worker is, in seconds."""

    look: float = 2.0
    """Between two looks into the queue."""
    heartbeat: float = 10.0
    dead_after: float = 30.0
    """Without a heartbeat the jobs of a worker are taken over."""
    first_retry: float = 15.0
    """After a failure; then four times as long, each time."""
    retries: int = 3
    answer: float = 10.0
    """For the database to answer: an outage that is shorter is not noticed."""
    reconnect: float = 5.0
    grace: float = 60.0
    """For a running job to end, once the worker is told to stop."""


@dataclass(frozen=True, kw_only=True)
class BackOff(BaseRetryStrategy):
    """Try again later, and then much later, and then no more until the job is due again."""

    pace: Pace

    def get_retry_decision(self, *, exception: BaseException, job: Queued) -> RetryDecision | None:
        """When to try again; None: no more."""
        del exception
        if job.attempts >= self.pace.retries:
            return None
        return RetryDecision(retry_in={"seconds": round(self.pace.first_retry * 4**job.attempts)})


class RunFailedError(LeadgateError):
    """Tells the queue that a run failed; the run itself is written down."""


def make_app(home: Home, way: BaseConnector, jobs: Sequence[Job], pace: Pace, ended: Callable[[Run], None]) -> App:
    """The jobs as the queue knows them. ``ended`` hears of each run."""
    app = App(connector=way)
    for job in jobs:
        as_task = app.task(
            name=task_of(job),
            queue=queue_of(home, job),
            lock=f"{home.project.name}.{job.name}",
            retry=BackOff(pace=pace),
        )
        as_task(_task(home, job, ended))
    return app


def work(home: Home, *, once: bool = False, jobs: Sequence[Job] = JOBS, pace: Pace | None = None) -> list[Run]:
    """Run jobs until the process is told to stop; with ``once`` until nothing is due any more.

    Gives the runs that have ended, with ``once``. SIGTERM lets the running jobs end; a second one does not.
    """
    _quiet_libraries()
    return asyncio.run(_Shift(home, jobs, pace or Pace()).work(once=once))


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
                    connector(self.home.database_url, patience_s=self.pace.answer),
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
        await _take_over(app, self.home, self.jobs, self.pace, ())
        await _defer_due(app, self.home, self.jobs, self.handled)
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
            await _take_over(app, self.home, self.jobs, self.pace, [w.worker_id for w in self.workers])
            await _defer_due(app, self.home, self.jobs, self.handled)
            await _sleep(self.stopping, min(self.pace.heartbeat / 2, _until_next(self.home, self.jobs)))

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


def _task(home: Home, job: Job, ended: Callable[[Run], None]) -> Callable[..., None]:
    def task(timestamp: int) -> None:
        del timestamp
        try:
            run = run_job(home, job, WORKER)
        except RefusedError as error:
            log.info("%s left out: %s", job.name, error)
            return
        ended(run)
        _tell(run)
        if run.result == "failed":
            raise RunFailedError(run.sentence)

    return task


def _tell(run: Run) -> None:
    took = (run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0
    level = logging.ERROR if run.result == "failed" else logging.INFO
    log.log(
        level,
        "%s %s in %.1f s: %s",
        run.job,
        run.result,
        took,
        run.sentence,
        extra={"job": run.job, "result": run.result, "duration_s": took, "traceback": run.traceback},
    )


async def _defer_due(app: App, home: Home, jobs: Sequence[Job], handled: dict[str, int]) -> None:
    """Put each job into the queue whose time has come, once for all the times that it came; see ``handled``.

    Who puts it in first has done it for all workers. A job that waits already, be it for its next attempt, is not put
    in again.
    """
    now = home.clock()
    due = {job.name: int(last_due(cron, now).timestamp()) for job in jobs if (cron := cron_of(home, job)) is not None}
    if due == handled:
        return
    waiting = {queued.lock for queued in await app.job_manager.list_jobs_async(status="todo")}
    for name, tick in due.items():
        if handled.get(name) == tick:
            continue
        job = next(job for job in jobs if job.name == name)
        queued = app.tasks[task_of(job)].configure(task_kwargs={"timestamp": tick}).job
        if queued.lock not in waiting:
            await app.job_manager.defer_periodic_job(job=queued, periodic_id=home.project.name, defer_timestamp=tick)
        handled[name] = tick


async def _take_over(app: App, home: Home, jobs: Sequence[Job], pace: Pace, own: Sequence[int | None]) -> None:
    """Put what workers left that have died back into the queue; what dies again and again waits until it is due."""
    queues = queues_of(home, jobs)
    for queued in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=pace.dead_after):
        if queued.queue not in queues or (queued.worker_id is not None and queued.worker_id in own):
            continue
        assert queued.id is not None
        waits = list(await app.job_manager.list_jobs_async(lock=queued.lock, status="todo"))
        with suppress(ConnectorException):  # another worker was faster
            if waits or queued.attempts >= pace.retries:
                await app.job_manager.finish_job_by_id_async(queued.id, Status.FAILED, delete_job=True)
            else:
                await app.job_manager.retry_job(queued)
            log.warning("%s is taken over from a worker that has died", queued.task_name.removeprefix("leadgate."))


def _until_next(home: Home, jobs: Sequence[Job]) -> float:
    """Seconds until a job is due."""
    now = home.clock()
    times = [next_due(cron, now) for job in jobs if (cron := cron_of(home, job)) is not None]
    return max(0.05, min(((at - now).total_seconds() for at in times), default=60.0) + 0.05)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _why(error: BaseException) -> str:
    if isinstance(error, DatabaseDownError):
        return str(error)
    cause = error.__cause__ or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return f"The database does not answer ({first})."


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
