"""Which lead met which version first, and what its features were like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from leadgate.storage.postgres.connection import Connection, statement

if TYPE_CHECKING:
    import polars as pl

SEGMENTS = 4
"""Features that a comparison can be broken down by."""


@dataclass(frozen=True, kw_only=True)
class FeatureCount:
    """A feature of the last leads in a span."""

    feature: str
    leads: int
    missing: int
    unknown: int
    """Of no declared category."""


@dataclass(frozen=True, kw_only=True)
class PastLeads:
    """What became of the leads of a span, by their first score in it."""

    matured: int
    """Whose horizon has passed, with an outcome."""
    converted: int
    """Of those, within the horizon."""
    leads: int
    days: float
    """From the first of them to the end of the span; 0 without any."""


def first_predictions(
    connection: Connection,
    *,
    model_name: str,
    versions: tuple[str, str],
    since: datetime,
    until: datetime,
    rollout_since: datetime,
    rollout_epoch: int,
    segments: Sequence[str],
) -> "pl.DataFrame":
    """The first prediction of each lead in a span, and its first one of a rollout, where that is another one.

    ``versions`` are champion and challenger; the rollout is what was scored from ``rollout_since`` and from the route
    of ``rollout_epoch`` on. Columns: lead_id, in_rollout, scored_at (UTC), route_epoch, variant, priority, contacted
    (by the sales team, after it), champion_score and challenger_score (null where the version did not score it), and
    one for each of ``segments``, at most ``SEGMENTS`` features: ``segment_column`` names it. A lead that was scored
    before the rollout and in it has two rows.
    """
    import polars as pl  # noqa: PLC0415  # serving never needs it

    from leadgate.storage.postgres.frames import copy_frame  # noqa: PLC0415

    slots = {segment_column(i): "".join(segments[i : i + 1]) for i in range(SEGMENTS)}
    return copy_frame(
        connection,
        "exposures",
        "first_predictions",
        {
            "model_name": model_name,
            "champion": versions[0],
            "challenger": versions[1],
            "since": since,
            "until": until,
            "rollout_since": rollout_since,
            "rollout_epoch": rollout_epoch,
            **slots,
        },
        {
            "lead_id": pl.String(),
            "in_rollout": pl.Boolean(),
            "scored_at": pl.Datetime("us", "UTC"),
            "route_epoch": pl.Int64(),
            "variant": pl.String(),
            "priority": pl.String(),
            "contacted": pl.Boolean(),
            "champion_score": pl.Float64(),
            "challenger_score": pl.Float64(),
            **{slot: pl.String() for slot in slots},
        },
    )


def segment_column(place: int) -> str:
    """The column of the segment at a place, from 0 on."""
    return f"segment_{place + 1}"


def leads_of_routes(
    connection: Connection, *, model_name: str, since: datetime, until: datetime, epochs: Sequence[int]
) -> int:
    """How many leads were answered by some routes in a span."""
    values = {"model_name": model_name, "since": since, "until": until, "epochs": list(epochs)}
    row = connection.execute(statement("exposures", "leads_of_routes"), values).fetchone()
    return int(row[0]) if row else 0


def feature_counts(
    connection: Connection,
    *,
    model_name: str,
    since: datetime,
    until: datetime,
    categories: Mapping[str, Sequence[str]],
    most: int = 20_000,
) -> list[FeatureCount]:
    """Each feature of the last ``most`` leads in a span; ``categories`` has those that are declared."""
    values = {
        "model_name": model_name,
        "since": since,
        "until": until,
        "categories": Jsonb({name: list(known) for name, known in categories.items()}),
        "most": most,
    }
    rows = connection.execute(statement("exposures", "feature_health"), values).fetchall()
    return [FeatureCount(feature=row[0], leads=row[1], missing=row[2], unknown=row[3]) for row in rows]


def past_leads(
    connection: Connection,
    *,
    model_name: str,
    since: datetime,
    until: datetime,
    horizon: timedelta,
    silence_is_loss: bool,
) -> PastLeads:
    """What became of the leads of a span."""
    values = {
        "model_name": model_name,
        "since": since,
        "until": until,
        "horizon": horizon,
        "silence_is_loss": silence_is_loss,
    }
    row = connection.execute(statement("exposures", "champion_baseline"), values).fetchone()
    assert row is not None
    return PastLeads(matured=row[0], converted=row[1], leads=int(row[2]), days=float(row[3] or 0.0))
