"""The frozen records that rooms hand each other (quiet)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float
    level: float = 0.95
    """Coverage it is meant to have, a share."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One answered score, as it is spooled and logged."""

    prediction_id: str
    """UUIDv7: unique, and sorted by time."""
    lead_id: str
    scored_at: datetime
    """UTC."""
    model_name: str
    model_version: str
    variant: str
    """Which side of a rollout answered: champion or challenger."""
    predicted_score: float
    """Probability of conversion, 0 to 1."""
    priority: str
    """high, medium or low."""
    features: bytes
    """The raw values that were scored: a JSON object by feature name."""
    latency_ms: float
    """Time from the decoded request to the score."""
    batch_size: int
    """How many leads the same request carried."""
    request_id: str
    route_epoch: int
    """The route in force when it was answered."""
    shadow_version: str | None = None
    """The version that was scored beside it and not answered; None without one."""
    shadow_score: float | None = None
    """None where there is no shadow, and where it failed or was too slow."""
    own_priority: str | None = None
    """What its score alone would have given an explored lead, whose priority says nothing of it; None for others."""

    @property
    def explored(self) -> bool:
        """Whether its priority is that of a lead drawn at random."""
        return self.own_priority is not None


Stage = Literal["full", "shadow", "canary", "ab_test"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """Which versions answer, and how many leads each. A change is a new route with the next epoch."""

    model_name: str
    epoch: int
    """1 for the first route of a model; the highest is in force."""
    stage: Stage
    """full: the champion alone; shadow: the challenger is scored and not answered; canary, ab_test: it has a share."""
    champion: str
    champion_digest: str
    """Digest of its model: what has to answer under that number."""
    challenger: str | None
    """None only in stage full."""
    challenger_digest: str | None
    share: int
    """Buckets, of 10,000, that the challenger answers."""
    salt: str
    """Parts the leads anew for each rollout."""
    challenger_high: float | None = None
    """The challenger's leads have priority high above this score, so that both versions mark the same share of the
    leads high; None: as its card says."""
    challenger_medium: float | None = None
    champion_high: float | None = None
    """The same of the champion: what it had as a challenger holds on, so that no promotion changes the share of leads
    that sales people see as high."""
    champion_medium: float | None = None
    changed_at: datetime
    """UTC."""
    changed_by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a lead, as its CRM reported it. A correction is a new outcome, recorded later."""

    lead_id: str
    converted: bool
    deal_size: float | None
    """In the team's currency; None when not reported."""
    days_to_close: float | None
    """From first contact to the decision; None when not reported."""
    outcome_at: datetime
    """UTC time of the decision."""
    source: str
    """Where it came from: api, or the name of the file."""


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A moment in which the sales team was in touch with a lead."""

    lead_id: str
    contacted_at: datetime
    """UTC."""
    source: str
    """Where it came from: api, or the name of the file."""


@dataclass(frozen=True, kw_only=True)
class LeadEvent:
    """Something that a lead did: a visit, an opened e-mail, a demo asked for."""

    lead_id: str
    kind: str
    """The team's own word for what it was."""
    at: datetime
    """UTC, when it happened."""
    known_at: datetime
    """UTC, when it reached us: a score of an earlier time did not know of it."""
    value: float | None
    """What the kind measures, in the team's unit; None where it measures nothing."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with one value of one row."""

    row_number: int
    """As a spreadsheet shows it: the header is row 1."""
    lead_id: str | None
    column_name: str
    value: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """Who may call the API, and what for."""

    key_id: str
    """The part of the key that is no secret."""
    name: str
    scopes: tuple[str, ...]
    secret_sha256: bytes
    requests_per_second: float | None
    """None: no limit."""
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
