"""A team's own features: the text of features.py, what is in it, and the values it makes of a lead (quiet)."""

import builtins
import math
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any, NamedTuple, NoReturn

from leadgate.errors import BadConfigError
from leadgate.leads.endless import LONGEST_S, EndlessError, limited
from leadgate.leads.events import Events
from leadgate.leads.feature_rules import ALLOWED, FORBIDDEN, parse_lawful
from leadgate.leads.kinds import FeatureType, FeatureValue, Record

FILE = "features.py"
"""Stands beside leadgate.yaml."""
LONGEST_TEXT = 10_000
"""Characters of a category, as of a text that a request sends: each score logs it."""
_TOLD = 300
"""Characters of an error that are repeated: it may hold a lead's whole history."""


class MadeFeature(Record):
    """One function of features.py, as a feature."""

    name: str
    type: FeatureType
    inputs: tuple[str, ...]
    """The columns that it takes, in the order of its parameters."""
    takes_events: bool = False
    takes_at: bool = False
    digest: str
    """SHA-256 of the function, of what it reaches in the file, and of its inputs; see ``feature_digest.py``."""


class FeatureCode(Record):
    """A features.py, whole: a version's card carries it, so that a version always computes as it learnt."""

    source: str
    """The text of the file."""
    features: tuple[MadeFeature, ...]
    """Those in use, by name: the order of functions in the file means nothing."""

    @property
    def takes_history(self) -> bool:
        """Whether any of them takes events or the score's time."""
        return any(feature.takes_events or feature.takes_at for feature in self.features)

    @property
    def takes_events(self) -> bool:
        """Whether any of them takes events."""
        return any(feature.takes_events for feature in self.features)

    @property
    def inputs(self) -> frozenset[str]:
        """The columns that they take."""
        return frozenset(name for feature in self.features for name in feature.inputs)


class FaultyCode:
    """Stands where a ``FeatureCode`` would, for a features.py that cannot be used: whoever asks for features is told.

    So a project can be read whatever its features.py says, and nothing can be trained, scored or hashed as if it had
    none.
    """

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> NoReturn:
        """Raises BadConfigError with the fault."""
        if name.startswith("_"):  # what Python and pydantic look for is not there
            raise AttributeError(name)
        raise BadConfigError(self._fault)


def fault_of(code: FeatureCode | FaultyCode | None) -> str | None:
    """Why a features.py cannot be used, as a sentence; None where it can, or where there is none."""
    return code._fault if isinstance(code, FaultyCode) else None  # noqa: SLF001  # public names raise


class Failure(NamedTuple):
    """Why a feature has no value for a lead."""

    feature: str
    why: str
    """Such as ``line 12 raised ZeroDivisionError: division by zero``."""


class Made(NamedTuple):
    """The made features of one lead."""

    values: tuple[FeatureValue, ...]
    """In the order of ``code.features``; None for one that failed."""
    failures: tuple[Failure, ...]


Maker = Callable[[Mapping[str, FeatureValue], Events, datetime | None], Made]
"""Takes a lead's columns by name (one that is not there is missing), its events before the score and its time (UTC)."""


def make_values(code: FeatureCode, columns: Mapping[str, FeatureValue], events: Events, at: datetime | None) -> Made:
    """The made features of one lead; a function that fails is missing and says why. See ``maker_of`` for many."""
    return maker_of(code)(columns, events, at)


@lru_cache(maxsize=64)
def maker_of(code: FeatureCode) -> Maker:
    """The functions of a features.py, ready to be called. Raises BadConfigError for code that is none any more."""
    names = load_features(code.source)
    calls = [(feature, names[feature.name], *_places(feature, names[feature.name])) for feature in code.features]

    def make(columns: Mapping[str, FeatureValue], events: Events, at: datetime | None) -> Made:
        values: list[FeatureValue] = []
        failures: list[Failure] = []
        for feature, function, places, convert in calls:
            arguments = [
                events if place is Events else at if place is datetime else columns.get(place) for place in places
            ]
            try:
                values.append(convert(function(*arguments)))
            except Exception as error:  # noqa: BLE001  # the team's code may raise anything
                values.append(None)
                failures.append(Failure(feature.name, _why(error)))
            except EndlessError as error:
                raise EndlessError(feature.name, _line_of(error)) from None
        return Made(tuple(values), tuple(failures))

    return make


