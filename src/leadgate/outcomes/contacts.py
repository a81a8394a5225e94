"""Files of first contacts: when the sales team was in touch with a lead."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.files import read_table
from leadgate.leads.schema import FeatureType
from leadgate.leads.values import parse_feature, parse_time, require_one_reading
from leadgate.records import Contact
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.contacts import record_contacts

_CLOCK_TOLERANCE = timedelta(days=1)


def import_contacts(connection: Connection, file: Path, now: datetime) -> tuple[int, int]:
    """Record a file with the columns lead_id and contacted_at; gives how many rows it has and how many were news.

    Raises BadFileError naming the first bad row; then nothing of the file is recorded.
    """
    table = read_table(file)
    frame = table.frame
    for name in ("lead_id", "contacted_at"):
        if name not in frame.columns:
            raise BadFileError(
                f"{file.name} has no column {name!r}; contacts need lead_id and contacted_at. It has: "
                f"{', '.join(frame.columns[:10])}."
            )
    require_one_reading([frame["contacted_at"]], file.name, table.first_row)
    leads, times = parse_feature(frame["lead_id"], FeatureType.CATEGORICAL), parse_time(frame["contacted_at"])
    bad = leads.bad | times.bad | leads.values.is_null() | times.values.is_null()
    late = (times.values > now + _CLOCK_TOLERANCE).fill_null(value=False)
    faulty = (bad | late).arg_true()
    if len(faulty):
        row = int(faulty[0])
        why = "lies in the future" if late[row] else "has no id or no time that can be read"
        raise BadFileError(
            f"{file.name}: row {row + table.first_row} {why} (lead_id {frame['lead_id'][row]!r}, contacted_at "
            f"{frame['contacted_at'][row]!r}), so no contact was recorded; mend the file."
        )
    known = pl.DataFrame({"lead_id": leads.values, "contacted_at": times.values}).iter_rows(named=True)
    contacts = [Contact(**row, source=file.name) for row in known]
    return len(contacts), record_contacts(connection, contacts, now)
