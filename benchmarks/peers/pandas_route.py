"""The usual way: FastAPI, a pydantic model, a DataFrame of one row, and the fitted scikit-learn pipeline."""

import os
from pathlib import Path
from typing import Any

import mlflow.sklearn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from leadgate.app.wire import open_home
from leadgate.leads.schema import FeatureType
from leadgate.models.pipeline import frame_of

_home = open_home(Path(os.environ["BENCH_PROJECT"]))
_version = _home.registry.find("1")
_schema = _home.registry.card(_version).lead
_pipeline: Any = mlflow.sklearn.load_model(_version.source)
_TYPES: dict[FeatureType, Any] = {FeatureType.NUMERIC: float, FeatureType.BOOLEAN: bool, FeatureType.CATEGORICAL: str}
_fields: dict[str, Any] = {f.name: (_TYPES[f.type] | None, None) for f in _schema.used}
Features = create_model("Features", **_fields)


class Lead(BaseModel):
    """A request."""

    lead_id: str
    features: Features  # type: ignore[valid-type]


app = FastAPI()


@app.post("/predict")
async def predict(lead: Lead) -> dict[str, Any]:
    """Score a lead, and write nothing down."""
    values = [getattr(lead.features, f.name) for f in _schema.used]
    score = float(_pipeline.predict_proba(frame_of(_schema, [values]))[0, 1])
    return {"lead_id": lead.lead_id, "predicted_score": score}
