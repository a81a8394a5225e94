"""leadgate outcomes: take files of what became of leads."""

from pathlib import Path
from typing import Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, counted, print_ignored, print_json
from leadgate.app.wire import open_home

app = typer.Typer(help="Take files of what became of leads.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="Any format that `data import` reads. Columns: lead_id, converted, outcome_at; "
            "optionally deal_size, days_to_close."
        ),
    ],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Record outcomes; a correction is a later row. The same file again adds nothing."""
    from leadgate.app.auditing import write_outcomes  # noqa: PLC0415
    from leadgate.outcomes.delivery import import_outcomes  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection, connection.transaction():
        recorded = import_outcomes(connection, file, home.clock())
        write_outcomes(connection, home, file, recorded)
    if as_json:
        print_json(recorded)
        return
    console.print(f"{counted(recorded.added, 'outcome')} added, {recorded.repeated:,} known already.")
    if recorded.corrected_since:
        console.print(
            f"This very file was recorded before, and {counted(recorded.corrected_since, 'lead')} of it have been "
            "corrected since: the corrections stay. Where they were wrong, send these rows in a file of their own.",
            markup=False,
            soft_wrap=True,
        )
    print_ignored(recorded.ignored_columns)
    if recorded.unknown_leads:
        some = ", ".join(recorded.unknown_leads[:5])
        console.print(
            f"Never scored here: {counted(len(recorded.unknown_leads), 'lead')} ({some}). Outcomes of such leads are "
            "kept.",
            markup=False,
        )
