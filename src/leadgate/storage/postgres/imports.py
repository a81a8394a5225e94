"""Imports of leads and the rows they kept out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from leadgate.records import Fault
from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class ImportRecord:
    """One file of leads that was looked at."""

    import_id: UUID
    """UUIDv7: sorted by time."""
    file: str
    file_digest: str
    """SHA-256 of the file."""
    imported_at: datetime
    row_count: int
    """Records in the file."""
    quarantined: int
    """Records that were kept out."""
    refused_because: str | None
    """Why nothing at all was imported; None for an accepted import."""


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What `data quarantine` shows above the rows."""

    import_id: UUID
    file: str
    imported_at: datetime
    row_count: int
    quarantined: int
    refused_because: str | None


def record_import(connection: Connection, record: ImportRecord, faults: Iterable[Fault]) -> None:
    """Write an import and all its faults, both or neither."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(statement("imports", "record_import"), asdict(record))
        with cursor.copy(statement("imports", "copy_faults")) as copy:
            for fault in faults:
                copy.write_row(
                    (
                        record.import_id,
                        fault.row_number,
                        fault.lead_id,
                        fault.column_name,
                        fault.value,
                        fault.reason,
                    )
                )


def latest_import(connection: Connection, prefix: str | None) -> ImportSummary | None:
    """The import whose id starts with ``prefix``; without one, the last that kept rows out."""
    with connection.cursor(row_factory=class_row(ImportSummary)) as cursor:
        return cursor.execute(statement("imports", "latest_import"), {"prefix": prefix}).fetchone()


def faults_of_import(connection: Connection, import_id: UUID, limit: int | None) -> Sequence[Fault]:
    """The faults of an import in the order of its rows; at most ``limit``, all when None."""
    with connection.cursor(row_factory=class_row(Fault)) as cursor:
        what = {"import_id": import_id, "limit": limit}
        return cursor.execute(statement("imports", "faults_of_import"), what).fetchall()


def serialise_imports(connection: Connection) -> None:
    """Wait until no other import runs, and keep others waiting until the connection closes."""
    connection.execute(statement("imports", "serialise_imports"))
