"""Turns a program into a function of one lead (quiet).

The function is Python source, made here and executed once. That is safe because nothing of the source comes from the
file as text: it is put together from templates of this module and from numbers that were parsed as numbers, written by
``repr``. Categories, which are free text, never enter it; they are keys of dictionaries that the function is given.
"""

from collections.abc import Callable, Sequence
from math import exp, nan
from typing import Any

from leadgate.compiled.program import Isotonic, Linear, LinearNumber, Program, Sigmoid, Tree, Trees, digest
from leadgate.leads.schema import FeatureValue

_DEEPEST = 80
"""Python's parser takes nested conditions to a depth of 200; deeper trees are walked instead."""

_NODES_A_FUNCTION = 4_000
"""Larger functions compile slowly."""


class Scorer:
    """Scores leads with a program. The values of a lead come in the order of ``program.features``."""

    def __init__(self, program: Program, raw: Callable[..., float] | None = None) -> None:
        """``raw``: sums the trees instead of Python, from ``native.py``."""
        self.digest = digest(program)
        self.score: Callable[[Sequence[FeatureValue]], float] = _function(program, raw)
        """Probability of conversion of one lead, from its raw values."""

    def score_many(self, rows: Sequence[Sequence[FeatureValue]]) -> list[float]:
        """Probabilities of many leads; each is exactly what ``score`` gives."""
        return [self.score(row) for row in rows]


def _function(program: Program, raw: Callable[..., float] | None) -> Callable[[Sequence[FeatureValue]], float]:
    names: dict[str, Any] = {"exp": exp, "nan": nan}
    lines = ["def score(values):", f"    {_targets(len(program.features))} = values"]
    if isinstance(program.model, Linear):
        lines += _linear(program.model, names)
    else:
        lines += _trees(program.model, names, raw)
    lines += _link(program, names)
    source = "\n".join(lines)
    exec(compile(source, "<compiled scorer>", "exec"), names)  # noqa: S102  # our own templates and numbers, see above
    made: Callable[[Sequence[FeatureValue]], float] = names["score"]
    return made


def link_of(program: Program) -> Callable[[float], float]:
    """From the model's sum to the probability, through the calibration: the last lines of the scorer alone."""
    names: dict[str, Any] = {"exp": exp}
    source = "\n".join(["def link(s):", *_link(program, names)])
    exec(compile(source, "<compiled link>", "exec"), names)  # noqa: S102  # our own templates and numbers, see above
    made: Callable[[float], float] = names["link"]
    return made


def _targets(count: int) -> str:
    return ", ".join(f"x{i}" for i in range(count)) + ","


def _linear(model: Linear, names: dict[str, Any]) -> list[str]:
    lines = [f"    s = {model.intercept!r}"]
    for number in model.numbers:
        lines += _linear_number(number)
    for category in model.categories:
        i = category.feature
        weights = dict[str | None, float](category.weights.items())
        weights[None] = category.missing
        names[f"w{i}"] = weights.get
        lines.append(f"    s += w{i}(x{i}, {category.unknown!r})")
    return lines


def _linear_number(n: LinearNumber) -> list[str]:
    x = f"x{n.feature}"
    return [
        f"    if {x} is None or {x} != {x}:",
        f"        s += {n.missing!r}",
        "    else:",
        f"        z = {x} * {n.scale!r} + {n.offset!r}",
        f"        s += {n.weight!r} if z >= 1.0 else {n.weight!r} * z if z > 0.0 else 0.0",
    ]


def _trees(model: Trees, names: dict[str, Any], raw: Callable[..., float] | None) -> list[str]:
    """The sum of the trees, in functions of bounded size; numbers are x, category codes are c.

    Trees are added one by one to the baseline, in the library's own order: the sum is then the same to the last bit,
    and a steep step of an isotonic calibration has no difference that it could magnify.
    """
    coded = {c.feature for c in model.categories}
    used = {f for tree in model.trees for f in tree.feature if f >= 0}
    lines = []
    for c in model.categories:
        if c.feature in used:
            codes = dict[str | None, int](c.codes.items())
            codes[None] = c.missing
            names[f"k{c.feature}"] = codes.get
            lines.append(f"    c{c.feature} = k{c.feature}(x{c.feature}, {c.unknown})")
    lines += [f"    if x{i} is None: x{i} = nan" for i in sorted(used - coded)]
    arguments = [f"c{i}" if i in coded else f"x{i}" for i in sorted(used)]
    if raw is not None:
        names["raw"] = raw
        return [*lines, f"    s = {model.baseline!r} + raw({', '.join(arguments)})"]
    lines.append(f"    s = {model.baseline!r}")
    for number, part in enumerate(_parts(model.trees)):
        lines += [f"    s = part{number}({', '.join(['s', *arguments])})"]
        exec(compile(_part(number, arguments, part, names, coded), "<compiled trees>", "exec"), names)  # noqa: S102
    return lines


