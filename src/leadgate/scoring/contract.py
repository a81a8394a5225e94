"""What the API takes and gives: message types made from a version's lead schema (quiet)."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from leadgate.errors import RefusedError
from leadgate.leads.kinds import value_of
from leadgate.leads.schema import Feature, FeatureType, FeatureValue, LeadSchema
from leadgate.leads.text import clean_text

BATCH_LIMIT = 1_000
"""Largest number of leads, or of outcomes, in one request."""

TextValue = Annotated[str, msgspec.Meta(max_length=10_000)]
_TOLD = 300
"""Characters of a fault that are repeated to who made it."""
_LONGEST_NAME = 100
"""Characters of an unknown field's name that are."""
_LONGEST_CATEGORY = 100
"""Characters of a text that may come again, as a lead's categories do..."""
_CATEGORIES = 4_096
"""...and how many of them are kept."""

LeadId = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]*$(?!\n)")]
"""Becomes a header's value. Python's ``$`` is also before a last line feed; JavaScript knows the look-ahead too."""


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
    """high, medium or low, by the version's thresholds; high for an explored lead, whatever its score."""
    confidence: Confidence
    model_version: str
    variant: str
    """Which side of a rollout answered."""
    explored: bool
    """Drawn at random to be worked like the best leads, so that the scores can be judged; see docs/feedback-bias.md."""


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch, in its order."""

    predictions: list[Answer]


class ReasonOut(msgspec.Struct, frozen=True, kw_only=True):
    """What one feature does to a score. It says what the model takes from a value, not what would change a customer."""

    feature: str
    value: float | str | bool | None
    """The lead's; null when it is missing."""
    effect: float
    """The score less the score that the lead would have if this feature counted as at the average training lead: a
    difference of probabilities, 0.14 for 14 points."""
    direction: Literal["raises", "lowers"]
    sentence: str
    """The same in words."""


class ExplainedAnswer(Answer, frozen=True, kw_only=True):
    """The answer to one lead, with the reasons of its score."""

    reasons: list[ReasonOut]
    """Up to three features that raise the score and three that lower it, the one that moves it most first."""
    why_no_reasons: str | None
    """Why there are none; null where there are."""


class ExplainedAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch, in its order, with the reasons of each score."""

    predictions: list[ExplainedAnswer]


class ScoreOut(msgspec.Struct, frozen=True, kw_only=True):
    """The last score of a lead."""

    prediction_id: str
    lead_id: str
    predicted_score: float
    priority: str
    model_version: str
    variant: str
    explored: bool
    """Its priority is that of a lead drawn at random, and says nothing of its score."""
    scored_at: datetime


class BadRequestError(Exception):
    """A request that does not say a lead; holds the sentence and the path of the field."""

    def __init__(self, detail: str, path: str | None = None, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path
        self.status = status or (400 if path is None else 422)


class UnseenEndError(Exception):
    """An act was ended, or died, before it could say what it did."""

    def __init__(self) -> None:
        super().__init__("Nobody saw how this ended: it may have happened or not. Look before you ask for it again.")


class LeadIn(msgspec.Struct, frozen=True, gc=False):
    """A decoded lead: its id, and its raw values in the order of the contract's ``features``.

    On a route with features.py they are empty where the caller left them out, until the lead is looked up, and are
    followed by the made values once those are made.
    """

    lead_id: str
    values: tuple[FeatureValue, ...]
    event_id: str | None = None
    """The caller's own id of the event: the same one again gets the same answer."""
    at: datetime | None = None
    """UTC, the score's time, of which its features were made; None where no features are made."""
    making_ms: float = 0.0
    """What looking it up and making its features took, with those of the same request before it."""
    blind: bool = False
    """Whether its events could not be asked for, so that no version that takes events may score it."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The request types of the versions that a route names."""

    features: tuple[Feature, ...]
    """Those that one version or another uses; the champion's first, in its own order."""
    lead_type: type[msgspec.Struct]
    batch_type: type[msgspec.Struct]
    decode_lead: Callable[[bytes], LeadIn]
    """Raises BadRequestError."""
    decode_batch: Callable[[bytes], list[LeadIn]]
    """Raises BadRequestError."""
    encode_features: Callable[[tuple[FeatureValue, ...]], bytes]
    """Values as a JSON object by name."""
    read_columns: Callable[[Mapping[str, Any]], tuple[FeatureValue, ...]]
    """Values of a lead from its columns as last imported; one that is not there, or of another type, is missing."""


