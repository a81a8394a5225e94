"""The bytes of a spool segment (quiet).

A segment is a header and then records, each the predictions of one answered request. All numbers are little-endian.

    header, 64 bytes: magic 8, committed predictions 8, committed bytes 8, CRC-32 of these 24 bytes 4, zeros
    record:           mark 4, payload length 4, predictions 4, predictions before it in the segment 4, CRC-32 of these
                      12 bytes and the payload 4, payload (MessagePack)

The header says how much was answered, so that a segment that was cut short, wherever, says how many predictions it
lost. Each record has its place, so that a record which cannot be read is counted even when the header is damaged.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import msgspec

from leadgate.records import Prediction

MAGIC = b"LGSPOOL1"
MARK = b"\xa5LG\x1e"
HEADER_BYTES = 64

_HEADER = struct.Struct("<8sQQ")
_PLACE = struct.Struct("<III")
_CRC = struct.Struct("<I")
_RECORD_BYTES = len(MARK) + _PLACE.size + _CRC.size

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Prediction]).decode


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What could be read of a segment."""

    predictions: tuple[Prediction, ...]
    lost: int
    """Predictions that were answered and cannot be read."""
    damage: str | None
    """What was found, for the person who asks; None for a whole segment."""


def encode_header(predictions: int, size: int) -> bytes:
    """The header of a segment whose first ``size`` bytes hold ``predictions`` that may be answered."""
    head = _HEADER.pack(MAGIC, predictions, size)
    return head + _CRC.pack(crc32(head))


def encode_record(predictions: Sequence[Prediction], before: int) -> bytes:
    """The predictions of one request, after ``before`` others in the segment."""
    payload = _encode(predictions)
    place = _PLACE.pack(len(payload), len(predictions), before)
    return b"".join((MARK, place, _CRC.pack(crc32(payload, crc32(place))), payload))


def read_segment(content: bytes) -> Segment:
    """Every prediction that is whole, and what became of the others. Never raises."""
    committed = _committed(content)
    found: list[Prediction] = []
    notes: list[str] = [] if committed else ["the header is damaged"]
    at, expected = HEADER_BYTES, 0
    gaps = foreign = 0
    # What lies beyond the committed bytes was never answered: its worker died, or its write failed half-way.
    end = len(content) if committed is None else min(len(content), committed[1])
    while at < end:
        record = _record_at(content, at)
        if record is None:
            following = min(_next_record(content, at + 1) or end, end)
            notes.append(f"{following - at} bytes at {at} are not records")
            at = following
            continue
        predictions, count, before, size = record
        gaps += max(0, before - expected)
        expected = before + count
        foreign += 0 if predictions else count
        found += predictions
        at += size
    if foreign:
        notes.append(f"{foreign} predictions are whole, in a form that this release of Leadgate does not read")
    lost = gaps + foreign if committed is None else max(0, committed[0] - len(found))
    if committed and len(content) < committed[1]:
        notes.append(f"{committed[1] - len(content)} bytes are missing at the end")
    return Segment(predictions=tuple(found), lost=lost, damage="; ".join(notes) or None)


def _committed(content: bytes) -> tuple[int, int] | None:
    """Committed predictions and bytes; None for a header that is not one."""
    size = _HEADER.size + _CRC.size
    if len(content) < size:
        return None
    magic, predictions, committed = _HEADER.unpack_from(content)
    (crc,) = _CRC.unpack_from(content, _HEADER.size)
    if magic != MAGIC or crc != crc32(content[: _HEADER.size]):
        return None
    return predictions, committed


def _record_at(content: bytes, at: int) -> tuple[list[Prediction], int, int, int] | None:
    """Of the record that starts here: its predictions, their number, that of those before it, its size; None for none.

    No prediction, but their number, where another release of Leadgate wrote them.
    """
    start = at + _RECORD_BYTES
    if content[at : at + len(MARK)] != MARK or start > len(content):
        return None
    place = content[at + len(MARK) : at + len(MARK) + _PLACE.size]
    length, count, before = _PLACE.unpack(place)
    (crc,) = _CRC.unpack_from(content, start - _CRC.size)
    payload = content[start : start + length]
    if len(payload) != length or crc32(payload, crc32(place)) != crc:
        return None
    try:
        predictions = _decode(payload)
    except msgspec.DecodeError:
        predictions = []
    return ([] if len(predictions) != count else predictions), count, before, _RECORD_BYTES + length


def _next_record(content: bytes, at: int) -> int | None:
    """Where the next whole record starts."""
    at = content.find(MARK, at)
    while at >= 0:
        if _record_at(content, at) is not None:
            return at
        at = content.find(MARK, at + 1)
    return None
