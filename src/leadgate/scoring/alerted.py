"""The routes under ``/alerts``: what is out, and who takes care of it.

To look asks for the scope ``read``, to acknowledge ``operate``. Where callers show a key, its name is who acts. Both
run as commands in processes of their own, see ``desk.py``.
"""

from fastapi import FastAPI, Request, Response

from leadgate.scoring import openapi
from leadgate.scoring.contract import BadRequestError, decode_as
from leadgate.scoring.desk import Desk
from leadgate.scoring.keys import Scope
from leadgate.scoring.rollouts import Reasoned, actor_of, number_of, numbers_in

UNDER = "/alerts"
_ACK = f"{UNDER}/{{alert_id}}/ack"


def scope_of(method: str) -> Scope:
    """What a key must allow for a route under ``/alerts``."""
    return "read" if method in ("GET", "HEAD") else "operate"


def add_alerts(app: FastAPI, desk: Desk) -> None:
    """Add the routes to the application."""

    @app.get(
        UNDER,
        summary="The open alerts, and with all=true those that are resolved",
        tags=["monitoring"],
        responses=openapi.responses("Told", 409, 422, 503),
        response_class=Response,
        openapi_extra={
            "parameters": [{"name": "all", "in": "query", "required": False, "schema": {"type": "boolean"}}]
        },
    )
    async def alerts(request: Request) -> Response:
        asked = request.query_params.get("all", "false")
        if asked not in ("true", "false"):
            raise BadRequestError("all is true or false.", "all")
        return Response(await desk.alerts("list", *(["--all"] if asked == "true" else [])), media_type=_JSON)

    @app.post(
        _ACK,
        summary="Take an alert into care: no reminders any more, unless it becomes worse",
        tags=["monitoring"],
        responses=openapi.responses("Told", 400, 404, 409, 422, 503),
        response_class=Response,
        openapi_extra={**openapi.request_body("Reasoned"), **numbers_in(_ACK)},
    )
    async def ack(request: Request) -> Response:
        given, number = decode_as(Reasoned, await request.body()), number_of(request, "alert_id")
        by = actor_of(request, given.by)
        try:
            said = await desk.alerts("ack", f"--comment={given.comment}", str(number), by=by)
        except BadRequestError:
            await desk.alerts("show", str(number), if_refused=404)  # refuses where there is no such alert
            raise
        return Response(said, media_type=_JSON)


_JSON = "application/json"
