"""What a lead is: its id, its time, its target and its features, as declared in leadgate.yaml (quiet)."""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FeatureValue = float | str | bool | None
"""One raw value of a lead: float for numeric, str for categorical, bool for boolean, None for missing."""

MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "#n/a", "nil"})
"""What files write for "no value", compared without case and surrounding blanks."""

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "1", "1.0"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "0", "0.0"})


class FeatureType(StrEnum):
    """How the values of a feature are read, checked and prepared for a model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"


class Record(BaseModel):
    """Base of everything in leadgate.yaml: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Feature(Record):
    """One column of a lead that a model may use."""

    name: str
    type: FeatureType
    use: bool = True
    """False keeps the column in the snapshots and out of every model (a leakage suspect, say)."""
    range: tuple[float | None, float | None] | None = None
    """Smallest and largest plausible value of a numeric feature, both inclusive; null leaves a side open."""
    missing: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Largest share of rows of an import in which the value may be missing."""
    categories: tuple[str, ...] | None = None
    """The known categories; None accepts any."""
    unknown: Literal["accept", "reject"] = "accept"
    """What an import does with a category that is not known: take the row and count it, or quarantine it."""

    @model_validator(mode="after")
    def _fits_type(self) -> "Feature":
        if self.range is not None and self.type is not FeatureType.NUMERIC:
            raise ValueError(f"only a numeric feature has a range; {self.name} is {self.type.value}")
        if self.categories is not None and self.type is not FeatureType.CATEGORICAL:
            raise ValueError(f"only a categorical feature has categories; {self.name} is {self.type.value}")
        low, high = self.range or (None, None)
        if low is not None and high is not None and low > high:
            raise ValueError(f"the range of {self.name} starts at {low:g}, above its end {high:g}")
        return self


class LeadSchema(Record):
    """The columns of a lead and what they mean."""

    id: str
    """Column that names a lead, unique in every file."""
    timestamp: str | None = None
    """Column with the time at which the lead was created; None when the file has none."""
    target: str
    """Column that says whether the lead converted."""
    converted_when: str | None = None
    """The target's value that means "converted", when it is not one of true/yes/1."""
    features: tuple[Feature, ...]
    segments: tuple[str, ...] = ()
    """Names of categorical or boolean features by which every evaluation is also broken down."""

    @model_validator(mode="after")
    def _hangs_together(self) -> "LeadSchema":
        names = [feature.name for feature in self.features]
        own = [self.id, self.target, *([self.timestamp] if self.timestamp else [])]
        twice = sorted({name for name in names + own if (names + own).count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is declared twice; id, timestamp, target are not features")
        if not self.used:
            raise ValueError("no feature is in use; set `use: true` on at least one")
        for segment in self.segments:
            feature = next((f for f in self.features if f.name == segment), None)
            if feature is None or feature.type is FeatureType.NUMERIC:
                raise ValueError(f"segment {segment!r} is not a categorical or boolean feature")
        return self

    @property
    def used(self) -> tuple[Feature, ...]:
        """The features that models are trained on, in declared order."""
        return tuple(feature for feature in self.features if feature.use)

    def feature(self, name: str) -> Feature:
        """The feature of that name; KeyError when there is none."""
        return {feature.name: feature for feature in self.features}[name]

    @property
    def digest(self) -> str:
        """SHA-256 of what decides a model's input: names and types of the used features, in order.

        Ranges and limits are left out: they judge rows, they do not change what a model sees.
        """
        what = [[feature.name, feature.type.value] for feature in self.used]
        return hashlib.sha256(json.dumps(what, ensure_ascii=True).encode()).hexdigest()
