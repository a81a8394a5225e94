"""The labelled leads of a snapshot as a model sees them (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.errors import RefusedError
from leadgate.leads.made import made_columns
from leadgate.leads.project import SplitRules
from leadgate.leads.schema import Feature, FeatureValue, LeadSchema
from leadgate.leads.split import hash_holdout, time_holdout

FEWEST_OF_A_CLASS = 20
"""With fewer converted (or lost) leads on one side of the split, no figure of an evaluation means anything."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Leads with known outcomes, in the order of their ids."""

    ids: tuple[str, ...]
    rows: tuple[tuple[FeatureValue, ...], ...]
    """One row a lead, its values in the order of ``schema.used``."""
    converted: npt.NDArray[np.bool_]
    segments: dict[str, tuple[str | None, ...]]
    """By segment, each lead's value."""

    def __len__(self) -> int:
        return len(self.ids)


def labelled(leads: pl.DataFrame, schema: LeadSchema) -> pl.DataFrame:
    """The leads whose outcome is known, in the order of their ids, whatever order they came in."""
    return leads.filter(pl.col(schema.target).is_not_null()).sort(schema.id)


def rows_of(
    leads: pl.DataFrame, schema: LeadSchema, *, as_served: bool = False
) -> tuple[tuple[FeatureValue, ...], ...]:
    """The values of each lead, in the order of ``schema.used``: raw columns, then what the schema's own code makes.

    A column the frame lacks is missing everywhere. Raises RefusedError when the code fails for a lead (``as_served``:
    the value is missing) and when leads have no history that it needs.
    """
    made = made_columns(leads, schema, as_served=as_served)
    columns = [
        made[name] if name in made else leads[name].to_list() if name in leads.columns else [None] * leads.height
        for name in (feature.name for feature in schema.used)
    ]
    return tuple(zip(*columns, strict=True))


def dataset_of(leads: pl.DataFrame, schema: LeadSchema) -> Dataset:
    """Labelled leads as a dataset."""
    return Dataset(
        ids=tuple(leads[schema.id]),
        rows=rows_of(leads, schema),
        converted=leads[schema.target].to_numpy().astype(np.bool_),
        segments={name: tuple(leads[name].cast(pl.String)) for name in schema.segments},
    )


def split(leads: pl.DataFrame, schema: LeadSchema, rules: SplitRules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Labelled leads to train on, and the hold-out. Raises RefusedError for a time split without a timestamp."""
    if rules.by == "time":
        if schema.timestamp is None:
            raise RefusedError("split.by is time, but leads have no timestamp; set lead.timestamp or split.by: hash.")
        held = time_holdout(leads[schema.timestamp].to_numpy(), rules.holdout)
    else:
        times = leads[schema.timestamp] if schema.timestamp else [None] * leads.height
        held = hash_holdout(leads[schema.id], times, rules.holdout)
    mask = pl.Series(held)
    return leads.filter(~mask), leads.filter(mask)


def created_since(leads: pl.DataFrame, schema: LeadSchema, since: datetime | None) -> pl.DataFrame:
    """The leads that were created from a time on; all of them without one. Raises RefusedError without a timestamp."""
    if since is None:
        return leads
    if schema.timestamp is None:
        raise RefusedError("Leads have no timestamp, so none of them is recent; set lead.timestamp.")
    return leads.filter(pl.col(schema.timestamp) >= since)


def require_learnable(training: pl.DataFrame, holdout: pl.DataFrame, schema: LeadSchema) -> None:
    """Raise RefusedError, with what to do, when nothing can be learnt from these leads."""
    both = pl.concat([training, holdout])[schema.target]
    if both.n_unique() < 2:  # noqa: PLR2004  # converted and not
        there = "none" if both.is_empty() else ("all converted" if both[0] else "none converted")
        raise RefusedError(
            f"The snapshot's {len(both):,} labelled leads hold one class only ({there}); "
            "import leads of both kinds, or mend lead.converted_when."
        )
    for name, part in (("training", training), ("hold-out", holdout)):
        converted = int(part[schema.target].sum())
        fewest = min(converted, part.height - converted)
        if fewest < FEWEST_OF_A_CLASS:
            raise RefusedError(
                f"The {name} part has {converted:,} converted of {part.height:,} leads; at least "
                f"{FEWEST_OF_A_CLASS} of each kind are needed. Import more labelled leads."
            )


def require_values(learnt: Dataset, schema: LeadSchema) -> None:
    """Raise RefusedError, with what to do, for a feature that no lead to train on has a value of."""
    made = {feature.name: feature for feature in (schema.code.features if schema.code else ())}
    for feature, values in zip(schema.used, zip(*learnt.rows, strict=True), strict=True):
        if all(value is None for value in values):
            own, name = made.get(feature.name), feature.name
            mend = "import it" if own is None else "mend its function in features.py"
            if own and own.takes_events:
                mend += " or take in the events that it needs (`leadgate events import`, then `leadgate events attach`)"
            where = "features" if own is None else "made"
            raise RefusedError(
                f"Feature {name!r} has no value in any training lead; {mend}, "
                f"or set `use: false` on lead.{where}.{name}."
            )


def require_plausible(learnt: Dataset, schema: LeadSchema, tolerated: float) -> None:
    """Raise RefusedError where features.py makes of the leads to train on what ``lead.made`` rules out.

    That is a feature that is missing for more of them than its ``missing`` allows, or outside its ``range`` for more
    than the share ``tolerated``, as of an import. A version is not asked when it is made again: it was trained.
    """
    limits = {feature.name: feature for feature in schema.made_features}
    for feature, values in zip(schema.used, zip(*learnt.rows, strict=True), strict=True):
        if feature.name in limits:
            _require_there(feature, values)
            _require_in_range(feature, values, learnt.ids, tolerated)


def _require_there(feature: Feature, values: Sequence[FeatureValue]) -> None:
    missing = sum(value is None for value in values)
    if missing > feature.missing * len(values):
        raise RefusedError(
            f"features.py gives no {feature.name!r} for {missing:,} of {len(values):,} training leads; leadgate.yaml "
            f"allows {feature.missing:.1%}. Mend the function, or raise `missing` of lead.made.{feature.name}."
        )


def _require_in_range(feature: Feature, values: Sequence[FeatureValue], ids: Sequence[str], tolerated: float) -> None:
    low, high = feature.range or (None, None)
    beyond = [
        i
        for i, value in enumerate(values)
        if isinstance(value, float) and ((low is not None and value < low) or (high is not None and value > high))
    ]
    if len(beyond) > tolerated * len(values):
        raise RefusedError(
            f"features.py gives {feature.name!r} outside its range for {len(beyond):,} of {len(values):,} training "
            f"leads (allowed {tolerated:.1%}), first {values[beyond[0]]} for lead {ids[beyond[0]]!r}. Mend the "
            f"function, or `range` of lead.made.{feature.name}."
        )
