"""A compiled model as plain data (quiet).

A program says everything that scoring needs and nothing that runs: it can be read, compared and hashed, and loading
one executes no code from the file. All numbers are finite, so that JSON holds them to the bit.
"""

import hashlib
from typing import Literal

import msgspec

from leadgate.errors import LeadgateError

FORMAT = 1


class BadProgramError(LeadgateError):
    """A file that is no program this version of Leadgate can read."""


class LinearNumber(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A numeric feature's share of a linear score: ``weight * clip(value * scale + offset, 0, 1)``."""

    feature: int
    """Position among the features."""
    scale: float
    offset: float
    weight: float
    missing: float
    """The share when the value is missing."""


class LinearCategory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A categorical feature's share of a linear score."""

    feature: int
    weights: dict[str, float]
    missing: float
    unknown: float
    """The share of a category that training did not see."""


class Linear(msgspec.Struct, frozen=True, kw_only=True, tag="linear", forbid_unknown_fields=True):
    """A linear score: the intercept and a share for each feature."""

    intercept: float
    numbers: tuple[LinearNumber, ...]
    categories: tuple[LinearCategory, ...]


class CategoryCodes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A categorical feature as the one column that is 1 after one-hot encoding; -1 when none is."""

    feature: int
    codes: dict[str, int]
    missing: int
    unknown: int


class Tree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A binary tree; node 0 is the root. All tuples have one entry a node."""

    feature: tuple[int, ...]
    """Position of the feature that a node tests; -1 for a leaf."""
    code: tuple[int, ...]
    """The category code that goes right, all others going left; -1 for a numeric test."""
    number: tuple[float, ...]
    """Threshold of a numeric test (``value <= threshold`` goes left); a leaf's value; 0 for a category test."""
    missing_left: tuple[bool, ...]
    """Where a missing number goes."""
    left: tuple[int, ...]
    right: tuple[int, ...]


class Trees(msgspec.Struct, frozen=True, kw_only=True, tag="trees", forbid_unknown_fields=True):
    """A sum of trees."""

    baseline: float
    categories: tuple[CategoryCodes, ...]
    trees: tuple[Tree, ...]


class Sigmoid(msgspec.Struct, frozen=True, kw_only=True, tag="sigmoid", forbid_unknown_fields=True):
    """Platt's calibration: ``1 / (1 + exp(slope * input + intercept))``."""

    slope: float
    intercept: float


class Isotonic(msgspec.Struct, frozen=True, kw_only=True, tag="isotonic", forbid_unknown_fields=True):
    """Isotonic calibration: straight lines between points, flat outside them."""

    x: tuple[float, ...]
    """Ascending."""
    y: tuple[float, ...]


class Program(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From raw values to a probability: the model's sum, through the logistic function, through a calibration."""

    format: int
    features: tuple[str, ...]
    """Names of the raw values, in the order in which they are given."""
    model: Linear | Trees
    calibration: Sigmoid | Isotonic | None
    calibrates: Literal["sum", "probability"]
    """What the calibration takes: the model's sum, or its probability."""


def to_json(program: Program) -> bytes:
    """The program in its one canonical form: the same program, the same bytes."""
    return msgspec.json.encode(program, order="deterministic")


def from_json(text: bytes) -> Program:
    """Read a program. Raises BadProgramError."""
    try:
        program = msgspec.json.decode(text, type=Program)
    except msgspec.DecodeError as error:
        raise BadProgramError(f"The compiled model cannot be read ({error}); train the version again.") from error
    if program.format != FORMAT:
        raise BadProgramError(
            f"The compiled model has format {program.format}, this Leadgate reads {FORMAT}; train the version again."
        )
    return program


def digest(program: Program) -> str:
    """SHA-256 of the learned parameters: the digest of a model."""
    return hashlib.sha256(to_json(program)).hexdigest()
