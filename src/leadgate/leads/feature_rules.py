"""What features.py may do: compute from what it is given, and nothing else (quiet).

These rules keep a feature the same wherever and whenever it is computed. They are no prison: whoever may commit
features.py, or write to the registry, is trusted as the author of the model is.
"""

import ast
import difflib
from typing import NoReturn

from leadgate.errors import BadConfigError

ALLOWED = frozenset(
    {
        "__future__",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "itertools",
        "json",
        "leadgate",
        "leadgate.leads.events",
        "math",
        "operator",
        "re",
        "statistics",
        "string",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zoneinfo",
    }
)
"""The modules that features.py may import."""

_FROM_LEADGATE = frozenset({"Event", "Events"})
_CLOCKS = frozenset({"now", "utcnow", "today"})
_FORBIDDEN = {
    **dict.fromkeys(
        ("open", "input", "print", "breakpoint", "help", "exit", "quit"), "a feature reads and writes nothing"
    ),
    **dict.fromkeys(("exec", "eval", "compile", "__import__", "globals", "locals", "vars"), "write the code out"),
    **dict.fromkeys(("getattr", "setattr", "delattr"), "name the attribute"),
    **dict.fromkeys(
        ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"),
        "it could end the service; a value that cannot be made is None",
    ),
    **dict.fromkeys(("hash", "id"), "it differs from process to process; hashlib does not"),
}
"""Built-in names that a feature does without, and why or what instead."""
FORBIDDEN = frozenset(_FORBIDDEN)
_CHANGING = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "move_to_end",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "subtract",
        "update",
    }
)
"""Methods that change what they are called on."""

_AT_THE_TOP = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)


def parse_lawful(source: str, file: str) -> ast.Module:
    """The syntax tree of a features.py that keeps the rules.

    Raises BadConfigError for the first thing that a feature may not do, with its line and what to do.
    """
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise BadConfigError(f"{file}, line {line}: this is not Python: {getattr(error, 'msg', error)}.") from error
    _require_lawful(module, file)
    return module


def _require_lawful(module: ast.Module, file: str) -> None:
    for statement in module.body:
        _require_declaration(statement, file)
    forbidden = FORBIDDEN - _bound(module)
    _require_no_memory(module, file)
    for node in ast.walk(module):
        match node:
            case ast.Import():
                for alias in node.names:
                    _require_allowed(node, alias.name, file)
            case ast.ImportFrom():
                _require_allowed_from(node, file)
            case ast.Attribute():
                _require_attribute(node, file)
            case ast.Name() if node.id in forbidden:
                refuse(node, file, f"{node.id} is not for features: {_FORBIDDEN[node.id]}")
            case ast.Call():
                _require_zone(node, file)
            case ast.Global():
                refuse(node, file, "a feature changes no global name: a lead's value must not depend on other leads")
            case _:
                pass


def _bound(module: ast.Module) -> set[str]:
    """Names that the file gives a meaning of its own, such as a column called ``id``."""
    arguments = {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)}
    return arguments | {n.id for n in ast.walk(module) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _require_no_memory(module: ast.Module, file: str) -> None:
    constants = _constants(module)
    for node in ast.walk(module):
        changed = _changed_by(node)
        if isinstance(changed, ast.Name) and changed.id in constants:
            refuse(node, file, f"this changes {changed.id!r} for the leads to come: a value must not depend on others")
        if _keeps_all(node):
            refuse(node, file, "this keeps what it made of every lead, until a worker is full; write @lru_cache(1000)")


def _constants(module: ast.Module) -> set[str]:
    """Names that mean the same everywhere in the file: given a value at its top and in no function."""
    given = [n for node in module.body if isinstance(node, ast.Assign | ast.AnnAssign) for n in ast.walk(node)]
    top = {node.id for node in given if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    top |= {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    inside = [n for node in module.body if not isinstance(node, ast.Assign | ast.AnnAssign) for n in ast.walk(node)]
    own = {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)}
    own |= {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return top - own


def _changed_by(node: ast.AST) -> ast.AST | None:
    """What a node changes in place: by an item, an attribute, or a method that is known to."""
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
        return node.func.value
    return None


def _keeps_all(node: ast.AST) -> bool:
    """Whether a node is the cache of ``functools`` that never forgets."""
    match node:
        case ast.ImportFrom(module="functools"):
            return any(alias.name == "cache" for alias in node.names)
        case ast.Attribute(value=ast.Name(id="functools"), attr="cache"):
            return True
        case ast.Call(func=ast.Name(id="lru_cache") | ast.Attribute(attr="lru_cache")):
            given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "maxsize")]
            return isinstance(given[0], ast.Constant) and given[0].value is None if given else False
        case _:
            return False


def refuse(node: ast.AST, file: str, sentence: str) -> NoReturn:
    """Raise BadConfigError with the line of a node."""
    raise BadConfigError(f"{file}, line {getattr(node, 'lineno', 1)}: {sentence}.")


def _require_declaration(node: ast.stmt, file: str) -> None:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if not text and not isinstance(node, _AT_THE_TOP):
        refuse(node, file, "only imports, constants, functions and classes stand at the top; put this into a function")
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        if not all(isinstance(part, ast.Name | ast.Tuple | ast.expr_context) for part in ast.walk(target)):
            refuse(node, file, "a constant is given its value once, as a whole; build it in one expression")
    for decorator in getattr(node, "decorator_list", []):
        if "register" in {part.attr for part in ast.walk(decorator) if isinstance(part, ast.Attribute)}:
            refuse(node, file, "functions that are registered with another are not for features; call them by name")


def _require_allowed(node: ast.AST, name: str, file: str) -> None:
    if name not in ALLOWED or name == "leadgate":
        near = difflib.get_close_matches(name, ALLOWED - {"__future__"}, n=1, cutoff=0.8)
        hint = f"did you mean {near[0]!r}?" if near else "what it gives must come in as a column or an event"
        known = ", ".join(sorted(ALLOWED - {"__future__", "leadgate", "leadgate.leads.events"}))
        refuse(node, file, f"features may not import {name!r}; {hint} (allowed: {known})")


def _require_allowed_from(node: ast.ImportFrom, file: str) -> None:
    module = node.module or ""
    if node.level:
        refuse(node, file, "features.py stands alone, for a version keeps its text; copy what is needed into it")
    if module.startswith("leadgate"):
        wrong = [alias.name for alias in node.names if alias.name not in _FROM_LEADGATE]
        if module not in ALLOWED or wrong:
            refuse(node, file, "of leadgate, features import Events and Event only: from leadgate import Events")
        return
    _require_allowed(node, module, file)
    for alias in node.names:
        if alias.name == "*":
            refuse(node, file, f"name what is imported from {module!r}; `*` hides it")


def _require_attribute(node: ast.Attribute, file: str) -> None:
    if node.attr in _CLOCKS:
        refuse(
            node,
            file,
            f".{node.attr}() is a clock, and a feature has none: training would see today where the score saw another "
            "day; take the score's time as a parameter, `at: datetime`",
        )
    if node.attr.startswith("__"):
        refuse(node, file, f".{node.attr} is not for features; use what is public")


def _require_zone(node: ast.Call, file: str) -> None:
    """Local time is another one on another machine."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    given = len(node.args) + len(node.keywords)
    if (name == "astimezone" and not given) or (name == "fromtimestamp" and given < 2):  # noqa: PLR2004  # and a zone
        refuse(node, file, f".{name}() without a time zone is the machine's local time; say which zone, such as UTC")
