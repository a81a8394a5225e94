"""The worker does what is due, once, whatever dies."""

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.jobs import Job as Queued
from procrastinate.retry import RetryDecision
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from labour import HASTY, NOW, Marks, chores, job, patiently, project, worker
from leadgate.app.jobs import JOBS, JobState, history_of, job_states, run_job
from leadgate.app.queueing import BackOff, Pace, retry_jobs
from leadgate.app.wire import Home
from leadgate.app.working import work
from leadgate.errors import DatabaseDownError, RefusedError
from leadgate.leads.worker_rules import Schedule
from leadgate.storage.postgres.alerts import new_events
from leadgate.storage.postgres.connection import connect, statement
from leadgate.storage.postgres.jobs import SCHEMA, ensure_queue
from leadgate.storage.postgres.runs import Run, failures, start_run


@pytest.fixture
def home(tmp_path: Path, database: str) -> Home:
    """A project without leads, whose clock stands."""
    return project(tmp_path, database)


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    """What the jobs leave behind."""
    return Marks(tmp_path / "marks")


def results(runs: list[Run]) -> list[tuple[str, str | None]]:
    """Name and result, by name."""
    return sorted((run.job, run.result) for run in runs)


def state(home: Home, name: str) -> JobState:
    """A job as it stands."""
    return next(found for found in job_states(home)[0] if found.name == name)


def at(moment: datetime) -> Callable[[], datetime]:
    """A clock that stands."""
    return lambda: moment


def test_each_job_has_a_schedule_and_the_other_way_round() -> None:
    """A job that leadgate.yaml cannot name would never run; a line without a job would do nothing."""
    assert [found.name for found in JOBS] == list(Schedule.model_fields)


def test_what_is_due_runs_once_and_not_again_until_it_is_due_again(home: Home, marks: Marks) -> None:
    """The same minute twice is one run; the next quarter of an hour is another."""
    jobs = chores(marks, ["checks:quick", "daily_checks:quick"])
    both = [("checks", "ok"), ("daily_checks", "ok")]
    assert results(work(home, once=True, jobs=jobs, pace=HASTY)) == both
    assert work(home, once=True, jobs=jobs, pace=HASTY) == []
    later = home.on(at(NOW + timedelta(minutes=15)))
    assert results(work(later, once=True, jobs=jobs, pace=HASTY)) == [("checks", "ok")]


def test_six_hours_of_downtime_are_one_run_a_job(home: Home, marks: Marks) -> None:
    """The checks were due 24 times and the alerts 360 times meanwhile: no storm."""
    jobs = chores(marks, ["checks:quick", "alerts:quick", "daily_checks:quick"])
    work(home, once=True, jobs=jobs, pace=HASTY)
    later = home.on(at(NOW + timedelta(hours=6)))
    assert results(work(later, once=True, jobs=jobs, pace=HASTY)) == [("alerts", "ok"), ("checks", "ok")]
    assert work(later, once=True, jobs=jobs, pace=HASTY) == []


def test_a_worker_that_slept_makes_up_once(home: Home, marks: Marks) -> None:
    """A laptop that was closed for six hours, with the worker running on it."""
    jobs = chores(marks, ["checks:quick", "alerts:quick"])
    awake = [NOW]
    moving = home.on(lambda: awake[0])
    shift = threading.Thread(target=_close_the_lid, args=(awake, marks))
    shift.start()
    work(moving, jobs=jobs, pace=HASTY)
    shift.join()
    assert sorted(marks.lines) == sorted(2 * ["checks begins", "checks ends", "alerts begins", "alerts ends"])


def _close_the_lid(clock: list[datetime], marks: Marks) -> None:
    patiently(lambda: len(marks.lines) == 4)
    clock[0] += timedelta(hours=6)
    patiently(lambda: len(marks.lines) >= 8)
    time.sleep(0.8)
    signal.raise_signal(signal.SIGTERM)


def test_two_workers_at_once_run_each_job_once(home: Home, marks: Marks) -> None:
    """On two machines, say: who comes first has done it for both."""
    kinds = ("checks:0.2", "daily_checks:0.2", "rollout:0.2", "alerts:0.2")
    plan = {"once": True, "at": time.time() + 3}
    with worker(home, marks, *kinds, **plan) as one, worker(home, marks, *kinds, **plan) as other:
        assert [one.wait(30), other.wait(30)] == [0, 0]
    assert sorted(marks.lines) == sorted(f"{k.split(':')[0]} {what}" for k in kinds for what in ("begins", "ends"))


