"""Lays what leads did beside their columns, and keeps their columns for scores that name a lead alone.

What is laid is cut at each lead's time by ``made.py``; here it is read, some thousand leads at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from leadgate.errors import NotFoundError, RefusedError
from leadgate.leads.events import events_in_history
from leadgate.leads.feature_code import FILE
from leadgate.leads.frames import HISTORY, columns_of, merge, raw_columns_of
from leadgate.leads.made import times_of, with_history
from leadgate.leads.schema import LeadSchema
from leadgate.leads.snapshots import Snapshot, commit_snapshot, read_snapshot
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.events import KnownLead, events_of_others, keep_columns, look_up, unknown_leads
from leadgate.storage.postgres.imports import serialise_imports

_AT_ONCE = 5_000
"""Leads that are held with their events."""

Step = Callable[[str], None]
_Known = dict[str, KnownLead]


@dataclass(frozen=True, kw_only=True)
class Attached:
    """What attaching histories did."""

    leads: int
    """In the last snapshot."""
    with_events: int
    """Of them, those with an event before their time."""
    changed: int
    """Whose history became another one."""
    snapshot: Snapshot | None
    """The new snapshot; None where nothing changed."""
    other_events: int
    """Events of leads that are not in the snapshot."""
    other_leads: int
    """How many such leads there are."""
    some_other_leads: tuple[str, ...]
    """Ids of a few of them."""


def attach_histories(
    connection: Connection,
    leads: pl.DataFrame,
    schema: LeadSchema,
    times: Mapping[str, datetime] | None = None,
    step: Step = lambda _: None,
) -> pl.DataFrame:
    """The leads with the events that count for each; as they are where features.py takes none and no time.

    ``times`` are the times of the scores (UTC) of leads that have one; the others' time is their timestamp.
    """
    if HISTORY not in columns_of(schema):
        return leads
    if leads.is_empty():
        return leads.with_columns(pl.lit(None, pl.String).alias(HISTORY))
    done, parts = 0, []
    for part, known in _known(connection, leads, schema):
        events = {lead: found.events for lead, found in known.items()}
        parts.append(with_history(part, schema, events, times))
        done += part.height
        step(f"attaching events to {done:,} of {leads.height:,} leads")
    return pl.concat(parts)


def _known(connection: Connection, leads: pl.DataFrame, schema: LeadSchema) -> Iterator[tuple[pl.DataFrame, _Known]]:
    """The events also where today's features.py takes the time alone: that of another version, or of tomorrow, may."""
    for part in leads.iter_slices(_AT_ONCE):
        yield part, look_up(connection, part[schema.id].to_list(), events=True)


def strangers_among(connection: Connection, uri: str, schema: LeadSchema, leads: Sequence[str]) -> tuple[str, ...]:
    """Of some leads, by id, those that were neither scored nor imported: no import of the last snapshot had them."""
    unknown = unknown_leads(connection, leads)
    if not unknown:
        return ()
    try:
        imported = set(read_snapshot(uri, schema)[1][schema.id])
    except NotFoundError:  # nothing was imported yet
        return unknown
    return tuple(lead for lead in unknown if lead not in imported)


def times_that_stay(existing: pl.DataFrame, incoming: pl.DataFrame, schema: LeadSchema) -> dict[str, datetime]:
    """The times of histories that are there, of leads that an import brings again just as they are.

    A lead that retraining took from the log has the history of its score: the same values again are of the same time.
    """
    if HISTORY not in columns_of(schema):
        return {}
    names = list(raw_columns_of(schema))
    same = existing.join(incoming.select(names), on=names, how="semi", nulls_equal=True)
    return times_of(same, schema)


def keep_columns_of(
    connection: Connection, leads: pl.DataFrame, schema: LeadSchema, now: datetime, *, over: bool = True
) -> int:
    """Keep the raw columns of leads for requests that name a lead alone, where there is a features.py.

    Gives how many were news. ``over`` as in ``keep_columns``.
    """
    if schema.code is None:
        return 0
    kept, names = 0, [feature.name for feature in schema.features]
    text = pl.col(pl.String)  # PostgreSQL holds no NUL, and a request may send none
    for part in leads.iter_slices(_AT_ONCE):
        values = part.select(names).with_columns(pl.when(~text.str.contains("\0")).then(text)).iter_rows(named=True)
        kept += keep_columns(connection, dict(zip(part[schema.id], values, strict=True)), now, over=over)
    return kept


def attach(
    connection: Connection, uri: str, schema: LeadSchema, *, now: datetime, step: Step = lambda _: None
) -> Attached:
    """Attach the events that are known now to the leads of the last snapshot; a new one only where one changed.

    Each lead's time stays: that of its score where retraining took it from the log, else its timestamp. The columns of
    all leads are kept for look-ups too. Raises RefusedError without a features.py, NotFoundError without a snapshot.
    """
    if schema.code is None:
        raise RefusedError(f"There is no {FILE} beside leadgate.yaml, so no lead needs its events; write one first.")
    serialise_imports(connection)
    step("reading the last snapshot")
    leads = read_snapshot(uri, schema)[1]
    keep_columns_of(connection, leads, schema, now, over=False)  # a snapshot may hold those of a lead's first score
    fresh = attach_histories(connection, leads, schema, times_of(leads, schema), step)
    merged = merge(leads, fresh, schema.id)
    snapshot = None
    if merged.changed:
        step("writing the snapshot")
        facts = {"file": "events attach", "import_id": "", "quarantined": "0"}
        snapshot = commit_snapshot(uri, merged, schema, facts)
    events, others, some = events_of_others(connection, leads[schema.id].to_list())
    return Attached(
        leads=leads.height,
        with_events=sum(events_in_history(text) > 0 for text in fresh[HISTORY]) if HISTORY in fresh.columns else 0,
        changed=merged.changed,
        snapshot=snapshot,
        other_events=events,
        other_leads=others,
        some_other_leads=some,
    )
