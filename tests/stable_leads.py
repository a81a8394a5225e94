"""Leads and scores whose truth is known, and baselines made of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leadgate.leads.baselines import Baseline, Quality
from leadgate.leads.layout import SCORE_EDGES, layout_of
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profiles import Profile, count_in
from leadgate.leads.schema import Feature, FeatureType, FeatureValue
from leadgate.leads.summing import profile_columns
from leadgate.monitoring.model import Matured

RULES = MonitoringRules()
FEATURES = (
    Feature(name="visits", type=FeatureType.NUMERIC),
    Feature(name="opens", type=FeatureType.NUMERIC),
    Feature(name="size", type=FeatureType.NUMERIC),
    Feature(name="source", type=FeatureType.CATEGORICAL),
    Feature(name="demo", type=FeatureType.BOOLEAN),
)
SOURCES = np.array(["web", "fair", "list", "referral"])
IMPORTANCE = {"visits": 0.10, "opens": 0.001, "size": 0.05, "source": 0.02, "demo": 0.0}

Columns = Mapping[str, Sequence[FeatureValue]]


def draw(n: int, rng: np.random.Generator, **changed: Any) -> dict[str, list[FeatureValue]]:
    """Columns of stable leads; ``changed`` has other columns, shape (n,)."""
    columns: dict[str, Any] = {
        "visits": rng.normal(10, 2, n),
        "opens": rng.poisson(3, n).astype(float),
        "size": np.round(np.exp(rng.normal(4, 1, n))),
        "source": rng.choice(SOURCES, n, p=[0.5, 0.2, 0.2, 0.1]),
        "demo": rng.random(n) < 0.2,
        **changed,
    }
    return {name: np.asarray(values).tolist() for name, values in columns.items()}


def scores_of(columns: Columns) -> np.ndarray:
    """A score that rises with visits; a missing one counts as 10."""
    visits = np.array([10.0 if v is None else v for v in columns["visits"]], dtype=float)
    return np.asarray(1 / (1 + np.exp(-(np.clip(visits, -40, 60) - 12))))


def profile(baseline: Baseline, columns: Columns, scores: np.ndarray | None = None) -> Profile:
    """The profile of scored leads."""
    found = scores_of(columns) if scores is None else scores
    return profile_columns(baseline.layout, columns, scores=found, bands=bands(found))


def bands(scores: np.ndarray) -> Counter[str]:
    """How many leads have each priority."""
    return Counter("high" if s > 0.7 else "medium" if s > 0.4 else "low" for s in scores)


def baseline(rng: np.random.Generator, n: int = 20_000) -> Baseline:
    """A version that is calibrated on its hold-out: each lead converts with the probability that its score says."""
    columns = draw(n, rng)
    scores = scores_of(columns)
    converted = rng.random(n) < scores
    layout = layout_of(FEATURES, columns, ["source"])
    return Baseline(
        layout=layout,
        profile=profile_columns(layout, columns, scores=scores, bands=bands(scores)),
        won=count_in(scores[converted], SCORE_EDGES),
        lost=count_in(scores[~converted], SCORE_EDGES),
        importance=IMPORTANCE,
        quality=Quality(
            leads=n,
            base_rate=float(converted.mean()),
            auc=0.8,
            auc_low=0.79,
            auc_high=0.81,
            precision=0.6,
            recall=0.5,
            calibration_error=0.01,
            decision=0.5,
            high=0.7,
            medium=0.4,
        ),
        snapshot_version=1,
    )


def matured(scores: np.ndarray, converted: np.ndarray) -> Matured:
    """Leads with their outcomes."""
    return Matured(won=count_in(scores[converted], SCORE_EDGES), lost=count_in(scores[~converted], SCORE_EDGES))
