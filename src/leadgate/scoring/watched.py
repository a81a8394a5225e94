"""What every route but ``/predict`` goes through: the key, the body's limit, the request id, the metrics, refusals."""

from time import perf_counter
from typing import Any

import uuid_utils
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leadgate.scoring import alerted, rollouts
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.keys import Scope as KeyScope
from leadgate.scoring.predict import DisconnectedError, problem_headers, read_body, read_head
from leadgate.scoring.refusals import refusal_of
from leadgate.scoring.service import Service

OPEN_TO_ALL = ("/health/live", "/health/ready")
"""Routes that an orchestrator asks without a key."""

_UNASKED_BYTES = 1_024
"""Of a body that such a route takes and ignores: nobody has said who sends it."""

_SCOPES: dict[str, KeyScope] = {
    "/predict/batch": "score",
    "/predict": "score",
    "/outcomes": "outcomes",
    "/contacts": "outcomes",
    "/events": "events",  # a tracker on a website need not be able to say who converted
}


def scope_of(method: str, path: str) -> KeyScope:
    """What a key must allow."""
    if path == rollouts.UNDER or path.startswith(f"{rollouts.UNDER}/"):
        return rollouts.scope_of(method, path)
    if path.startswith(f"{alerted.UNDER}/"):
        return alerted.scope_of(method)
    return _SCOPES.get(path, "read")


class Watched:
    """Wraps the FastAPI application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id: str | None = None
        answer = _Answer(send)
        try:
            authorization, request_id, key, length = read_head(scope["headers"])
            request_id = answer.request_id = request_id or str(uuid_utils.uuid7())
            path, caller, most = scope["path"], None, self._service.limits.body_bytes
            if path in OPEN_TO_ALL:
                most = min(most, _UNASKED_BYTES)
            else:
                caller = self._service.admit(authorization, scope_of(scope["method"], path), started)
            body = await read_body(receive, length, most)
            scope.setdefault("state", {}).update(
                request_id=request_id,
                idempotency_key=key,
                caller=caller.key_id if caller else "",
                caller_name=caller.name if caller else None,
            )
            await self._app(scope, _given(body, receive), answer.send)
        except DisconnectedError:
            return
        except Exception as error:  # whatever it is, the caller gets a problem and the log a line
            if answer.status is not None:  # half-way through an answer there is nothing left to say
                raise
            refusal = refusal_of(_told(error, scope), route=scope["path"], request_id=request_id, scope=scope)
            self._service.metrics.refusals.add((str(refusal.status),))
            await send({"type": "http.response.start", "status": refusal.status, "headers": problem_headers(refusal)})
            await send({"type": "http.response.body", "body": refusal.body})
            answer.status = refusal.status
        route = getattr(scope.get("route"), "path_format", "(none)")
        self._service.metrics.request_seconds.observe((route, str(answer.status)), perf_counter() - started)


class _Answer:
    """Notes the status on its way out and adds the request id.

    A 500 is held back: the framework sends one of its own and then raises the error, which is told in our form.
    """

    def __init__(self, send: Send) -> None:
        self.status: int | None = None
        self.request_id = ""
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 500:  # noqa: PLR2004
                return
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        if self.status is not None:
            await self._send(message)


def _given(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read, then what the server says next."""
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def _told(error: Exception, scope: Scope) -> Exception:
    """A refusal of the framework, such as an unknown path, as one of ours."""
    if isinstance(error, HTTPException):
        return BadRequestError(f"{scope['method']} {scope['path']}: {error.detail}.", status=error.status_code)
    return error
