"""First contacts: recorded once, whole or not at all, and counted for the side that met the lead."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadgate.errors import BadFileError
from leadgate.outcomes.contacts import import_contacts
from leadgate.records import Outcome, Prediction
from leadgate.storage.postgres.checks import coverage_of
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions

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


def test_a_lead_that_was_only_called_is_seen_too(tmp_path: Path, database: str) -> None:
    """Of leads with an outcome, with a contact and with both, two of three have a score."""
    file = tmp_path / "calls.csv"
    file.write_text("lead_id,contacted_at\nboth,2026-04-30\ncalled,2026-04-30\nboth,2026-04-29\n")
    scored = [
        Prediction(
            prediction_id=f"01970000-0000-7000-8000-00000000000{i}",
            lead_id=lead,
            scored_at=NOW - timedelta(days=2),
            model_name="leads",
            model_version="1",
            variant="champion",
            predicted_score=0.5,
            priority="low",
            features=b"{}",
            latency_ms=0.1,
            batch_size=1,
            request_id="r",
            route_epoch=1,
        )
        for i, lead in enumerate(("both", "told", "silent"))
    ]
    outcomes = [
        Outcome(lead_id=lead, converted=False, deal_size=None, days_to_close=None, outcome_at=NOW, source="test")
        for lead in ("both", "told")
    ]
    with connect(database) as connection:
        ensure_partitions(connection, [scored[0].scored_at.date()])
        copy_predictions(connection, scored)
        record_outcomes(connection, outcomes, NOW)
        import_contacts(connection, file, NOW)
        day = timedelta(days=1)
        assert coverage_of(connection, since=NOW - day, until=NOW) == (3, 2)
        assert coverage_of(connection, since=NOW, until=NOW + day) == (0, 0)
