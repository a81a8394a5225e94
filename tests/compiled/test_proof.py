"""A proof tries what breaks scorers, and never holds by accident."""

from collections.abc import Sequence
from math import inf, nextafter

import numpy as np
import pytest

from leadgate.compiled.program import Linear, LinearNumber, Program, Tree, Trees
from leadgate.compiled.proof import edge_rows, prove
from leadgate.compiled.scorer import Scorer
from leadgate.leads.schema import Feature, FeatureType, FeatureValue, LeadSchema

SCHEMA = LeadSchema(
    id="id",
    target="won",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="budget", type=FeatureType.BOOLEAN),
    ),
)
ROWS: list[Sequence[FeatureValue]] = [(1.0, "web", True), (2.0, "fair", False), (3.0, None, None)]


def tree(threshold: float) -> Tree:
    """One test of the size."""
    return Tree(
        feature=(0, -1, -1),
        code=(-1, -1, -1),
        number=(threshold, 1.0, 2.0),
        missing_left=(False, False, False),
        left=(1, -1, -1),
        right=(2, -1, -1),
    )


def program(*thresholds: float) -> Program:
    """A sum of such trees."""
    model = Trees(baseline=0.0, categories=(), trees=tuple(tree(t) for t in thresholds))
    return Program(format=1, features=("size", "source", "budget"), model=model, calibration=None, calibrates="sum")


def test_thresholds_and_their_neighbours_are_tried() -> None:
    """The float below, the threshold itself and the float above: where < and <= differ, and float32 from float64."""
    sizes = {row[0] for row in edge_rows(SCHEMA, program(0.1), ROWS)}
    assert {0.1, nextafter(0.1, -inf), nextafter(0.1, inf)} <= sizes


@pytest.mark.parametrize("count", (1_999, 2_001, 3_000, 5_000))
def test_the_number_of_thresholds_is_bounded(count: int) -> None:
    """Large ensembles take no longer to prove than the docstring says: 2,000 thresholds of three rows."""
    fixed = len(edge_rows(SCHEMA, program(), ROWS))
    near = len(edge_rows(SCHEMA, program(*(i + 0.5 for i in range(count))), ROWS)) - fixed
    assert 3 * 1_000 <= near <= 3 * 2_000


def test_every_feature_goes_missing_alone_and_all_together() -> None:
    """And text is tried that no training has seen."""
    rows = [tuple(row) for row in edge_rows(SCHEMA, program(0.1), ROWS[:1])]
    assert {(None, None, None), (None, "web", True), (1.0, None, True), (1.0, "web", None), (1.0, "", True)} <= {*rows}
    assert {1e308, -1e308, 5e-324} <= {row[0] for row in rows}
    assert any(str(row[0]) == "-0.0" for row in rows)


def test_the_same_rows_make_the_same_edges() -> None:
    """A proof can be repeated; and a hold-out without rows still has one."""
    assert repr(edge_rows(SCHEMA, program(0.1), ROWS)) == repr(edge_rows(SCHEMA, program(0.1), ROWS))
    assert edge_rows(SCHEMA, program(0.1), []) == [[None, None, None]]


def test_a_proof_finds_a_difference_on_one_row_and_names_it() -> None:
    """A library that goes left only below the threshold is told from one that goes left at it as well."""
    right = Scorer(program(0.1))

    def library(rows: Sequence[Sequence[FeatureValue]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([right.score([9.0, *row[1:]] if row[0] == 0.1 else row) for row in rows])

    edges = edge_rows(SCHEMA, program(0.1), ROWS)
    assert prove(program(0.1), library, ROWS, []).holds
    proof = prove(program(0.1), library, ROWS, edges)
    assert (proof.holds, proof.worst[0], proof.edge_rows) == (False, 0.1, len(edges))


@pytest.mark.parametrize("difference", (1e-9, 2e-9, inf, -inf))
def test_a_difference_of_the_tolerance_does_not_hold(difference: float) -> None:
    """Below 1e-9, not at it."""
    number = LinearNumber(feature=0, scale=0.0, offset=0.0, weight=0.0, missing=0.0)
    model = Linear(intercept=-800.0, numbers=(number,), categories=())
    flat = Program(format=1, features=("size",), model=model, calibration=None, calibrates="sum")
    assert not prove(flat, lambda rows: np.full(len(rows), difference), [(1.0,)], []).holds
    assert prove(flat, lambda rows: np.zeros(len(rows)), [(1.0,)], []).holds
