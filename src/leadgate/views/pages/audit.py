"""Who did what, when, why and on which evidence; and whether the record is whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from leadgate.chain import Entry
from leadgate.storage.postgres.audit import Protection, latest_entries, protection
from leadgate.storage.postgres.connection import Connection
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.audit_entries import KINDS, Shown, Wholeness, begin_of, notes_of, shown, wholeness_of
from leadgate.views.sources import Sources

_MOST = 50
_FILTERS = ("actor", "act", "subject", "from", "to")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the page shows."""

    entries: Sequence[Shown]
    """The newest first; one, where an entry is asked for."""
    one: int | None
    """The entry that is asked for; None for a list."""
    whole: Wholeness
    head: Entry | None
    """The last entry of the log, whose digest vouches for all before it; None for an empty log."""
    notes: Sequence[tuple[str, str]]
    """How the log is protected: a mark and a sentence each."""
    filters: Mapping[str, str]
    """What is asked for."""
    filtered: bool
    kinds: Sequence[str]
    newest: str | None
    """Address of the first page of the same list; None where this is it."""
    older: str | None
    """Address of the next page; None on the last."""


def gather(sources: Sources, ask: Ask) -> Audit:
    """Read a page of the log, and one entry more to which the last one is held."""
    one = ask.number("entry")
    filters = {name: ask.text(name) for name in _FILTERS}
    filtered = any(filters.values())
    before = one + 1 if one is not None else ask.number("before")
    with sources.reader.connection() as connection:
        guard, head = protection(connection), latest_entries(connection, most=1)
        found = _read(connection, {} if one is not None else filters, before, 1 if one is not None else _MOST)
    page, older = found
    if one is not None and (not page or page[0].entry != one):
        raise NoSuchPageError(f"The audit log has no entry {one}.")
    return _audit(ask, page, older, head[0] if head else None, guard, filters, one, filtered=filtered and one is None)


def _read(
    connection: Connection, filters: Mapping[str, str], before: int | None, most: int
) -> tuple[list[Entry], Entry | None]:
    """A page, and the entry that follows on the next one."""
    found = latest_entries(
        connection,
        since=begin_of(filters.get("from", ""), "from"),
        until=begin_of(filters.get("to", ""), "to", after=True),
        act=filters.get("act") or None,
        subject=filters.get("subject") or None,
        actor=filters.get("actor") or None,
        before=before,
        most=most + 1,
    )
    return found[:most], found[most] if len(found) > most else None


def _audit(  # noqa: PLR0917  # one caller
    ask: Ask,
    page: Sequence[Entry],
    older: Entry | None,
    head: Entry | None,
    guard: Protection,
    filters: Mapping[str, str],
    one: int | None,
    *,
    filtered: bool,
) -> Audit:
    asked = {name: value for name, value in filters.items() if value}
    listed = one is None
    return Audit(
        entries=[shown(entry) for entry in page],
        one=one,
        whole=wholeness_of(page, gaps=filtered, older=None if filtered else older),
        head=head,
        notes=notes_of(guard),
        filters=filters,
        filtered=filtered,
        kinds=KINDS,
        newest=_address(ask, asked) if listed and ask.text("before") else None,
        older=_address(ask, {**asked, "before": str(page[-1].entry)}) if listed and older and page else None,
    )


def _address(ask: Ask, query: Mapping[str, str]) -> str:
    return f"{ask.path}?{urlencode(query)}" if query else ask.path
