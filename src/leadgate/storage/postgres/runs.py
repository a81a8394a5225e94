"""Runs of jobs: who runs what now, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from leadgate.storage.postgres.connection import Connection, statement

Result = Literal["ok", "refused", "failed"]
"""refused: the state of the project has no use for the job, and it says why; nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a job."""

    job_run_id: int
    job: str
    started_at: datetime
    started_by: str
    """``worker``, or the name of who ran it by hand."""
    ended_at: datetime | None
    """None while it runs, or where its process died."""
    result: Result | None
    """None with ``ended_at``."""
    sentence: str | None
    """What it did, or why it did not."""
    traceback: str | None
    """Of a failure that nobody foresaw."""


def hold_job(connection: Connection, model_name: str, job: str) -> bool:
    """Keep others from running a job until this transaction ends; False when somebody else runs it."""
    connection.execute(statement("runs", "wait_idly"))
    row = connection.execute(statement("runs", "hold_job"), {"model_name": model_name, "job": job}).fetchone()
    return bool(row and row[0])


def start_run(connection: Connection, model_name: str, job: str, *, at: datetime, by: str) -> int:
    """Write down that a job runs; gives the run's number."""
    values = {"model_name": model_name, "job": job, "started_at": at, "started_by": by}
    row = connection.execute(statement("runs", "start_run"), values).fetchone()
    assert row is not None
    return int(row[0])


def end_run(
    connection: Connection,
    job_run_id: int,
    *,
    at: datetime,
    result: Result,
    sentence: str,
    traceback: str | None = None,
) -> None:
    """Write down what came of it."""
    values = {
        "job_run_id": job_run_id,
        "ended_at": at,
        "result": result,
        "sentence": sentence,
        "traceback": traceback,
    }
    connection.execute(statement("runs", "end_run"), values)


def close_dead_runs(connection: Connection, model_name: str, job: str, *, at: datetime, sentence: str) -> None:
    """End the runs that never ended, on behalf of who holds the job: nobody else can be running it."""
    values = {"model_name": model_name, "job": job, "ended_at": at, "sentence": sentence}
    connection.execute(statement("runs", "close_dead_runs"), values)


def last_runs(connection: Connection, model_name: str) -> dict[str, Run]:
    """The last run of each job that ever ran."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        found = cursor.execute(statement("runs", "last_runs"), {"model_name": model_name}).fetchall()
    return {run.job: run for run in found}


def runs_of(connection: Connection, model_name: str, job: str, *, most: int = 20) -> list[Run]:
    """The last runs of a job, the last first."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        values = {"model_name": model_name, "job": job, "most": most}
        return cursor.execute(statement("runs", "runs_of"), values).fetchall()


def failures(connection: Connection, model_name: str) -> Mapping[str, int]:
    """By job, how often it failed since it last ended otherwise."""
    return dict(connection.execute(statement("runs", "failures"), {"model_name": model_name}).fetchall())


def untold_failures(connection: Connection, model_name: str, job: str, *, subject: str) -> tuple[int, int, str] | None:
    """How often a job failed since it last ended otherwise, the last of these runs and its sentence.

    None where it did not fail, or where an event about ``subject`` has told of them.
    """
    values = {"model_name": model_name, "job": job, "subject": subject}
    row = connection.execute(statement("runs", "untold_failures"), values).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def jobs_held(connection: Connection, model_name: str, jobs: Sequence[str]) -> set[str]:
    """Those of some jobs that somebody runs at this moment."""
    values = {"model_name": model_name, "jobs": list(jobs)}
    return {row[0] for row in connection.execute(statement("runs", "jobs_held"), values).fetchall()}
