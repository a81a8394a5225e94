"""Puts jobs that failed back into the queue."""

import time

from leadgate.app.jobs import JOBS, Job, job_states, queues_of, task_of
from leadgate.app.wire import Home
from leadgate.app.working import Pace, make_app
from leadgate.storage.postgres.jobs import bring_forward, ensure_queue, sync_connector


def retry_jobs(home: Home, job: Job | None) -> tuple[list[str], bool]:
    """Let a job, or all whose last run failed, be due now; gives their names, and whether a worker lives."""
    states, lives = job_states(home)
    failed = {state.name for state in states if state.last is not None and state.last.result in ("failed", None)}
    wanted = [job] if job is not None else [found for found in JOBS if found.name in failed]
    if not wanted:
        return [], lives
    ensure_queue(home.database_url)
    queues = queues_of(home)
    for found in wanted:
        with home.connection() as connection:
            known = bring_forward(connection, queues, task_of(found))
        if not known:
            _defer(home, found)
    return [found.name for found in wanted], lives


def _defer(home: Home, job: Job) -> None:
    way = sync_connector(home.database_url)
    app = make_app(home, way, [job], Pace(), lambda _: None)
    with app.open():
        app.tasks[task_of(job)].defer(timestamp=int(time.time()))
