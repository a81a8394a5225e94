"""leadgate logs: the days of the prediction log, and how old ones leave it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table, progress
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.app.retaining import DayState, RetainedDay

app = typer.Typer(help="Look at the prediction log, and let old days leave it.", no_args_is_help=True)


@app.command()
def show(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the days (UTC): predictions in the log and its size, and predictions in the archive."""
    from leadgate.app.retaining import archive_of, day_states  # noqa: PLC0415
    from leadgate.storage.postgres.predictions import damaged_segments  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        days = day_states(connection, archive_of(home))
        damaged = damaged_segments(connection)
    if as_json:
        print_json(days)
        return
    rows = [(f"{d.day}", d.rows, _size(d.size), d.archived) for d in days]
    print_table("Prediction log", ["day (UTC)", "predictions", "size", "archived"], rows, numbers=" rrr")
    if not days:
        console.print("No prediction yet.")
    if damaged:
        console.print(
            f"{sum(d.lost for d in damaged):,} answered predictions are missing, of {len(damaged)} damaged segments of "
            "the spool; see `leadgate logs damaged`.",
            markup=False,
            soft_wrap=True,
        )


@app.command("damaged")
def show_damaged(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the segments of the spool that did not reach the log whole, the last first: what was lost, and why."""
    from leadgate.storage.postgres.predictions import damaged_segments  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        found = damaged_segments(connection)
    if as_json:
        print_json(found)
        return
    rows = [(d.segment, moment(d.drained_at), d.predictions, d.lost, d.damage or "") for d in found]
    columns = ["segment", "drained (UTC)", "predictions", "lost", "what was found"]
    print_table("Damaged segments", columns, rows, numbers="  rr ")
    console.print(
        f"Their files are kept in {home.spool}, on the machine that served." if found else "None.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def retain(
    days: Annotated[int, typer.Option(min=0, help="Keep today and this many whole days before it (UTC).")],
    project: ProjectDir = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise only tell what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move days that are older out of the log into a Delta table (.leadgate/prediction_logs, LEADGATE_ARCHIVE_URI).

    A day is dropped from the log only after everything in it was read back from the table and found alike. The
    command may be stopped and run again at any time.
    """
    from leadgate.app.retaining import archive_of, day_states, first_kept, refuse_needed_days  # noqa: PLC0415
    from leadgate.app.retaining import retain as retain_days  # noqa: PLC0415

    home = open_home(project)
    uri, now = archive_of(home), home.clock()
    before = first_kept(now, days)
    with home.connection() as connection:
        refuse_needed_days(home, connection, before)
    with home.connection() as connection, progress() as step:
        found = (
            retain_days(connection, uri, before=before, by=home.author, now=now, step=step)
            if yes
            else day_states(connection, uri, before=before)
        )
    if as_json:
        print_json({"archive": uri, "before": before, "done": yes, "days": found})
        return
    _tell(found, f"{before}", uri, done=yes)
    window = home.project.outcomes.window_days
    if found and days <= window:
        console.print(
            f"note: outcomes are awaited for {window:g} days, and `leadgate performance` does not see predictions "
            "that have left the log",
            markup=False,
            soft_wrap=True,
        )


def _tell(found: "Sequence[RetainedDay | DayState]", before: str, uri: str, *, done: bool) -> None:
    from leadgate.app.retaining import total_freed  # noqa: PLC0415

    if not found:
        console.print(f"The log has no day before {before}.")
        return
    print_table(
        f"Days before {before}", ["day (UTC)", "predictions"], [(f"{d.day}", d.rows) for d in found], numbers=" r"
    )
    rows, size = sum(d.rows for d in found), _size(total_freed(found))
    said = (
        f"{rows:,} predictions are in {uri} and out of the log; {size} freed."
        if done
        else f"Would move {rows:,} predictions to {uri} and free {size}; say --yes to do it."
    )
    console.print(said, markup=False, soft_wrap=True)


def _size(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000:  # noqa: PLR2004  # as in kilo
            return f"{size:.0f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"