def load_features(source: str, file: str = FILE) -> dict[str, Any]:
    """Run a features.py and give the names in it. Raises BadConfigError, with line and what to do."""
    return _load(source, file)


@lru_cache(maxsize=64)
def _load(source: str, file: str) -> dict[str, Any]:
    module = parse_lawful(source, file)
    code: CodeType = compile(module, FILE, "exec")
    names: dict[str, Any] = {"__name__": "features", "__builtins__": _BUILTINS}
    try:
        with limited(FILE):
            exec(code, names)  # noqa: S102  # what the file is for; its rules are checked before
    except EndlessError as error:
        raise BadConfigError(f"{file}, line {_line_of(error)}: this does not come to its end; mend it.") from None
    except Exception as error:
        raise BadConfigError(f"{file} cannot be loaded: {_why(error)}. Mend it and try again.") from error
    for name, value in names.items():
        if isinstance(value, ModuleType) and value.__name__ not in ALLOWED:
            raise BadConfigError(f"{file}: {name!r} is the module {value.__name__!r}, which features may not import.")
    return names


_BUILTINS = {name: value for name, value in vars(builtins).items() if name not in FORBIDDEN} | {
    "__import__": __import__,  # of the modules on the list: the file's rules are checked before it is run
}


def hints_of(function: Any) -> dict[str, Any]:
    """The annotations of a function, by parameter, and ``return``. Raises NameError, TypeError."""
    return typing.get_type_hints(function)


def _places(feature: MadeFeature, function: Any) -> tuple[list[Any], Callable[[Any], FeatureValue]]:
    """What each parameter takes, and how the answer is read."""
    columns = iter(feature.inputs)
    hints = {name: hint for name, hint in hints_of(function).items() if name != "return"}
    places = [hint if hint in {Events, datetime} else next(columns) for hint in hints.values()]
    return places, _READ[feature.type]


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongError(f"gave {_told(value)}, not a number")
    number = float(value)
    if math.isinf(number):
        raise _WrongError("gave an infinite number")
    return None if math.isnan(number) else number


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _WrongError(f"gave {_told(value)}, not text")
    if not value.isascii():
        value.encode()  # half a character can be neither logged nor answered
    if "\0" in value:
        raise _WrongError("gave text with a NUL character")
    if len(value) > LONGEST_TEXT:
        raise _WrongError(f"gave text of {len(value):,} characters, more than {LONGEST_TEXT:,}")
    return str(value)


def _flag(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise _WrongError(f"gave {_told(value)}, neither True nor False")


_READ: dict[FeatureType, Callable[[Any], FeatureValue]] = {
    FeatureType.NUMERIC: _number,
    FeatureType.CATEGORICAL: _text,
    FeatureType.BOOLEAN: _flag,
}


class _WrongError(Exception):
    """A value that a feature may not have."""


def _told(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:40] + '...'} ({type(value).__name__})"  # noqa: PLR2004  # readable


def _line_of(error: BaseException) -> int | None:
    """The innermost line of the file that an error came through."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def told_of(error: EndlessError, lead_id: object) -> str:
    """The sentence for a function that did not come to its end for a lead."""
    name, line = error.args or ("a function", None)
    where = f", line {line}" if line else ""
    return f"{FILE}{where}: {name!r} has not come to its end after {LONGEST_S:g} seconds for lead {lead_id!r}."


def _why(error: Exception) -> str:
    """What went wrong, and in which line of the file."""
    if isinstance(error, _WrongError):
        return str(error)
    line = _line_of(error)
    try:
        said = f"{type(error).__name__}: {error}".rstrip(": ")[:_TOLD]
    except Exception:  # noqa: BLE001  # an error of the team's own may not even be told
        said = type(error).__name__
    return f"line {line} raised {said}" if line else f"raised {said}"
