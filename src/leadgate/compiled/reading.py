"""What the readers of fitted models share (quiet)."""

from dataclasses import dataclass
from typing import Any

from leadgate.compiled.program import CategoryCodes
from leadgate.errors import LeadgateError


class CannotCompileError(LeadgateError):
    """A pipeline that Leadgate does not understand to the last bit; says what it stumbled over."""


def require(holds: bool, otherwise: str) -> None:
    """Raise CannotCompileError with the reason, unless it holds."""
    if not holds:
        raise CannotCompileError(otherwise)


def kind_of(part: Any) -> str:
    """Library and class of a fitted part, such as ``sklearn OneHotEncoder``: a subclass may score differently."""
    return f"{type(part).__module__.partition('.')[0]} {type(part).__name__}"


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The columns of the prepared matrix: numbers first, then one-hot columns."""

    numbers: tuple[int, ...]
    """Positions of the numeric and boolean features, in the order of their columns."""
    categories: tuple[CategoryCodes, ...]
    """The categorical features; their codes count one-hot columns from 0."""

    def source(self, column: int) -> tuple[int, int]:
        """Which feature a column of a tree model comes from, and its code (-1 for a number)."""
        if column < len(self.numbers):
            return self.numbers[column], -1
        code = column - len(self.numbers)
        owner = [c for c in self.categories if code in {*c.codes.values(), c.missing, c.unknown}]
        # A one-hot column that no value of any lead can set cannot be tested in a way that matters; be strict anyway.
        require(len(owner) == 1, f"one-hot column {code} belongs to no feature")
        return owner[0].feature, code
