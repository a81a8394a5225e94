"""The jobs of the worker: one list, one way to run one, whoever runs it."""

import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from leadgate.app import chores
from leadgate.app.schedule import next_due
from leadgate.app.wire import Home
from leadgate.errors import LeadgateError, NotFoundError, RefusedError
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.jobs import Waiting, waiting_jobs, worker_lives
from leadgate.storage.postgres.rollouts import add_event
from leadgate.storage.postgres.runs import (
    Result,
    Run,
    close_dead_runs,
    end_run,
    failures,
    hold_job,
    jobs_held,
    last_runs,
    runs_of,
    start_run,
    untold_failures,
)

WORKER = "worker"
"""Who runs a job that nobody runs by hand."""
TRIES = 4
"""Failures one after the other of which people are told."""
DIED = "It did not end: its process was killed, or the database went away."


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to be done again and again."""

    name: str
    """As leadgate.yaml's worker.schedule names it."""
    lane: str
    """Jobs of a lane wait for each other, and for no job of another."""
    does: str
    chore: Callable[[Home], str]


JOBS = (
    Job(
        name="checks", lane="checks", does="checks over monitoring.window_days, then alerts", chore=chores.check_window
    ),
    Job(name="daily_checks", lane="checks", does="checks over a day, then alerts", chore=chores.check_day),
    Job(name="weekly_checks", lane="checks", does="checks over 28 days, then alerts", chore=chores.check_weeks),
    Job(name="rollout", lane="rollout", does="evaluates the rollout", chore=chores.evaluate_rollout),
    Job(name="retraining", lane="retraining", does="asks the triggers, trains where they say so", chore=chores.retrain),
    Job(name="alerts", lane="alerts", does="delivers alerts", chore=chores.deliver_alerts),
    Job(name="profiles", lane="upkeep", does="merges hourly profiles", chore=chores.tidy_profiles),
    Job(name="records", lane="upkeep", does="removes old records", chore=chores.remove_records),
    Job(name="prediction_log", lane="upkeep", does="moves old days out of the log", chore=chores.retain_log),
)
"""A test holds the names against leadgate.yaml's schedule."""


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job as it stands."""

    name: str
    does: str
    cron: str | None
    """None: only by hand."""
    next_at: datetime | None
    last: Run | None
    """The last run, be it under way."""
    running: bool
    failures: int
    """Since it last ended otherwise."""
    waiting: int
    """In the queue."""
    retry_at: datetime | None
    """When it is tried again after a failure."""


def find_job(name: str, jobs: Sequence[Job] = JOBS) -> Job:
    """The job of that name. Raises NotFoundError naming all."""
    for job in jobs:
        if job.name == name.replace("-", "_"):
            return job
    raise NotFoundError(f"There is no job {name!r}; there are {', '.join(job.name for job in jobs)}.")


def run_job(home: Home, job: Job, by: str, *, tries: int = TRIES) -> Run:
    """Do a job now, and write down what came of it.

    1. Take its lock, which the database gives to one at a time and takes back from whoever dies.
    2. End the runs of those who died, and tell people before the next one dies too.
    3. Write down that it runs; do it; write down what came of it, and tell people where it fails again and again.

    Raises RefusedError where somebody runs it already. What the job itself raises becomes the run's result.
    """
    name = home.project.name
    with home.connection() as keeper:
        if not hold_job(keeper, name, job.name):
            raise RefusedError(_busy(home, job))
        with home.connection() as connection:
            close_dead_runs(connection, name, job.name, at=home.clock(), sentence=DIED)
            _tell_people(connection, home, job, after=tries)
            number = start_run(connection, name, job.name, at=home.clock(), by=by)
        result, sentence, trace = _do(home, job, number)
        _end(home, number, result, sentence, trace)
        with home.connection() as connection:
            _tell_people(connection, home, job, after=tries)
    with home.connection() as connection:
        return next(run for run in runs_of(connection, name, job.name) if run.job_run_id == number)


def job_states(home: Home, jobs: Sequence[Job] = JOBS) -> tuple[list[JobState], bool]:
    """Each job as it stands, and whether a worker of this project lives."""
    name, names = home.project.name, [job.name for job in jobs]
    with home.connection() as connection:
        runs, failed = last_runs(connection, name), failures(connection, name)
        held = jobs_held(connection, name, names)
        waiting = waiting_jobs(connection, queues_of(home, jobs))
        lives = worker_lives(connection, name)
    return [
        _state(home, job, runs.get(job.name), failed.get(job.name, 0), waiting, running=job.name in held)
        for job in jobs
    ], lives


def history_of(home: Home, job: Job, *, most: int = 20) -> list[Run]:
    """The last runs of a job, the last first."""
    with home.connection() as connection:
        return runs_of(connection, home.project.name, job.name, most=most)


def queues_of(home: Home, jobs: Sequence[Job] = JOBS) -> list[str]:
    """The queues of a project: projects that share a database share no job."""
    return sorted({queue_of(home, job) for job in jobs})


def queue_of(home: Home, job: Job) -> str:
    """The queue of a job's lane."""
    return f"{home.project.name}.{job.lane}"


