"""leadgate events: what leads did, by which features.py makes features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, counted, print_ignored, print_json, print_table, progress
from leadgate.app.wire import open_home
from leadgate.errors import NotFoundError

app = typer.Typer(help="Take what leads did, by which features.py makes features.", no_args_is_help=True)

_NAMED = 5
"""Leads that are named."""


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="Any format that `data import` reads. Columns: lead_id, kind, at; optionally value, and known_at: "
            "when the event reached you, which is when it happened unless the file says so."
        ),
    ],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Record events. The same event again (lead, kind, time and value) adds nothing; a bad row refuses the file."""
    from leadgate.app.auditing import write_events  # noqa: PLC0415
    from leadgate.leads.event_files import import_events  # noqa: PLC0415
    from leadgate.leads.histories import strangers_among  # noqa: PLC0415

    home = open_home(project)
    lead = home.project.lead
    with progress() as step, home.connection() as connection, connection.transaction():
        taken = import_events(connection, file, home.clock(), step)
        write_events(connection, home, file, taken.received, taken.added)
        step("looking for their leads")
        unknown = strangers_among(connection, home.snapshots_uri, lead, taken.leads)
    if as_json:
        what = {"received": taken.received, "added": taken.added}
        print_json({**what, "ignored_columns": taken.ignored_columns, "unknown_leads": unknown})
        return
    console.print(f"{counted(taken.added, 'event')} added, {taken.received - taken.added:,} known already.")
    print_ignored(taken.ignored_columns)
    if unknown:
        console.print(
            f"{len(unknown):,} of its {counted(len(taken.leads), 'lead')} {_were(len(unknown))} never scored or "
            f"imported here ({_some(unknown, len(unknown))}); their events are kept. Check that the "
            "ids are those of the leads.",
            markup=False,
            soft_wrap=True,
        )
    if taken.added:
        console.print("Lay them beside the leads of the last snapshot with `leadgate events attach`.")


def _some(leads: Sequence[str], number: int) -> str:
    return ", ".join(leads[:_NAMED]) + (", …" if number > _NAMED else "")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


@app.command()
def show(
    lead_id: Annotated[str, typer.Argument(metavar="LEAD_ID", help="The lead, as events name it.")],
    project: ProjectDir = HERE,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many events.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what a lead did, the last first: what, when, when it was known, and when it was written down here.

    Exit code 2 where neither an event nor a score nor an import of the lead is known.
    """
    from leadgate.leads.histories import strangers_among  # noqa: PLC0415
    from leadgate.storage.postgres.events import events_of  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        found = events_of(connection, lead_id, most=limit)
        if not found and strangers_among(connection, home.snapshots_uri, home.project.lead, [lead_id]):
            raise NotFoundError(
                f"Of lead {lead_id!r} no event is known here, and it was never scored or imported; check the id, or "
                "take its events with `leadgate events import FILE`."
            )
    if as_json:
        print_json([{name: getattr(event, name) for name in event.__struct_fields__} for event in found])
        return
    if not found:
        console.print(
            f"Lead {lead_id!r} is known, and no event of it is; take some with `leadgate events import FILE`.",
            markup=False,
        )
        return
    rows = [
        (
            escape(e.kind),
            e.at.isoformat(timespec="milliseconds"),
            e.known_at.isoformat(timespec="milliseconds"),
            None if e.value is None else f"{e.value:g}",
            e.recorded_at.isoformat(timespec="milliseconds"),
        )
        for e in found
    ]
    print_table(
        f"Events of lead {escape(lead_id)}", ["kind", "at", "known at", "value", "written down"], rows, numbers="   r"
    )


@app.command()
def attach(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Lay the events that are known now beside the leads of the last snapshot, so that a training sees them.

    Only events from before a lead's time count, which `data import` attaches by itself: attach events that came
    afterwards. A new snapshot is made only where a lead's history has changed.
    """
    from leadgate.app.auditing import write_attached  # noqa: PLC0415
    from leadgate.leads.histories import attach as attach_events  # noqa: PLC0415

    home = open_home(project)
    lead = home.project.lead
    with progress() as step, home.connection() as connection:
        found = attach_events(connection, home.snapshots_uri, lead, now=home.clock(), step=step)
        write_attached(connection, home, found)
    if as_json:
        print_json(found)
        return
    console.print(
        f"{found.leads:,} leads, {found.with_events:,} of them with events before their time; "
        f"the histories of {found.changed:,} have changed."
    )
    if found.other_events:
        console.print(
            f"No lead of the snapshot matches {counted(found.other_events, 'event')} of "
            f"{counted(found.other_leads, 'lead')} ({_some(found.some_other_leads, found.other_leads)}), kept for "
            "leads that come later.",
            markup=False,
            soft_wrap=True,
        )
    if found.snapshot is None:
        console.print("Nothing new, so no new snapshot.")
    else:
        console.print(f"Snapshot {found.snapshot.version}, digest {found.snapshot.digest[:16]}.")
