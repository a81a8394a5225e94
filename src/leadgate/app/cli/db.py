"""leadgate db: bring the database up to date."""

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, print_json
from leadgate.app.wire import open_home

app = typer.Typer(help="Bring the database up to date.", no_args_is_help=True)


@app.command()
def migrate(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Apply the migrations that are missing; safe to run twice."""
    from leadgate.storage.postgres.migrate import HEAD, current_revision  # noqa: PLC0415
    from leadgate.storage.postgres.migrate import migrate as apply  # noqa: PLC0415

    url = open_home(project).bare_database_url
    before = current_revision(url)
    apply(url)
    if as_json:
        print_json({"before": before, "now": HEAD})
    elif before == HEAD:
        console.print(f"The database stands at migration {HEAD} already.")
    else:
        console.print(f"Migrated from {before or 'nothing'} to {HEAD}.")