def test_a_job_whose_worker_was_killed_is_done_by_another(home: Home, marks: Marks) -> None:
    """Kill -9 in the middle: the next worker does it, and the run that died is told of."""
    with worker(home, marks, "checks:60") as doomed:
        marks.wait_for("checks begins")
        doomed.kill()
    assert state(home, "checks").running is False
    time.sleep(HASTY.dead_after + 0.3)
    assert results(work(home, once=True, jobs=chores(marks, ["checks:quick"]), pace=HASTY)) == [("checks", "ok")]
    last, died = history_of(home, JOBS[0])
    assert (last.result, died.result) == ("ok", "failed")
    assert "killed" in str(died.sentence)


def test_a_job_that_kills_its_workers_is_given_up_until_it_is_due_again(home: Home, marks: Marks) -> None:
    """It would take every worker down, one after the other."""
    hopeless = replace(HASTY, retries=0)
    with worker(home, marks, "checks:60") as doomed:
        marks.wait_for("checks begins")
        doomed.kill()
    time.sleep(HASTY.dead_after + 0.3)
    jobs = chores(marks, ["checks:quick"])
    assert work(home, once=True, jobs=jobs, pace=hopeless) == []
    later = home.on(at(NOW + timedelta(minutes=15)))
    assert results(work(later, once=True, jobs=jobs, pace=hopeless)) == [("checks", "ok")]


def test_a_failing_job_is_tried_again_and_then_told_of(home: Home, marks: Marks) -> None:
    """With its message, and without keeping the others of its lane waiting."""
    jobs = chores(marks, ["checks:fail", "daily_checks:quick", "rollout:quick"])
    runs = work(home, once=True, jobs=jobs, pace=HASTY)
    failed, others = 4 * [("checks", "failed")], [("daily_checks", "ok"), ("rollout", "ok")]
    assert results(runs) == sorted(failed + others)
    found = state(home, "checks")
    assert (found.failures, found.retry_at, found.waiting) == (4, None, 0)
    assert found.last is not None
    assert found.last.sentence == "ValueError: the kettle is empty"
    assert "labour.py" in str(found.last.traceback)
    later = home.on(at(NOW + timedelta(minutes=15)))
    work(later, once=True, jobs=chores(marks, ["checks:quick"]), pace=HASTY)
    assert state(home, "checks").failures == 0


@pytest.mark.parametrize(("attempts", "seconds"), ((0, 15), (1, 60), (2, 240), (3, None)))
def test_the_pauses_between_attempts_grow(attempts: int, seconds: int | None) -> None:
    """A quarter of a minute, a minute, four minutes; then the job waits until it is due again."""
    queued = Queued(id=1, queue="q", lock=None, queueing_lock=None, task_name="t", attempts=attempts)
    found = BackOff(pace=Pace()).get_retry_decision(exception=ValueError(), job=queued)
    if seconds is None:
        assert found is None
        return
    assert isinstance(found, RetryDecision)
    assert found.retry_at is not None
    wait = (found.retry_at - datetime.now(found.retry_at.tzinfo)).total_seconds()
    assert seconds - 5 < wait <= seconds


def test_a_person_can_have_a_failed_job_tried_again_at_once(home: Home, marks: Marks) -> None:
    """Whether it waits for its next attempt or was given up."""
    patient = replace(HASTY, first_retry=600)
    broken, mended = chores(marks, ["checks:fail"]), chores(marks, ["checks:quick"])
    assert results(work(home, once=True, jobs=broken, pace=patient)) == [("checks", "failed")]
    assert state(home, "checks").retry_at is not None
    assert work(home, once=True, jobs=mended, pace=patient) == []
    assert retry_jobs(home, None) == (["checks"], False)
    assert results(work(home, once=True, jobs=mended, pace=patient)) == [("checks", "ok")]
    assert retry_jobs(home, None) == ([], False)
    later = home.on(at(NOW + timedelta(minutes=15)))
    work(later, once=True, jobs=broken, pace=replace(HASTY, retries=0))
    assert retry_jobs(home, None) == (["checks"], False)
    assert results(work(later, once=True, jobs=mended, pace=patient)) == [("checks", "ok")]


