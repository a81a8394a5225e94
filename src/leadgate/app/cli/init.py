"""leadgate init: a new project, or a whole repository, from a file of leads."""

from pathlib import Path
from typing import Annotated

import typer

from leadgate.app.cli.options import AsJson
from leadgate.app.cli.output import console, print_json, print_table
from leadgate.app.wire import CONFIG
from leadgate.errors import RefusedError


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project; made if missing.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="A file of leads with their outcomes, any format."),
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column that names a lead; guessed when left out.")] = None,
    target: Annotated[str | None, typer.Option(help="Column that says who converted; guessed when left out.")] = None,
    timestamp: Annotated[str | None, typer.Option(help="Column with the lead's time; guessed when left out.")] = None,
    name: Annotated[str, typer.Option(help="Name of the registered model.")] = "lead-scoring",
    repo: Annotated[
        bool,
        typer.Option("--repo", help="A whole repository: features.py, tests, Makefile, GitHub workflow, Dockerfile."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at a file of leads and write leadgate.yaml with comments; with --repo, a repository around it.

    Types are inferred; id, target and time are guessed and shown; constant and id-like columns are left out; columns
    that seem to know the outcome (leakage) are flagged and left out until someone says `use: true`.

    --repo without --from writes a small file of simulated leads to begin with, so that all of it runs at once.
    """
    if repo:
        from leadgate.app.repository import start_repository  # noqa: PLC0415

        made = start_repository(
            folder, source, name=name, id_column=id_, target=target, timestamp=timestamp, force=force
        )
        if as_json:
            told = {"folder": made.folder, "data": made.data, "warning": made.warning, "written": made.written}
            print_json({**told, "lead": made.inspection})
            return
        print_table(f"{made.data}: what {CONFIG} makes of it", ["column", "is", "missing", "AUC", "why"], made.rows)
        print_table(f"Written to {made.folder}", ["file", "what it is"], list(made.written.items()))
        if made.warning:
            console.print(made.warning, markup=False, soft_wrap=True)
        console.print(made.next_steps, markup=False, soft_wrap=True)
        return
    if source is None:
        raise RefusedError("Give a file of leads with --from FILE, or --repo to begin with simulated ones.")
    from leadgate.app.starting import start_project  # noqa: PLC0415

    inspection, rows = start_project(
        folder, source, name=name, id_column=id_, target=target, timestamp=timestamp, force=force
    )
    if as_json:
        print_json(inspection)
        return
    print_table(f"{source.name}: what {CONFIG} makes of it", ["column", "is", "missing", "AUC", "why"], rows)
    console.print(
        f"Wrote {folder / CONFIG}. Read it, then: leadgate data import {source} --project {folder}", markup=False
    )
