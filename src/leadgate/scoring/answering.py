"""From a lead to an answer (quiet)."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from leadgate.leads.project import Thresholds
from leadgate.leads.schema import LeadSchema
from leadgate.models.scorers import Scored
from leadgate.records import Prediction
from leadgate.scoring.contract import Answer, Confidence, LeadIn
from leadgate.stats.bands import ScoreBands, band_of


def priority(score: float, thresholds: Thresholds) -> str:
    """High above the upper threshold, medium above the lower one, else low."""
    if score > thresholds.high:
        return "high"
    return "medium" if score > thresholds.medium else "low"


def confidence(score: float, bands: ScoreBands) -> Confidence:
    """What became of the hold-out leads that scored like this one."""
    band = band_of(bands, score)
    return Confidence(
        low=band.interval.low,
        high=band.interval.high,
        level=band.interval.level,
        converted_share=band.conversions / band.leads,
        similar_leads=band.leads,
    )


def predictions_of(
    leads: Sequence[LeadIn],
    scores: Sequence[float],
    scored: Scored,
    ids: Sequence[UUID],
    *,
    variant: str,
    scored_at: datetime,
    latency_ms: float,
    request_id: str,
) -> list[Prediction]:
    """The records of answered leads, in their order."""
    return [
        Prediction(
            prediction_id=prediction_id,
            lead_id=lead.lead_id,
            scored_at=scored_at,
            model_name=scored.card.model_name,
            model_version=scored.version.version,
            variant=variant,
            predicted_score=score,
            priority=priority(score, scored.card.thresholds),
            features=_named(scored.card.lead, lead),
            latency_ms=latency_ms,
            batch_size=len(leads),
            request_id=request_id,
        )
        for lead, score, prediction_id in zip(leads, scores, ids, strict=True)
    ]


def answer(prediction: Prediction, bands: ScoreBands) -> Answer:
    """What the caller gets of a prediction."""
    return Answer(
        prediction_id=str(prediction.prediction_id),
        lead_id=prediction.lead_id,
        predicted_score=prediction.predicted_score,
        priority=prediction.priority,
        confidence=confidence(prediction.predicted_score, bands),
        model_version=prediction.model_version,
        variant=prediction.variant,
    )


def _named(schema: LeadSchema, lead: LeadIn) -> dict[str, float | str | bool | None]:
    return {feature.name: value for feature, value in zip(schema.used, lead.values, strict=True)}
