"""Sums a program's trees in LightGBM's own C code: a lead then takes two microseconds instead of fifteen.

The program's trees, whichever library they came from, are written as a LightGBM model, which keeps float64 thresholds
and leaf values to the bit. Only LightGBM's shared library is loaded, not its Python package, which would bring
scikit-learn and SciPy into a server's memory. Where the library is not there, Python evaluates the trees.

Source: the text format of LightGBM's models (src/io/tree.cpp, ``Tree::ToString``) and its C API (c_api.h).
"""

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from struct import Struct
from typing import Any

from leadgate.compiled.program import Program, Tree, Trees

RawScore = Callable[..., float]
"""The sum of the trees, from the values of ``used_features`` in their order: floats, NaN for missing; codes as ints."""

_RAW, _FLOAT64 = 1, 1
"""C_API_PREDICT_RAW_SCORE, C_API_DTYPE_FLOAT64."""

_CATEGORICAL, _DEFAULT_LEFT, _NAN_IS_MISSING = 1, 2, 8
"""Bits of a node's decision_type."""

_WORD = 32
"""Bits of a word of a categorical node's set."""


def used_features(model: Trees) -> list[int]:
    """The features that any tree tests, ascending: the arguments of the raw score."""
    return sorted({feature for tree in model.trees for feature in tree.feature if feature >= 0})


def native_sum(program: Program) -> RawScore | None:
    """The sum of a program's trees in C; None for a program without trees, or where LightGBM's library is not there."""
    library = _library()
    if library is None or not isinstance(program.model, Trees):
        return None
    features = used_features(program.model)
    if not features:
        return None
    booster, config, count = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
    text = model_text(program.model).encode()
    width = ctypes.c_int32(len(features))
    if library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(count), ctypes.byref(booster)) != 0:
        return None
    if (
        library.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster, _RAW, 0, 0, _FLOAT64, width, b"num_threads=1", ctypes.byref(config)
        )
        != 0
    ):
        return None
    return _caller(library, booster, config, len(features))


def model_text(model: Trees) -> str:
    """The trees as a LightGBM model of one raw score; the baseline is not in it."""
    features = used_features(model)
    column = {feature: i for i, feature in enumerate(features)}
    trees = [_tree_text(number, tree, column) for number, tree in enumerate(model.trees)]
    head = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={len(features) - 1}",
        "objective=regression",
        f"feature_names={' '.join(f'f{feature}' for feature in features)}",
        f"feature_infos={' '.join('none' for _ in features)}",
        f"tree_sizes={' '.join(str(len(tree.encode())) for tree in trees)}",
        "",
        "",
    ]
    return "\n".join(head) + "".join(trees) + "end of trees\n\nparameters:\nend of parameters\n"


def _tree_text(number: int, tree: Tree, column: dict[int, int]) -> str:
    inner = [node for node, feature in enumerate(tree.feature) if feature >= 0]
    leaves = [node for node, feature in enumerate(tree.feature) if feature < 0]
    place = {node: i for i, node in enumerate(inner)} | {node: ~i for i, node in enumerate(leaves)}
    sets: list[list[int]] = []
    thresholds, kinds, left, right = [], [], [], []
    for node in inner:
        lower, upper = place[tree.left[node]], place[tree.right[node]]
        if tree.code[node] >= 0:  # the category of the set goes left in LightGBM, right in a program
            thresholds.append(str(len(sets)))
            sets.append(_bits(tree.code[node]))
            kinds.append(_CATEGORICAL | _NAN_IS_MISSING)
            lower, upper = upper, lower
        else:
            thresholds.append(repr(tree.number[node]))
            kinds.append(_NAN_IS_MISSING | (_DEFAULT_LEFT if tree.missing_left[node] else 0))
        left.append(lower)
        right.append(upper)
    boundaries = [0]
    for words in sets:
        boundaries.append(boundaries[-1] + len(words))
    zeros = [0] * len(inner)
    lines: dict[str, Sequence[Any]] = {
        "num_leaves": [len(leaves)],
        "num_cat": [len(sets)],
        "split_feature": [column[tree.feature[node]] for node in inner],
        "split_gain": zeros,
        "threshold": thresholds,
        "decision_type": kinds,
        "left_child": left,
        "right_child": right,
        "leaf_value": [repr(tree.number[node]) for node in leaves],
        "leaf_weight": [0] * len(leaves),
        "leaf_count": [0] * len(leaves),
        "internal_value": zeros,
        "internal_weight": zeros,
        "internal_count": zeros,
        **({"cat_boundaries": boundaries, "cat_threshold": [w for words in sets for w in words]} if sets else {}),
        "is_linear": [0],
        "shrinkage": [1],
    }
    body = "".join(f"{key}={' '.join(map(str, values))}\n" for key, values in lines.items())
    return f"Tree={number}\n{body}\n\n"


def _bits(code: int) -> list[int]:
    """The set that holds one category, in words of 32 bits."""
    return [*([0] * (code // _WORD)), 1 << (code % _WORD)]


def _caller(library: ctypes.PyDLL, booster: ctypes.c_void_p, config: ctypes.c_void_p, width: int) -> RawScore:
    row = ctypes.create_string_buffer(8 * width)
    length, result = ctypes.c_int64(), ctypes.c_double()
    write = Struct(f"{width}d").pack_into
    predict = library.LGBM_BoosterPredictForMatSingleRowFast
    # Addresses as plain numbers: ctypes passes them on fastest.
    handle, values_at = config.value, ctypes.addressof(row)
    length_at, result_at = ctypes.addressof(length), ctypes.addressof(result)
    # Row and result are shared; a version may be warmed in one thread while it answers in another.
    lock = threading.Lock()

    def score(*values: float) -> float:
        with lock:
            write(row, 0, *values)
            if predict(handle, values_at, length_at, result_at) != 0:
                raise RuntimeError("LightGBM's library refuses to score")
            return result.value

    score.__dict__["kept"] = (booster, length)  # live as long as the function
    return score


@cache
def _library() -> ctypes.PyDLL | None:
    """LightGBM's shared library. A PyDLL: a call is so short that giving up the interpreter's lock costs more."""
    found = find_spec("lightgbm")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0])
    for name in ("lib_lightgbm.so", "lib_lightgbm.dylib"):
        for path in (folder / "lib" / name, folder / name):
            if path.exists():
                try:
                    library = ctypes.PyDLL(str(path))
                except OSError:  # it needs an OpenMP runtime that is not there
                    return None
                pointer = ctypes.c_void_p
                library.LGBM_BoosterPredictForMatSingleRowFast.argtypes = [pointer, pointer, pointer, pointer]
                return library
    return None
