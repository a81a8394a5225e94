"""A prediction as the log has it, of which a test says only what matters to it."""

from datetime import datetime
from typing import Any

import uuid_utils

from leadgate.records import Prediction


def prediction(lead_id: str, scored_at: datetime, **other: Any) -> Prediction:
    """One that is like no other, by version 1 of the model ``leads``, unless ``other`` says otherwise."""
    usual: dict[str, Any] = {
        "prediction_id": str(uuid_utils.uuid7()),
        "lead_id": lead_id,
        "scored_at": scored_at,
        "model_name": "leads",
        "model_version": "1",
        "variant": "champion",
        "predicted_score": 0.5,
        "priority": "low",
        "features": b"{}",
        "latency_ms": 0.1,
        "batch_size": 1,
        "request_id": "r",
        "route_epoch": 1,
    }
    return Prediction(**{**usual, **other})
