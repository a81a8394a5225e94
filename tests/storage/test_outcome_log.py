"""The log of outcomes is append-only, keeps corrections in order and adds nothing twice."""

from datetime import UTC, datetime, timedelta

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
