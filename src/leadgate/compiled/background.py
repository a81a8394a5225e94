"""Keeps with a program what the training leads were like, for the reasons of its scores (quiet)."""

from collections import Counter
from collections.abc import Sequence
from math import fsum, nan

import numpy as np
from msgspec.structs import replace

from leadgate.compiled.program import Linear, LinearCategory, LinearNumber, Program
from leadgate.leads.schema import FeatureType, FeatureValue, LeadSchema

Row = Sequence[FeatureValue]


def with_background(program: Program, schema: LeadSchema, rows: Sequence[Row]) -> Program:
    """The same program with the means and medians of the training leads; it scores as before.

    ``rows``: raw values in the order of ``schema.used``, at least one row. The covers of trees are their library's own
    counts, and in the program already.
    """
    columns = list(zip(*rows, strict=True))
    medians = tuple(
        _median(column) if feature.type is FeatureType.NUMERIC else None
        for feature, column in zip(schema.used, columns, strict=True)
    )
    model = _with_means(program.model, columns) if isinstance(program.model, Linear) else program.model
    return replace(program, model=model, medians=medians)


def share_of(part: LinearNumber | LinearCategory, value: FeatureValue) -> float:
    """What a value adds to a linear score."""
    if isinstance(part, LinearCategory):
        return part.missing if value is None else part.weights.get(str(value), part.unknown)
    if value is None or value != value:  # noqa: PLR0124  # NaN
        return part.missing
    return part.weight * min(1.0, max(0.0, float(value) * part.scale + part.offset))


def _with_means(model: Linear, columns: Sequence[Row]) -> Linear:
    return replace(
        model,
        numbers=tuple(replace(part, mean=_mean(part, columns[part.feature])) for part in model.numbers),
        categories=tuple(replace(part, mean=_mean(part, columns[part.feature])) for part in model.categories),
    )


def _mean(part: LinearNumber | LinearCategory, column: Row) -> float:
    """The mean share. Sums are exact, so that the order of the leads does not show in a stored file."""
    counts = Counter(nan if value != value else value for value in column)  # noqa: PLR0124  # one NaN for all
    return fsum(share_of(part, value) * count for value, count in counts.items()) / len(column)


def _median(column: Row) -> float | None:
    known = np.array([value for value in column if value is not None], dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else None