def test_people_are_told_once_of_a_job_that_keeps_failing(home: Home, marks: Marks) -> None:
    """An event, which the alerts deliver, and no second one until it has ended well in between."""
    broken, mended = chores(marks, ["checks:fail"]), chores(marks, ["checks:quick"])
    for quarter, jobs in enumerate((broken, broken, mended, broken)):
        work(home.on(at(NOW + quarter * timedelta(minutes=15))), once=True, jobs=jobs, pace=HASTY)
        with home.connection() as connection:
            told = connection.execute("SELECT kind, severity, message FROM leadgate.events").fetchall()
        assert len(told) == (2 if quarter == 3 else 1)
    assert told[0][:2] == ("job failed", "yellow")
    assert told[0][2].startswith("checks has failed 4 times")
    assert told[0][2].endswith("ValueError: the kettle is empty")


def told(home: Home) -> list[str]:
    """What was left for the alerts to deliver."""
    with home.connection() as connection:
        return [
            row[0] for row in connection.execute("SELECT message FROM leadgate.events ORDER BY event_id").fetchall()
        ]


def test_people_are_told_whoever_saw_the_fourth_failure(home: Home, marks: Marks) -> None:
    """Three by the worker and one by hand, then more by both: one event; another after it has ended well."""
    broken, mended = chores(marks, ["checks:fail"]), chores(marks, ["checks:quick"])
    work(home, once=True, jobs=broken, pace=replace(HASTY, retries=2))
    with home.connection() as connection:
        connection.execute("DELETE FROM leadgate.events")  # the worker above had less patience than the next one
    for _ in range(2):
        run_job(home, broken[0], "anna")
        assert [text.split(",")[0] for text in told(home)] == ["checks has failed 4 times"]
    work(home.on(at(NOW + timedelta(minutes=15))), once=True, jobs=broken, pace=HASTY)
    assert len(told(home)) == 1
    run_job(home, mended[0], "anna")
    for count in (1, 1, 1, 2, 2):
        run_job(home, broken[0], "anna")
        assert len(told(home)) == count


def test_people_are_told_of_a_job_that_kills_its_workers(home: Home, marks: Marks) -> None:
    """Nobody is left to count its failures: the next run does so before it dies too."""
    quick = chores(marks, ["checks:quick"])[0]
    with home.connection() as connection:
        for _ in range(4):
            start_run(connection, home.project.name, "checks", at=home.clock(), by="worker")
    seen: list[list[str]] = []

    def look(_: Home) -> str:
        seen.append(told(home))
        return "done"

    run_job(home, job("checks", look), "worker")
    assert [text.split(",")[0] for text in seen[0]] == ["checks has failed 4 times"]
    assert "killed" in seen[0][0]
    run_job(home, quick, "worker")
    assert told(home) == seen[0]


def test_what_failed_in_one_project_is_told_by_that_project(home: Home, marks: Marks, tmp_path: Path) -> None:
    """Projects that share a database have people of their own."""
    folder = tmp_path / "other"
    folder.mkdir()
    other = project(folder, str(home.settings.database_url))
    (folder / "leadgate.yaml").write_text((home.folder / "leadgate.yaml").read_text().replace("lead-scoring", "other"))
    work(home, once=True, jobs=chores(marks, ["checks:fail"]), pace=HASTY)
    with home.connection() as connection:
        for name, count in ((other.project.name, 0), (home.project.name, 1)):
            events = new_events(connection, name, since=NOW - timedelta(days=1), now=NOW)
            assert [event.kind for event in events] == count * ["job failed"]


@pytest.mark.parametrize("made_by", ("this release", "an earlier one"))
def test_a_worker_of_another_project_is_none_of_this(home: Home, marks: Marks, tmp_path: Path, made_by: str) -> None:
    """`jobs list` would say that one is running, and nothing would ever be done."""
    folder = tmp_path / "other"
    folder.mkdir()
    other = project(folder, str(home.settings.database_url))
    (folder / "leadgate.yaml").write_text((home.folder / "leadgate.yaml").read_text().replace("lead-scoring", "other"))
    if made_by == "an earlier one":
        ensure_queue(str(home.settings.database_url))
        with home.connection() as connection:
            connection.execute(f"ALTER TABLE {SCHEMA}.procrastinate_workers DROP COLUMN project".encode())
        assert job_states(other)[1] is False
    with worker(home, marks, "checks:60"):
        marks.wait_for("checks begins")
        assert [job_states(home)[1], job_states(other)[1]] == [True, False]


