"""leadgate data: import leads, list and compare snapshots, look at quarantined rows, clear away what nobody needs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table, progress, share
from leadgate.app.wire import open_home
from leadgate.errors import NotFoundError

if TYPE_CHECKING:
    from leadgate.leads.difference import Difference

app = typer.Typer(help="Import leads, list and compare snapshots, look at quarantined rows.", no_args_is_help=True)


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
def check(
    file: Annotated[Path, typer.Argument(help="CSV, Excel, Parquet, JSON lines, or the folder of a Delta table.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Check a file of leads against leadgate.yaml and change nothing; needs no database.

    Ends with 2 where an import would refuse the file: a declared column is not there, a feature is missing too often,
    or more rows are bad than imports.quarantine_limit allows.
    """
    from leadgate.leads.checking import check_leads  # noqa: PLC0415
    from leadgate.leads.importing import describe_fault  # noqa: PLC0415

    home = open_home(project)
    found = check_leads(home.project, file=file, now=home.clock())
    if as_json:
        print_json({field: value for field, value in vars(found).items() if field != "leads"})
        return
    for new in found.new_categories[:10]:
        console.print(f"note: {new.feature} has the new category {new.category!r} in {new.rows:,} rows", markup=False)
    for fault in found.faults[:10]:
        console.print(f"bad: {describe_fault(fault)}", markup=False)
    rate = share(found.converted / found.labelled) if found.labelled else "-"
    console.print(
        f"{found.file}: an import takes it. {found.rows:,} rows, {found.bad_rows:,} of them bad; {found.labelled:,} "
        f"good ones have an outcome, {rate} of these converted.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def show(
    project: ProjectDir = HERE,
    needed: Annotated[bool, typer.Option("--needed", help="Which model versions need each one.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the snapshots: version, digest, rows, span, conversion rate, quarantined rows."""
    from leadgate.leads.snapshots import snapshots  # noqa: PLC0415

    if needed:
        _show_needed(project, as_json=as_json)
        return
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


def _show_needed(project: Path, *, as_json: bool) -> None:
    from leadgate.app.lineage import kept_snapshots  # noqa: PLC0415

    found = kept_snapshots(open_home(project))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each.snapshot.version,
            each.snapshot.digest[:12],
            each.snapshot.rows,
            ", ".join(each.versions) or None,
            "whole" if each.whole else "FILES ARE GONE" if each.versions else "cleared away",
        )
        for each in found
    ]
    columns = ["no.", "digest", "leads", "needed by versions", "files"]
    print_table("Snapshots and the versions that were trained on them", columns, rows, numbers="r r")


@app.command()
def diff(
    a: Annotated[int, typer.Argument(metavar="A", help="A snapshot's number.")],
    b: Annotated[int, typer.Argument(metavar="B", help="Another one.")],
    project: ProjectDir = HERE,
    rows: Annotated[int, typer.Option(min=0, help="Show the values of at most this many changed leads.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Compare two snapshots: leads added, removed and changed, labels that changed, features that moved."""
    from leadgate.app.lineage import compare_snapshots  # noqa: PLC0415

    found = compare_snapshots(open_home(project), a, b, rows)
    if as_json:
        print_json({"a": a, "b": b, **asdict(found)})
        return
    _print_difference(found, a, b)


def _print_difference(found: "Difference", a: int, b: int) -> None:
    console.print(
        f"Snapshot {a} has {found.before:,} leads, snapshot {b} has {found.after:,}: {found.added:,} added, "
        f"{found.removed:,} removed, {found.changed:,} changed, {found.unchanged:,} unchanged.",
        soft_wrap=True,
    )
    _print_labels(found)
    if found.columns:
        print_table("Changed values by column", ["column", "leads"], list(found.columns.items()), numbers=" r")
    shifts = [
        (
            shift.feature,
            "-" if shift.ks is None else f"{shift.ks:.3f}",
            f"{shift.js:.4f}",
            "-" if shift.p_value is None else f"{shift.p_value:.2g}",
            f"{share(shift.missing_before)} to {share(shift.missing_after)}",
        )
        for shift in found.shifts
    ]
    if shifts:
        columns = ["feature", "KS", "JS (nats)", "p", "missing"]
        print_table("How far the features moved, the farthest first", columns, shifts, numbers=" rrr")
    # str: a truth value would be told as a number.
    examples = [
        (value.lead_id, value.column, *("-" if side is None else str(side) for side in (value.before, value.after)))
        for value in found.examples
    ]
    if examples:
        print_table("The first changed leads", ["lead", "column", f"in {a}", f"in {b}"], examples)


def _print_labels(found: "Difference") -> None:
    """Labels that changed, of which those that were known before ask for an explanation."""
    from leadgate.leads.difference import name_of  # noqa: PLC0415

    rows = [
        (
            f"{name_of(change.before)} -> {name_of(change.after)}",
            change.leads,
            "a new outcome" if change.is_new_outcome else "a KNOWN outcome changed",
        )
        for change in found.labels
    ]
    for what, counts in (("added", found.added_labels), ("removed", found.removed_labels)):
        rows += [(f"{what}: {label}", leads, f"{what} leads") for label, leads in counts.items() if leads]
    if rows:
        print_table("Labels", ["label", "leads", "what it is"], rows, numbers=" r")


@app.command()
def vacuum(
    project: ProjectDir = HERE,
    days: Annotated[float, typer.Option(min=0, help="Leave what was replaced less than so many days ago.")] = 7,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove; without it the command only says what it would do.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove files of snapshots that no model version needs; the last snapshot always stays.

    A version that is in the registry needs its snapshot, whatever its alias: without it it cannot be made again.
    """
    from leadgate.app.lineage import clear_snapshots  # noqa: PLC0415

    found = clear_snapshots(open_home(project), days=days, remove=yes)
    if as_json:
        print_json(found)
        return
    done = "Removed" if found.removed else "Would remove"
    lost = ", ".join(map(str, found.lost)) or "none"
    console.print(
        f"{done} {found.files:,} files ({found.size_bytes / 1e6:,.1f} MB). Snapshots that cannot be read without them: "
        f"{lost}. Kept whole, for a version needs them or they are the last: {', '.join(map(str, found.kept))}.",
        soft_wrap=True,
    )
    if not found.removed and found.files:
        console.print("Nothing was removed; do it with --yes.")


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
