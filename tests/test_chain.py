"""The hash chain: no entry can be changed, removed, moved or inserted unseen."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.chain import START, Checked, Entry, check, details_text, digest_of, seal

NOW = datetime(2026, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=()), max_size=12)
times = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=6,
)
acts = st.fixed_dictionaries(
    {"at": times, "actor": texts, "act": texts, "subject": texts, "details": st.dictionaries(texts, values, max_size=3)}
)

plain = st.fixed_dictionaries(
    {"at": times, "actor": texts, "act": texts, "subject": texts, "details": st.dictionaries(texts, texts, max_size=1)}
)
"""Where it is the order of the entries that matters, and not how deep their details are."""


def chained(given: list[dict[str, Any]]) -> list[Entry]:
    """A chain of acts, without a database."""
    entries: list[Entry] = []
    for act in given:
        after = (entries[-1].entry, entries[-1].sha256) if entries else None
        entries.append(seal(after=after, **act))
    return entries


@given(st.lists(acts, min_size=1, max_size=6), st.data())
def test_any_changed_field_of_any_entry_is_found_at_that_entry(
    given: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever the texts hold; and the untouched chain is whole."""
    entries = chained(given)
    assert check(entries) == Checked(entries=len(entries), first=1, head=entries[-1], noted=None, broken=None)
    at = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(
        st.sampled_from(["happened_at", "actor", "act", "subject", "details", "previous_sha256", "sha256"])
    )
    value = data.draw(texts.filter(lambda text: text != getattr(entries[at], field)))
    spoilt = [*entries[:at], Entry(**{**asdict(entries[at]), field: value}), *entries[at + 1 :]]
    found = check(spoilt)
    assert found.broken is not None
    assert (found.broken.entry, found.broken.kind, found.entries) == (at + 1, "changed", at)
    assert str(at + 1) in found.broken.sentence


@given(st.lists(plain, min_size=2, max_size=7), st.data())
def test_any_entry_that_is_gone_moved_or_doubled_is_found(given: list[dict[str, Any]], data: st.DataObject) -> None:
    """In the middle by the numbers, at the end by a noted digest."""
    entries = chained(given)
    head = entries[-1].sha256
    at = data.draw(st.integers(0, len(entries) - 1))
    gone = check(entries[:at] + entries[at + 1 :], noted=head).broken
    assert gone is not None
    assert (gone.kind, gone.entry) == (("missing", at + 1) if at < len(entries) - 1 else ("head", None))
    doubled = check([*entries[: at + 1], *entries[at:]]).broken
    assert doubled is not None
    assert (doubled.kind, doubled.entry) == ("order", at + 1)
    other = data.draw(st.permutations(entries).filter(lambda order: order != entries))
    moved = check(other).broken
    assert moved is not None
    assert moved.kind in ("missing", "order")


@given(st.lists(plain, min_size=2, max_size=6), st.data())
def test_a_rewritten_chain_fits_no_digest_that_was_noted_after_the_change(
    given: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Rewriting all after a point makes a whole chain: the noted digest tells, from the changed entry on."""
    entries = chained(given)
    at = data.draw(st.integers(0, len(entries) - 1))
    forged = chained([*given[:at], {**given[at], "actor": given[at]["actor"] + "!"}, *given[at + 1 :]])
    assert check(forged).broken is None
    for entry in entries:
        found = check(forged, noted=entry.sha256)
        assert (found.noted, found.broken is None) == ((entry.entry, True) if entry.entry <= at else (None, False))


def test_a_replaced_entry_with_a_digest_of_its_own_breaks_the_link() -> None:
    """Recomputing the digest of one entry is not enough."""
    entries = chained([{"at": NOW, "actor": "a", "act": "b", "subject": "c", "details": {}}] * 3)
    after = (entries[0].entry, entries[0].sha256)
    forged = seal(after=after, at=NOW, actor="eve", act="b", subject="c", details={})
    found = check([entries[0], forged, entries[2]]).broken
    assert found is not None
    assert (found.kind, found.entry) == ("link", 3)


def test_a_stretch_of_a_chain_may_begin_anywhere_but_the_whole_may_not() -> None:
    """An export of a span is verified in itself; a log whose beginning is gone is broken."""
    entries = chained([{"at": NOW, "actor": "a", "act": "b", "subject": "c", "details": {}}] * 4)
    assert check(entries[2:], from_start=False).broken is None
    gone = check(entries[2:]).broken
    assert gone is not None
    assert (gone.kind, gone.entry) == ("missing", 1)
    first = replace(entries[0], previous_sha256="1" * 64)
    resealed = (first.happened_at, first.actor, first.act, first.subject, first.details)
    first = replace(first, sha256=digest_of(1, resealed, first.previous_sha256))
    foreign = check([first], from_start=False).broken
    assert foreign is not None
    assert foreign.kind == "link"


@given(st.lists(texts, min_size=5, max_size=5), st.lists(texts, min_size=5, max_size=5))
def test_no_two_entries_share_a_text(one: list[str], other: list[str]) -> None:
    """Commas, quotes and brackets inside a field cannot be taken for the seams between fields."""
    assert (digest_of(1, one, START) == digest_of(1, other, START)) == (one == other)
    joined = [one[0] + '","' + one[1], "", *one[2:]]
    assert digest_of(1, joined, START) != digest_of(1, one, START)


def test_a_time_is_the_same_in_any_zone_and_needs_one() -> None:
    """What is hashed is UTC."""
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    made = [seal(after=None, at=at, actor="a", act="b", subject="c", details={}) for at in (NOW, there)]
    assert made[0] == made[1]
    assert made[0].happened_at == "2026-06-01T12:30:15.123456Z"
    with pytest.raises(ValueError, match="time zone"):
        seal(after=None, at=NOW.replace(tzinfo=None), actor="a", act="b", subject="c", details={})


def test_details_that_json_does_not_know_become_text() -> None:
    """An act does not fail by its record; keys are sorted, so one content has one text."""
    given = {"path": Path("x"), "at": NOW, "nan": float("nan"), "share": 0.1, "b": (1, None, True), "name": "a\udc80\0"}
    assert details_text(given) == (
        r'{"at":"2026-06-01T12:30:15.123456Z","b":[1,null,true],"name":"a\udc80\u0000","nan":"nan",'
        r'"path":"x","share":0.1}'
    )
