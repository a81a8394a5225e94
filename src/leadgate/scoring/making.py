"""The features.py of a route's versions at work: made values beside the columns that a request takes (quiet).

A lead's values are extended by what each version's own code makes of them; each version then picks its own. Versions
with the same code share what it makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from leadgate.leads.events import Events, events_before
from leadgate.leads.feature_code import Failure, FeatureCode, Made, Maker, make_values, maker_of
from leadgate.leads.kinds import value_of
from leadgate.leads.schema import FeatureValue, LeadSchema

if TYPE_CHECKING:
    from leadgate.storage.postgres.events import KnownLead

Values = tuple[FeatureValue, ...]
FeatureSet = tuple[tuple[str, str], ...]
"""Names and digests of made features: two codes with the same ones make the same values."""

NO_EVENTS = Events()


class FeaturesOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a score of a lead would be made of now."""

    lead_id: str
    at: datetime
    """The time that its features are made for."""
    columns: dict[str, float | str | bool | None] | None
    """Its columns as last imported; null where no import had it since there is a features.py."""
    events: int
    """What it did before that time, and was known by then."""
    features: dict[str, float | str | bool | None]
    """What the version's features.py makes of that; null for what is missing."""
    failures: dict[str, str]
    """Why one of them failed; it is missing then."""
    model_version: str | None
    """Whose features.py it is: the champion's; null before there is a champion, and then it is the project's."""
    feature_set: str
    """Digest of all features that the version uses, of their code and of its inputs."""


@dataclass(frozen=True, kw_only=True)
class Making:
    """What the versions of a route make of a lead."""

    columns: tuple[str, ...]
    """What a request takes, in the order of the contract."""
    makers: tuple[Maker, ...]
    """One for each code that differs."""
    starts: Mapping[FeatureSet, int]
    """Where the made values of each code begin among the extended values."""
    takes_events: bool
    """Whether one of them takes events, so that a lead has to be looked up."""
    width: int
    """Number of the extended values."""
    names: tuple[str, ...]
    """Of all made features."""

    def extend(self, values: Values, events: Events, at: datetime) -> tuple[Values, tuple[Failure, ...]]:
        """A lead's values and what each code makes of them, and what failed.

        ``values`` are in the order of ``columns``, ``events`` are cut at ``at`` (UTC), the score's time.
        """
        columns = dict(zip(self.columns, values, strict=True))
        failures: tuple[Failure, ...] = ()
        for make in self.makers:
            made = make(columns, events, at)
            values += made.values
            failures += made.failures
        return values, failures

    def places_of(self, schema: LeadSchema) -> list[int]:
        """Where the features of a version stand among the extended values, in the order of ``schema.used``."""
        made = self.made_places(schema)
        raw = {name: i for i, name in enumerate(self.columns)}
        return [made[feature.name] if feature.name in made else raw[feature.name] for feature in schema.used]

    def made_places(self, schema: LeadSchema) -> dict[str, int]:
        """Where the made features of a version stand among the extended values, by name."""
        start = 0 if schema.code is None else self.starts[feature_set(schema.code)]
        return {feature.name: start + i for i, feature in enumerate(schema.made_features)}


def making_of(schemas: Sequence[LeadSchema], columns: Sequence[str]) -> Making | None:
    """The codes of versions that stand on one route; None where none has code. Raises BadConfigError."""
    codes: dict[FeatureSet, FeatureCode] = {}
    for schema in schemas:
        if schema.code is not None:
            codes.setdefault(feature_set(schema.code), schema.code)
    if not codes:
        return None
    starts, start = {}, len(columns)
    for key, code in codes.items():
        starts[key] = start
        start += len(code.features)
    return Making(
        columns=tuple(columns),
        makers=tuple(maker_of(code) for code in codes.values()),
        starts=starts,
        takes_events=any(code.takes_events for code in codes.values()),
        width=start,
        names=tuple(sorted({feature.name for code in codes.values() for feature in code.features})),
    )


def features_of(schema: LeadSchema, version: str | None, lead_id: str, known: "KnownLead", at: datetime) -> FeaturesOut:
    """What a version makes of a lead at a time (UTC), of its columns as last imported and of what it did."""
    columns = known.columns or {}
    given = {feature.name: value_of(columns.get(feature.name), feature.type) for feature in schema.taken}
    events, code = events_before(known.events, at), schema.code
    made = make_values(code, given, events, at) if code else Made((), ())
    return FeaturesOut(
        lead_id=lead_id,
        at=at,
        columns=None if known.columns is None else dict(known.columns),
        events=len(events),
        features=dict(zip([feature.name for feature in schema.made_features], made.values, strict=True)),
        failures={failure.feature: failure.why for failure in made.failures},
        model_version=version,
        feature_set=schema.digest,
    )


def feature_set(code: FeatureCode) -> FeatureSet:
    """What tells two codes apart that make other values."""
    return tuple((feature.name, feature.digest) for feature in code.features)
