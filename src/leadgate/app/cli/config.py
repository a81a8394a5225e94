"""leadgate config: what leadgate.yaml and features.py say."""

from typing import Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, print_json
from leadgate.app.wire import open_home

app = typer.Typer(help="Check leadgate.yaml and features.py.", no_args_is_help=True)


@app.command()
def check(
    project: ProjectDir = HERE,
    ci: Annotated[
        bool,
        typer.Option("--ci", help="Also what a build machine asks: all of it committed, places that outlive it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read leadgate.yaml and features.py and say what models are made of; needs no database.

    Ends with 2 and the line of the first mistake. With --ci also where one of the two is not committed, or where the
    team's database is set without a place for snapshots and model files that outlives this machine.
    """
    from leadgate.app.configuring import read_configuration, refuse_on_a_build_machine  # noqa: PLC0415

    home = open_home(project)
    found = read_configuration(home)
    if ci:
        refuse_on_a_build_machine(home, found)
    if as_json:
        print_json(found)
        return
    console.print(
        f"{found.name}: {found.model} of {len(found.features)} features, feature set {found.feature_set_hash[:12]}: "
        f"{', '.join(found.features)}.",
        markup=False,
        soft_wrap=True,
    )
    if found.commit is None:
        console.print("This folder is in no Git repository; a version cannot say what it was trained by.")
    elif found.uncommitted:
        console.print(f"Not committed yet: {', '.join(found.uncommitted)}.")
    else:
        console.print(f"As commit {found.commit[:12]} has it.")
