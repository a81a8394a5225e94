"""The log of outcomes is append-only, keeps corrections in order and adds nothing twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadgate.errors import BadFileError
from leadgate.outcomes.delivery import import_outcomes
from leadgate.records import Outcome
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.outcomes import last_outcomes, record_outcomes

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def outcome(lead: str, *, converted: bool, size: float | None = None, day: int = 0) -> Outcome:
    """An outcome of that lead, ``day`` days before NOW."""
    return Outcome(
        lead_id=lead,
        converted=converted,
        deal_size=size,
        days_to_close=None,
        outcome_at=NOW - timedelta(days=day),
        source="test",
    )


def test_the_last_word_counts_and_earlier_ones_stay(database: str) -> None:
    """A correction is a new row; the log keeps what was believed before."""
    with connect(database) as connection:
        record_outcomes(connection, [outcome("a", converted=True, size=900.0)], NOW)
        record_outcomes(connection, [outcome("a", converted=False)], NOW)
        rows = connection.execute("SELECT converted FROM leadgate.lead_outcomes ORDER BY outcome_id").fetchall()
        last = last_outcomes(connection, until=NOW)
    assert [row[0] for row in rows] == [True, False]
    assert last.rows() == [("a", False, None, None, NOW)]


def test_a_repetition_adds_nothing(database: str) -> None:
    """A CRM that sends its whole list every night does not swell the log."""
    delivery = [outcome("a", converted=True, size=900.0), outcome("b", converted=False)]
    with connect(database) as connection:
        first = record_outcomes(connection, delivery, NOW)
        again = record_outcomes(connection, delivery, NOW)
    assert (first.added, first.repeated) == (2, 0)
    assert (again.added, again.repeated) == (0, 2)


def test_going_back_to_an_earlier_word_is_news(database: str) -> None:
    """won, lost, won again: the third differs from the second and is recorded, also within one delivery."""
    won, lost = outcome("a", converted=True), outcome("a", converted=False)
    with connect(database) as connection:
        recorded = record_outcomes(connection, [won, won, lost, won], NOW)
        last = last_outcomes(connection, until=NOW)
    assert (recorded.added, recorded.repeated) == (3, 1)
    assert last["converted"].to_list() == [True]


def test_leads_that_were_never_scored_are_kept_and_named(database: str) -> None:
    """Their scores may be older than the log; the outcome is not thrown away."""
    with connect(database) as connection:
        recorded = record_outcomes(connection, [outcome("stranger", converted=True)], NOW)
        kept = last_outcomes(connection, until=NOW)
    assert recorded.unknown_leads == ("stranger",)
    assert kept["lead_id"].to_list() == ["stranger"]


def test_what_was_known_at_a_time_can_be_asked_for(database: str) -> None:
    """A correction recorded later does not rewrite what a report of last week saw."""
    with connect(database) as connection:
        record_outcomes(connection, [outcome("a", converted=True, day=9)], NOW - timedelta(days=8))
        record_outcomes(connection, [outcome("a", converted=False, day=9)], NOW)
        last_week = last_outcomes(connection, until=NOW - timedelta(days=7))
    assert last_week["converted"].to_list() == [True]


def test_nothing_recorded_is_an_empty_frame(database: str) -> None:
    """Reading before the first outcome gives the columns and no rows."""
    with connect(database) as connection:
        assert last_outcomes(connection, until=NOW).height == 0


def test_a_file_with_a_misspelt_column_is_refused_and_other_columns_are_named(tmp_path: Path, database: str) -> None:
    """Else its deals would have no size, and nobody would be told. A CRM's own columns harm nobody."""
    file = tmp_path / "outcomes.csv"
    with connect(database) as connection:
        file.write_text("lead_id,converted,outcome_at,deal_sze\nA,yes,2026-04-01,900\n")
        with pytest.raises(BadFileError, match="'deal_sze' is no column that is read here; did you mean 'deal_size'"):
            import_outcomes(connection, file, NOW)
        file.write_text("lead_id,converted,outcome_at,deal_id,owner\nA,yes,2026-04-01,900,x\n")
        taken = import_outcomes(connection, file, NOW)
        again = import_outcomes(connection, file, NOW)
    assert (taken.added, taken.ignored_columns) == (1, ("deal_id", "owner"))
    assert (again.added, again.repeated, again.ignored_columns) == (0, 1, ("deal_id", "owner"))


def test_a_file_sent_again_after_a_correction_says_that_the_correction_stays(tmp_path: Path, database: str) -> None:
    """It may be last week's file by mistake; who means it sends the rows in a file of their own."""
    first, second = tmp_path / "monday.csv", tmp_path / "tuesday.csv"
    first.write_text("lead_id,converted,outcome_at\nA,no,2026-04-01\nB,no,2026-04-01\n")
    second.write_text("lead_id,converted,outcome_at\nA,yes,2026-04-01\n")

    def took(file: Path) -> tuple[int, int]:
        with connect(database) as connection:
            taken = import_outcomes(connection, file, NOW)
        return taken.added, taken.corrected_since

    assert [took(file) for file in (first, first, second, first)] == [(2, 0), (0, 0), (1, 0), (0, 1)]
    first.write_text("lead_id,converted,outcome_at\nA,no,2026-04-01\n")
    assert took(first) == (1, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    (
        ("A,,2026-04-01", "row 2, column 'converted': the value is missing \\(1 of 1 rows is bad\\)"),
        ("A,won,2026-04-01", "'won' cannot be read as yes or no"),
        ("A,yes,1780000000", "'1780000000' cannot be read as a time, such as 2026-06-01T10:00:00Z"),
    ),
)
def test_a_bad_outcome_is_named_with_what_it_should_be(tmp_path: Path, database: str, row: str, said: str) -> None:
    """Row, column, value and an accepted form."""
    file = tmp_path / "outcomes.csv"
    file.write_text(f"lead_id,converted,outcome_at\n{row}\n")
    with connect(database) as connection, pytest.raises(BadFileError, match=said):
        import_outcomes(connection, file, NOW)
