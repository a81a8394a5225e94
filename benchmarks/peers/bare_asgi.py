"""A bare ASGI answer of the length of ours: what the server itself costs."""

from collections.abc import Awaitable, Callable
from typing import Any

BODY = b'{"answer":"' + b"x" * 296 + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
    """Always the same."""
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})
