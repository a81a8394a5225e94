"""What features.py makes of whole frames of leads, and the histories that it makes it of (quiet).

A snapshot keeps no made value: it keeps the raw columns and, as text, the history that counts for each lead. So one
snapshot serves every version's own code, and the events that were known are part of its digest.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from leadgate.errors import RefusedError
from leadgate.leads.endless import EndlessError, limited
from leadgate.leads.events import (
    Events,
    Happening,
    events_before,
    events_in_history,
    history_from_json,
    history_to_json,
    time_of_history,
)
from leadgate.leads.feature_code import FILE, FeatureCode, maker_of, told_of
from leadgate.leads.frames import HISTORY, TYPES, columns_of
from leadgate.leads.schema import FeatureValue, LeadSchema

_NO_EVENTS = Events()


def with_history(
    leads: pl.DataFrame,
    schema: LeadSchema,
    events: Mapping[str, Collection[Happening]],
    times: Mapping[str, datetime] | None = None,
) -> pl.DataFrame:
    """The leads with the history that counts for each of them; as they are where features.py needs none.

    ``events`` are all that are known, by lead id, in any order: what lies at or after a lead's time is cut here.
    ``times`` are the times of the scores (UTC) of leads that have one; the others' time is their timestamp.
    """
    if HISTORY not in columns_of(schema):
        return leads
    assert schema.timestamp is not None  # features.py is refused without one
    own = times or {}
    histories = [
        history_to_json(own.get(lead, at), events_before(events.get(lead, ()), own.get(lead, at)))
        for lead, at in zip(leads[schema.id], leads[schema.timestamp], strict=True)
    ]
    return leads.with_columns(pl.Series(HISTORY, histories, dtype=pl.String))


def times_of(leads: pl.DataFrame, schema: LeadSchema) -> dict[str, datetime]:
    """By lead id, the time that a history was cut at, of the leads that have one: attached anew, it is cut there."""
    if HISTORY not in leads.columns:
        return {}
    there = leads.filter(pl.col(HISTORY).is_not_null())
    return {lead: time_of_history(text) for lead, text in zip(there[schema.id], there[HISTORY], strict=True)}


def without_history(leads: pl.DataFrame, schema: LeadSchema) -> int:
    """How many leads have no history, though features.py needs one."""
    if schema.code is None or not schema.code.takes_history:
        return 0
    return int(leads[HISTORY].null_count()) if HISTORY in leads.columns else leads.height


def require_events(leads: pl.DataFrame, schema: LeadSchema) -> None:
    """Raise RefusedError where features.py takes events and not one of these leads has any before its time.

    All of them have a history. As a rule it was cut before the events were taken in, and a model of it would know leads
    that do nothing, and be asked for leads that do.
    """
    code = schema.code
    if code is not None and code.takes_events and not any(events_in_history(text) for text in leads[HISTORY]):
        raise RefusedError(
            f"{FILE} takes events, and none of the {leads.height:,} leads to train on has one before its time. Take "
            "them in with `leadgate events import`, then lay them beside the leads with `leadgate events attach`; only "
            f"events before lead.timestamp ({schema.timestamp}) count."
        )


def with_made(leads: pl.DataFrame, schema: LeadSchema, *, as_served: bool = False) -> pl.DataFrame:
    """The leads with the made features as columns. Raises as ``made_columns``."""
    made = made_columns(leads, schema, as_served=as_served)
    types = {feature.name: TYPES[feature.type] for feature in schema.made_features}
    return leads.with_columns(pl.Series(name, values, dtype=types[name]) for name, values in made.items())


def made_columns(leads: pl.DataFrame, schema: LeadSchema, *, as_served: bool = False) -> dict[str, list[FeatureValue]]:
    """The values that the schema's own code makes of each lead, by feature.

    Raises RefusedError when a lead has no history though the code takes one, when a function does not come to its end
    for a lead, and when one fails; with ``as_served`` the value is missing there, as it is in an answer.
    """
    code = schema.code
    if code is None:
        return {}
    _require_history(leads, schema, code)
    make, failed, rows = maker_of(code), _Failed(leads[schema.id]), []
    try:
        with limited(FILE):
            for row, (columns, (at, events)) in enumerate(zip(_raw(leads, code), _histories(leads, code), strict=True)):
                made = make(columns, events, at)
                rows.append(made.values)
                for failure in made.failures:
                    failed.note(row, failure.feature, failure.why)
    except EndlessError as error:
        said = told_of(error, leads[schema.id][len(rows)])
        raise RefusedError(f"{said} Mend it, or switch it off under lead.made (`use: false`).") from None
    if not as_served:
        failed.refuse()
    return {feature.name: [values[i] for values in rows] for i, feature in enumerate(code.features)}


def _require_history(leads: pl.DataFrame, schema: LeadSchema, code: FeatureCode) -> None:
    missing = without_history(leads, schema)
    if missing:
        one = next(feature for feature in code.features if feature.takes_events or feature.takes_at)
        raise RefusedError(
            f"{missing:,} of {leads.height:,} leads have no history, and {FILE} needs it ({one.name!r} takes "
            f"{'events' if one.takes_events else 'the time'}); attach it with `leadgate events attach`."
        )


def _raw(leads: pl.DataFrame, code: FeatureCode) -> Iterator[dict[str, FeatureValue]]:
    """By lead, the columns that the code takes; one that the frame lacks is missing."""
    names = [name for name in sorted(code.inputs) if name in leads.columns]
    if not names:
        return ({} for _ in range(leads.height))
    return leads.select(names).iter_rows(named=True)


def _histories(leads: pl.DataFrame, code: FeatureCode) -> Iterator[tuple[datetime | None, Events]]:
    if not code.takes_history:
        return ((None, _NO_EVENTS) for _ in range(leads.height))
    return (history_from_json(text) for text in leads[HISTORY])


class _Failed:
    """Functions that failed, each with its first lead and how many there are."""

    def __init__(self, ids: Sequence[Any] | pl.Series) -> None:
        self._ids = ids
        self._found: dict[str, tuple[int, str, int]] = {}

    def note(self, row: int, feature: str, why: str) -> None:
        first, reason, count = self._found.get(feature, (row, why, 0))
        self._found[feature] = (first, reason, count + 1)

    def refuse(self) -> None:
        """Raise RefusedError for the function that failed most often, where one did."""
        if self._found:
            name, (row, why, count) = max(self._found.items(), key=lambda pair: (pair[1][2], pair[0]))
            raise RefusedError(
                f"{FILE}: {name!r} fails for {count:,} of {len(self._ids):,} leads, first for lead {self._ids[row]!r}: "
                f"{why}. Mend the function (None is a missing value), or switch it off with lead.made.{name}: "
                "{use: false}."
            )
