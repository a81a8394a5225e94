"""leadgate jobs: what the worker does, and the same by hand."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.wire import open_home
from leadgate.errors import RefusedError

if TYPE_CHECKING:
    from leadgate.app.jobs import JobState
    from leadgate.storage.postgres.runs import Run

app = typer.Typer(help="See the jobs of the worker, and run one by hand.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="JOB", help="As `leadgate jobs list` names it.")]


@app.command("list")
def list_jobs(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the jobs: when each is due, what its last run came to, and whether it runs, waits or fails."""
    from leadgate.app.jobs import job_states  # noqa: PLC0415

    states, lives = job_states(open_home(project))
    if as_json:
        print_json({"worker": lives, "jobs": states})
        return
    columns = ["job", "when (UTC)", "last run", "took", "result", "next", ""]
    print_table("Jobs", columns, [_row(state) for state in states], numbers="   r")
    for state in states:
        if state.last and state.last.result == "failed":
            times = f"{state.failures} times, last" if state.failures > 1 else "once"
            console.print(f"{state.name} failed {times}: {state.last.sentence}", markup=False, soft_wrap=True)
    console.print("A worker is running." if lives else "No worker is running; start one with `leadgate worker`.")


@app.command()
def show(name: Name, project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Show the last runs of a job, and the traceback of the last failure that nobody foresaw."""
    from leadgate.app.jobs import find_job, history_of  # noqa: PLC0415

    home, job = open_home(project), find_job(name)
    runs = history_of(home, job)
    if as_json:
        print_json(runs)
        return
    rows = [(moment(r.started_at), r.started_by, _took(r), r.result, r.sentence) for r in runs]
    print_table(f"{job.name}: {job.does}", ["started (UTC)", "by", "took", "result", "what"], rows, numbers="  r")
    trace = next((run.traceback for run in runs if run.traceback), None)
    if trace:
        console.print(trace, markup=False, soft_wrap=True)


@app.command()
def run(name: Name, project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Run a job now, in the foreground, as the worker would: one at a time, and written down.

    Ends with 1 where it failed, with 2 where the state of the project refuses it or somebody runs it already.
    """
    from leadgate.app.jobs import find_job, run_job  # noqa: PLC0415

    job, home = find_job(name), open_home(project)
    done = run_job(home, job, home.author)
    if as_json:
        print_json(done)
    elif done.result == "ok":
        console.print(f"{done.job}: {done.sentence}", markup=False, soft_wrap=True)
    if done.result == "refused" and not as_json:
        raise RefusedError(done.sentence)
    if done.result == "failed" and not as_json:
        console.print(f"{done.job} failed: {done.sentence}", markup=False, soft_wrap=True)
    if done.result != "ok":
        raise typer.Exit(2 if done.result == "refused" else 1)


@app.command()
def retry(
    name: Annotated[
        str | None, typer.Argument(metavar="JOB", help="One of them.", show_default="all whose last run failed")
    ] = None,
    project: ProjectDir = HERE,
) -> None:
    """Let the worker try jobs that failed again at once."""
    from leadgate.app.jobs import find_job  # noqa: PLC0415
    from leadgate.app.queueing import retry_jobs  # noqa: PLC0415

    job = None if name is None else find_job(name)
    retried, lives = retry_jobs(open_home(project), job)
    if not retried:
        console.print("The last run of no job has failed, so there is nothing to retry.")
        return
    whom = "the worker takes them up now" if lives else "no worker is running: `leadgate worker` takes them up"
    console.print(f"In the queue: {', '.join(retried)}; {whom}.", soft_wrap=True)


def _row(state: "JobState") -> tuple[str, ...]:
    last = state.last
    return (
        state.name,
        state.cron or "off",
        _short(last.started_at if last else None),
        _took(last) if last else "-",
        _result(state),
        _short(state.next_at),
        _now(state),
    )


def _result(state: "JobState") -> str:
    if state.last is None:
        return "-"
    if state.last.result is None:
        return "-" if state.running else "died"
    return state.last.result


def _now(state: "JobState") -> str:
    if state.running:
        return f"running, by {state.last.started_by}" if state.last else "running"
    if state.retry_at:
        return f"tries again at {state.retry_at:%H:%M:%S}"
    return "waits" if state.waiting else ""


def _took(run: "Run") -> str:
    return "-" if run.ended_at is None else f"{(run.ended_at - run.started_at).total_seconds():.1f} s"


def _short(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%m-%d %H:%M}"