def contract_of(schemas: Sequence[LeadSchema], also: Iterable[str] = ()) -> Contract:
    """Make the request types of the versions that a route names, the champion's schema first.

    Every feature that one of them declares may be sent, and those named in ``also``: what leadgate.yaml and other
    versions declare, so that going back to a version refuses nobody. Those that no model uses are ignored, so that a
    CRM can send the whole lead. A feature that is not sent is missing. A name that is not declared is refused. Raises
    RefusedError when two versions take different types under one name: no request could satisfy both.

    Where a version has code, the features may be left out as a whole: then the lead is looked up. What the code makes
    is not sent; a name that is made is refused with a sentence of its own.
    """
    used = _used(schemas)
    made = {feature.name for schema in schemas for feature in schema.made_features}
    with_code = any(schema.code is not None for schema in schemas)
    taken = {feature.name for feature in used}
    declared = dict.fromkeys([*(feature.name for schema in schemas for feature in schema.features), *also])
    unused = [name for name in declared if name not in taken]
    values = [(f"f{i}", _type(feature), None) for i, feature in enumerate(used)]
    ignored = [(f"g{i}", Any, None) for i, _ in enumerate(unused)]
    names = {f"f{i}": f.name for i, f in enumerate(used)} | {f"g{i}": name for i, name in enumerate(unused)}
    how: dict[str, Any] = {"forbid_unknown_fields": True, "kw_only": True, "frozen": True, "gc": False}
    features_type = msgspec.defstruct("Features", [*values, *ignored], rename=names, **how)
    fields: list[Any] = [("lead_id", LeadId), ("features", features_type)]
    if with_code:
        fields[1] = ("features", features_type | msgspec.UnsetType, msgspec.UNSET)
    lead_type = msgspec.defstruct("Lead", [*fields, ("event_id", EventId | None, None)], **how)
    batched_type = msgspec.defstruct("BatchedLead", fields, **how)
    leads = Annotated[list[batched_type], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]  # type: ignore[valid-type]
    batch_type = msgspec.defstruct("LeadBatch", [("leads", leads)], **how)
    known = list(declared)
    read_values = _reader(used)
    lead_decoder, batch_decoder = msgspec.json.Decoder(lead_type), msgspec.json.Decoder(batch_type)

    def decode_lead(body: bytes) -> LeadIn:
        lead = decode_with(lead_decoder, body, known, made)
        return LeadIn(lead.lead_id, read_values(lead.features, "$.features"), lead.event_id)

    def decode_batch(body: bytes) -> list[LeadIn]:
        leads = decode_with(batch_decoder, body, known, made).leads
        return [
            LeadIn(lead.lead_id, read_values(lead.features, f"$.leads[{i}].features")) for i, lead in enumerate(leads)
        ]

    return Contract(
        features=used,
        lead_type=lead_type,
        batch_type=batch_type,
        decode_lead=decode_lead,
        decode_batch=decode_batch,
        encode_features=writer_of([feature.name for feature in used]),
        read_columns=_column_reader(used),
    )


def _used(schemas: Sequence[LeadSchema]) -> tuple[Feature, ...]:
    used: dict[str, Feature] = {}
    for feature in (feature for schema in schemas for feature in schema.taken):
        first = used.setdefault(feature.name, feature)
        if first.type is not feature.type:
            raise RefusedError(
                f"The versions of the route do not fit together: {feature.name!r} is {first.type.value} in one and "
                f"{feature.type.value} in the other; train one of them again."
            )
    return tuple(used.values())


