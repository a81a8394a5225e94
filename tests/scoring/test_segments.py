"""The bytes of a segment: what is whole is read back, what is not is counted, and nothing is made up."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.records import Prediction
from leadgate.scoring.segments import HEADER_BYTES, MARK, encode_header, encode_record, read_segment

HEAD = 28
"""Bytes of the header that mean something: magic 8, two numbers of 8, CRC-32 of 4."""
SIZES = (1, 3, 1, 2, 1)
"""Predictions of the requests in the example."""


def prediction(number: int, lead_id: str = "lead-Å") -> Prediction:
    """A prediction that is like no other."""
    return Prediction(
        prediction_id=f"00000000-0000-7000-8000-{number:012d}",
        lead_id=lead_id,
        scored_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
        model_name="leads",
        model_version="1",
        variant="champion",
        predicted_score=number / 10_000,
        priority="low",
        features=b'{"age": %d}' % number,
        latency_ms=0.1,
        batch_size=1,
        request_id=f"request {number}",
        route_epoch=1,
    )


def segment(sizes: tuple[int, ...] = SIZES) -> tuple[bytes, list[list[Prediction]], list[int]]:
    """A whole segment, its requests, and where each record starts (the end too)."""
    requests, records, starts, total = [], [], [HEADER_BYTES], 0
    for size in sizes:
        request = [prediction(total + i) for i in range(size)]
        requests.append(request)
        records.append(encode_record(request, total))
        starts.append(starts[-1] + len(records[-1]))
        total += size
    body = b"".join(records)
    return encode_header(total, HEADER_BYTES + len(body)).ljust(HEADER_BYTES, b"\0") + body, requests, starts


CONTENT, REQUESTS, STARTS = segment()
ALL = tuple(p for request in REQUESTS for p in request)


def without(*records: int) -> tuple[Prediction, ...]:
    """The predictions of all other records."""
    return tuple(p for i, request in enumerate(REQUESTS) if i not in records for p in request)


def test_a_whole_segment_is_read_back() -> None:
    """Every prediction comes back as it was, in its order, and nothing is said of damage."""
    found = read_segment(CONTENT)
    assert (found.predictions, found.lost, found.damage) == (ALL, 0, None)


def test_a_segment_cut_short_counts_what_it_lost() -> None:
    """Wherever it ends, the records before are read and the rest is counted: the header knows how many there were."""
    for end in range(HEAD, len(CONTENT)):
        found = read_segment(CONTENT[:end])
        whole = sum(later <= end for later in STARTS[1:])
        assert found.predictions == without(*range(whole, len(SIZES)))
        assert found.lost == len(ALL) - len(found.predictions)
        assert found.damage is not None


def test_a_segment_cut_within_its_header_says_so() -> None:
    """Nothing can be known of its predictions, but somebody is told."""
    for end in range(HEAD):
        found = read_segment(CONTENT[:end])
        assert found.predictions == ()
        assert "header" in str(found.damage)


def test_a_flipped_bit_in_the_header_loses_nothing() -> None:
    """Every record has its own check and place, so the header is not needed to read them."""
    for bit in range(8 * HEAD):
        found = read_segment(flipped(CONTENT, bit // 8, bit % 8))
        assert (found.predictions, found.lost) == (ALL, 0)
        assert "header" in str(found.damage)


def test_a_flipped_bit_in_a_record_loses_that_record_alone() -> None:
    """Mark, length, count, place, check or payload: its predictions are counted as lost, all others are read."""
    for at in range(HEADER_BYTES, len(CONTENT)):
        hit = sum(start <= at for start in STARTS) - 1
        for bit in (at % 8, 7 - at % 8):
            found = read_segment(flipped(CONTENT, at, bit))
            assert (found.predictions, found.lost) == (without(hit), SIZES[hit])
            assert found.damage is not None


@given(hit=st.sets(st.integers(0, len(SIZES) - 2)), header=st.booleans(), offset=st.integers(0, 10_000))
def test_many_damaged_records_are_all_counted(hit: set[int], header: bool, offset: int) -> None:
    """Each record says how many came before it, so even without a header the gaps between records are counted."""
    content = flipped(CONTENT, 9, 0) if header else CONTENT
    for record in hit:
        content = flipped(content, STARTS[record] + offset % (STARTS[record + 1] - STARTS[record]), offset % 8)
    found = read_segment(content)
    assert (found.predictions, found.lost) == (without(*hit), sum(SIZES[i] for i in hit))
    assert (found.damage is None) == (not hit and not header)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_exception(content: bytes) -> None:
    """What is no segment holds no predictions and says what it is."""
    found = read_segment(content)
    assert found.predictions == ()
    assert found.damage


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), min_size=1, max_size=60))
def test_nothing_is_made_up(changes: list[tuple[int, int]]) -> None:
    """However many bytes are changed, what is read was written, at most once and in order."""
    content = bytearray(CONTENT)
    for at, byte in changes:
        content[at] = byte
    found = read_segment(bytes(content))
    places = [ALL.index(p) for p in found.predictions]
    assert places == sorted(set(places))
    if bytes(content[:HEAD]) == CONTENT[:HEAD]:
        assert len(found.predictions) + found.lost == len(ALL)


def test_zeros_where_records_were_are_counted() -> None:
    """A file system that lost its last pages gives zeros for them."""
    cut = STARTS[2] + 5
    found = read_segment(CONTENT[:cut] + bytes(len(CONTENT) - cut))
    assert (found.predictions, found.lost) == (without(2, 3, 4), sum(SIZES[2:]))


@pytest.mark.parametrize("tail", ("whole", "half"))
def test_what_was_written_and_never_committed_is_not_an_answer(tail: str) -> None:
    """A worker that dies between record and header has answered nobody: its record stands for no lost one either."""
    record = encode_record([prediction(99)], len(ALL))
    content = CONTENT + (record if tail == "whole" else record[: len(record) // 2])
    assert (read_segment(content).predictions, read_segment(content).lost) == (ALL, 0)
    damaged = read_segment(flipped(content, STARTS[1] + 30, 1))
    assert (damaged.predictions, damaged.lost) == (without(1), SIZES[1])


def test_a_lead_that_looks_like_a_record_is_a_lead() -> None:
    """A caller's text may hold the mark; neither a whole nor a damaged segment takes it for a record."""
    hostile = prediction(0, lead_id="å" + MARK[1:].decode() + "x" * 40)
    assert MARK in encode_record([hostile], 0)
    records = [encode_record([hostile], 0), encode_record([prediction(1)], 1)]
    size = HEADER_BYTES + sum(map(len, records))
    content = encode_header(2, size).ljust(HEADER_BYTES, b"\0") + b"".join(records)
    assert read_segment(content).predictions == (hostile, prediction(1))
    damaged = read_segment(flipped(content, HEADER_BYTES + 1, 1))
    assert (damaged.predictions, damaged.lost) == ((prediction(1),), 1)


def flipped(content: bytes, at: int, bit: int) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)
