"""leadgate data: import leads, list snapshots, look at quarantined rows."""

from pathlib import Path
from typing import Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table, progress, share
from leadgate.app.wire import open_home
from leadgate.errors import NotFoundError

app = typer.Typer(help="Import leads, list snapshots, look at quarantined rows.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, Excel, Parquet, JSON lines, or the folder of a Delta table.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Check a file of leads and take the good rows into a new snapshot.

    Bad rows go to the quarantine, with row, column, value and reason; above imports.quarantine_limit (1 % unless
    leadgate.yaml says otherwise) nothing is imported. Importing a file again adds nothing twice.
    """
    from leadgate.app.auditing import write_snapshot  # noqa: PLC0415
    from leadgate.leads.importing import import_leads  # noqa: PLC0415

    home = open_home(project)
    config = home.project
    with progress() as step, home.connection() as connection:
        report = import_leads(connection, home.snapshots_uri, config, file=file, now=home.clock(), step=step)
        write_snapshot(connection, home, report)
    if as_json:
        print_json(report)
        return
    for new in report.new_categories[:10]:
        console.print(f"note: {new.feature} has the new category {new.category!r} in {new.rows:,} rows", markup=False)
    console.print(
        f"{report.file}: {report.rows:,} rows; {report.added:,} leads added, {report.changed:,} changed, "
        f"{report.unchanged:,} there already, {report.repeated:,} repeated, {report.quarantined:,} quarantined.",
        markup=False,
    )
    if report.snapshot is None:
        console.print("Nothing new, so no new snapshot.")
    else:
        console.print(f"Snapshot {report.snapshot.version}, digest {report.snapshot.digest[:16]}.")
    if report.quarantined:
        console.print("See why with `leadgate data quarantine`.")


@app.command()
def show(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the snapshots: version, digest, rows, span, conversion rate, quarantined rows."""
    from leadgate.leads.snapshots import snapshots  # noqa: PLC0415

    found = snapshots(open_home(project).snapshots_uri)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            s.version,
            s.digest[:12],
            s.rows,
            f"{s.first_lead_at:%Y-%m-%d} to {s.last_lead_at:%Y-%m-%d}" if s.first_lead_at and s.last_lead_at else None,
            share(s.conversion_rate),
            s.quarantined,
            s.file,
        )
        for s in found
    ]
    columns = ["no.", "digest", "leads", "span", "won", "quarantined", "from"]
    print_table("Snapshots", columns, rows, numbers="r r rr")
    if not found:
        console.print("None yet; make one with `leadgate data import FILE`.")


@app.command()
def quarantine(
    project: ProjectDir = HERE,
    import_id: Annotated[
        str | None, typer.Option("--import", help="Start of an import's id; the last with bad rows when left out.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many faults.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the rows that an import kept out, and why."""
    from leadgate.storage.postgres.imports import faults_of_import, latest_import  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        found = latest_import(connection, import_id)
        if found is None:
            message = f"There is no import {import_id!r}." if import_id else "No import has kept a row out."
            raise NotFoundError(message)
        faults = faults_of_import(connection, found.import_id, None if as_json else limit)
    if as_json:
        print_json({"import": found, "faults": faults})
        return
    state = "refused" if found.refused_because else "accepted"
    print_table(
        f"{found.file}, {state} {moment(found.imported_at)} UTC: {found.quarantined:,} of {found.row_count:,} rows bad",
        ["row", "lead", "column", "value", "reason"],
        [(f.row_number, f.lead_id, f.column_name, f.value, f.reason) for f in faults],
        numbers="r",
    )
    console.print(f"import {found.import_id}; all of it with --json")
