"""The jobs of a project in the queue: put there when they are due, tried again, taken over from the dead.

Procrastinate keeps the queue. When a job is due is decided here and not there: what was missed is one run, and the
clock is the project's.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from procrastinate import App
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as Queued
from procrastinate.jobs import Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from leadgate.app.jobs import (
    JOBS,
    TRIES,
    WORKER,
    Job,
    JobState,
    cron_of,
    job_states,
    queue_of,
    queues_of,
    run_job,
    task_of,
)
from leadgate.app.schedule import last_due, next_due
from leadgate.app.wire import Home
from leadgate.errors import LeadgateError, RefusedError
from leadgate.storage.postgres.jobs import bring_forward, ensure_queue, sync_connector
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
    retries: int = TRIES - 1
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
        as_task(_task(home, job, pace, ended))
    return app


async def defer_due(app: App, home: Home, jobs: Sequence[Job], handled: dict[str, int]) -> None:
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


async def take_over(app: App, home: Home, jobs: Sequence[Job], pace: Pace, own: Sequence[int | None]) -> None:
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


def until_next(home: Home, jobs: Sequence[Job]) -> float:
    """Seconds until a job is due."""
    now = home.clock()
    times = [next_due(cron, now) for job in jobs if (cron := cron_of(home, job)) is not None]
    return max(0.05, min(((at - now).total_seconds() for at in times), default=60.0) + 0.05)


def retry_jobs(home: Home, job: Job | None) -> tuple[list[str], bool]:
    """Let a job, or all whose last run failed, be due now; gives their names, and whether a worker lives."""
    states, lives = job_states(home)
    stands = {state.name: state for state in states}
    wanted = [job] if job is not None else [found for found in JOBS if _has_failed(stands[found.name])]
    if not wanted:
        return [], lives
    ensure_queue(home.database_url)
    queues = queues_of(home)
    for found in wanted:
        with home.connection() as connection:
            bring_forward(connection, queues, task_of(found))
        if not stands[found.name].waiting:
            _defer(home, found)
    return [found.name for found in wanted], lives


def _has_failed(state: JobState) -> bool:
    return state.last is not None and not state.running and state.last.result in ("failed", None)


def _defer(home: Home, job: Job) -> None:
    way = sync_connector(home.database_url)
    app = make_app(home, way, [job], Pace(), lambda _: None)
    with app.open():
        app.tasks[task_of(job)].defer(timestamp=int(time.time()))


def _task(home: Home, job: Job, pace: Pace, ended: Callable[[Run], None]) -> Callable[..., None]:
    def task(timestamp: int) -> None:
        del timestamp
        try:
            # A features.py that is mended meanwhile is taken as it is, without a new start.
            anew = home if home.project.lead.fault is None else replace(home)
            run = run_job(anew, job, WORKER, tries=pace.retries + 1)
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
