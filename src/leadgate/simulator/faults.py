"""What goes wrong between a world and the service that scores its leads (quiet).

The world itself stays as it is: leads come, the team works, customers sign. What is spoiled is what others hear of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl

from leadgate.records import Prediction


@dataclass(frozen=True, kw_only=True)
class Slowness:
    """How answers become slow."""

    extra_ms: float
    """Added to the latency of each answer."""
    batch_size: int = 1
    """Leads in a request."""
    busy_s: float | None = None
    """Processor time of a request; None: as ever."""
    times: int = 1
    """Requests for each lead: callers that ask again and again."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is wrong from a moment on, and stays so."""

    begins: datetime
    """UTC."""
    silent: Literal["service", "callers"] | None = None
    """service: nothing is scored and no worker reports; callers: workers report, and nobody asks them."""
    unscored: float = 0.0
    """Share of the leads that nobody asks about, 0 to 1. The team works them as it works those of low priority."""
    missing: Mapping[str, float] = field(default_factory=dict)
    """By feature: share of the values that get lost on the way."""
    times: Mapping[str, float] = field(default_factory=dict)
    """By numeric feature: what its values are multiplied by on the way, as by another unit."""
    unreported: float = 0.0
    """Share of the outcomes and contacts that the CRM does not send, 0 to 1."""
    slow: Slowness | None = None


def spoiled(faults: Faults | None, frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """What the service is sent of the leads of a day: the same rows, with ``created_at`` as their time."""
    if faults is None:
        return frame
    hit = frame["created_at"] >= faults.begins
    for name, by in faults.times.items():
        frame = frame.with_columns(pl.when(hit).then(pl.col(name).cast(pl.Float64) * by).otherwise(name).alias(name))
    for name, share in faults.missing.items():
        gone = hit & pl.Series(rng.random(frame.height) < share)
        frame = frame.with_columns(pl.when(~gone).then(name).otherwise(None).alias(name))
    return frame


def arrived(faults: Faults | None, predictions: Sequence[Prediction], rng: np.random.Generator) -> list[Prediction]:
    """Those of a day's predictions that were asked for and given."""
    if faults is None:
        return list(predictions)
    asked = rng.random(len(predictions)) >= (1.0 if faults.silent else faults.unscored)
    return [p for p, here in zip(predictions, asked, strict=True) if here or p.scored_at < faults.begins]


def reported(faults: Faults | None, rows: pl.DataFrame, at: str, rng: np.random.Generator) -> pl.DataFrame:
    """Those of a day's outcomes or contacts that the CRM sends; ``at`` is the column of their time."""
    if faults is None or faults.unreported == 0:
        return rows
    kept = pl.Series(rng.random(rows.height) >= faults.unreported, dtype=pl.Boolean)
    return rows.filter(kept | (pl.col(at) < faults.begins))
