"""What the API takes and gives: message types made from a version's lead schema (quiet)."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from leadgate.leads.schema import Feature, FeatureType, FeatureValue, LeadSchema
from leadgate.leads.text import clean_text

BATCH_LIMIT = 1_000
"""Largest number of leads, or of outcomes, in one request."""

TextValue = Annotated[str, msgspec.Meta(max_length=10_000)]
LeadId = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """How sure a score is: what became of hold-out leads that scored like this one."""

    low: float
    """Lower end of the interval of their conversion rate."""
    high: float
    """Upper end."""
    level: float
    """Coverage of the interval, a share."""
    converted_share: float
    """How many of them converted, a share."""
    similar_leads: int
    """How many they were."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one lead."""

    prediction_id: str
    lead_id: str
    predicted_score: float
    """Probability of conversion."""
    priority: str
    """high, medium or low, by the version's thresholds."""
    confidence: Confidence
    model_version: str
    variant: str
    """Which side of a rollout answered."""


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch, in its order."""

    predictions: list[Answer]


class OutcomeIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a CRM reports of a lead."""

    lead_id: LeadId
    converted: bool
    deal_size: NotNegative | None = None
    """In the team's currency."""
    days_to_close: NotNegative | None = None
    outcome_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Time of the decision, with a zone; now when left out."""


class OutcomesOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery of outcomes added."""

    received: int
    added: int
    repeated: int
    """Said nothing new; not added."""
    unknown_leads: list[str]
    """Ids that were never scored; their outcomes are kept."""


class ScoreOut(msgspec.Struct, frozen=True, kw_only=True):
    """The last score of a lead."""

    prediction_id: str
    lead_id: str
    predicted_score: float
    priority: str
    model_version: str
    variant: str
    scored_at: datetime


class BadRequestError(Exception):
    """A request that does not say a lead; holds the sentence and the path of the field."""

    def __init__(self, detail: str, path: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path


@dataclass(frozen=True, kw_only=True)
class LeadIn:
    """A decoded lead: its id, and its raw values in the order of ``schema.used``."""

    lead_id: str
    values: tuple[FeatureValue, ...]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The request types of one lead schema."""

    schema: LeadSchema
    lead_type: type[msgspec.Struct]
    batch_type: type[msgspec.Struct]
    decode_lead: Callable[[bytes], LeadIn]
    """Raises BadRequestError."""
    decode_batch: Callable[[bytes], list[LeadIn]]
    """Raises BadRequestError."""


def contract_of(schema: LeadSchema) -> Contract:
    """Make the request types of a schema.

    Every declared feature may be sent; those that no model uses are ignored, so that a CRM can send the whole lead.
    A feature that is not sent is missing. A name that is not declared is refused.
    """
    used = schema.used
    unused = [feature for feature in schema.features if not feature.use]
    fields = [(f"f{i}", _type(feature), None) for i, feature in enumerate(used)]
    ignored = [(f"g{i}", Any, None) for i, _ in enumerate(unused)]
    names = {f"f{i}": f.name for i, f in enumerate(used)} | {f"g{i}": f.name for i, f in enumerate(unused)}
    how: dict[str, Any] = {"forbid_unknown_fields": True, "kw_only": True, "frozen": True}
    features_type = msgspec.defstruct("Features", [*fields, *ignored], rename=names, **how)
    lead_type = msgspec.defstruct("Lead", [("lead_id", LeadId), ("features", features_type)], **how)
    leads = Annotated[list[lead_type], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]  # type: ignore[valid-type]
    batch_type = msgspec.defstruct("LeadBatch", [("leads", leads)], **how)
    read_values = _reader(used)
    known = [feature.name for feature in schema.features]

    def lead_in(lead: Any, where: str) -> LeadIn:
        return LeadIn(lead_id=lead.lead_id, values=read_values(lead.features, where))

    def decode_lead(body: bytes) -> LeadIn:
        return lead_in(_decode(lead_decoder, body, known), "$.features")

    def decode_batch(body: bytes) -> list[LeadIn]:
        leads = _decode(batch_decoder, body, known).leads
        return [lead_in(lead, f"$.leads[{i}].features") for i, lead in enumerate(leads)]

    lead_decoder, batch_decoder = msgspec.json.Decoder(lead_type), msgspec.json.Decoder(batch_type)
    return Contract(
        schema=schema,
        lead_type=lead_type,
        batch_type=batch_type,
        decode_lead=decode_lead,
        decode_batch=decode_batch,
    )


_OUTCOMES = msgspec.json.Decoder(
    OutcomeIn | Annotated[list[OutcomeIn], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]
)


def decode_outcomes(body: bytes) -> list[OutcomeIn]:
    """One outcome or a list of them. Raises BadRequestError."""
    decoded = _decode(_OUTCOMES, body, list(OutcomeIn.__struct_fields__))
    return decoded if isinstance(decoded, list) else [decoded]


def _decode(decoder: Any, body: bytes, known: list[str]) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _bad_field(str(error), known) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not JSON in UTF-8: {error}.") from error


def _bad_field(message: str, known: list[str]) -> BadRequestError:
    """Msgspec's "what - at `path`" as a sentence and a path."""
    what, _, at = message.partition(" - at `")
    path = at.removesuffix("`") or "$"
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown:
        near = difflib.get_close_matches(unknown.group(1), known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return BadRequestError(f"There is no field {unknown.group(1)!r}.{hint}", f"{path}.{unknown.group(1)}")
    return BadRequestError(f"{what}.", path)


def _type(feature: Feature) -> Any:
    match feature.type:
        case FeatureType.NUMERIC:
            return float | None
        case FeatureType.CATEGORICAL:
            return TextValue | None
        case FeatureType.BOOLEAN:
            return bool | None


def _reader(used: tuple[Feature, ...]) -> Callable[[Any, str], tuple[FeatureValue, ...]]:
    """Reads a features struct into a tuple; text is cleaned exactly as an import cleans it."""
    texts = {i: f.name for i, f in enumerate(used) if f.type is FeatureType.CATEGORICAL}
    width = len(used)

    def read(features: Any, where: str) -> tuple[FeatureValue, ...]:
        values = list(msgspec.structs.astuple(features)[:width])
        for i, name in texts.items():
            text = values[i]
            if text is not None:
                if "\0" in text:
                    raise BadRequestError("Text may not hold the character NUL.", f"{where}.{name}")
                values[i] = clean_text(text)
        return tuple(values)

    return read
