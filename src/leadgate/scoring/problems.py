"""Refusals as RFC 9457 problem details (quiet)."""

from typing import Any

import msgspec
from starlette.responses import Response

_TITLES = {
    400: "The request cannot be read",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The request took too long to arrive",
    409: "Not as things stand",
    413: "The request is too large",
    422: "The request is not valid",
    429: "Too many requests",
    431: "The request's head is too large",
    500: "Internal error",
    503: "Not available",
}


def problem(
    status: int, detail: str, *, path: str | None = None, request_id: str = "", headers: dict[str, str] | None = None
) -> Response:
    """A problem details answer; ``path`` names the field at fault (JSONPath)."""
    body = problem_body(status, detail, path=path, request_id=request_id)
    return Response(body, status, headers, media_type="application/problem+json")


def problem_body(status: int, detail: str, *, path: str | None = None, request_id: str = "") -> bytes:
    """Problem details as JSON."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
    }
    if path is not None:
        body["errors"] = [{"path": path, "detail": detail}]
    if request_id:
        body["request_id"] = request_id
    return msgspec.json.encode(body)
