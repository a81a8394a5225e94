"""leadgate contacts: when the sales team was in touch with leads."""

from pathlib import Path
from typing import Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, counted, print_json
from leadgate.app.wire import open_home

app = typer.Typer(help="Record when the sales team was in touch with leads.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Any format that `data import` reads. Columns: lead_id, contacted_at.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Record contacts, so that a rollout sees whether both versions' leads get the same attention.

    The same file again adds nothing.
    """
    from leadgate.outcomes.contacts import import_contacts  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        received, added = import_contacts(connection, file, home.clock())
    if as_json:
        print_json({"received": received, "added": added})
        return
    console.print(f"{counted(added, 'contact')} added, {received - added:,} known already.")
