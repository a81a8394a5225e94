"""Digests of functions in features.py: of code and inputs, not of layout, comments or order (quiet).

A digest is taken of the syntax tree of a function and of everything in the module that it reaches, without positions,
comments, docstrings and annotations. The tree is written down here node by node, for ``ast.dump`` prints other text
in other versions of Python.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

Definitions = Mapping[str, tuple[ast.stmt, ...]]
"""By name, the statements at the top of a module that give it a meaning."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_UNSEEN = frozenset({"ctx", "type_comment", "kind", "returns", "annotation", "type_params"})
"""Fields of a node that change nothing that is computed."""


def definitions(module: ast.Module) -> Definitions:
    """What stands at the top of a module, by name."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in module.body:
        for name in _bound_by(statement):
            found.setdefault(name, []).append(statement)
    return {name: tuple(statements) for name, statements in found.items()}


def digest_of(name: str, there: Definitions, inputs: Sequence[Sequence[str]]) -> str:
    """SHA-256 of a function, of all that it reaches in its module, and of its inputs and their types.

    ``inputs`` are lists of text in the order of the parameters. The digest stays when comments, docstrings, layout,
    annotations, the order of functions or what the function does not reach change, and is the same in Python 3.11 to
    3.13.
    """
    code = [[one, [_definition(one, statement) for statement in there[one]]] for one in sorted(_reached(name, there))]
    return hashlib.sha256(json.dumps([1, name, list(inputs), code]).encode()).hexdigest()


def _reached(name: str, there: Definitions) -> set[str]:
    """The names of a module that a function needs, itself among them."""
    reached, ahead = {name}, [name]
    while ahead:
        needed = set().union(*(_free(statement) for statement in there[ahead.pop()]))
        new = (needed & set(there)) - reached
        reached |= new
        ahead += sorted(new)
    return reached


def _definition(name: str, statement: ast.stmt) -> object:
    """One statement as it bears on one of the names that it binds: an import of ten names is ten imports."""
    if isinstance(statement, ast.Import):
        return ["import", *sorted(a.name for a in statement.names if (a.asname or a.name.partition(".")[0]) == name)]
    if isinstance(statement, ast.ImportFrom):
        return ["from", statement.module, *(a.name for a in statement.names if (a.asname or a.name) == name)]
    return _walk(statement)


def _walk(node: object, *, in_class: bool = False) -> object:  # noqa: PLR0911  # one a kind of node
    """A node as lists of text: its kind, and its fields that hold something."""
    match node:
        case list():
            return [_walk(entry, in_class=in_class) for entry in node if not _does_nothing(entry, in_class=in_class)]
        case ast.Constant():
            return ["Constant", type(node.value).__name__, _plain(node.value)]
        case ast.JoinedStr():
            return ["JoinedStr", *_merged(node.values)]
        case ast.AnnAssign() if not in_class and node.value is not None:
            return ["Assign", ["targets", [_walk(node.target)]], ["value", _walk(node.value)]]
        case ast.AnnAssign() if in_class:  # a field of a dataclass
            return ["Field", _walk(node.target), _walk(node.annotation), _walk(node.value)]
        case ast.AST():
            inner = isinstance(node, ast.ClassDef)
            fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _UNSEEN)
            kept = sorted((name, value) for name, value in fields if value is not None and value != [])
            return [type(node).__name__, *([name, _walk(value, in_class=inner)] for name, value in kept)]
        case _:
            return node


def _does_nothing(node: object, *, in_class: bool) -> bool:
    """A docstring, or a bare annotation outside a class."""
    if isinstance(node, ast.AnnAssign):
        return node.value is None and not in_class
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _merged(parts: Iterable[ast.expr]) -> Iterator[object]:
    """The parts of an f-string, text that stands side by side as one: versions of Python split it otherwise."""
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            text += part.value
            continue
        if text:
            yield ["text", text]
        text = ""
        yield _walk(part)
    if text:
        yield ["text", text]


def _bound_by(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Import():
            return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        case ast.ImportFrom():
            return {alias.asname or alias.name for alias in statement.names}
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case _:
            return _stored(statement)


def _stored(node: ast.AST) -> set[str]:
    """The names that are given a value below a node, whatever the scope."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    found |= {
        n.name for n in ast.walk(node) if isinstance(n, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and n.name
    }
    return found | {n.rest for n in ast.walk(node) if isinstance(n, ast.MatchMapping) and n.rest}


def _free(node: ast.AST) -> set[str]:
    """The names that a node takes from around it."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        return _free_of_function(node)
    if isinstance(node, _COMPREHENSIONS):
        first = node.generators[0].iter
        targets = set().union(*(_stored(generator.target) for generator in node.generators))
        return _free(first) | (_children(node) - targets)
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return _free(node.target) | _free(node.value)
    return _children(node)


def _children(node: ast.AST) -> set[str]:
    return set().union(*(_free(child) for child in ast.iter_child_nodes(node)))


def _free_of_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
    own = {argument.arg for argument in every if argument} | set().union(*(_bound_in(part) for part in body))
    around: list[ast.AST] = [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]
    around += [] if isinstance(node, ast.Lambda) else node.decorator_list
    inside = set().union(*(_free(part) for part in body)) - own
    return inside | set().union(*(_free(part) for part in around))


def _bound_in(node: ast.AST) -> set[str]:
    """The names that a function binds by this part of its body, not by scopes of their own within."""
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
        return {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return _bound_by(node)
    own = {node.id} if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        own = {node.name}
    if isinstance(node, ast.MatchMapping) and node.rest:
        own = {node.rest}
    return own | set().union(*(_bound_in(child) for child in ast.iter_child_nodes(node)))
