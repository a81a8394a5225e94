"""What a lead is: its id, its time, its target and its features, as declared in leadgate.yaml (quiet)."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from leadgate.leads.feature_code import FeatureCode, fault_of
from leadgate.leads.kinds import FeatureType, FeatureValue, Record

__all__ = [
    "FALSE_WORDS",
    "MISSING_WORDS",
    "TRUE_WORDS",
    "Feature",
    "FeatureType",
    "FeatureValue",
    "LeadSchema",
    "MadeRules",
    "Record",
]

MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "#n/a", "nil"})
"""What files write for "no value", compared without case and surrounding blanks."""

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "1", "1.0"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "0", "0.0"})


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


class MadeRules(Record):
    """Settings of one feature that features.py makes; all of them may be left out."""

    name: str
    use: bool = True
    """False keeps it out of every model."""
    range: tuple[float | None, float | None] | None = None
    """Smallest and largest plausible value, both inclusive; null leaves a side open."""
    missing: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Largest share of leads for which it may be missing."""
    categories: tuple[str, ...] | None = None
    """The known categories; None accepts any."""


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
    made: tuple[MadeRules, ...] = ()
    """Settings of features that features.py makes."""
    code: FeatureCode | None = None
    """The features.py beside leadgate.yaml; never written in it. A version's card carries the one it learnt with.

    Of one that cannot be used a ``FaultyCode`` stands here: whatever needs its features raises its fault.
    """

    @model_validator(mode="after")
    def _hangs_together(self) -> "LeadSchema":
        names = [feature.name for feature in self.features]
        own = [self.id, self.target, *([self.timestamp] if self.timestamp else [])]
        twice = sorted({name for name in names + own if (names + own).count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is declared twice; id, timestamp, target are not features")
        for segment in self.segments:
            feature = next((f for f in self.features if f.name == segment), None)
            if feature is None or feature.type is FeatureType.NUMERIC:
                raise ValueError(f"segment {segment!r} is not a categorical or boolean feature")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without features.py a schema is written as it was before there was one, byte for byte."""
        if self.fault is not None:  # no card can be read that says so
            return {**handler(self.model_copy(update={"code": None})), "code": {"fault": self.fault}}
        written: dict[str, Any] = handler(self)
        return {key: value for key, value in written.items() if key not in {"made", "code"} or value}

    @property
    def fault(self) -> str | None:
        """Why features.py cannot be used, as a sentence; None where it can, or where there is none."""
        return fault_of(self.code)

    @property
    def sound(self) -> tuple[Feature, ...]:
        """``used``, less the made features where features.py cannot be used: for looking on, never to make a model."""
        return self.used if self.fault is None else tuple(feature for feature in self.features if feature.use)

    @property
    def used(self) -> tuple[Feature, ...]:
        """The features that models are trained on: raw columns in declared order, then made ones by name."""
        return (*(feature for feature in self.features if feature.use), *self.made_features)

    @property
    def made_features(self) -> tuple[Feature, ...]:
        """The features in use that features.py makes, by name."""
        rules = {made.name: made.model_dump(exclude={"name"}) for made in self.made}
        return tuple(
            Feature(name=made.name, type=made.type, **rules.get(made.name, {}))
            for made in (self.code.features if self.code else ())
        )

    @property
    def taken(self) -> tuple[Feature, ...]:
        """The raw columns that are in use or that a made feature takes, in declared order: what a score needs."""
        inputs = self.code.inputs if self.code else frozenset()
        return tuple(feature for feature in self.features if feature.use or feature.name in inputs)

    def feature(self, name: str) -> Feature:
        """The feature of that name, raw or made; KeyError when there is none."""
        return {feature.name: feature for feature in (*self.features, *self.made_features)}[name]

    @property
    def made_digests(self) -> dict[str, str]:
        """By made feature in use, the digest of its code and its inputs."""
        return {made.name: made.digest for made in (self.code.features if self.code else ())}

    @property
    def digest(self) -> str:
        """SHA-256 of what decides a model's input: names and types of the used features, in order.

        Of a made feature its own digest too: of its code and its inputs. Ranges and limits are left out: they judge
        rows, they do not change what a model sees.
        """
        raw = [[feature.name, feature.type.value] for feature in self.features if feature.use]
        digests = self.made_digests
        what = [*raw, *([made.name, made.type.value, digests[made.name]] for made in self.made_features)]
        return hashlib.sha256(json.dumps(what, ensure_ascii=True).encode()).hexdigest()
