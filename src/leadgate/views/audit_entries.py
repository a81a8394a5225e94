"""Entries of the audit log as the page shows them, and whether they are whole (quiet)."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote

from leadgate.chain import Break, Entry, check
from leadgate.storage.postgres.audit import Protection
from leadgate.views.asking import NoSuchPageError

KINDS = ("alert", "key", "leads", "log", "model", "outcomes", "rollout", "route")
"""What the acts are about: the first word of each."""

_NUMBERED = re.compile(r"(rollout|alert) (\d+)")
_VERSION = re.compile(r".* version (\S+)")
_LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An entry for readers."""

    entry: int
    at: datetime | None
    """None for a time that is none: somebody forged it."""
    happened_at: str
    """As it is hashed."""
    actor: str
    act: str
    subject: str
    link: str | None
    """The page of what was acted on; None where there is none."""
    comment: str
    """Why, in the actor's own words; empty where none were asked for."""
    details: Sequence[tuple[str, str]]
    """What else is known, by name."""
    evidence: str | None
    """The evidence row on which it rests."""
    sha256: str
    previous_sha256: str
    command: str
    """Lists what was done to the same."""


@dataclass(frozen=True, kw_only=True)
class Wholeness:
    """What the digests of some entries say."""

    sentence: str
    broken: Break | None
    """The first break; None for whole ones."""


def shown(entry: Entry) -> Shown:
    """An entry for readers; details that are no JSON object are shown as they are."""
    details = _details(entry.details)
    comment = next((str(details[key]) for key in ("comment", "reason", "findings") if details.get(key)), "")
    left = [
        (key, _text(value))
        for key, value in details.items()
        if value not in (None, "") and str(value) != comment and key != "evidence_id"
    ]
    evidence = details.get("evidence_id")
    return Shown(
        entry=entry.entry,
        at=_moment(entry.happened_at),
        happened_at=entry.happened_at,
        actor=entry.actor,
        act=entry.act,
        subject=entry.subject,
        link=link_of(entry.subject),
        comment=comment,
        details=left,
        evidence=None if evidence is None else str(evidence),
        sha256=entry.sha256,
        previous_sha256=entry.previous_sha256,
        command=shlex.join(["leadgate", "audit", "list", "--json", f"--subject={entry.subject}"]),
    )


def link_of(subject: str) -> str | None:
    """The page that shows what an act was about; None without one."""
    numbered = _NUMBERED.fullmatch(subject)
    if numbered:
        page = {"rollout": "/ui/rollout?rollout=", "alert": "/ui/alerts?alert="}[numbered[1]]
        return f"{page}{numbered[2]}"
    version = _VERSION.fullmatch(subject)
    return f"/ui/models?version={quote(version[1], safe='')}" if version else None


def wholeness_of(newest_first: Sequence[Entry], *, gaps: bool, older: Entry | None = None) -> Wholeness:
    """Recompute the digests of some entries, and the links between them.

    ``gaps``: entries between them are left out, so that each is checked by itself. ``older``: the entry before the last
    of them, to which it is held.
    """
    if not newest_first:
        return Wholeness(sentence="", broken=None)
    if gaps:
        found = [check([e], from_start=False).broken for e in newest_first]
        broken = next((each for each in reversed(found) if each), None)
        said = "Each entry shown is what its digest was made of; the entries between them are not looked at here."
    else:
        chain = [*([older] if older else []), *reversed(newest_first)]
        broken = check(chain, from_start=older is None).broken
        span = f"{newest_first[-1].entry} to {newest_first[0].entry}"
        said = f"Entries {span} are whole, and each continues the one before."
    return Wholeness(sentence=broken.sentence if broken else said, broken=broken)


def notes_of(guard: Protection) -> list[tuple[str, str]]:
    """How the log is protected: a mark and a sentence each."""
    if guard.unguarded:
        names = ", ".join(guard.unguarded)
        first = "red", f"The trigger that refuses changes is gone or switched off on {names}; find out who did it."
    else:
        first = "green", "Triggers refuse every change and removal in the append-only tables."
    if not guard.has_writer:
        said = "There is no role leadgate_writer, so whoever the service connects as may switch the triggers off."
        return [first, ("yellow", said)]
    who = f"The pages connect as {guard.connected_as}"
    if guard.may_change:
        said = f"{who}, who may change entries once a trigger is off; connect as a member of leadgate_writer."
        return [first, ("yellow", said)]
    return [first, ("green", f"{who}, who can append and cannot change.")]


def begin_of(text: str, name: str, *, after: bool = False) -> datetime | None:
    """The begin of a day (UTC) that a filter names; with ``after`` its end. Raises NoSuchPageError for no day."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=1 if after else 0)
    except (ValueError, OverflowError):
        raise NoSuchPageError(f"{name} is a day such as 2026-06-01, and {text!r} is none.") from None
    return datetime.combine(day, time(), UTC)


def _details(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"details": text}
    return found if isinstance(found, dict) else {"details": text}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
