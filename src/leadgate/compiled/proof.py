"""Holds a compiled scorer against the library it was compiled from (quiet)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, nextafter
from typing import Any

import numpy as np
import numpy.typing as npt

from leadgate.compiled.program import Program, Trees
from leadgate.compiled.scorer import Scorer
from leadgate.leads.schema import FeatureType, FeatureValue, LeadSchema

Row = Sequence[FeatureValue]

TOLERANCE = 1e-9
"""Largest difference of two probabilities that counts as equal."""

_EXTREMES: tuple[float, ...] = (1e308, -1e308, 5e-324, -5e-324, 0.0, -0.0, 1.0, -1.0, 1e-9, 1e9)
_TEXTS: tuple[str, ...] = (
    "never seen before",
    "",
    " ",
    "Ünïcødé ✓ 漢字",
    "'; DROP TABLE leads; --",
    "None",
    "nan",
    "x" * 999,
)

_MOST_THRESHOLDS = 2_000


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How the compiled scorer and the library compare."""

    rows: int
    """Hold-out leads that were scored both ways."""
    edge_rows: int
    """Rows made to be difficult: missing, unseen, extreme, at the thresholds."""
    max_difference: float
    """Largest absolute difference of the two probabilities."""
    tolerance: float
    holds: bool
    worst: tuple[FeatureValue, ...]
    """The row of the largest difference."""


def prove(
    program: Program,
    predict: Callable[[Sequence[Row]], npt.NDArray[np.float64]],
    rows: Sequence[Row],
    edges: Sequence[Row],
    tolerance: float = TOLERANCE,
) -> Proof:
    """Score every row both ways; a difference that is not a number never holds."""
    together = [*rows, *edges]
    compiled = np.array(Scorer(program).score_many(together))
    with np.errstate(all="ignore"):  # numbers near the largest overflow on their way to being clipped
        differences = np.abs(compiled - predict(together))
    differences = np.where(np.isnan(differences), np.inf, differences)
    worst = int(differences.argmax())
    return Proof(
        rows=len(rows),
        edge_rows=len(edges),
        max_difference=float(differences[worst]),
        tolerance=tolerance,
        holds=bool(differences[worst] < tolerance),
        worst=tuple(together[worst]),
    )


def edge_rows(schema: LeadSchema, program: Program, rows: Sequence[Row]) -> list[Row]:
    """Difficult rows, each made of a real one by changing one value, or all.

    Each feature missing, all missing; unseen and strange categories; extremes; and for trees up to 2,000 numeric
    thresholds, each with its two neighbours among the floats. Without ``rows`` only the row that is all missing.
    """
    nothing: list[Any] = [None] * len(schema.used)
    bases = [list(row) for row in (*rows[:1], *rows[len(rows) // 2 :][:1], *rows[-1:])]
    changed = [_with(base, i, value) for base in bases for i, value in _strange(schema)]
    every_extreme = [_all_numbers(schema, base, value) for base in bases[:1] for value in _EXTREMES]
    # A threshold deep in a tree is met only by leads that get there, so these walk through all real rows.
    near = [_with(rows[k % len(rows)], i, value) for k, (i, value) in enumerate(_near_thresholds(program)) if rows]
    return [nothing, *changed, *every_extreme, *near]


def _with(row: Row, i: int, value: FeatureValue) -> Row:
    return [*row[:i], value, *row[i + 1 :]]


def _strange(schema: LeadSchema) -> Iterator[tuple[int, FeatureValue]]:
    for i, feature in enumerate(schema.used):
        yield i, None
        match feature.type:
            case FeatureType.NUMERIC:
                yield from ((i, value) for value in _EXTREMES)
            case FeatureType.CATEGORICAL:
                yield from ((i, value) for value in _TEXTS)
            case FeatureType.BOOLEAN:
                yield from ((i, value) for value in (True, False))


def _near_thresholds(program: Program) -> Iterator[tuple[int, float]]:
    if not isinstance(program.model, Trees):
        return
    tests = sorted(
        {
            (tree.feature[node], tree.number[node])
            for tree in program.model.trees
            for node in range(len(tree.feature))
            if tree.feature[node] >= 0 and tree.code[node] < 0
        }
    )
    step = max(1, ceil(len(tests) / _MOST_THRESHOLDS))
    for feature, threshold in tests[::step]:
        yield feature, threshold
        if abs(threshold) < 1e308:  # noqa: PLR2004  # the stand-in for infinity has no upper neighbour
            yield feature, nextafter(threshold, float("inf"))
            yield feature, nextafter(threshold, float("-inf"))


def _all_numbers(schema: LeadSchema, base: Row, value: float) -> Row:
    return [value if f.type is FeatureType.NUMERIC else base[i] for i, f in enumerate(schema.used)]
