"""Why a lead got its score, months later too: by the version that gave it, from the values that were logged."""

import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from leadgate.app.retaining import archive_of
from leadgate.app.wire import Home
from leadgate.errors import NotFoundError, RefusedError
from leadgate.models.reasons import Reasons, reasons_of
from leadgate.models.scorers import load
from leadgate.storage.archive import archived_score
from leadgate.storage.postgres.predictions import LoggedScore, logged_score
from leadgate.storage.postgres.routes import route_of_epoch

if TYPE_CHECKING:
    from leadgate.models.scorers import Scored
    from leadgate.records import Route

_SAME = 1e-9
"""Scores that differ by less are equal: the bar of the proof."""


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A logged score and its reasons."""

    logged: LoggedScore
    reasons: Reasons
    """By the version that gave the score."""
    score_again: float
    """What that version gives for the logged values now."""
    agrees: bool
    """Whether that is the logged score, to 1e-9."""


def explain(home: Home, lead_id: str, until: datetime | None = None) -> Explained:
    """Say why a lead has the score that was last answered for it, up to a time (UTC; None: now).

    1. Find the score, in the log or in the archive of its old days. 2. Fetch the version that gave it from the
    registry, its files' digests checked, and hold it against the digest of the route that was in force. 3. Score the
    logged values again. 4. Take the score apart. Raises NotFoundError when the lead was never scored, RefusedError when
    the version is another one now.
    """
    at = until or home.clock()
    with home.connection() as connection:
        found = logged_score(connection, home.project.name, lead_id, until=at) or _archived(home, lead_id, at)
        if found is None:
            raise NotFoundError(
                f"Lead {lead_id!r} has no score of model {home.project.name!r} up to {at:%Y-%m-%d %H:%M}."
            )
        route = route_of_epoch(connection, found.model_name, found.route_epoch)
    scored = load(home.registry, home.registry.find(found.model_version))
    _require_same_model(scored, found, route)
    again = scored.scorer.score([found.features.get(feature.name) for feature in scored.card.lead.used])
    return Explained(
        logged=found,
        reasons=reasons_of(scored, found.features),
        score_again=again,
        agrees=abs(again - found.predicted_score) < _SAME,
    )


def _archived(home: Home, lead_id: str, until: datetime) -> LoggedScore | None:
    row: dict[str, Any] | None = archived_score(archive_of(home), home.project.name, lead_id, until)
    if row is None:
        return None
    own = {field.name: row[field.name] for field in fields(LoggedScore)}
    return LoggedScore(**{**own, "prediction_id": UUID(row["prediction_id"]), "features": json.loads(row["features"])})


def _require_same_model(scored: "Scored", found: LoggedScore, route: "Route | None") -> None:
    """Raise RefusedError where the registry has another model under the number of the version that answered."""
    if route is None:
        return
    digest = route.champion_digest if found.variant == "champion" else route.challenger_digest
    if digest != scored.card.model_digest:
        raise RefusedError(
            f"Version {found.model_version} is another model now than the one that gave this score (its digest was "
            f"{(digest or '')[:12]}…, route {route.epoch}); another model's reasons would not be those of the score."
        )
