"""From a lead to an answer and its record (quiet)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter

import msgspec

from leadgate.leads.schema import FeatureValue, LeadSchema
from leadgate.models.scorers import Scored
from leadgate.records import Prediction, Route
from leadgate.rollout.exploring import EXPLORED_PRIORITY, is_explored
from leadgate.rollout.routing import has_challenger
from leadgate.scoring.contract import Answer, Confidence, Contract, LeadIn, contract_of, writer_of
from leadgate.scoring.making import Making, Values, making_of
from leadgate.stats.bands import Band, band_of


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A version in its role on a route."""

    scored: Scored
    version: str
    variant: str
    """champion or challenger."""
    pick: Callable[[Values], Values] | None
    """Takes the version's own features from the contract's; None when they are the same."""
    confidences: dict[float, Confidence]
    """By the upper end of a band."""
    high: float
    """Priority is high above this score..."""
    medium: float
    """...and medium above this one."""
    compiled: bool
    """Whether a score takes microseconds; else it takes milliseconds, in a thread."""
    score: Callable[[Values], float]
    """Probability of conversion, from the contract's values."""
    encode: Callable[[Values], bytes]
    """What is logged of the contract's values, and of those that the version's own features.py makes."""
    takes_events: bool
    """Whether its features.py takes what the lead did."""

    def score_many(self, leads: Sequence[LeadIn]) -> list[float]:
        """Probabilities of conversion, in the order of the leads: one matrix for a version served by the library."""
        rows = [lead.values for lead in leads] if self.pick is None else [self.pick(lead.values) for lead in leads]
        return self.scored.scorer.score_many(rows)


@dataclass(frozen=True, kw_only=True)
class Live:
    """A route with its versions loaded. A request takes one and keeps it to its end."""

    route: Route
    contract: Contract
    champion: Arm
    challenger: Arm | None
    compiled: bool
    """Whether every score takes microseconds, so that a request is answered without waiting for a thread."""
    making: Making | None = None
    """What the features.py of its versions make beside the contract's values; None where none has one."""
    explored: int = 0
    """Buckets, of 10,000, whose leads are explored: their priority does not hang on their score."""

    @property
    def arms(self) -> list[Arm]:
        """The versions of the route, the champion first."""
        return [self.champion] if self.challenger is None else [self.champion, self.challenger]

    @property
    def looks_up(self) -> bool:
        """Whether what a lead did has to be asked for before it is scored."""
        return self.making is not None and self.making.takes_events

    @property
    def example(self) -> dict[str, FeatureValue]:
        """The columns of a training lead of the champion's, by name, as a request has them."""
        card = self.champion.scored.card
        known = {feature.name: value for feature, value in zip(card.lead.used, card.example, strict=True)}
        return {feature.name: known[feature.name] for feature in self.contract.features if feature.name in known}

    def is_whole(self, lead: LeadIn) -> bool:
        """Whether a lead came with its columns."""
        return bool(lead.values) or not self.contract.features

    def arm_of(self, lead_id: str) -> Arm:
        """The version that answers a lead."""
        if self.challenger is not None and has_challenger(self.route, lead_id):
            return self.challenger
        return self.champion

    def beside(self, arm: Arm) -> Arm | None:
        """The version that is scored too where ``arm`` answers, and that nobody is told of: the other one.

        So the two are compared on the same leads in every stage; None without a challenger.
        """
        if self.challenger is None:
            return None
        return self.champion if arm is self.challenger else self.challenger


class Request(msgspec.Struct, frozen=True, gc=False):
    """What the records of one request's leads have in common."""

    scored_at: datetime
    """UTC."""
    latency_ms: float
    request_id: str
    batch_size: int