def test_counting_failures_takes_time_in_proportion_to_them(home: Home) -> None:
    """A job that fails each minute has failed 43,000 times in a month: rows touched, as PostgreSQL counts them."""
    n = 500
    with home.connection() as connection:
        connection.execute(
            "INSERT INTO leadgate.job_runs (model_name, job, started_at, started_by, ended_at, result, sentence) "
            "SELECT 'lead-scoring', 'checks', %(at)s, 'worker', %(at)s, 'failed', '' FROM generate_series(1, %(n)s)",
            {"at": NOW, "n": n},
        )
        assert failures(connection, "lead-scoring") == {"checks": n}
        for name in ("failures", "untold_failures"):
            query = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement('runs', name)}".encode()
            values = {"model_name": "lead-scoring", "job": "checks", "subject": "job checks of lead-scoring"}
            row = connection.execute(query, values).fetchone()
            assert row is not None
            assert n <= touched(row[0][0]["Plan"]) < 10 * n


def touched(node: dict[str, Any]) -> int:
    """Rows that a plan read, those that it threw away among them."""
    removed = sum(int(value) for key, value in node.items() if key.startswith("Rows Removed"))
    mine = (int(node["Actual Rows"]) + removed) * int(node["Actual Loops"])
    return mine + sum(touched(child) for child in node.get("Plans", []))


def test_refused_is_not_failed(home: Home, marks: Marks) -> None:
    """No version answers yet, say: nothing is wrong, nothing is tried again, and the sentence is there."""
    runs = work(home, once=True, jobs=chores(marks, ["checks:refuse"]), pace=HASTY)
    assert [(run.result, run.sentence) for run in runs] == [("refused", "There is no tea in this project.")]
    assert state(home, "checks").failures == 0
    assert marks.lines == ["checks begins"]


def test_without_a_version_the_checks_of_a_new_project_are_refused(home: Home) -> None:
    """The real jobs, on a real and empty database: none of them fails."""
    runs = work(home, once=True, jobs=JOBS, pace=HASTY)
    assert {run.job for run in runs} == {found.name for found in JOBS}
    assert [(run.job, run.sentence) for run in runs if run.result == "failed"] == []
    assert {run.result for run in runs if "checks" in run.job} == {"refused"}


def test_a_job_runs_once_at_a_time_whoever_runs_it(home: Home, marks: Marks) -> None:
    """By hand while the worker is at it: told since when and by whom. By the worker while a hand is at it: left out."""
    go, on = threading.Event(), threading.Event()

    def slow(_: Home) -> str:
        on.set()
        assert go.wait(20)
        return "done"

    hand = threading.Thread(target=lambda: run_job(home, job("checks", slow), "anna"))
    hand.start()
    assert on.wait(20)
    try:
        assert state(home, "checks").running
        with pytest.raises(RefusedError, match=r"checks is running already since 2026-06-01 12:07:00 UTC, by anna"):
            run_job(home, chores(marks, ["checks:quick"])[0], "otto")
        assert work(home, once=True, jobs=chores(marks, ["checks:quick"]), pace=HASTY) == []
    finally:
        go.set()
        hand.join()
    assert marks.lines == []
    assert [run.started_by for run in history_of(home, JOBS[0])] == ["anna"]
    assert not state(home, "checks").running


def test_told_to_stop_the_worker_lets_the_running_job_end(home: Home, marks: Marks) -> None:
    """SIGTERM, as systemd and Kubernetes send it: no job is cut, none is begun, exit code 0."""
    with worker(home, marks, "checks:1", "daily_checks:quick") as busy:
        marks.wait_for("checks begins")
        busy.send_signal(signal.SIGTERM)
        assert busy.wait(20) == 0
    assert marks.lines == ["checks begins", "checks ends"]
    assert [run.result for run in history_of(home, JOBS[0])] == ["ok"]


def test_told_a_second_time_it_stops_at_once(home: Home, marks: Marks) -> None:
    """A job that hangs keeps nobody from stopping the worker; the next one does it again."""
    with worker(home, marks, "checks:60") as busy:
        marks.wait_for("checks begins")
        busy.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        busy.send_signal(signal.SIGTERM)
        assert busy.wait(10) == 1
    time.sleep(HASTY.dead_after + 0.3)
    assert results(work(home, once=True, jobs=chores(marks, ["checks:quick"]), pace=HASTY)) == [("checks", "ok")]


