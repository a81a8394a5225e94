"""The hash chain of the audit log: what is hashed, and whether a chain is whole (quiet).

Each entry carries the SHA-256 of itself and of the entry before it (Haber and Stornetta, 1991, "How to time-stamp a
digital document"). Whoever changes, removes or inserts an entry must recompute every digest after it; then the newest
digest differs from the one that somebody noted elsewhere.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

FORM = "leadgate.audit.1"
"""Names what is hashed, so that another form can follow and is never taken for this one."""

START = "0" * 64
"""Stands for the digest before the first entry."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One act, as text exactly as it is hashed."""

    entry: int
    """1, 2, 3, without a gap."""
    happened_at: str
    """UTC, ISO 8601 with microseconds: 2026-06-01T12:00:00.000000Z."""
    actor: str
    act: str
    subject: str
    details: str
    """A JSON object."""
    previous_sha256: str
    """Digest of the entry before, in hexadecimal; 64 zeros for the first."""
    sha256: str
    """Digest of this entry, in hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Break:
    """Where a chain is not whole."""

    entry: int | None
    """The entry that shows it; None when it is not known which ones are gone."""
    kind: Literal["changed", "missing", "order", "link", "head"]
    """changed: its content is not what its digest says. missing: its number is not there. order: its number comes too
    late. link: it does not continue the entry before. head: a digest that was noted is nowhere in the chain."""
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found in a chain."""

    entries: int
    """Whole ones, up to the break if there is one."""
    first: int | None
    """Number of the first entry; None without any."""
    head: Entry | None
    """The last whole entry: its digest vouches for all before it."""
    noted: int | None
    """The entry that has the noted digest; None when none was given, or none has it."""
    broken: Break | None
    """None for a whole chain."""


def seal(
    *, after: tuple[int, str] | None, at: datetime, actor: str, act: str, subject: str, details: Mapping[str, Any]
) -> Entry:
    """The entry that follows another.

    ``after`` is the number and the digest (hexadecimal) of the last entry, None before the first. Raises ValueError
    for a time without a zone.
    """
    number, previous = after or (0, START)
    fields = (utc_text(at), storable(actor), storable(act), storable(subject), details_text(details))
    digest = digest_of(number + 1, fields, previous)
    happened_at, actor, act, subject, text = fields
    return Entry(
        entry=number + 1,
        happened_at=happened_at,
        actor=actor,
        act=act,
        subject=subject,
        details=text,
        previous_sha256=previous,
        sha256=digest,
    )


def digest_of(number: int, fields: Sequence[str], previous: str) -> str:
    """SHA-256, in hexadecimal, of the UTF-8 bytes of the JSON array [form, number, *fields, previous].

    The array is in the canonical form of RFC 8785: no blanks, and nothing escaped but what JSON demands. So each list
    of fields has exactly one text, and no two lists share one.
    """
    text = json.dumps([FORM, number, *fields, previous], ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def utc_text(at: datetime) -> str:
    """A time as it is hashed: UTC with microseconds. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; an entry of the audit log needs one")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def details_text(details: Mapping[str, Any]) -> str:
    """Details as the JSON object that is stored and hashed: sorted keys, no blanks.

    What JSON does not know becomes text (times, paths, ids; also infinities), so that no act fails by its record.
    """
    return storable(json.dumps(_plain(details), ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def storable(text: str) -> str:
    """A text as PostgreSQL can hold it: what is no character of UTF-8 (as file names may have) is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")


def check(entries: Iterable[Entry], *, noted: str | None = None, from_start: bool = True) -> Checked:
    """Whether a chain is whole, up to its first break.

    ``noted`` is a digest, in hexadecimal, that the chain has to contain; ``from_start`` says that it has to begin with
    entry 1. Takes one entry at a time and keeps none.
    """
    first, before, count, found, broken = None, None, 0, None, None
    for entry in entries:
        broken = _break(before, entry, from_start=from_start)
        if broken:
            break
        first = entry.entry if first is None else first
        found = entry.entry if entry.sha256 == noted else found
        before, count = entry, count + 1
    if broken is None and noted is not None and found is None:
        broken = _headless(noted)
    return Checked(entries=count, first=first, head=before, noted=found, broken=broken)


def _break(before: Entry | None, entry: Entry, *, from_start: bool) -> Break | None:
    anywhere = before is None and not from_start and entry.entry > 1
    expected = entry.entry if anywhere else before.entry + 1 if before else 1
    number, previous = entry.entry, before.sha256 if before else START
    if number != expected:
        return _misplaced(number, expected)
    fields = (entry.happened_at, entry.actor, entry.act, entry.subject, entry.details)
    if digest_of(number, fields, entry.previous_sha256) != entry.sha256:
        said = f"Entry {number} was changed: what it says is not what its digest was made of."
        return Break(entry=number, kind="changed", sentence=said)
    if not anywhere and entry.previous_sha256 != previous:
        what = f"entry {number - 1} was replaced, or entry {number}" if before else "what was before it is gone"
        said = f"Entry {number} does not continue what stands before it: {what}."
        return Break(entry=number, kind="link", sentence=said)
    return None


def _misplaced(number: int, expected: int) -> Break:
    if number < expected:
        said = f"Entry {number} is out of order: it stands where entry {expected} belongs."
        return Break(entry=number, kind="order", sentence=said)
    span = f"Entry {expected} is" if number == expected + 1 else f"Entries {expected} to {number - 1} are"
    return Break(entry=expected, kind="missing", sentence=f"{span} missing: entry {number} stands in that place.")


def _headless(noted: str) -> Break:
    said = (
        f"No entry has the digest {noted} that was noted: the chain is whole in itself, but its end was cut off, or it "
        "was rewritten with new digests, or the digest is of another log."
    )
    return Break(entry=None, kind="head", sentence=said)


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return utc_text(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