def live_of(route: Route, champion: Scored, challenger: Scored | None, also: Iterable[str] = ()) -> Live:
    """Put a route and its versions together. Raises RefusedError when the versions cannot take the same request.

    ``also``: names of features that may be sent and that neither version uses.
    """
    versions = [champion] if challenger is None else [champion, challenger]
    contract = contract_of([scored.card.lead for scored in versions], also)
    making = making_of([scored.card.lead for scored in versions], [feature.name for feature in contract.features])
    first = _matched(_arm(champion, "champion", contract, making), route.champion_high, route.champion_medium)
    second = (
        None
        if challenger is None
        else _matched(_arm(challenger, "challenger", contract, making), route.challenger_high, route.challenger_medium)
    )
    return Live(
        route=route,
        contract=contract,
        champion=first,
        challenger=second,
        compiled=first.compiled and (second is None or second.compiled),
        making=making,
    )


def _arm(scored: Scored, variant: str, contract: Contract, making: Making | None) -> Arm:
    schema, names = scored.card.lead, [feature.name for feature in contract.features]
    if making is None:
        places, width = [names.index(feature.name) for feature in schema.used], len(names)
    else:
        places, width = making.places_of(schema), making.width
    pick = None if places == list(range(width)) else _picker(places)
    score = scored.scorer.score
    return Arm(
        scored=scored,
        version=scored.version.version,
        variant=variant,
        pick=pick,
        compiled=scored.card.compiled,
        score=score if pick is None else lambda values: score(pick(values)),
        encode=contract.encode_features if making is None else _encoder(schema, making),
        takes_events=schema.code is not None and schema.code.takes_events,
        high=scored.card.thresholds.high,
        medium=scored.card.thresholds.medium,
        confidences={band.high: _confidence(band) for band in scored.card.bands.bands},
    )


def _encoder(schema: LeadSchema, making: Making) -> Callable[[Values], bytes]:
    """Writes the columns and what a version's own code makes; that has the name where a column has it too."""
    made = making.made_places(schema)
    places = {**{name: i for i, name in enumerate(making.columns)}, **made}
    pick, write = _picker(list(places.values())), writer_of(list(places))
    return lambda values: write(pick(values))


def _matched(arm: Arm, high: float | None, medium: float | None) -> Arm:
    """With the route's thresholds of priority, where it has some."""
    return replace(arm, high=arm.high if high is None else high, medium=arm.medium if medium is None else medium)


def _picker(places: list[int]) -> Callable[[Values], Values]:
    if not places:
        return lambda _: ()
    if len(places) == 1:
        (place,) = places
        return lambda values: (values[place],)
    return itemgetter(*places)


def _confidence(band: Band) -> Confidence:
    return Confidence(
        low=band.interval.low,
        high=band.interval.high,
        level=band.interval.level,
        converted_share=band.conversions / band.leads,
        similar_leads=band.leads,
    )


def record(  # noqa: PLR0917  # called for every lead, and keywords cost a tenth of it
    live: Live, arm: Arm, lead: LeadIn, score: float, shadow: float | None, prediction_id: str, request: Request
) -> Prediction:
    """What is logged of one lead."""
    other = live.beside(arm)
    priority = "high" if score > arm.high else "medium" if score > arm.medium else "low"
    explored = live.explored > 0 and is_explored(live.explored, lead.lead_id)
    return Prediction(
        prediction_id=prediction_id,
        lead_id=lead.lead_id,
        scored_at=request.scored_at,
        model_name=live.route.model_name,
        model_version=arm.version,
        variant=arm.variant,
        predicted_score=score,
        priority=EXPLORED_PRIORITY if explored else priority,
        features=arm.encode(lead.values),
        latency_ms=request.latency_ms,
        batch_size=request.batch_size,
        request_id=request.request_id,
        route_epoch=live.route.epoch,
        shadow_version=other.version if other else None,
        shadow_score=shadow,
        own_priority=priority if explored else None,
    )


def answer(prediction: Prediction, arm: Arm) -> Answer:
    """What the caller gets of a prediction."""
    return Answer(
        prediction_id=prediction.prediction_id,
        lead_id=prediction.lead_id,
        predicted_score=prediction.predicted_score,
        priority=prediction.priority,
        confidence=arm.confidences[band_of(arm.scored.card.bands, prediction.predicted_score).high],
        model_version=prediction.model_version,
        variant=prediction.variant,
        explored=prediction.own_priority is not None,
    )
