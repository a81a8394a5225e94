"""leadgate audit: who did what, when and why; and whether the record is whole."""

import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, errors, print_json, print_table
from leadgate.app.wire import open_home
from leadgate.errors import BadFileError, RefusedError

if TYPE_CHECKING:
    from leadgate.chain import Checked, Entry
    from leadgate.storage.postgres.audit import Protection

app = typer.Typer(help="See who did what, and verify that the record is whole.", no_args_is_help=True)

Since = Annotated[
    str | None, typer.Option(help="From this time on (UTC): 2026-06-01, 2026-06-01T12:00Z, or 7d, 12h ago.")
]
Until = Annotated[str | None, typer.Option(help="Before this time.")]


@app.command("list")
def list_(
    project: ProjectDir = HERE,
    since: Since = None,
    until: Until = None,
    act: Annotated[str | None, typer.Option(help="An act, such as route.set, or all of a kind: route.")] = None,
    subject: Annotated[str | None, typer.Option(help="What was acted on, such as 'rollout 3'.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who acted.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the last acts, the newest first."""
    from leadgate.storage.postgres.audit import latest_entries  # noqa: PLC0415

    home = open_home(project)
    now = home.clock()
    with home.connection() as connection:
        entries = latest_entries(
            connection,
            since=_time(since, now, "--since"),
            until=_time(until, now, "--until"),
            act=act,
            subject=subject,
            actor=actor,
            most=limit,
        )
    if as_json:
        print_json([_shown(entry) for entry in entries])
        return
    rows = [(e.entry, e.happened_at[:19].replace("T", " "), e.actor, e.act, e.subject, e.details) for e in entries]
    columns = ["no.", "when (UTC)", "who", "act", "on what", "details"]
    print_table("Audit log", columns, [tuple(_plain(cell) for cell in row) for row in rows], numbers="r")
    if not entries:
        console.print("No such entry.")


@app.command()
def verify(
    project: ProjectDir = HERE,
    head: Annotated[
        str | None, typer.Option(metavar="SHA256", help="A digest that was noted elsewhere; some entry must have it.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Verify an export instead; no database is asked.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every digest. Exit code 0: the log is whole. 1: it is not, and the sentence says where.

    Cutting off the end, or rewriting everything after a point with new digests, cannot show in the log itself. So the
    digest of the last entry is printed: note it where nobody who writes the database can change it, and give it to
    --head the next time.

    The service should connect as a member of the role leadgate_writer, which can append and cannot change; triggers
    refuse changes to everybody else, until the owner of the tables switches them off.
    """
    from leadgate.chain import check  # noqa: PLC0415

    noted = _digest(head)
    with _source(project, file) as (entries, guard):
        checked = check(entries, noted=noted, from_start=file is None)
    if file is not None and not checked.entries and not checked.broken:
        raise BadFileError(f"{file} holds no entry, so there is nothing to verify.")
    if as_json:
        print_json(_report(checked, guard))
    else:
        _tell(checked, guard)
    if checked.broken:
        raise typer.Exit(1)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file; .jsonl for JSON lines, .csv for CSV.")],
    project: ProjectDir = HERE,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Write the log, or a stretch of it, to a file that others can verify.

    With `leadgate audit verify --file FILE`; or with any tool: sha256 of an entry is the SHA-256 of the UTF-8 bytes of
    the JSON array ["leadgate.audit.1", entry, happened_at, actor, act, subject, details, previous_sha256], without
    blanks (RFC 8785; entry is a number, all else strings as they are in the file). previous_sha256 is the sha256 of the
    entry before, and 64 zeros for entry 1.
    """
    from leadgate.app.auditing import export as write  # noqa: PLC0415
    from leadgate.app.auditing import format_of  # noqa: PLC0415
    from leadgate.storage.postgres.audit import chain  # noqa: PLC0415

    home = open_home(project)
    format_of(file)  # a mistake in the name shows before the database is asked
    now = home.clock()
    start, end = _time(since, now, "--since"), _time(until, now, "--until")
    with home.connection() as connection:
        written, last = write(chain(connection, since=start, until=end), file)
    if as_json:
        print_json({"file": str(file), "entries": written, "head": {"entry": last.entry, "sha256": last.sha256}})
        return
    console.print(
        f"{file}: {written:,} entries, the last one is {last.entry} with the digest {last.sha256}.",
        markup=False,
        soft_wrap=True,
    )


@contextmanager
def _source(project: Path, file: Path | None) -> "Iterator[tuple[Generator[Entry], Protection | None]]":
    """The entries to verify, and how the log they are in is protected; None for a file."""
    if file is not None:
        from leadgate.app.auditing import exported  # noqa: PLC0415

        with closing(exported(file)) as entries:
            yield entries, None
        return
    from leadgate.storage.postgres.audit import chain, protection  # noqa: PLC0415

    with open_home(project).connection() as connection:
        guard = protection(connection)
        with closing(chain(connection)) as entries:  # at a break, the rest of the stream stays unread
            yield entries, guard


def _tell(checked: "Checked", guard: "Protection | None") -> None:
    if checked.broken:
        errors.print(checked.broken.sentence, markup=False, soft_wrap=True)
    if checked.head is None:
        console.print("There is no whole entry." if checked.broken else "The log has no entry yet.")
    else:
        span = f"{checked.first} to {checked.head.entry}"
        console.print(f"Entries {span} are whole ({checked.entries:,}).", soft_wrap=True)
        if checked.noted is not None:
            console.print(f"The noted digest is the one of entry {checked.noted}.", soft_wrap=True)
    if checked.head is not None and not checked.broken:
        console.print(f"Head to note elsewhere: {checked.head.sha256} (entry {checked.head.entry})", soft_wrap=True)
    for note in _notes(guard):
        errors.print(f"note: {note}", markup=False, soft_wrap=True)


def _notes(guard: "Protection | None") -> list[str]:
    """What weakens the protection of the log, in sentences."""
    if guard is None:
        return []
    notes = []
    if guard.unguarded:
        names = ", ".join(guard.unguarded)
        notes.append(f"the trigger that refuses changes is gone or switched off on {names}; find out who did it")
    if not guard.has_writer:
        notes.append(
            "there is no role leadgate_writer, because the user who migrated may not make roles; so whoever the "
            "service connects as may switch the triggers off"
        )
    return notes


def _report(checked: "Checked", guard: "Protection | None") -> dict[str, Any]:
    head = checked.head
    return {
        "whole": checked.broken is None,
        "broken": checked.broken,
        "entries": checked.entries,
        "first": checked.first,
        "head": None if head is None else {"entry": head.entry, "sha256": head.sha256},
        "noted": checked.noted,
        "protection": guard,
    }


def _shown(entry: "Entry") -> dict[str, Any]:
    """An entry with its details as JSON, and as they were hashed."""
    import json  # noqa: PLC0415

    try:
        details = json.loads(entry.details)
    except ValueError:  # somebody changed it; verify says so
        details = None
    return {**asdict(entry), "details": details, "details_text": entry.details}


def _plain(cell: Any) -> Any:
    """A cell whose square brackets and control characters do nothing on a terminal."""
    if not isinstance(cell, str):
        return cell
    from rich.markup import escape  # noqa: PLC0415

    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cell))


def _digest(head: str | None) -> str | None:
    """A noted digest as the log writes it. Raises RefusedError for what is none."""
    if head is None:
        return None
    said = head.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", said):
        raise RefusedError(f"--head {head[:80]!r} is no digest; give the 64 characters that an earlier verify printed.")
    return said


def _time(text: str | None, now: datetime, option: str) -> datetime | None:
    """The time that ``7d``, ``12h`` or an ISO time means. Raises RefusedError."""
    if text is None:
        return None
    try:
        span = re.fullmatch(r"(\d+)([dh])", text.strip(), re.ASCII)
        if span:
            return now - timedelta(**{"days" if span[2] == "d" else "hours": int(span[1])})
        given = datetime.fromisoformat(text.strip())
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError(
            f"{option} {text!r} is no time; give days or hours back from now (7d, 12h) or a time (2026-06-01T12:00Z)."
        ) from None
