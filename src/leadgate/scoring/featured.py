"""The route ``/leads/{lead_id}/features``: what a score of a lead would be made of now."""

from functools import partial

from fastapi import FastAPI, Response
from starlette.concurrency import run_in_threadpool

from leadgate.scoring import openapi
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.delivered import as_json
from leadgate.scoring.making import features_of
from leadgate.scoring.service import Service, encode


def add_features(app: FastAPI, service: Service) -> None:
    """Add the route to the application."""

    @app.get(
        "/leads/{lead_id:path}/features",  # an id may hold slashes
        summary="What a score of a lead would be made of now",
        tags=["scoring"],
        responses=openapi.responses("FeaturesOut", 404, 422, 503),
        response_class=Response,
    )
    async def lead_features(lead_id: str) -> Response:
        """Give a lead's columns as last imported, how many events of it count, and what the champion makes of both."""
        if "\0" in lead_id:
            raise BadRequestError("An id may not hold the character NUL.", "lead_id")
        champion, at = service.live.champion, service.clock()
        found = await run_in_threadpool(partial(service.log.look_up, [lead_id], columns=True, events=True))
        known = found[lead_id]
        if known.columns is None and not known.events:
            raise BadRequestError(f"Of lead {lead_id!r} neither columns nor events are known here.", status=404)
        return as_json(encode(features_of(champion.scored.card.lead, champion.version, lead_id, known, at)))