Body = TypeVar("Body", bound=msgspec.Struct)


def decode_as(kind: type[Body], body: bytes) -> Body:
    """A message of a kind; an empty body says nothing. Raises BadRequestError."""
    decoded: Body = decode_with(msgspec.json.Decoder(kind), body or b"{}", list(kind.__struct_fields__))
    return decoded


def in_utc(moment: datetime | None, path: str = "$.outcome_at") -> datetime | None:
    """The same moment in UTC: PostgreSQL knows no zone beyond 16 hours. Raises BadRequestError."""
    try:
        return moment.astimezone(UTC) if moment else None
    except OverflowError:
        raise BadRequestError("The time is beyond the calendar.", path) from None


def decode_with(decoder: Any, body: bytes, known: list[str], made: Collection[str] = ()) -> Any:
    """What a decoder makes of a body; ``known`` are names that may have been meant. Raises BadRequestError."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _bad_field(str(error), known, made) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not JSON in UTF-8: {error}.") from error


def _bad_field(message: str, known: list[str], made: Collection[str]) -> BadRequestError:
    """Msgspec's "what - at `path`" as a sentence and a path.

    It repeats what was sent, which may be megabytes: cut before anything is done with it that takes time.
    """
    before, _, at = message.rpartition(" - at `$")
    what, path = (before or message)[:_TOLD], f"${at.removesuffix('`')}"[:_TOLD] if before else "$"
    unknown = re.search(r"unknown field `(.*)", what, re.DOTALL)
    if unknown:
        name = _cut(unknown.group(1).removesuffix("`"))
        if name in made:
            return BadRequestError(f"{name!r} is made by features.py; leave it out.", f"{path}.{name}")
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return BadRequestError(f"There is no field {name!r}.{hint}", f"{path}.{name}")
    return BadRequestError(f"{what}.", path)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


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
    texts = tuple(i for i, f in enumerate(used) if f.type is FeatureType.CATEGORICAL)
    width = len(used)
    cleaned = _Cleaned()

    def read(features: Any, where: str) -> tuple[FeatureValue, ...]:
        if features is msgspec.UNSET:
            return ()
        values = list(msgspec.structs.astuple(features)[:width])
        for i in texts:
            text = values[i]
            if text is not None:
                try:
                    values[i] = cleaned[text]
                except ValueError as error:
                    raise BadRequestError(str(error), f"{where}.{used[i].name}") from error
        return tuple(values)

    return read


class _Cleaned(dict[str, str | None]):
    """Texts as an import cleans them; those that may come again are kept, for a look-up is all that most leads need."""

    def __missing__(self, text: str) -> str | None:
        if "\0" in text:
            raise ValueError("Text may not hold the character NUL.")
        found = clean_text(text)
        if len(text) <= _LONGEST_CATEGORY:
            if len(self) >= _CATEGORIES:
                self.clear()
            self[text] = found
        return found


def _column_reader(used: tuple[Feature, ...]) -> Callable[[Mapping[str, Any]], tuple[FeatureValue, ...]]:
    kinds = [(feature.name, feature.type) for feature in used]

    def read(columns: Mapping[str, Any]) -> tuple[FeatureValue, ...]:
        return tuple(value_of(columns.get(name), kind) for name, kind in kinds)

    return read


def writer_of(names: Sequence[str]) -> Callable[[tuple[FeatureValue, ...]], bytes]:
    """Writes values as a JSON object by these names."""
    fields = [(f"f{i}", Any) for i, _ in enumerate(names)]
    renamed = {f"f{i}": name for i, name in enumerate(names)}
    logged = msgspec.defstruct("LoggedFeatures", fields, rename=renamed, frozen=True, gc=False)
    encode = msgspec.json.Encoder().encode

    def write(values: tuple[FeatureValue, ...]) -> bytes:
        return encode(logged(*values))

    return write
