"""A compiled model as plain data (quiet).

A program says everything that scoring needs and nothing that runs: it can be read, compared and hashed, and loading
one executes no code from the file. All numbers are finite, and JSON holds a finite float to the bit: it is written
with the fewest digits that read back as the same float. What needs infinity or NaN is said another way (a split that
parts missing values from all others has the largest float as its threshold).

Beside what scores it may hold what the training leads were like, of which the reasons of a score are made: covers,
means and medians. A program without them scores all the same, and they are no part of a model's digest.
"""

import hashlib
from itertools import pairwise
from typing import Literal

import msgspec
from msgspec.structs import replace

from leadgate.errors import LeadgateError

FORMAT = 2
"""Of the programs that are made now. Format 1 has no covers, means and medians, and is otherwise the same."""
_READ = (1, FORMAT)

MOST_NODES = 200_000
"""Larger ensembles would make a scorer of hundreds of megabytes."""


class BadProgramError(LeadgateError):
    """A file that is no program this version of Leadgate can read."""


class LinearNumber(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A numeric feature's share of a linear score: ``weight * clip(value * scale + offset, 0, 1)``."""

    feature: int
    """Position among the features."""
    scale: float
    offset: float
    weight: float
    missing: float
    """The share when the value is missing."""
    mean: float | None = None
    """The mean share of the training leads; None where it was not kept."""


class LinearCategory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A categorical feature's share of a linear score."""

    feature: int
    weights: dict[str, float]
    missing: float
    unknown: float
    """The share of a category that training did not see."""
    mean: float | None = None
    """The mean share of the training leads; None where it was not kept."""


class Linear(msgspec.Struct, frozen=True, kw_only=True, tag="linear", forbid_unknown_fields=True):
    """A linear score: the intercept and a share for each feature."""

    intercept: float
    numbers: tuple[LinearNumber, ...]
    categories: tuple[LinearCategory, ...]


class CategoryCodes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A categorical feature as the one column that is 1 after one-hot encoding; -1 when none is."""

    feature: int
    codes: dict[str, int]
    missing: int
    unknown: int


class Tree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A binary tree; node 0 is the root. All tuples have one entry a node."""

    feature: tuple[int, ...]
    """Position of the feature that a node tests; -1 for a leaf."""
    code: tuple[int, ...]
    """The category code that goes right, all others going left; -1 for a numeric test."""
    number: tuple[float, ...]
    """Threshold of a numeric test (``value <= threshold`` goes left); a leaf's value; 0 for a category test."""
    missing_left: tuple[bool, ...]
    """Where a missing number goes."""
    left: tuple[int, ...]
    right: tuple[int, ...]
    cover: tuple[int, ...] | None = None
    """How many training leads came to a node, at least 1; None where it was not kept."""


class Trees(msgspec.Struct, frozen=True, kw_only=True, tag="trees", forbid_unknown_fields=True):
    """A sum of trees."""

    baseline: float
    categories: tuple[CategoryCodes, ...]
    trees: tuple[Tree, ...]


class Sigmoid(msgspec.Struct, frozen=True, kw_only=True, tag="sigmoid", forbid_unknown_fields=True):
    """Platt's calibration: ``1 / (1 + exp(slope * input + intercept))``."""

    slope: float
    intercept: float


class Isotonic(msgspec.Struct, frozen=True, kw_only=True, tag="isotonic", forbid_unknown_fields=True):
    """Isotonic calibration: straight lines between points, flat outside them."""

    x: tuple[float, ...]
    """Ascending."""
    y: tuple[float, ...]


class Program(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """From raw values to a probability: the model's sum, through the logistic function, through a calibration."""

    format: int
    features: tuple[str, ...]
    """Names of the raw values, in the order in which they are given."""
    model: Linear | Trees
    calibration: Sigmoid | Isotonic | None
    calibrates: Literal["sum", "probability"]
    """What the calibration takes: the model's sum, or its probability."""
    medians: tuple[float | None, ...] | None = None
    """By feature: the median of the training leads that have a value; None for what is no number."""


def to_json(program: Program) -> bytes:
    """The program in its one canonical form: the same program, the same bytes."""
    return msgspec.json.encode(program, order="deterministic")


class _Head(msgspec.Struct, frozen=True):
    """What every format has, whatever else it has."""

    format: int


def from_json(text: bytes) -> Program:
    """Read a program. Raises BadProgramError for another format, and for one that would not score every lead."""
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format not in _READ:  # before the rest, whose fields another format need not have
            raise BadProgramError(
                f"The compiled model has format {head.format}, this Leadgate reads {' and '.join(map(str, _READ))}; "
                "train the version again."
            )
        program = msgspec.json.decode(text, type=Program)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadProgramError(f"The compiled model cannot be read ({error}); train the version again.") from error
    _check(program)
    return program


def digest(program: Program) -> str:
    """SHA-256 of the learned parameters: the digest of a model.

    Only of what scores, in format 1: a model that is trained again by a later Leadgate, which keeps more beside it, has
    the digest that it always had.
    """
    return hashlib.sha256(to_json(_bare(program))).hexdigest()


def _bare(program: Program) -> Program:
    """The same without what the training leads were like."""
    model = program.model
    if isinstance(model, Trees):
        bare: Linear | Trees = replace(model, trees=tuple(replace(tree, cover=None) for tree in model.trees))
    else:
        numbers = tuple(replace(number, mean=None) for number in model.numbers)
        bare = replace(model, numbers=numbers, categories=tuple(replace(c, mean=None) for c in model.categories))
    return replace(program, format=1, model=bare, medians=None)


def _check(program: Program) -> None:
    """Raise BadProgramError unless every lead gets a score: indices in range, trees that are trees."""
    count = len(program.features)
    _require(count > 0, "it has no features")
    _require(program.medians is None or len(program.medians) == count, "it has not one median for each feature")
    if isinstance(program.model, Linear):
        numbers, categories = program.model.numbers, program.model.categories
        _check_features([*(n.feature for n in numbers), *(c.feature for c in categories)], count)
    else:
        _check_trees(program.model, count)
    if isinstance(program.calibration, Isotonic):
        x, y = program.calibration.x, program.calibration.y
        _require(len(x) == len(y) > 0, "its calibration has no points, or points without a value")
        _require(all(low < high for low, high in pairwise(x)), "its calibration's points do not ascend")


def _check_features(features: list[int], count: int) -> None:
    _require(all(0 <= feature < count for feature in features), "it names a feature that it does not have")
    _require(len(features) == len(set(features)), "it names a feature twice")


def _check_trees(model: Trees, count: int) -> None:
    _check_features([c.feature for c in model.categories], count)
    _require(sum(len(tree.feature) for tree in model.trees) <= MOST_NODES, f"it has more than {MOST_NODES:,} nodes")
    coded = {c.feature for c in model.categories}
    for tree in model.trees:
        _check_tree(tree, count, coded)


def _check_tree(tree: Tree, count: int, coded: set[int]) -> None:
    """Children stand after their parent, so no path turns back; and each has one parent, so no node is met twice."""
    size = len(tree.feature)
    columns = (tree.code, tree.number, tree.missing_left, tree.left, tree.right)
    _require(size > 0 and all(len(column) == size for column in columns), "a tree's columns differ in length")
    children = []
    for node, (feature, code) in enumerate(zip(tree.feature, tree.code, strict=True)):
        if feature == -1:
            continue
        _require(0 <= feature < count, "a tree tests a feature that the model does not have")
        _require((code >= 0) == (feature in coded), "a tree takes a number for a category, or a category for a number")
        _require(tree.left[node] > node < tree.right[node], "a tree turns back on itself")
        children += [tree.left[node], tree.right[node]]
    _require(sorted(children) == list(range(1, size)), "a tree has nodes that are missing, shared or never reached")
    if tree.cover is not None:
        _require(len(tree.cover) == size and min(tree.cover) > 0, "a tree has nodes that no training lead came to")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadProgramError(f"The compiled model is damaged: {otherwise}; train the version again.")
