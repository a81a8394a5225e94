"""The route ``/diagnosis``: what ``leadgate diagnose`` says, for callers whose key may read.

Judging reads profiles, the log and statistics, which have no place in a worker's memory: it runs as a command in a
process of its own, see ``desk.py``.
"""

from datetime import UTC, datetime

import msgspec
from fastapi import FastAPI, Request, Response

from leadgate.scoring import openapi
from leadgate.scoring.contract import BadRequestError, in_utc
from leadgate.scoring.desk import Desk

PATH = "/diagnosis"


def add_diagnosis(app: FastAPI, desk: Desk) -> None:
    """Add the route to the application."""

    @app.get(
        PATH,
        summary="Why scores no longer help: the likeliest root cause, its evidence, what to do",
        tags=["monitoring"],
        responses=openapi.responses("Told", 409, 422, 503),
        response_class=Response,
        openapi_extra={
            "parameters": [
                {
                    "name": "since",
                    "in": "query",
                    "required": False,
                    "description": "Judge the scores from this time on; monitoring.window_days ago when left out.",
                    "schema": {"type": "string", "format": "date-time"},
                }
            ]
        },
    )
    async def diagnosis(request: Request) -> Response:
        """Walk the plan's steps afresh: system, model, drift, data, business, integration, latency."""
        asked = request.query_params.get("since")
        since = [] if asked is None else [f"--since={_moment(asked)}"]
        return Response(await desk.diagnose(*since), media_type="application/json")


def _moment(text: str) -> str:
    """The time as the command takes it. Raises BadRequestError for what is no time; one without a zone is UTC."""
    try:
        found = msgspec.convert(text, datetime, strict=False)
    except msgspec.ValidationError:
        raise BadRequestError("since is a time such as 2026-06-01T00:00:00Z.", "since") from None
    at = in_utc(found if found.tzinfo else found.replace(tzinfo=UTC), "since")
    assert at is not None
    return at.replace(tzinfo=None, microsecond=0).isoformat()
