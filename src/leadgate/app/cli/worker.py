"""leadgate worker: the process that does what is due."""

from typing import Annotated

import typer

from leadgate.app.cli.options import HERE, ProjectDir
from leadgate.app.cli.output import console
from leadgate.app.wire import open_home


def worker(
    project: ProjectDir = HERE,
    once: Annotated[bool, typer.Option("--once", help="Run what is due, then end: for those who have a cron.")] = False,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that a running job may take to end when the worker has to stop.")
    ] = 60,
) -> None:
    """Run the jobs of leadgate.yaml's section worker until Ctrl-C: checks, rollout, alerts, upkeep.

    Several may run at once, on several machines: each job is run by one. What was missed while none ran is made up
    for, once. See them with `leadgate jobs list`.

    With --once it ends with 0, or with 1 where a job failed.
    """
    from leadgate.app.queueing import Pace  # noqa: PLC0415
    from leadgate.app.working import work  # noqa: PLC0415
    from leadgate.scoring.logs import log_to_stderr  # noqa: PLC0415

    home = open_home(project)
    _ = home.project
    log_to_stderr("worker")
    runs = work(home, once=once, pace=Pace(grace=grace))
    if once:
        for run in runs:
            console.print(f"{run.job}: {run.result}. {run.sentence}", markup=False, soft_wrap=True)
        if not runs:
            console.print("Nothing was due.")
        if any(run.result == "failed" for run in runs):
            raise typer.Exit(1)