def test_a_database_that_is_away_is_waited_for(home: Home, marks: Marks, server: str) -> None:
    """From the start and later: said once when it goes and once when it is back, and what is due is done."""
    url = str(home.settings.database_url)
    trying, back = "Trying again every", "the database answers again"
    _admit(server, url, yes=False)
    with worker(home, marks, "checks:quick") as waiting:
        patiently(lambda: marks.log.read_text().count(trying) == 1)
        _admit(server, url, yes=True)
        patiently(lambda: "checks ok" in marks.log.read_text())
        _admit(server, url, yes=False)
        patiently(lambda: marks.log.read_text().count(trying) == 2)
        _admit(server, url, yes=True)
        patiently(lambda: marks.log.read_text().count(back) == 2)
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(20) == 0
    told = [json.loads(line) for line in marks.log.read_text().splitlines()]
    assert len(told) == 7, told  # these four, what came of the job, the signal, the end
    assert marks.lines == ["checks begins", "checks ends"]


def _admit(server: str, url: str, *, yes: bool) -> None:
    name = str(conninfo_to_dict(url)["dbname"])
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(yes))
        )
        if not yes:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def test_once_does_not_wait_for_a_database(home: Home, free_port: int) -> None:
    """A cron's command ends and says why."""
    away = Home(
        home.folder, home.settings.model_copy(update={"database_url": f"postgresql://x@127.0.0.1:{free_port}/x"})
    )
    with pytest.raises(DatabaseDownError, match=f"127.0.0.1:{free_port}"):
        work(away, once=True, jobs=[], pace=HASTY)


def test_projects_that_share_a_database_share_no_job(home: Home, marks: Marks, tmp_path: Path) -> None:
    """Each worker does its own project's, with its own rules."""
    folder = tmp_path / "other"
    folder.mkdir()
    other = project(folder, str(home.settings.database_url))
    (folder / "leadgate.yaml").write_text((home.folder / "leadgate.yaml").read_text().replace("lead-scoring", "other"))
    work(home, once=True, jobs=chores(marks, ["checks:fail"]), pace=replace(HASTY, first_retry=600))
    assert results(work(other, once=True, jobs=chores(marks, ["checks:quick"]), pace=HASTY)) == [("checks", "ok")]
    assert (state(home, "checks").failures, state(other, "checks").failures) == (1, 0)


def test_a_queue_of_another_release_is_made_anew(home: Home, marks: Marks) -> None:
    """Procrastinate's tables change with its releases; nothing in them is kept nowhere else."""
    url = str(home.settings.database_url)
    jobs = chores(marks, ["checks:quick"])
    work(home, once=True, jobs=jobs, pace=HASTY)
    with connect(url) as connection:
        connection.execute(f"COMMENT ON SCHEMA {SCHEMA} IS 'Procrastinate of old'".encode())
        connection.execute(f"ALTER TABLE {SCHEMA}.procrastinate_jobs DROP COLUMN lock".encode())
    work(home, once=True, jobs=jobs, pace=HASTY)
    later = home.on(at(NOW + timedelta(minutes=15)))
    assert results(work(later, once=True, jobs=jobs, pace=HASTY)) == [("checks", "ok")]


def test_a_queue_that_another_release_works_on_is_left_alone(home: Home) -> None:
    """Its worker would lose its jobs under its hands."""
    url = str(home.settings.database_url)
    ensure_queue(url)
    with connect(url) as connection:
        connection.execute(f"COMMENT ON SCHEMA {SCHEMA} IS 'Procrastinate of old'".encode())
        connection.execute(f"INSERT INTO {SCHEMA}.procrastinate_workers DEFAULT VALUES".encode())
    with pytest.raises(RefusedError, match="another release of Procrastinate"):
        ensure_queue(url)


def test_the_log_is_a_line_a_job(home: Home, marks: Marks, caplog: pytest.LogCaptureFixture) -> None:
    """With result, duration and what was done; the libraries are silent."""
    with caplog.at_level(logging.INFO):
        work(home, once=True, jobs=chores(marks, ["checks:fail", "rollout:quick"]), pace=replace(HASTY, retries=0))
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert sorted(told) == [
        "checks failed in 0.0 s: ValueError: the kettle is empty",
        "rollout ok in 0.0 s: tea is made",
        "the worker has started",
    ]
