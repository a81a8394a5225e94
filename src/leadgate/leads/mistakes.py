"""What is wrong with a value of leadgate.yaml, in words of the file and not of the library that reads it (quiet)."""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_PLAIN = frozenset({"bool", "int", "float", "str"})
"""What pydantic adds to the place of a value that may be of several kinds, once for each that it is not."""

_FLAG = "write true or false"
_WHOLE = "write a whole number"
_NUMBER = "write a number"
_LIST = "write a list, such as [a, b]"
_SECTION = "write keys with their values below it"

_WANTED = {
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "string_type": "write text, in quotes where it is not taken for text",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "plain_type": "write text, a number, true, false or null",
    "key_type": "write the name as text, in quotes",
}

_WANTED_WITH: dict[str, Callable[[dict[str, Any]], str]] = {
    "literal_error": lambda ctx: f"write {ctx['expected']}",
    "enum": lambda ctx: f"write {ctx['expected']}",
    "greater_than": lambda ctx: f"write a number above {ctx['gt']:.12g}",
    "greater_than_equal": lambda ctx: f"write a number of at least {ctx['ge']:.12g}",
    "less_than": lambda ctx: f"write a number below {ctx['lt']:.12g}",
    "less_than_equal": lambda ctx: f"write a number of at most {ctx['le']:.12g}",
    "too_short": lambda ctx: f"write at least {_items(ctx['min_length'])}",
    "too_long": lambda ctx: f"write at most {_items(ctx['max_length'])}",
    "string_pattern_mismatch": lambda ctx: _form(ctx["pattern"]),
}


def first_mistake(error: "ValidationError") -> "ErrorDetails":
    """The first mistake that pydantic found; of a value that is of none of several kinds, one for all of them."""
    found = error.errors()
    first = found[0]
    place, last = first["loc"][:-1], first["loc"][-1:]
    if last == ("[key]",):
        return {**first, "loc": place, "type": "key_type"}
    kinds = {each["loc"][-1] for each in found if each["loc"] and each["loc"][:-1] == place}
    if last and last[0] in _PLAIN and len(kinds & _PLAIN) > 1:
        return {**first, "loc": place, "type": "plain_type"}
    return first


def complaint(mistake: "ErrorDetails") -> str:
    """What the value should be, and what it is."""
    kind, given = mistake["type"], mistake["input"]
    if kind in _WANTED:
        return f"{_WANTED[kind]} (it is {_told(given)})"
    if kind in _WANTED_WITH:
        context = mistake["ctx"]
        count = context.get("actual_length")
        is_now = f"it is {_told(given)}" if count is None else f"it has {count or 'none'}"
        return f"{_WANTED_WITH[kind](context)} ({is_now})"
    message = mistake["msg"].removeprefix("Value error, ")
    is_now = "" if isinstance(given, dict | list) else f" (it is {_told(given)})"
    return f"{message[:1].lower()}{message[1:]}{is_now}"


def _told(value: object) -> str:
    """A value as YAML has it."""
    match value:
        case None:
            return "null or empty"
        case bool():
            return "true" if value else "false"
        case dict():
            return "keys with values"
        case list() | tuple():
            return "a list"
        case date():
            return f"the date {value.isoformat()}"
        case _:
            return repr(value)


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _form(pattern: str) -> str:
    """What a name may be made of; for the patterns of leadgate.yaml's records."""
    first = {r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "a letter or digit", r"^[A-Za-z][A-Za-z0-9_-]*$": "a letter"}.get(pattern)
    return f"write letters, digits, _ and - only, {first} first" if first else f"write text of the form {pattern}"
