"""The audit log: entries for acts of the command line, and exports that others can verify without us."""

import csv
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import msgspec

from leadgate.app.profiling import publish
from leadgate.app.wire import Home
from leadgate.chain import Entry
from leadgate.errors import BadFileError, RefusedError
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection

if TYPE_CHECKING:
    from leadgate.leads.histories import Attached
    from leadgate.leads.importing import ImportReport
    from leadgate.models.training import Trained
    from leadgate.storage.postgres.outcomes import Recorded

Format = Literal["jsonl", "csv"]

_SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
_COLUMNS = [field.name for field in fields(Entry)]
_LONGEST_FIELD = 2**31 - 1
"""Characters of a CSV's value; the library's own limit is less than details may have."""


def export(entries: Iterable[Entry], file: Path) -> tuple[int, Entry]:
    """Write entries to a new file, whole or not at all; gives their number and the last one.

    Raises RefusedError when the file is there already or there is no entry, BadFileError for an unknown suffix.
    """
    form = format_of(file)
    if file.exists():
        raise RefusedError(f"{file} is there already; name a new file, for an export is evidence.")
    part = file.with_name(file.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as output:
            written, last = _write(entries, _writer(output, form))
        if last is None:
            raise RefusedError("There is no entry in that time, so nothing was written.")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return written, last


def exported(file: Path) -> Generator[Entry]:
    """The entries of an export, one at a time. Raises BadFileError naming the line that is no entry."""
    form = format_of(file)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            yield from _csv_entries(lines, file) if form == "csv" else _json_entries(lines, file)
    except UnicodeDecodeError:
        raise BadFileError(f"{file} is not UTF-8, which every export is; ask for it again.") from None
    except OSError as error:
        raise BadFileError(f"{file} cannot be read ({error.strerror}).") from None


def format_of(file: Path) -> Format:
    """The format that a file's suffix names. Raises BadFileError for another."""
    form = _SUFFIXES.get(file.suffix.lower())
    if form is None:
        raise BadFileError(f"{file.name} ends in neither .jsonl nor .csv; an export is JSON lines or CSV.")
    return form


def _write(entries: Iterable[Entry], write: Callable[[dict[str, Any]], object]) -> tuple[int, Entry | None]:
    written, last = 0, None
    for last in entries:
        write(asdict(last))
        written += 1
    return written, last


def _writer(output: TextIO, form: Format) -> Callable[[dict[str, Any]], object]:
    if form == "jsonl":
        # In ASCII: some programs take more characters for line ends than JSON lines have.
        return lambda row: output.write(json.dumps(row) + "\n")
    # Quoted throughout, so that line ends inside a value come back as they were.
    table = csv.DictWriter(output, _COLUMNS, quoting=csv.QUOTE_ALL)
    table.writeheader()
    return table.writerow


def _json_entries(lines: TextIO, file: Path) -> Iterator[Entry]:
    decode = msgspec.json.Decoder(Entry).decode
    for number, line in enumerate(lines, start=1):
        try:
            yield decode(line)
        except msgspec.MsgspecError as error:
            raise BadFileError(f"{file}: line {number} is no entry of an audit log ({error}).") from None


def _csv_entries(lines: TextIO, file: Path) -> Iterator[Entry]:
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.DictReader(lines, strict=True)
    while True:
        try:
            row = next(rows, None)
            entry = None if row is None else msgspec.convert(row, Entry, strict=False)
        except (csv.Error, msgspec.MsgspecError, TypeError) as error:
            raise BadFileError(f"{file}: line {rows.line_num} is no entry of an audit log ({error}).") from None
        if entry is None:
            return
        yield entry


def write_registered(home: Home, trained: "Trained") -> None:
    """Write down that a version was trained and registered, and put its baseline where monitoring finds it."""
    publish(home, trained.version)
    card, version = trained.card, trained.version
    about = f"{version.name} version {version.version}"
    what = {
        "aliases": version.aliases,
        "kind": card.model.kind,
        "model_digest": card.model_digest,
        "snapshot": card.snapshot_version,
        "snapshot_digest": card.snapshot_digest,
        "trained_by": card.provenance.author,
        "compared_with": trained.against,
    }
    with home.connection() as connection:
        append_entry(connection, at=home.clock(), actor=home.author, act="model.register", subject=about, details=what)


def write_snapshot(connection: Connection, home: Home, report: "ImportReport") -> None:
    """Write down that a file of leads became a snapshot; nothing where it brought nothing new."""
    snapshot = report.snapshot
    if snapshot is None:
        return
    what = {
        "file": report.file,
        "rows": report.rows,
        "added": report.added,
        "changed": report.changed,
        "quarantined": report.quarantined,
        "digest": snapshot.digest,
    }
    about = f"snapshot {snapshot.version}"
    append_entry(connection, at=home.clock(), actor=home.author, act="leads.import", subject=about, details=what)


def write_attached(connection: Connection, home: Home, attached: "Attached") -> None:
    """Write down that events became a part of a snapshot; nothing where they changed none."""
    snapshot = attached.snapshot
    if snapshot is None:
        return
    what = {"leads": attached.leads, "changed": attached.changed, "digest": snapshot.digest}
    about = f"snapshot {snapshot.version}"
    append_entry(connection, at=home.clock(), actor=home.author, act="leads.attach", subject=about, details=what)


def write_events(connection: Connection, home: Home, file: Path, received: int, added: int) -> None:
    """Write down that a file of events was recorded, by which features are made; nothing where it brought no news."""
    if added:
        what = {"received": received, "added": added}
        about = f"file {file.name}"
        append_entry(connection, at=home.clock(), actor=home.author, act="events.import", subject=about, details=what)


def write_outcomes(connection: Connection, home: Home, file: Path, recorded: "Recorded") -> None:
    """Write down that a file of outcomes was recorded; nothing where it brought nothing new."""
    if not recorded.added:
        return
    what = {
        "received": recorded.received,
        "added": recorded.added,
        "repeated": recorded.repeated,
        "unknown_leads": len(recorded.unknown_leads),
    }
    about = f"file {file.name}"
    append_entry(connection, at=home.clock(), actor=home.author, act="outcomes.import", subject=about, details=what)
