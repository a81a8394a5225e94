"""Takes a file of leads into the project: judged, quarantined, merged, committed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import uuid_utils.compat as uuids

from leadgate.errors import BadFileError
from leadgate.leads.files import read_table
from leadgate.leads.frames import Merged, Table, empty_leads, merge
from leadgate.leads.histories import attach_histories, keep_columns_of, times_that_stay
from leadgate.leads.project import Project
from leadgate.leads.snapshots import Snapshot, commit_snapshot, read_snapshot, snapshots
from leadgate.leads.validation import NewCategory, Validated, validate
from leadgate.records import Fault
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.imports import ImportRecord, record_import, serialise_imports


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did."""

    file: str
    rows: int
    quarantined: int
    repeated: int
    """Rows of the file that repeat an earlier one word for word."""
    added: int
    changed: int
    unchanged: int
    """Leads that were there already, just so."""
    new_categories: tuple[NewCategory, ...]
    snapshot: Snapshot | None
    """The new snapshot; None when the file holds nothing new."""


def import_leads(
    connection: Connection,
    uri: str,
    project: Project,
    *,
    file: Path,
    now: datetime,
    step: Callable[[str], None] = lambda _: None,
) -> ImportReport:
    """Import a file of leads.

    1. Read the file. 2. Judge each row. 3. Refuse the file when too many rows are bad. 4. Lay what the leads did beside
    them, where features.py takes it, and both over the last snapshot. 5. Write down the import and its quarantined
    rows. 6. Commit the new snapshot, when anything is new. A crash between 5 and 6 leaves quarantined rows of an import
    that never came to be, and no half snapshot; importing again completes it.

    ``step`` is told what is being done, for a progress display. Raises BadFileError.
    """
    step(f"reading {file.name}")
    table = read_table(file)
    step(f"checking {table.frame.height:,} rows")
    judged = validate(project.lead, table, file.name, now)
    serialise_imports(connection)
    record = _record(table, judged, file, now, _refusal(judged, project, file))
    if record.refused_because:
        record_import(connection, record, judged.faults)
        connection.commit()
        raise BadFileError(record.refused_because)
    there = _present(uri, project)
    keep_columns_of(connection, judged.leads, project.lead, now)
    stay = times_that_stay(there, judged.leads, project.lead)
    leads = attach_histories(connection, judged.leads, project.lead, stay, step)
    merged = merge(there, leads, project.lead.id)
    if merged.new.is_empty() and not merged.changed and snapshots(uri):
        return _report(record, judged, merged, None)
    record_import(connection, record, judged.faults)
    connection.commit()
    step("writing the snapshot")
    facts = {
        "file": file.name,
        "file_digest": table.digest,
        "import_id": str(record.import_id),
        "quarantined": str(judged.bad_rows),
    }
    return _report(record, judged, merged, commit_snapshot(uri, merged, project.lead, facts))


def _present(uri: str, project: Project) -> pl.DataFrame:
    if not snapshots(uri):
        return empty_leads(project.lead)
    return read_snapshot(uri, project.lead)[1]


def _refusal(judged: Validated, project: Project, file: Path) -> str | None:
    """The sentence that refuses a file; None when it may come in."""
    limit = project.imports.quarantine_limit
    if judged.bad_rows <= limit * judged.rows:
        return None
    return (
        f"{file.name}: {judged.bad_rows:,} of {judged.rows:,} rows are bad "
        f"({judged.bad_rows / judged.rows:.1%}, allowed {limit:.1%}), so nothing was imported. "
        f"First: {describe_fault(judged.faults[0])}. "
        "List them with `leadgate data quarantine`; mend the file, or raise imports.quarantine_limit."
    )


def describe_fault(fault: Fault) -> str:
    """One fault in words: row, column, value, reason."""
    value = "the value" if fault.value is None else repr(fault.value)
    return f"row {fault.row_number}, column {fault.column_name!r}: {value} {fault.reason}"


def _record(table: Table, judged: Validated, file: Path, now: datetime, refusal: str | None) -> ImportRecord:
    return ImportRecord(
        import_id=uuids.uuid7(),
        file=file.name,
        file_digest=table.digest,
        imported_at=now,
        row_count=judged.rows,
        quarantined=judged.bad_rows,
        refused_because=refusal,
    )


def _report(record: ImportRecord, judged: Validated, merged: Merged, snapshot: Snapshot | None) -> ImportReport:
    return ImportReport(
        file=record.file,
        rows=judged.rows,
        quarantined=judged.bad_rows,
        repeated=judged.repeated,
        added=merged.new.height,
        changed=merged.changed,
        unchanged=merged.unchanged,
        new_categories=judged.new_categories,
        snapshot=snapshot,
    )
