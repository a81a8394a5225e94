"""The frozen records that rooms hand each other (quiet)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float
    level: float = 0.95
    """Coverage it is meant to have, a share."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answered score."""

    prediction_id: UUID
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
    features: dict[str, Any]
    """The raw values that were scored, by feature name."""
    latency_ms: float
    """Time from the decoded request to the score."""
    batch_size: int
    """How many leads the same request carried."""
    request_id: str


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
class Fault:
    """What is wrong with one value of one row."""

    row_number: int
    """As a spreadsheet shows it: the header is row 1."""
    lead_id: str | None
    column_name: str
    value: str | None
    reason: str
