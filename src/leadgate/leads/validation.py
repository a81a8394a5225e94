"""Holds a file of leads against the lead schema: which rows are good, and what exactly is wrong with the others.

Quiet: takes the table that was read and the time, gives the verdict.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.frames import Table, raw_columns_of
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.leads.values import Parsed, parse_feature, parse_target, parse_time, require_one_reading
from leadgate.records import Fault

_ROW = "\0row"
"""Name of the column with row numbers while rows are judged; no file has a column of that name."""

_CLOCK_TOLERANCE = timedelta(days=1)
"""A naive local time read as UTC can lie up to 14 hours ahead."""

_EVIDENCE = 0.001
"""A missing share above its limit refuses an import only when chance alone would do so less often than this."""

_NOT_A = {
    FeatureType.NUMERIC: "is not a finite number",
    FeatureType.CATEGORICAL: "is not text",
    FeatureType.BOOLEAN: "is neither true nor false",
}


@dataclass(frozen=True, kw_only=True)
class NewCategory:
    """A value of a categorical feature that leadgate.yaml does not list."""

    feature: str
    category: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Validated:
    """A file of leads, judged."""

    rows: int
    """Records in the file."""
    leads: pl.DataFrame
    """The good rows with the types of a snapshot, ids unique."""
    faults: tuple[Fault, ...]
    """Every fault of every bad row, in the order of the file."""
    bad_rows: int
    repeated: int
    """Rows that say exactly what an earlier row said; taken once."""
    new_categories: tuple[NewCategory, ...]
    """Accepted, but worth a look."""


def validate(schema: LeadSchema, table: Table, file: str, now: datetime) -> Validated:
    """Judge every row of a table.

    Raises BadFileError when the file as a whole cannot be leads of this schema: a declared column is not there, a
    feature is missing more often than leadgate.yaml allows, or the dates can be read in two ways.
    """
    _require_columns(schema, table.frame, file)
    if schema.timestamp:
        require_one_reading([table.frame[schema.timestamp]], file, table.first_row)
    numbered = table.frame.with_row_index(_ROW, offset=table.first_row)
    parsed = {name: _parse(schema, name, numbered[name]) for name in raw_columns_of(schema)}
    typed = pl.DataFrame([numbered[_ROW], *(p.values.alias(name) for name, p in parsed.items())])
    # An empty cell is missing; a cell that cannot be read is a fault of its row, not a missing value.
    _require_values(schema, typed, parsed, file)
    once = typed.unique(subset=list(parsed), keep="first", maintain_order=True)
    unreadable = list(_unreadable(schema, numbered, parsed))
    known = {(row, column) for row, column, _, _ in unreadable}
    broken = [fault for fault in _broken_rules(schema, once, now) if fault[:2] not in known]
    faulty = {row for row, *_ in (*unreadable, *broken)}
    good = once.filter(~pl.col(_ROW).is_in(list(faulty)))
    return Validated(
        rows=numbered.height,
        leads=good.drop(_ROW),
        faults=_faults(schema, numbered, [*unreadable, *broken]),
        bad_rows=len(faulty),
        repeated=typed.height - once.height,
        new_categories=tuple(_new_categories(schema, good)),
    )


def _require_columns(schema: LeadSchema, frame: pl.DataFrame, file: str) -> None:
    for name in raw_columns_of(schema):
        if name not in frame.columns:
            near = difflib.get_close_matches(name, frame.columns, n=1, cutoff=0.6)
            hint = f"the nearest is {near[0]!r}" if near else f"it has {', '.join(frame.columns[:8])}"
            raise BadFileError(
                f"{file} has no column {name!r}, which leadgate.yaml declares; {hint}. Add the column to the file, "
                "or mend leadgate.yaml if it was renamed or is gone for good."
            )


def _require_values(schema: LeadSchema, typed: pl.DataFrame, parsed: dict[str, Parsed], file: str) -> None:
    for feature in schema.features:
        missing = typed[feature.name].null_count() - int(parsed[feature.name].bad.sum())
        share = missing / typed.height
        if share > feature.missing and _chance_of(missing, typed.height, feature.missing) < _EVIDENCE:
            how_much = "in every row" if missing == typed.height else f"in {share:.1%} of {typed.height} rows"
            raise BadFileError(
                f"{file}: column {feature.name!r} has no value {how_much}; leadgate.yaml allows "
                f"{feature.missing:.1%}. Mend the export, or raise `missing` of lead.features.{feature.name}."
            )


def _chance_of(missing: int, rows: int, limit: float) -> float:
    """With which so many values or more are missing where a share of ``limit`` is on the average."""
    from scipy.stats import binom  # noqa: PLC0415  # 2 s, and most files are not asked

    return float(binom.sf(missing - 1, rows, limit))


def _parse(schema: LeadSchema, name: str, raw: pl.Series) -> Parsed:
    if name == schema.id:
        return parse_feature(raw, FeatureType.CATEGORICAL)
    if name == schema.timestamp:
        return parse_time(raw)
    if name == schema.target:
        return parse_target(raw, schema.converted_when)
    return parse_feature(raw, schema.feature(name).type)


_RawFault = tuple[int, str, str | None, str]
"""Row number, column, value as it was, reason."""


def _unreadable(schema: LeadSchema, numbered: pl.DataFrame, parsed: dict[str, Parsed]) -> Iterator[_RawFault]:
    for name, result in parsed.items():
        bad = numbered.filter(result.bad)
        for row, value in zip(bad[_ROW], bad[name], strict=True):
            yield row, name, str(value), _why_unreadable(schema, name)


def _why_unreadable(schema: LeadSchema, name: str) -> str:
    if name == schema.id:
        return "is not text"
    if name == schema.timestamp:
        return "is not a date or time"
    if name == schema.target:
        return "is neither yes nor no (say which value means converted in lead.converted_when)"
    return _NOT_A[schema.feature(name).type]


def _broken_rules(schema: LeadSchema, typed: pl.DataFrame, now: datetime) -> Iterator[_RawFault]:
    import pandera.polars as pa  # noqa: PLC0415  # 2 s
    from pandera.errors import SchemaErrors  # noqa: PLC0415

    rules = pa.DataFrameSchema(_rules(schema, now))
    try:
        rules.validate(typed.drop(_ROW), lazy=True)
    except SchemaErrors as errors:
        rows = typed[_ROW].to_list()
        for case in errors.failure_cases.iter_rows(named=True):
            reason = {
                "not_nullable": "is missing",
                "field_uniqueness": "stands in more than one row",
            }.get(case["check"], case["check"])
            yield rows[case["index"]], case["column"], case["failure_case"], reason


def _rules(schema: LeadSchema, now: datetime) -> dict[str, Any]:
    """The lead schema as pandera columns; a check's name is the reason that a person reads."""
    from pandera.polars import Check, Column  # noqa: PLC0415

    columns = {
        schema.id: Column(pl.String, unique=True, nullable=False),
        schema.target: Column(pl.Boolean, nullable=True),  # a lead whose outcome is not known yet
        **{feature.name: _feature_rule(feature) for feature in schema.features},
    }
    if schema.timestamp:
        latest = now + _CLOCK_TOLERANCE
        not_future = Check.le(latest, error=f"lies in the future (it is {now:%Y-%m-%d %H:%M} UTC)")
        columns[schema.timestamp] = Column(pl.Datetime("us", "UTC"), not_future, nullable=False)
    return columns


