"""First contacts: recorded once, whole or not at all, and counted for the side that met the lead."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadgate.errors import BadFileError
from leadgate.outcomes.contacts import import_contacts
from leadgate.storage.postgres.connection import connect

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_the_same_file_again_adds_nothing(tmp_path: Path, database: str) -> None:
    """A CRM that sends its whole list every night."""
    file = tmp_path / "calls.csv"
    file.write_text("lead_id,contacted_at\na,2026-04-01T10:00:00Z\na,2026-04-02T10:00:00Z\nb,2026-04-01\n")
    with connect(database) as connection:
        assert import_contacts(connection, file, NOW) == (3, 3)
        assert import_contacts(connection, file, NOW + timedelta(days=1)) == (3, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("lead,contacted_at\na,2026-04-01\n", "no column 'lead_id'"),
        ("lead_id,contacted_at\na,2026-04-01\nb,yesterday\n", "row 3 .*yesterday"),
        ("lead_id,contacted_at\na,2026-04-01\n,2026-04-01\n", "row 3"),
        ("lead_id,contacted_at\na,2027-04-01\n", "row 2 lies in the future"),
    ),
)
def test_a_bad_file_is_refused_whole(tmp_path: Path, database: str, text: str, said: str) -> None:
    """The sentence names the row, and nothing of the file is recorded."""
    file = tmp_path / "calls.csv"
    file.write_text(text)
    with connect(database) as connection:
        with pytest.raises(BadFileError, match=said):
            import_contacts(connection, file, NOW)
        assert connection.execute("SELECT count(*) FROM leadgate.lead_contacts").fetchone() == (0,)
