"""Leads as frames: the columns of a snapshot, and an import laid over the leads that are there (quiet)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from leadgate.leads.schema import FeatureType, LeadSchema

TYPES: dict[FeatureType, pl.DataType] = {
    FeatureType.NUMERIC: pl.Float64(),
    FeatureType.CATEGORICAL: pl.String(),
    FeatureType.BOOLEAN: pl.Boolean(),
}

HISTORY = "leadgate_history"
"""The column with what a lead had done by the time of its score, where features.py takes events or that time."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file that was read, its values as they were."""

    frame: pl.DataFrame
    first_row: int
    """The number that a person sees at the first record: 2 below a header in CSV and Excel, else 1."""
    format: str
    delimiter: str | None
    encoding: str | None
    digest: str
    """SHA-256 of the file; of version and file names for a Delta table."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The leads of a snapshot with an import laid over them."""

    leads: pl.DataFrame
    new: pl.DataFrame
    """The rows that were not there before."""
    changed: int
    unchanged: int


def raw_columns_of(schema: LeadSchema) -> dict[str, pl.DataType]:
    """Names and types of what a file of leads has: id, timestamp, target, then every declared feature."""
    time = {schema.timestamp: pl.Datetime("us", "UTC")} if schema.timestamp else {}
    features = {feature.name: TYPES[feature.type] for feature in schema.features}
    return {schema.id: pl.String(), **time, schema.target: pl.Boolean(), **features}


def columns_of(schema: LeadSchema) -> dict[str, pl.DataType]:
    """Names and types of a snapshot's columns: those of a file, and the history where features.py needs one."""
    history = {HISTORY: pl.String()} if schema.code and schema.code.takes_history else {}
    return {**raw_columns_of(schema), **history}


def empty_leads(schema: LeadSchema) -> pl.DataFrame:
    """A snapshot's columns without rows."""
    return pl.DataFrame(schema=columns_of(schema))


def merge(existing: pl.DataFrame, incoming: pl.DataFrame, id_column: str) -> Merged:
    """Lay an import over the leads that are there: new ones are added, changed ones replaced, none is doubled.

    Both frames have the same columns; ``incoming`` names no lead twice.
    """
    new = incoming.join(existing.select(id_column), on=id_column, how="anti")
    both = incoming.join(existing, on=id_column, how="inner", suffix="\0before")
    values = [column for column in incoming.columns if column != id_column]
    differs = pl.any_horizontal(
        pl.lit(value=False), *(pl.col(column).ne_missing(pl.col(f"{column}\0before")) for column in values)
    )
    changed = both.filter(differs).select(incoming.columns)
    kept = existing.join(changed.select(id_column), on=id_column, how="anti")
    return Merged(
        leads=pl.concat([kept, changed, new]).sort(id_column),
        new=new,
        changed=changed.height,
        unchanged=both.height - changed.height,
    )


def filled(
    leads: pl.DataFrame, existing: pl.DataFrame, unlogged: Mapping[str, Collection[str]], id_column: str
) -> pl.DataFrame:
    """Leads with what ``existing`` knows of them in place of what their scores did not take.

    ``unlogged``: by column, the ids of the leads whose value ``leads`` cannot know.
    """
    there = [name for name in unlogged if name in existing.columns and name in leads.columns]
    before = existing.select(id_column, *(pl.col(name).alias(f"{name}\0before") for name in there))
    both = leads.join(before, on=id_column, how="left", maintain_order="left")
    known = [
        pl.when(pl.col(id_column).is_in(list(unlogged[name])))
        .then(pl.col(f"{name}\0before"))
        .otherwise(pl.col(name))
        .alias(name)
        for name in there
    ]
    return both.with_columns(known).select(leads.columns)


def as_snapshot(existing: pl.DataFrame, seen: pl.DataFrame, schema: LeadSchema) -> pl.DataFrame:
    """Leads as a model saw them, with the columns of a snapshot.

    ``seen`` has id, timestamp, target and the features in use. What it does not have, and the time of creation, stay
    as they are in ``existing`` for leads that are there: a lead that was held out by id and date stays held out.
    """
    columns = columns_of(schema)
    kept = [name for name in columns if name not in seen.columns]
    kept += [schema.timestamp] if schema.timestamp else []
    before = existing.select(schema.id, *(pl.col(name).alias(f"{name}\0before") for name in kept))
    both = seen.join(before, on=schema.id, how="left", maintain_order="left")
    values = [
        pl.coalesce(f"{name}\0before", *([name] if name in seen.columns else [])).alias(name)
        if name in kept
        else pl.col(name)
        for name in columns
    ]
    return both.select(value.cast(kind) for value, kind in zip(values, columns.values(), strict=True))