def _feature_rule(feature: Feature) -> Any:
    from pandera.polars import Check, Column  # noqa: PLC0415

    checks = []
    low, high = feature.range or (None, None)
    if low is not None:
        checks.append(Check.ge(low, error=f"is below {low:g}"))
    if high is not None:
        checks.append(Check.le(high, error=f"is above {high:g}"))
    if feature.categories is not None and feature.unknown == "reject":
        checks.append(Check.isin(list(feature.categories), error="is not a known category"))
    kinds: dict[FeatureType, Any] = {
        FeatureType.NUMERIC: pl.Float64,
        FeatureType.CATEGORICAL: pl.String,
        FeatureType.BOOLEAN: pl.Boolean,
    }
    return Column(kinds[feature.type], checks, nullable=True)


def _faults(schema: LeadSchema, numbered: pl.DataFrame, raw: list[_RawFault]) -> tuple[Fault, ...]:
    first_row = int(numbered[_ROW][0]) if numbered.height else 0
    ids = numbered[schema.id]
    faults = (
        Fault(
            row_number=row,
            lead_id=None if ids[row - first_row] is None else str(ids[row - first_row]),
            column_name=column,
            value=value,
            reason=reason,
        )
        for row, column, value, reason in raw
    )
    return tuple(sorted(faults, key=lambda fault: fault.row_number))


def _new_categories(schema: LeadSchema, good: pl.DataFrame) -> Iterator[NewCategory]:
    for feature in schema.features:
        if feature.categories is None:
            continue
        values = good[feature.name].drop_nulls()
        for category, rows in values.filter(~values.is_in(feature.categories)).value_counts(sort=True).rows():
            yield NewCategory(feature=feature.name, category=category, rows=rows)