def task_of(job: Job) -> str:
    """How the queue calls a job."""
    return f"leadgate.{job.name}"


def cron_of(home: Home, job: Job) -> str | None:
    """When a job is due; None: only by hand."""
    found: str | None = getattr(home.project.worker.schedule, job.name)
    return found


def _do(home: Home, job: Job, number: int) -> tuple[Result, str, str | None]:
    try:
        return "ok", job.chore(home), None
    except RefusedError as error:
        return "refused", str(error), None
    except LeadgateError as error:
        return "failed", str(error), None
    except Exception as error:  # noqa: BLE001  # whatever it is, the run has failed and the worker goes on
        first = (str(error).strip().splitlines() or [""])[0]
        return "failed", f"{type(error).__name__}: {first}", traceback.format_exc()
    except BaseException as error:
        with suppress(Exception):
            _end(home, number, "failed", f"It was stopped ({type(error).__name__}).", None)
        raise


def _end(home: Home, number: int, result: Result, sentence: str, trace: str | None) -> None:
    with home.connection() as connection:
        end_run(connection, number, at=home.clock(), result=result, sentence=sentence, traceback=trace)


def _tell_people(connection: Connection, home: Home, job: Job, *, after: int) -> None:
    """Leave an event, once, when a job has failed so often: nobody reads a list of jobs each day.

    Once until it ends otherwise: whoever holds the job's lock is the only one who looks and tells.
    """
    subject = f"job {job.name} of {home.project.name}"
    found = untold_failures(connection, home.project.name, job.name, subject=subject)
    if found is None or found[0] < after:
        return
    times, number, sentence = found
    add_event(
        connection,
        at=home.clock(),
        kind="job failed",
        severity="yellow",
        subject=subject,
        message=f"{job.name} has failed {times} times, see `leadgate jobs show {job.name}`: {sentence}",
        details={"model": home.project.name, "job": job.name, "job_run_id": number},
    )


def _busy(home: Home, job: Job) -> str:
    with home.connection() as connection:
        run = last_runs(connection, home.project.name).get(job.name)
    known = run is not None and run.ended_at is None
    since = f" since {run.started_at:%Y-%m-%d %H:%M:%S} UTC, by {run.started_by}" if run and known else ""
    return f"{job.name} is running already{since}; wait until it has ended (`leadgate jobs list`)."


def _state(
    home: Home, job: Job, last: Run | None, failed: int, waiting: Sequence[Waiting], *, running: bool
) -> JobState:
    cron = cron_of(home, job)
    mine = [found for found in waiting if found.task_name == task_of(job)]
    return JobState(
        name=job.name,
        does=job.does,
        cron=cron,
        next_at=None if cron is None else next_due(cron, home.clock()),
        last=last,
        running=running,
        failures=failed,
        waiting=len(mine),
        retry_at=next((found.scheduled_at for found in mine if found.attempts), None),
    )
