"""What values of leads there are, and the base of every record in leadgate.yaml (quiet)."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

FeatureValue = float | str | bool | None
"""One raw value of a lead: float for numeric, str for categorical, bool for boolean, None for missing."""


class FeatureType(StrEnum):
    """How the values of a feature are read, checked and prepared for a model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


class Record(BaseModel):
    """Base of everything in leadgate.yaml: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def value_of(value: object, kind: FeatureType) -> FeatureValue:
    """A value that JSON held, as a type of today has it; one of another type is missing."""
    if kind is FeatureType.NUMERIC:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind is FeatureType.BOOLEAN:
        return value if isinstance(value, bool) else None
    return value if isinstance(value, str) else None
