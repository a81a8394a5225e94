"""The baseline of a version, made when it is trained (quiet)."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from leadgate.leads.baselines import Baseline, Quality
from leadgate.leads.layout import SCORE_EDGES, layout_of
from leadgate.leads.profiles import Profile, count_in
from leadgate.leads.project import Thresholds
from leadgate.leads.schema import FeatureValue, LeadSchema
from leadgate.leads.summing import profile_columns
from leadgate.models.dataset import Dataset
from leadgate.models.evaluation import Evaluation

Scores = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[FeatureValue]]


def baseline_of(
    schema: LeadSchema,
    learnt: Dataset,
    held: Dataset,
    scores: Scores,
    *,
    evaluation: Evaluation,
    thresholds: Thresholds,
    importance: Mapping[str, float],
    snapshot_version: int,
) -> Baseline:
    """What later leads and scores are held against; ``scores`` are those of the hold-out."""
    everybody = _columns(schema, (*learnt.rows, *held.rows))
    layout = layout_of(schema.used, everybody, schema.segments)
    leads = profile_columns(layout, everybody, scores=np.zeros(len(learnt) + len(held)), bands={})
    scored = profile_columns(layout, _columns(schema, held.rows), scores=scores, bands=_bands(scores, thresholds))
    return Baseline(
        layout=layout,
        profile=Profile(
            predictions=leads.predictions,
            first_at=None,
            last_at=None,
            scores=scored.scores,
            latency=scored.latency,
            bands=scored.bands,
            numeric=leads.numeric,
            categorical=leads.categorical,
            segments=scored.segments,
        ),
        won=count_in(scores[held.converted], SCORE_EDGES),
        lost=count_in(scores[~held.converted], SCORE_EDGES),
        importance=importance,
        quality=_quality(evaluation, thresholds),
        snapshot_version=snapshot_version,
    )


def _columns(schema: LeadSchema, rows: Sequence[Sequence[FeatureValue]]) -> Columns:
    return {feature.name: values for feature, values in zip(schema.used, zip(*rows, strict=True), strict=True)}


def _bands(scores: Scores, thresholds: Thresholds) -> dict[str, int]:
    high, medium = int((scores > thresholds.high).sum()), int((scores > thresholds.medium).sum())
    return {"high": high, "medium": medium - high, "low": len(scores) - medium}


def _quality(evaluation: Evaluation, thresholds: Thresholds) -> Quality:
    overall = evaluation.overall
    return Quality(
        leads=overall.leads,
        base_rate=overall.base_rate,
        auc=overall.auc,
        auc_low=overall.auc_interval.low if overall.auc_interval else None,
        auc_high=overall.auc_interval.high if overall.auc_interval else None,
        precision=overall.precision,
        recall=overall.recall,
        calibration_error=overall.calibration_error,
        decision=thresholds.decision,
        high=thresholds.high,
        medium=thresholds.medium,
    )
