"""How much each feature moves the sum of trees for one lead: path-dependent Shapley values (quiet).

The values are those of TreeSHAP with path-dependent expectations (Lundberg et al. 2020, "From local explanations to
global understanding with explainable AI for trees", Algorithm 2): where a feature is not known, a tree's two sides
count in the shares of the training leads that took them. A categorical feature is one player, whatever the number of
its one-hot columns: it is known whole or not at all.

They are worked out another way, which is as exact and never divides. Along a path to a leaf each feature has a share z
(of the training leads that pass all its tests on that path) and o (1 when the lead passes them, else 0). A leaf of
value v then gives a feature

    v * (o - z) * integral over t from 0 to 1 of the product, over the path's other features k, of (o_k t + z_k (1 - t))

which is the integral of the multilinear extension (Owen 1972). It is a polynomial in t, and Gauss and Legendre's points
sum it exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum, prod

import numpy as np
import numpy.typing as npt

from leadgate.compiled.program import Tree

Floats = npt.NDArray[np.float64]

_MOST_CELLS = 50_000
"""Leaves times features that are worked on at a time: arrays of less than half a megabyte."""


@dataclass(frozen=True, kw_only=True)
class _Path:
    """The way to a leaf, by the features it tests."""

    value: float
    shares: dict[int, float]
    """By feature: how many of the training leads pass all its tests on the way, of those that come to each."""
    turns: dict[int, list[tuple[int, bool]]]
    """By feature: the tests, by their number among all tests of all trees, and whether the way goes left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Leaves:
    """Leaves whose ways test the same number of features, as arrays."""

    values: Floats
    """Shape (leaves, 1)."""
    features: npt.NDArray[np.int64]
    """Shape (leaves, features on the way)."""
    shares: Floats
    """The same shape."""
    tests: npt.NDArray[np.int64]
    """The turns of all ways, feature by feature."""
    left: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    """Where the turns of each leaf's feature begin."""
    points: list[tuple[float, float]]
    """Of the integral, with their weights."""


class TreeShapley:
    """The Shapley values of a sum of trees that have covers, or are a single leaf."""

    def __init__(self, trees: Sequence[Tree], features: int) -> None:
        self._features = features
        tests = [(tree, node) for tree in trees for node, feature in enumerate(tree.feature) if feature >= 0]
        self._tested = np.array([tree.feature[node] for tree, node in tests], dtype=np.int64)
        self._codes = np.array([tree.code[node] for tree, node in tests], dtype=np.int64)
        self._thresholds = np.array([tree.number[node] for tree, node in tests], dtype=np.float64)
        self._missing_left = np.array([tree.missing_left[node] for tree, node in tests], dtype=np.bool_)
        means: list[float] = []
        self._leaves = list(_blocks(_paths(trees), means))
        self.mean: float = fsum(means)
        """The mean of the sum over the training leads, as the trees see them."""

    def values(self, lead: Floats) -> Floats:
        """By feature, how much it moves the sum from its mean; shape (features,).

        ``lead``: numbers with NaN for missing, and the codes of categories; shape (features,). The values and the mean
        add up to the sum of the trees.
        """
        left = self._goes_left(lead)
        moved = np.zeros(self._features)
        for leaves in self._leaves:
            turns = left[leaves.tests] == leaves.left
            passed = np.logical_and.reduceat(turns, leaves.starts).reshape(leaves.shares.shape).astype(np.float64)
            given = leaves.values * (passed - leaves.shares) * _integral(passed, leaves)
            moved += np.bincount(leaves.features.ravel(), given.ravel(), minlength=self._features)
        return moved

    def _goes_left(self, lead: Floats) -> npt.NDArray[np.bool_]:
        """Whether the lead goes left, test by test, as the scorer decides it."""
        given = lead[self._tested]
        by_number = np.where(np.isnan(given), self._missing_left, given <= self._thresholds)
        return np.where(self._codes >= 0, given != self._codes, by_number)


def _integral(passed: Floats, leaves: _Leaves) -> Floats:
    """For each leaf and feature: the integral of the product over the leaf's other features."""
    total = np.zeros_like(passed)
    for point, weight in leaves.points:
        factors = passed * point + leaves.shares * (1.0 - point)
        before, after = np.ones_like(factors), np.ones_like(factors)
        before[:, 1:] = np.cumprod(factors[:, :-1], axis=1)
        after[:, :-1] = np.cumprod(factors[:, :0:-1], axis=1)[:, ::-1]
        total += weight * before * after
    return total


def _paths(trees: Sequence[Tree]) -> Iterator[_Path]:
    first = 0
    for tree in trees:
        numbers = {node: first + i for i, node in enumerate(n for n, f in enumerate(tree.feature) if f >= 0)}
        yield from _paths_of(tree, numbers)
        first += len(numbers)


def _paths_of(tree: Tree, numbers: dict[int, int]) -> Iterator[_Path]:
    waiting: list[tuple[int, dict[int, float], dict[int, list[tuple[int, bool]]]]] = [(0, {}, {})]
    while waiting:  # a stack of our own: trees can be deeper than Python likes to recurse
        node, shares, turns = waiting.pop()
        feature = tree.feature[node]
        if feature < 0:
            yield _Path(value=tree.number[node], shares=shares, turns=turns)
            continue
        assert tree.cover is not None
        left, right = tree.left[node], tree.right[node]
        both = tree.cover[left] + tree.cover[right]
        for child, goes_left in ((left, True), (right, False)):
            share = shares.get(feature, 1.0) * (tree.cover[child] / both)
            turn = [*turns.get(feature, ()), (numbers[node], goes_left)]
            waiting.append((child, {**shares, feature: share}, {**turns, feature: turn}))


def _blocks(paths: Iterable[_Path], means: list[float]) -> Iterator[_Leaves]:
    """The paths by their number of features, some thousands at a time; what each adds to the mean goes to ``means``."""
    waiting: dict[int, list[_Path]] = {}
    for path in paths:
        means.append(path.value * prod(path.shares.values()))
        width = len(path.shares)
        alike = waiting.setdefault(width, [])
        alike.append(path)
        if len(alike) * width >= _MOST_CELLS:
            yield _leaves(waiting.pop(width), width)
    for width, alike in waiting.items():
        if width:  # a single leaf depends on no feature
            yield _leaves(alike, width)


def _leaves(paths: Sequence[_Path], width: int) -> _Leaves:
    turns = [turns for path in paths for turns in path.turns.values()]
    flat = [turn for some in turns for turn in some]
    return _Leaves(
        values=np.array([[path.value] for path in paths]),
        features=np.array([list(path.shares) for path in paths], dtype=np.int64),
        shares=np.array([list(path.shares.values()) for path in paths]),
        tests=np.array([test for test, _ in flat], dtype=np.int64),
        left=np.array([left for _, left in flat], dtype=np.bool_),
        starts=np.cumsum([0, *(len(some) for some in turns[:-1])]),
        points=_points(width),
    )


def _points(width: int) -> list[tuple[float, float]]:
    """Points and weights between 0 and 1 that integrate a polynomial of degree ``width - 1`` exactly."""
    points, weights = np.polynomial.legendre.leggauss((width + 1) // 2)
    return [(float((1 + point) / 2), float(weight / 2)) for point, weight in zip(points, weights, strict=True)]
