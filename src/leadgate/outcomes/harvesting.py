"""Labelled leads of what was scored and what became of it (quiet)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import polars as pl

from leadgate.leads.frames import TYPES
from leadgate.leads.kinds import value_of
from leadgate.leads.project import OutcomeRules
from leadgate.leads.schema import LeadSchema
from leadgate.outcomes.matching import match

_LONG_PAUSES = 3.0
"""A pause of deliveries that is longer than so many long ones is an outage..."""
_LONG = 0.9
"""...long: longer than this share of the pauses. Few leads a week make long pauses, and no outage."""
_WEEK = timedelta(days=7)
_DAYS = 7
_AROUND = tuple(k for k in range(-8, 9) if k)
"""Weeks before and after one that say how many outcomes are usual."""
_USUAL, _FEW = 30, 0.2
"""A week is an outage, too, where so many outcomes or more are usual and less than this share of them came."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """What can be learnt from, and where the other leads are."""

    leads: pl.DataFrame
    """One row a lead: id, timestamp (of its first score), target and the columns that a score takes, as then."""
    scored: int
    """Leads that were scored long enough ago."""
    silent: int
    """Without an outcome, and left out for it."""
    withheld: int
    """Whose window overlaps an outage, or the time before the CRM told anything, where silence means lost. Those
    without an outcome are not known; those with one are left out, too, for alone they would be leads that all convert.
    """
    decided_before: int
    """Their outcome came before the score."""
    unheard: frozenset[str]
    """Of ``leads``, those that count as lost because nothing was heard of them."""
    unlogged: Mapping[str, frozenset[str]]
    """By column, those of ``leads`` whose scores did not take it: its value is not known, which is not missing."""


def known_until(
    now: datetime, hours: Sequence[tuple[datetime, int]], least_hours: float
) -> tuple[datetime, list[Span]]:
    """Up to when the CRM is known to have told everything, and its outages before.

    ``hours`` are those in which it delivered, oldest first; a pause longer than ``least_hours``, and than three long
    ones (the longest tenth begins there), is an outage, and so is a week in which far fewer outcomes came than in those
    around it. Nothing is known after the last delivery.
    """
    if not hours:
        return datetime.min.replace(tzinfo=now.tzinfo), []
    times = [hour for hour, _ in hours]
    pauses = [(b - a).total_seconds() for a, b in pairwise(times)]
    long = float(np.quantile(pauses, _LONG)) if pauses else 0.0
    longest = max(timedelta(hours=least_hours), timedelta(seconds=_LONG_PAUSES * long))
    outages = [(a, b) for a, b in pairwise(times) if b - a > longest]
    thin = _thin_weeks(hours, max(_WEEK, timedelta(seconds=_LONG_PAUSES * long)))
    outages += [(a, b) for a, b in thin if not any(a < end and begin < b for begin, end in outages)]
    return min(now, times[-1] + timedelta(hours=1)), sorted(outages)


def _thin_weeks(hours: Sequence[tuple[datetime, int]], week: timedelta) -> list[Span]:
    """Spans of weeks, or of longer ones where deliveries are seldom, of far fewer outcomes than are usual.

    A week may begin on any of its sevenths.
    """
    end, day = hours[-1][0] + timedelta(hours=1), week / _DAYS
    days = np.bincount([int((end - at) / day) for at, _ in hours], [n for _, n in hours])
    weeks = np.convolve(days, np.ones(_DAYS), mode="valid")  # the last one first
    thin: list[Span] = []
    for ago, n in enumerate(weeks):
        around = [weeks[i] for k in _AROUND if 0 <= (i := ago + k * _DAYS) < len(weeks)]
        usual = float(np.median(around)) if len(around) >= len(_AROUND) // 4 else 0.0
        if usual < _USUAL or n >= _FEW * usual:
            continue
        begins, ends = end - (ago + _DAYS) * day, end - ago * day
        if thin and begins <= thin[-1][1] and ends >= thin[-1][0]:
            thin[-1] = (begins, thin[-1][1])
        else:
            thin.append((begins, ends))
    return thin


def harvest(
    scored: pl.DataFrame,
    outcomes: pl.DataFrame,
    schema: LeadSchema,
    rules: OutcomeRules,
    known: datetime,
    *,
    outages: Sequence[Span] = (),
) -> Harvest:
    """Join the first score of each lead to its last outcome.

    ``scored`` has lead_id, scored_at, model_version, predicted_score and features (a JSON object of raw values);
    ``outcomes`` as ``match`` takes them. Only leads whose window has passed by ``known`` count, and one without an
    outcome counts as lost only by ``silence_means``. Where it does, no lead counts whose window overlaps an outage, or
    that was scored too early for the first outcome that the CRM ever told of.
    """
    frame = scored.with_columns(segment=pl.lit(None, dtype=pl.String))
    matched = match(frame, outcomes, rules, known)
    kept = matched.leads
    if rules.silence_means == "not_converted":
        window = timedelta(days=rules.window_days)
        for begin, end in (*_before_it_told(scored, outcomes), *outages):
            kept = kept.filter((pl.col("scored_at") >= end) | (pl.col("scored_at") + window <= begin))
    told = set(outcomes["lead_id"])
    values: list[dict[str, Any]] = [msgspec.json.decode(text) for text in kept["features"]]
    return Harvest(
        leads=_typed(kept, values, schema),
        scored=matched.scored - matched.immature,
        silent=matched.silent if rules.silence_means == "unknown" else 0,
        withheld=matched.leads.height - kept.height,
        decided_before=matched.decided_before,
        unheard=frozenset(kept["lead_id"]) - told,
        unlogged=_unlogged(kept["lead_id"], values, schema),
    )


def _before_it_told(scored: pl.DataFrame, outcomes: pl.DataFrame) -> list[Span]:
    """The time of scores that is too early for the first outcome that was ever told, by the usual time to decide."""
    waits = scored.join(outcomes, on="lead_id").select(wait=pl.col("outcome_at") - pl.col("scored_at"))["wait"]
    usual, first = waits.filter(waits >= timedelta()).median(), outcomes["outcome_at"].min()
    if not isinstance(usual, timedelta) or not isinstance(first, datetime):
        return []
    return [(datetime.min.replace(tzinfo=UTC), first - usual)]


def _unlogged(ids: Iterable[str], values: Sequence[Mapping[str, Any]], schema: LeadSchema) -> dict[str, frozenset[str]]:
    """Null in the log is a missing value; a name that is not there was not asked for by the versions of then."""
    rows = list(zip(ids, values, strict=True))
    absent = {f.name: frozenset(lead for lead, row in rows if f.name not in row) for f in schema.taken}
    return {name: leads for name, leads in absent.items() if leads}


def _typed(leads: pl.DataFrame, values: Sequence[Mapping[str, Any]], schema: LeadSchema) -> pl.DataFrame:
    time = [leads["scored_at"].alias(schema.timestamp)] if schema.timestamp else []
    return pl.DataFrame(
        [
            leads["lead_id"].alias(schema.id),
            *time,
            leads["converted"].alias(schema.target),
            *(
                pl.Series(f.name, [value_of(row.get(f.name), f.type) for row in values], dtype=TYPES[f.type])
                for f in schema.taken
            ),
        ]
    )
