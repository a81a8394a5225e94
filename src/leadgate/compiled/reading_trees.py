"""Reads fitted gradient-boosted trees (quiet)."""

from collections.abc import Iterator
from math import isfinite, nextafter
from typing import Any

from leadgate.compiled.program import MOST_NODES, Tree, Trees
from leadgate.compiled.reading import Encoded, require

_LARGEST = 1.7976931348623157e308
"""The largest finite float."""

_LIGHTGBM_ZERO = 1.0000000180025095e-35
_LIGHTGBM_INFINITY = 1e300


class _Growing:
    """A tree while its nodes are read."""

    def __init__(self, columns: Encoded) -> None:
        self._columns = columns
        self._nodes: list[list[Any]] = []
        self._cover: list[int] = []

    def leaf(self, value: float, cover: int) -> int:
        """Add a leaf to which ``cover`` training leads came; gives its place."""
        require(isfinite(value), "a leaf's value is not finite")
        self._cover.append(cover)
        self._nodes.append([-1, -1, float(value), False, -1, -1])
        return len(self._nodes) - 1

    def split(self, column: int, threshold: float, cover: int, *, missing_left: bool) -> int:
        """Add a test; gives its place. Its children are set by ``join``."""
        self._cover.append(cover)
        feature, code = self._columns.source(column)
        if code >= 0:
            require(0.0 <= threshold < 1.0, "a one-hot column is split outside 0 to 1")
            self._nodes.append([feature, code, 0.0, False, -1, -1])
        else:
            # Splitting off the missing values alone has threshold infinity; every finite number is below this one.
            number = _LARGEST if threshold == float("inf") else float(threshold)
            require(isfinite(number), "a threshold is not a number")
            self._nodes.append([feature, -1, number, bool(missing_left), -1, -1])
        return len(self._nodes) - 1

    def join(self, parent: int, left: int, right: int) -> None:
        """Set a test's children."""
        self._nodes[parent][4:] = [left, right]

    def tree(self) -> Tree:
        """The whole tree; without covers where the library did not count, for it can score without them."""
        feature, code, number, missing_left, left, right = (tuple(part) for part in zip(*self._nodes, strict=True))
        cover = tuple(self._cover) if min(self._cover) > 0 else None
        return Tree(
            feature=feature, code=code, number=number, missing_left=missing_left, left=left, right=right, cover=cover
        )


def read_hist_gradient_boosting(model: Any, columns: Encoded) -> Trees:
    """The trees of scikit-learn's HistGradientBoostingClassifier for two classes."""
    require(model.n_trees_per_iteration_ == 1, "the model has more than two classes")
    require(model.is_categorical_ is None, "the trees split categories natively")
    trees = tuple(_hist_tree(predictors[0].nodes, columns) for predictors in model._predictors)  # noqa: SLF001
    baseline = float(model._baseline_prediction.ravel()[0])  # noqa: SLF001
    return _trees(baseline, columns, trees)


def _hist_tree(nodes: Any, columns: Encoded) -> Tree:
    growing = _Growing(columns)
    for node in nodes:
        require(not node["is_categorical"], "the trees split categories natively")
        if node["is_leaf"]:
            growing.leaf(float(node["value"]), int(node["count"]))
        else:
            threshold, missing_left = float(node["num_threshold"]), bool(node["missing_go_to_left"])
            growing.split(int(node["feature_idx"]), threshold, int(node["count"]), missing_left=missing_left)
    for place, node in enumerate(nodes):
        if not node["is_leaf"]:
            growing.join(place, int(node["left"]), int(node["right"]))
    return growing.tree()


def read_lightgbm(model: Any, columns: Encoded) -> Trees:
    """The trees of LightGBM's classifier for two classes, from its own dump (17 digits, hence exact)."""
    dump = model.booster_.dump_model()
    require(dump["num_class"] == 1 and dump["num_tree_per_iteration"] == 1, "the model has more than two classes")
    require(dump["objective"] == "binary sigmoid:1", f"the objective is {dump['objective']!r}, not plain binary")
    require(not dump.get("average_output", False), "the trees are averaged (random forest)")
    trees = tuple(_lightgbm_tree(info["tree_structure"], columns) for info in dump["tree_info"])
    return _trees(0.0, columns, trees)


def _lightgbm_tree(root: dict[str, Any], columns: Encoded) -> Tree:
    growing = _Growing(columns)
    waiting: list[tuple[dict[str, Any], int | None, str]] = [(root, None, "")]
    children: dict[int, dict[str, int]] = {}
    while waiting:  # a stack of our own: leaf-wise trees can be deeper than Python likes to recurse
        node, parent, side = waiting.pop()
        place = _lightgbm_leaf(growing, node) if "leaf_value" in node else _lightgbm_split(growing, node)
        require("leaf_coeff" not in node, "the leaves hold linear models")
        if parent is not None:
            children.setdefault(parent, {})[side] = place
        if "leaf_value" not in node:
            waiting += [(node["right_child"], place, "right"), (node["left_child"], place, "left")]
    for parent, sides in children.items():
        growing.join(parent, sides["left"], sides["right"])
    return growing.tree()


def _lightgbm_leaf(growing: _Growing, node: dict[str, Any]) -> int:
    return growing.leaf(node["leaf_value"], int(node.get("leaf_count", 0)))


def _lightgbm_split(growing: _Growing, node: dict[str, Any]) -> int:
    require(node["decision_type"] == "<=", f"a split is {node['decision_type']!r}, not numeric")
    require(node["missing_type"] in ("None", "NaN"), "zero is treated as missing")
    threshold = _effective(float(node["threshold"]))
    # Without missing values in training, LightGBM reads a missing one as 0.
    missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
    cover = int(node.get("internal_count", 0))
    return growing.split(int(node["split_feature"]), threshold, cover, missing_left=missing_left)


def _effective(threshold: float) -> float:
    """The threshold of LightGBM's own comparison, for values as they are given.

    Before it compares, LightGBM takes every value up to 1e-35 (as float32) from 0 for 0; and its dump writes infinity
    as 1e300.
    """
    if threshold >= _LIGHTGBM_INFINITY:
        return float("inf")
    if 0 <= threshold < _LIGHTGBM_ZERO:
        return _LIGHTGBM_ZERO
    if -_LIGHTGBM_ZERO <= threshold < 0:
        return nextafter(-_LIGHTGBM_ZERO, float("-inf"))
    return threshold


def _trees(baseline: float, columns: Encoded, trees: tuple[Tree, ...]) -> Trees:
    nodes = sum(_sizes(trees))
    require(nodes <= MOST_NODES, f"the model has {nodes:,} nodes, more than {MOST_NODES:,}")
    require(isfinite(baseline), "the baseline is not finite")
    return Trees(baseline=baseline, categories=columns.categories, trees=trees)


def _sizes(trees: tuple[Tree, ...]) -> Iterator[int]:
    return (len(tree.feature) for tree in trees)
