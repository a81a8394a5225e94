"""leadgate jobs and leadgate worker, as people call them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import Cli
from labour import Marks, chores, project
from leadgate.app.cli.root import app
from leadgate.app.jobs import JOBS, run_job
from leadgate.app.wire import Home
from leadgate.errors import LeadgateError


@pytest.fixture
def home(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A project without leads; commands in its folder find its database."""
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    monkeypatch.setenv("LEADGATE_AUTHOR", "anna")
    return project(tmp_path, database)


class Quick:
    """Commands in the project's folder, without a process for each."""

    def ok(self, *arguments: str) -> str:
        """What a command prints; it must succeed."""
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def refusal(self, *arguments: str) -> str:
        """The sentence of a command that must refuse."""
        done = CliRunner().invoke(app, arguments)
        assert isinstance(done.exception, LeadgateError)
        return str(done.exception)


@pytest.fixture
def cli(home: Home, monkeypatch: pytest.MonkeyPatch) -> Quick:
    """Commands in its folder."""
    monkeypatch.chdir(home.folder)
    monkeypatch.setattr("leadgate.scoring.logs.log_to_stderr", lambda _: None)  # the logs of this process stay
    return Quick()


def test_a_mistake_is_a_sentence_and_exit_code_two(home: Home) -> None:
    """As with every command: no traceback."""
    assert "'chekcs'" in Cli(home.folder).refusal("jobs", "run", "chekcs")


def test_the_list_says_when_each_job_is_due_and_how_it_went(home: Home, cli: Quick) -> None:
    """Before anything ran, after a run by hand that was refused, after one that failed."""
    fresh = cli.ok("jobs", "list")
    assert all(job.name in fresh for job in JOBS)
    assert "No worker is running" in fresh
    refused = cli.refusal("jobs", "run", "checks")
    assert "leadgate train" in refused
    run_job(home, chores(Marks(home.folder / "marks"), ["rollout:fail"])[0], "otto")
    shown = cli.ok("jobs", "list")
    assert "rollout failed once: ValueError: the kettle is empty" in shown
    told = json.loads(cli.ok("jobs", "list", "--json"))
    jobs = {job["name"]: job for job in told["jobs"]}
    assert told["worker"] is False
    assert [jobs["checks"]["last"][key] for key in ("result", "started_by")] == ["refused", "anna"]
    assert [jobs["rollout"][key] for key in ("failures", "running", "waiting")] == [1, False, 0]
    assert jobs["checks"]["cron"] == "*/15 * * * *"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:(00|15|30|45):00", jobs["checks"]["next_at"])
    history = cli.ok("jobs", "show", "rollout")
    assert "otto" in history
    assert "labour.py" in history


def test_times_that_say_utc_are_utc_wherever_the_machine_is(
    home: Home, cli: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven minutes past noon is not half past five in the afternoon for somebody in India."""
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    run_job(home, chores(Marks(home.folder / "marks"), ["rollout:quick"])[0], "otto")
    assert "06-01 12:07" in cli.ok("jobs", "list")
    assert "2026-06-01 12:07" in cli.ok("jobs", "show", "rollout")


def test_a_job_by_hand_says_what_it_did(cli: Quick) -> None:
    """With a dash or an underscore, and as JSON."""
    assert cli.ok("jobs", "run", "rollout") == "rollout: no rollout is under way\n"
    assert json.loads(cli.ok("jobs", "run", "rollout", "--json"))["result"] == "ok"
    assert "not set" in cli.refusal("jobs", "run", "prediction-log")


def test_a_name_that_there_is_not_is_refused(cli: Quick) -> None:
    """With those that there are."""
    for verb in ("run", "show", "retry"):
        told = cli.refusal("jobs", verb, "chekcs")
        assert "'chekcs'" in told
        assert all(job.name in told for job in JOBS)


@pytest.mark.parametrize(
    ("line", "told"),
    (
        ("    checks: every day", "line 10: worker.schedule.checks: this is no cron expression; write minute hour"),
        ("    checks: '* * * * * *'", "this is no cron expression"),
        ("    checks: '0 0 31 2 *'", "such a day never comes"),
        ("    chekcs: '* * * * *'", "did you mean 'checks'?"),
    ),
)
def test_a_schedule_that_is_none_is_refused_with_its_line(home: Home, cli: Quick, line: str, told: str) -> None:
    """Before anything runs, and with what to write instead."""
    config = home.folder / "leadgate.yaml"
    config.write_text(config.read_text() + f"worker:\n  schedule:\n{line}\n")
    assert told in cli.refusal("worker", "--once")


def test_a_job_that_is_switched_off_runs_by_hand_only(home: Home, cli: Quick) -> None:
    """It has no next time, and the worker leaves it out."""
    config = home.folder / "leadgate.yaml"
    off = "".join(f"    {job.name}: null\n" for job in JOBS if job.name != "rollout")
    config.write_text(config.read_text() + f"worker:\n  schedule:\n{off}")
    assert cli.ok("worker", "--once") == "rollout: ok. no rollout is under way\n"
    assert cli.ok("worker", "--once") == "Nothing was due.\n"
    jobs = {job["name"]: job for job in json.loads(cli.ok("jobs", "list", "--json"))["jobs"]}
    assert [jobs["alerts"][key] for key in ("cron", "next_at", "last")] == [None, None, None]
    assert "alerts: nothing was due" in cli.ok("jobs", "run", "alerts")


def test_retry_without_a_failure_does_nothing_and_with_one_says_what_waits(home: Home, cli: Quick) -> None:
    """And that nobody takes it up while no worker runs."""
    assert "nothing to retry" in cli.ok("jobs", "retry")
    run_job(home, chores(Marks(home.folder / "marks"), ["rollout:fail"])[0], "otto")
    for _ in range(2):  # the second time it waits already
        assert "In the queue: rollout; no worker is running" in cli.ok("jobs", "retry")
    jobs = {job["name"]: job for job in json.loads(cli.ok("jobs", "list", "--json"))["jobs"]}
    assert jobs["rollout"]["waiting"] == 1


def test_help_does_not_load_what_a_worker_needs(home: Home) -> None:
    """`leadgate --help` stays fast."""
    script = (
        "import sys; import leadgate.app.cli; print([m for m in ('procrastinate', 'croniter') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout == "[]\n"
