"""Reads features.py: which functions are features, of what type, and what they take (quiet)."""

import ast
import difflib
import keyword
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from leadgate.leads.events import Events
from leadgate.leads.feature_code import FILE, FeatureCode, MadeFeature, hints_of, load_features
from leadgate.leads.feature_digest import Definitions, definitions, digest_of
from leadgate.leads.feature_rules import parse_lawful, refuse
from leadgate.leads.kinds import FeatureType
from leadgate.leads.schema import LeadSchema

_RAW: dict[FeatureType, Any] = {
    FeatureType.NUMERIC: float | None,
    FeatureType.CATEGORICAL: str | None,
    FeatureType.BOOLEAN: bool | None,
}
"""What a column is to a feature: any value may be missing."""
_WORDS = {
    FeatureType.NUMERIC: "float | None",
    FeatureType.CATEGORICAL: "str | None",
    FeatureType.BOOLEAN: "bool | None",
}
_MADE: dict[Any, FeatureType] = {
    kind: made
    for plain, made in (
        (float, FeatureType.NUMERIC),
        (int, FeatureType.NUMERIC),
        (int | float, FeatureType.NUMERIC),
        (str, FeatureType.CATEGORICAL),
        (bool, FeatureType.BOOLEAN),
    )
    for kind in (plain, plain | None)
}
"""By return annotation, the type of a feature."""
_AT = "at"
"""How documents call the score's time; so may a file call its timestamp, and nobody is misled."""


def parse_features(source: str, schema: LeadSchema, file: str = FILE) -> FeatureCode:
    """Read the text of a features.py against the columns that leadgate.yaml declares.

    Those that ``lead.made`` switches off are left out. ``file`` names the file in error messages. Raises BadConfigError
    with line, function and what to do.
    """
    unused = {rules.name for rules in schema.made if not rules.use}
    made = every_feature(source, schema, file)
    return FeatureCode(source=source, features=tuple(feature for feature in made if feature.name not in unused))


def every_feature(source: str, schema: LeadSchema, file: str = FILE) -> tuple[MadeFeature, ...]:
    """Every public function of a features.py, by name, whether it is in use or not. Raises as ``parse_features``."""
    module = parse_lawful(source, file)
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    public = [node for node in functions if not node.name.startswith("_")]
    if not public:
        refuse(module, file, "there is no feature; write a function whose name begins with no `_`, or delete the file")
    _require_names(public, schema, file)
    names, there = load_features(source, file), definitions(module)
    made = [_feature(node, names[node.name], schema, there, file) for node in public]
    return tuple(sorted(made, key=lambda feature: feature.name))


def column_of(parameter: str, columns: Sequence[str]) -> str | None:
    """The column that a parameter names: by its very name, else by the only one that reads alike as a Python name."""
    if parameter in columns:
        return parameter
    alike = [name for name in columns if _slug(name) == _slug(parameter)]
    return alike[0] if len(alike) == 1 else None


def parameter_for(column: str) -> str:
    """How a column is called in features.py: ``Company Size`` is ``company_size``."""
    if column.isidentifier() and not keyword.iskeyword(column):
        return column
    slug = _slug(column)
    return (
        slug
        if slug.isidentifier() and not keyword.iskeyword(slug)
        else f"{slug}_"
        if slug[:1].isalpha()
        else f"c_{slug}"
    )


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower().removeprefix("c_")


def _require_names(functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef], schema: LeadSchema, file: str) -> None:
    taken = {feature.name for feature in schema.features} | {schema.id, schema.target, schema.timestamp}
    seen: dict[str, int] = {}
    for node in functions:
        if node.name in taken:
            refuse(node, file, f"{node.name!r} is a column of leadgate.yaml already; give the function another name")
        if node.name in seen:
            refuse(node, file, f"{node.name!r} is defined in line {seen[node.name]} already; rename one of the two")
        if isinstance(node, ast.AsyncFunctionDef):
            refuse(node, file, f"{node.name!r} is async; a feature waits for nothing, so write `def`")
        seen[node.name] = node.lineno


