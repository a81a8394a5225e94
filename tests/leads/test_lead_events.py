"""What a lead did, and the one cut that keeps a score from knowing what came after it."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadgate.leads.events import (
    Event,
    Events,
    events_before,
    events_in_history,
    history_from_json,
    history_to_json,
    time_of_history,
)
from leadgate.leads.feature_code import make_values
from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.frames import HISTORY, columns_of, raw_columns_of
from leadgate.leads.made import times_of, with_history
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.dataset import rows_of
from leadgate.records import LeadEvent

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CODE = """
from datetime import datetime
from leadgate import Events

def seen(events: Events) -> int:
    return events.count()

def spent(events: Events, at: datetime) -> float:
    return sum(e.value or 0.0 for e in events) + 0.0 * (at - at).total_seconds()
"""


def schema_with(code: str) -> LeadSchema:
    """Leads with a time, one column and a features.py."""
    plain = LeadSchema(
        id="id", timestamp="created", target="won", features=(Feature(name="size", type=FeatureType.NUMERIC),)
    )
    return plain.model_copy(update={"code": parse_features(code, plain)})


SCHEMA = schema_with(CODE)


def event(happened: float, known: float | None = None, *, kind: str = "visit", value: float | None = 1.0) -> LeadEvent:
    """An event so many seconds after the score's time, known so many seconds after it."""
    return LeadEvent(
        lead_id="a",
        kind=kind,
        at=AT + happened * SECOND,
        known_at=AT + (happened if known is None else known) * SECOND,
        value=value,
    )


def snapshot(*ids: str) -> pl.DataFrame:
    """Leads that were all created at the score's time."""
    rows = [(name, AT, True, 1.0) for name in ids]
    return pl.DataFrame(rows, schema=raw_columns_of(SCHEMA), orient="row")


def trained_on(events: list[LeadEvent]) -> float:
    """Events that a training counts, by way of a snapshot's history."""
    row = rows_of(with_history(snapshot("a"), SCHEMA, {"a": events}), SCHEMA)[0]
    assert isinstance(row[1], float)
    return row[1]


def scored_with(events: list[LeadEvent]) -> float:
    """Events that an answer counts: the cut and the code that scoring calls."""
    assert SCHEMA.code is not None
    value = make_values(SCHEMA.code, {"size": 1.0}, events_before(events, AT), AT).values[0]
    assert isinstance(value, float)
    return value


seconds = st.integers(-1_000_000, 1_000_000)
recorded = st.builds(event, seconds, st.none() | seconds, kind=st.sampled_from(["visit", "demo"]))


@given(events=st.lists(recorded, max_size=12))
@settings(max_examples=60)
def test_no_event_after_the_score_counts_and_each_before_it_does(events: list[LeadEvent]) -> None:
    """Leakage: in training and in an answer alike, whatever else there is.

    One second after, at the very moment, or known a second too late: nothing changes. One second before: one more.
    """
    before = trained_on(events)
    assert before == scored_with(events) == sum(e.at < AT and e.known_at <= AT for e in events)
    for late in (event(1), event(0), event(-100, 1)):
        assert trained_on([*events, late]) == scored_with([*events, late]) == before
    for early in (event(-1), event(-100, 0)):
        assert trained_on([*events, early]) == scored_with([*events, early]) == before + 1


def test_a_history_attached_later_is_cut_at_the_same_time() -> None:
    """A lead that was scored a week after it came keeps the time of its score; others have that of their creation."""
    week = timedelta(days=7)
    known = {"a": [event(-1), event(100)], "b": [event(-1), event(100)]}
    first = with_history(snapshot("a", "b"), SCHEMA, known, {"a": AT + week})
    assert [events_in_history(text) for text in first[HISTORY]] == [2, 1]
    again = with_history(first, SCHEMA, known, times_of(first, SCHEMA))
    assert again[HISTORY].to_list() == first[HISTORY].to_list()
    assert [time_of_history(text) for text in again[HISTORY]] == [AT + week, AT]


def test_a_snapshot_has_histories_only_where_the_code_needs_them() -> None:
    """So digests of projects without events stay what they were."""
    columns_only = schema_with("def double(size: float | None) -> float | None:\n    return size and 2 * size\n")
    assert HISTORY in columns_of(SCHEMA)
    assert columns_of(columns_only) == raw_columns_of(columns_only)
    assert HISTORY not in with_history(snapshot("a"), columns_only, {"a": [event(-1)]}).columns


@given(events=st.lists(recorded, max_size=8), order=st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_a_history_has_one_form(events: list[LeadEvent], order: st.DataObject) -> None:
    """Whatever order the database gave, and whatever zone: the digest of a snapshot is taken of this text."""
    text = history_to_json(AT, events_before(events, AT))
    there = timezone(timedelta(hours=-5))
    moved = [
        LeadEvent(lead_id="a", kind=e.kind, at=e.at.astimezone(there), known_at=e.known_at, value=e.value)
        for e in events
    ]
    order.shuffle(moved)  # type: ignore[attr-defined]  # it is a random.Random
    assert history_to_json(AT.astimezone(there), events_before(moved, AT)) == text
    assert history_from_json(text) == (AT, events_before(events, AT))


def test_microseconds_and_missing_values_survive() -> None:
    """A history says what was recorded, no less."""
    micro = timedelta(microseconds=1)
    events = Events([Event("visit", AT - micro, None), Event("visit", AT - 2 * micro, 0.1)])
    assert history_from_json(history_to_json(AT - micro, events)) == (AT - micro, events)


def test_events_are_asked_by_kind_and_time() -> None:
    """By hand: since is inclusive, until is not, so that two spans that meet count nothing twice."""
    day = timedelta(days=1)
    events = Events(
        [Event("demo", AT - day, 5.0), Event("visit", AT - 3 * day, 2.0), Event("visit", AT - 2 * day, None)]
    )
    assert [e.kind for e in events] == ["visit", "visit", "demo"]
    assert events.of("visit").count() == 2
    assert events.of("visit", "demo").sum() == 7.0
    assert events.since(AT - 2 * day).count() == 2
    assert events.until(AT - 2 * day).count() == 1
    assert events.first == Event("visit", AT - 3 * day, 2.0)
    assert events.last == Event("demo", AT - day, 5.0)
    assert events.kinds == ("demo", "visit")
    assert events.days_since_last(AT) == 1.0
    assert not events.of("call")
    assert events.of("call").days_since_last(AT) is None
    assert events.of("call").last is None


@pytest.mark.parametrize("text", ("", "{}", '{"at": "yesterday", "events": []}'))
def test_a_text_that_is_no_history_is_refused(text: str) -> None:
    """A damaged snapshot gives no score on no events."""
    with pytest.raises(ValueError, match=r"."):
        history_from_json(text)
