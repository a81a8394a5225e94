"""When the sales team was in touch with leads."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from psycopg.rows import class_row

from leadgate.records import Contact
from leadgate.storage.postgres.connection import Connection, statement


def record_contacts(connection: Connection, contacts: Sequence[Contact], recorded_at: datetime) -> int:
    """Write contacts down, all or none; gives how many were news. The same again adds nothing."""
    if not contacts:
        return 0
    values = [{**asdict(contact), "recorded_at": recorded_at} for contact in contacts]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(statement("contacts", "add_contact"), values)
        return max(0, cursor.rowcount)


def contacts_of(connection: Connection, lead_id: str, *, most: int = 50) -> list[Contact]:
    """When the sales team was in touch with a lead, the last time first."""
    with connection.cursor(row_factory=class_row(Contact)) as cursor:
        return cursor.execute(statement("contacts", "contacts_of"), {"lead_id": lead_id, "most": most}).fetchall()


def contacted_among(connection: Connection, lead_ids: Sequence[str], *, until: datetime) -> frozenset[str]:
    """Those of some leads that the sales team was in touch with, as known at a time."""
    if not lead_ids:
        return frozenset()
    values = {"lead_ids": list(lead_ids), "until": until}
    return frozenset(row[0] for row in connection.execute(statement("contacts", "contacted_among"), values))