def _feature(
    node: ast.FunctionDef | ast.AsyncFunctionDef, function: Any, schema: LeadSchema, there: Definitions, file: str
) -> MadeFeature:
    """One function as a feature."""
    hints = _hints(node, function, file)
    declared = {feature.name: feature.type for feature in schema.features}
    arguments = _arguments(node, file)
    for argument in arguments:
        _require_no_own_column(node, argument, schema, list(declared), file)
    taken = [_taken(node, argument, hints, declared, file) for argument in arguments]
    columns = [name for name in taken if isinstance(name, str)]
    takes_events, takes_at = Events in taken, datetime in taken
    if (takes_events or takes_at) and schema.timestamp is None:
        refuse(
            node,
            file,
            f"{node.name!r} takes {'events' if takes_events else 'the time'} of a score, but leads have no timestamp; "
            "say in leadgate.yaml which column it is: lead.timestamp",
        )
    kind = _type(node, hints, file)
    inputs = [
        [name, declared[name].value] if isinstance(name, str) else ["events" if name is Events else "at"]
        for name in taken
    ]
    return MadeFeature(
        name=node.name,
        type=kind,
        inputs=tuple(columns),
        takes_events=takes_events,
        takes_at=takes_at,
        digest=digest_of(node.name, there, [*inputs, [kind.value]]),
    )


def _hints(node: ast.FunctionDef | ast.AsyncFunctionDef, function: Any, file: str) -> dict[str, Any]:
    try:
        return hints_of(function)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        refuse(node, file, f"the annotations of {node.name!r} cannot be read ({error}); import or mend what they name")


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, file: str) -> list[ast.arg]:
    a = node.args
    if a.vararg or a.kwarg or a.kwonlyargs or a.posonlyargs or a.defaults:
        refuse(node, file, f"{node.name!r} takes plain parameters only: no `*`, no `/`, no default values")
    if not a.args:
        refuse(node, file, f"{node.name!r} takes nothing, so it is the same for every lead; begin its name with `_`")
    return a.args


def _require_no_own_column(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    argument: ast.arg,
    schema: LeadSchema,
    declared: Sequence[str],
    file: str,
) -> None:
    """Refuse what is no feature of a lead and has a column all the same: its target, its id, its timestamp."""
    why = {
        schema.target: "is the target, which is known only after the score: no feature may take it",
        schema.id: "is the lead's id, which says nothing of any other lead: no feature may take it",
    }
    if schema.timestamp is not None and argument.arg != _AT:
        why[schema.timestamp] = (
            "is lead.timestamp, which is no feature; take the score's time under another name, `at: datetime` (in "
            "training that is the lead's timestamp, in an answer the moment of the score)"
        )
    own = None if column_of(argument.arg, declared) else column_of(argument.arg, list(why))
    if own is not None:
        refuse(argument, file, f"parameter {argument.arg!r} of {node.name!r} {why[own]}")


def _taken(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    argument: ast.arg,
    hints: Mapping[str, Any],
    declared: Mapping[str, FeatureType],
    file: str,
) -> Any:
    """What a parameter takes: the name of a column, the class Events, or the class datetime."""
    hint = hints.get(argument.arg)
    column = column_of(argument.arg, list(declared))
    where = f"parameter {argument.arg!r} of {node.name!r}"
    if hint in {Events, datetime}:
        if column is None:
            return hint
        what = "the lead's events" if hint is Events else "the score's time"
        refuse(
            argument,
            file,
            f"{where} is a column of leadgate.yaml and annotated as {what}; for the column write `{argument.arg}: "
            f"{_WORDS[declared[column]]}`, for {what} give it another name",
        )
    if column is None:
        near = difflib.get_close_matches(argument.arg, [parameter_for(name) for name in declared], n=1, cutoff=0.5)
        hint_at = f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(map(parameter_for, declared))}"
        refuse(
            argument, file, f"{where} is no column of leadgate.yaml; {hint_at} (or `events: Events`, `at: datetime`)"
        )
    words = _WORDS[declared[column]]
    if hint is None:
        refuse(argument, file, f"{where} has no annotation; write `{argument.arg}: {words}`")
    if hint != _RAW[declared[column]]:
        refuse(argument, file, f"{where} is a {declared[column].value} column; write `{argument.arg}: {words}`")
    return column


def _type(node: ast.FunctionDef | ast.AsyncFunctionDef, hints: Mapping[str, Any], file: str) -> FeatureType:
    known = "float, str or bool, each with `| None` where it may be missing"
    if "return" not in hints:
        refuse(node, file, f"{node.name!r} does not say what it gives; annotate it with `->`: {known}")
    kind = _MADE.get(hints["return"]) if _hashable(hints["return"]) else None
    if kind is None:
        refuse(node, file, f"{node.name!r} gives what no feature can be; annotate it with {known}")
    return kind


def _hashable(hint: Any) -> bool:
    return hint.__hash__ is not None
