"""What is reported of leads: outcomes, contacts and events as the API takes them (quiet)."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from leadgate.leads.text import clean_text
from leadgate.records import LeadEvent
from leadgate.scoring.contract import BATCH_LIMIT, BadRequestError, LeadId, decode_with, in_utc

EventKind = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

_CLOCK_TOLERANCE = timedelta(days=1)
"""An event may lie so far ahead, for clocks differ; no score counts it before its time."""


class OutcomeIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a CRM reports of a lead."""

    lead_id: LeadId
    converted: bool
    deal_size: NotNegative | None = None
    """In the team's currency."""
    days_to_close: NotNegative | None = None
    outcome_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Time of the decision, with a zone; now when left out."""


class ContactIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That the sales team was in touch with a lead."""

    lead_id: LeadId
    contacted_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """When, with a zone; now when left out."""


class EventIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a lead did, by which features.py may make features."""

    lead_id: LeadId
    kind: EventKind
    """What: visit, email_open, a word of your own."""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """When it happened, with a zone; now when left out. Scores from then on count it."""
    value: float | None = None
    """A figure that goes with it."""


class EventsOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery of events added."""

    received: int
    added: int


class ContactsOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery of contacts added."""

    received: int
    added: int


class OutcomesOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery of outcomes added."""

    received: int
    added: int
    repeated: int
    """Said nothing new; not added."""
    unknown_leads: list[str]
    """Ids that were never scored; their outcomes are kept."""


_OUTCOMES = msgspec.json.Decoder(
    OutcomeIn | Annotated[list[OutcomeIn], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]
)


def decode_outcomes(body: bytes) -> list[OutcomeIn]:
    """One outcome or a list of them. Raises BadRequestError."""
    decoded = decode_with(_OUTCOMES, body, list(OutcomeIn.__struct_fields__))
    return decoded if isinstance(decoded, list) else [decoded]


_CONTACTS = msgspec.json.Decoder(
    ContactIn | Annotated[list[ContactIn], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]
)


def decode_contacts(body: bytes) -> list[ContactIn]:
    """One contact or a list of them. Raises BadRequestError."""
    decoded = decode_with(_CONTACTS, body, list(ContactIn.__struct_fields__))
    return decoded if isinstance(decoded, list) else [decoded]


_EVENTS = msgspec.json.Decoder(EventIn | Annotated[list[EventIn], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)])


def decode_events(body: bytes, now: datetime) -> list[LeadEvent]:
    """One event or a list of them, as they are known from ``now`` (UTC) on.

    Raises BadRequestError, whose sentence names the field too: many a client logs that alone.
    """
    try:
        decoded = decode_with(_EVENTS, body, list(EventIn.__struct_fields__))
    except BadRequestError as error:
        raise _with_field(error) from error
    if isinstance(decoded, list):
        return [_event(given, now, f"$[{i}]") for i, given in enumerate(decoded)]
    return [_event(decoded, now, "$")]


def _with_field(error: BadRequestError) -> BadRequestError:
    if error.path is None:
        return error
    path, detail = error.path, error.detail
    if path == "$" and "`array` of length" in detail:
        return BadRequestError(f"A request takes 1 to {BATCH_LIMIT:,} events; send the others in another one.", path)
    if path.endswith(".known_at"):
        detail = "It is when the event arrives here, so it is not sent; only a file may say it."
    elif path.endswith(".at"):
        detail += " Write it with a zone, such as 2026-06-01T10:00:00Z."
    return BadRequestError(f"{'The body' if path == '$' else path}: {detail}", path)


def _event(given: EventIn, now: datetime, where: str) -> LeadEvent:
    """Its kind is cleaned as a file's is; of a clock that is ahead of ours, it is known when it happens."""
    path = f"{where}.at"
    try:
        kind, at = clean_text(given.kind), in_utc(given.at, path) or now
    except BadRequestError as error:
        raise BadRequestError(f"{path}: {error.detail}", path) from error
    if kind is None:
        path = f"{where}.kind"
        raise BadRequestError(f"{path}: An event has a kind: a word of your own for what the lead did.", path)
    if at > now + _CLOCK_TOLERANCE:
        raise BadRequestError(f"{path}: The event lies in the future; send it when it has happened.", path)
    return LeadEvent(lead_id=given.lead_id, kind=kind, at=at, known_at=max(now, at), value=given.value)
