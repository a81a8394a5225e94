"""The card of a model version: everything that is known of it beside the model itself (quiet)."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import ConfigDict, TypeAdapter

from leadgate.compiled.proof import Proof
from leadgate.leads.project import ModelRules, SplitRules, Thresholds
from leadgate.leads.schema import FeatureValue, LeadSchema
from leadgate.models.evaluation import Evaluation
from leadgate.models.provenance import Provenance
from leadgate.stats.bands import ScoreBands


@dataclass(frozen=True, kw_only=True)
class Card:
    """What an auditor asks of a version, and what serving needs to answer with it."""

    # Infinite band edges and bounds survive the way through JSON.
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants", extra="forbid")

    model_name: str
    lead: LeadSchema
    """The columns at the time of training: what the version understands."""
    model: ModelRules
    split: SplitRules
    thresholds: Thresholds
    snapshot_version: int
    snapshot_digest: str
    training_leads: int
    holdout_leads: int
    model_digest: str
    """SHA-256 of the learned parameters."""
    provenance: Provenance
    trained_at: datetime
    evaluation: Evaluation
    """On the hold-out only."""
    bands: ScoreBands
    """How often hold-out leads converted, by score."""
    proof: Proof | None
    """That the compiled scorer equals the library; None when the pipeline was not compiled."""
    why_library: str | None
    """Why the library scores instead of the compiled form; None when the compiled form does."""
    example: tuple[FeatureValue, ...]
    """A training lead, for the API's documentation."""
    since: datetime | None = None
    """It was trained on the leads that were created from then on; None: on all."""
    searched: str | None = None
    """How its hyperparameters were found, where others than the declared ones were tried; None: they are declared."""

    @property
    def compiled(self) -> bool:
        """Whether the compiled scorer serves this version."""
        return self.proof is not None and self.proof.holds


_CARD = TypeAdapter(Card)


def card_to_json(card: Card) -> bytes:
    """The card as JSON."""
    return _CARD.dump_json(card, indent=1)


def card_from_json(text: bytes) -> Card:
    """The card of a version, from its JSON."""
    return _CARD.validate_json(text)