def _parts(trees: tuple[Tree, ...]) -> list[list[Tree]]:
    parts: list[list[Tree]] = []
    size = _NODES_A_FUNCTION
    for tree in trees:
        if size + len(tree.feature) > _NODES_A_FUNCTION:
            parts.append([])
            size = 0
        parts[-1].append(tree)
        size += len(tree.feature)
    return parts


def _part(number: int, arguments: list[str], trees: list[Tree], names: dict[str, Any], coded: set[int]) -> str:
    lines = [f"def part{number}({', '.join(['s', *arguments])}):"]
    for place, tree in enumerate(trees):
        if _depth(tree) <= _DEEPEST:
            lines.append(f"    s += {_expression(tree, 0)}")
        else:
            names[f"t{number}_{place}"] = tree
            names["walk"] = _walk
            values = ", ".join(f"{i}: {'c' if i in coded else 'x'}{i}" for i in sorted({*tree.feature} - {-1}))
            lines.append(f"    s += walk(t{number}_{place}, {{{values}}})")
    return "\n".join([*lines, "    return s"])


def _depth(tree: Tree) -> int:
    deepest, waiting = 0, [(0, 0)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        if tree.feature[node] >= 0:
            waiting += [(tree.left[node], depth + 1), (tree.right[node], depth + 1)]
    return deepest


def _expression(tree: Tree, node: int) -> str:
    """A tree as nested conditions. A missing number compares false with everything, and so goes where it should."""
    feature, number = tree.feature[node], tree.number[node]
    if feature < 0:
        return repr(number)
    left, right = _expression(tree, tree.left[node]), _expression(tree, tree.right[node])
    if tree.code[node] >= 0:
        return f"({right} if c{feature} == {tree.code[node]} else {left})"
    if tree.missing_left[node]:
        return f"({right} if x{feature} > {number!r} else {left})"
    return f"({left} if x{feature} <= {number!r} else {right})"


def _walk(tree: Tree, values: dict[int, Any]) -> float:
    """A tree's value, node by node: for trees too deep to be an expression."""
    node = 0
    while tree.feature[node] >= 0:
        value, number = values[tree.feature[node]], tree.number[node]
        if tree.code[node] >= 0:
            goes_left = value != tree.code[node]
        else:
            goes_left = not value > number if tree.missing_left[node] else value <= number
        node = tree.left[node] if goes_left else tree.right[node]
    return tree.number[node]


def _link(program: Program, names: dict[str, Any]) -> list[str]:
    # The form that scipy's expit and LightGBM compute, so that results agree to the bit; exp overflows above 709.78.
    logistic = ["    s = 0.0 if s < -709.0 else 1.0 / (1.0 + exp(-s))"]
    match program.calibration:
        case None:
            return [*logistic, "    return s"]
        case Isotonic() as isotonic:
            names["calibrate"] = _isotonic(isotonic)
            calibrated = ["    s = calibrate(s)"]
        case Sigmoid() as sigmoid:
            calibrated = [f"    s = -({sigmoid.slope!r} * s + {sigmoid.intercept!r})", *logistic]
    first = logistic if program.calibrates == "probability" else []
    return [*first, *calibrated, "    return s"]


def _isotonic(points: Isotonic) -> Callable[[float], float]:
    from bisect import bisect_left  # noqa: PLC0415

    x, y, last = points.x, points.y, len(points.x) - 1

    def calibrate(s: float) -> float:
        if s <= x[0]:
            return y[0]
        if s >= x[last]:
            return y[last]
        i = bisect_left(x, s)
        return (y[i] - y[i - 1]) / (x[i] - x[i - 1]) * (s - x[i - 1]) + y[i - 1]

    return calibrate
