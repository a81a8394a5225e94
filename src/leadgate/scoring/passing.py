"""Hands requests for pages to the process that makes them, over a socket in the file system.

Pages read the registry, draw figures and wait for queries: none of that has a place in a worker's memory, or in the
time between two predictions. A worker only passes on what is asked and what is answered.
"""

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    import httpx

UNDER = "/ui/"
"""All pages but the first are here; the API has the names without it."""
PEER = b"x-leadgate-peer"
"""Header that tells the pages who called: the address at the worker's socket. A caller's own is left out."""

_MOST = 32
"""Requests for pages that a worker has under way."""
_LARGEST_BODY = 64 * 1024
_PATIENCE_S = 150.0
"""A diagnosis takes up to two minutes."""
_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"date"})
_STARTING = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Leadgate</title><p>The pages are starting; "
    b"this page tries again by itself. Scoring is not affected."
)

log = logging.getLogger("leadgate.scoring")


def is_page(path: str) -> bool:
    """Whether a path is one of the pages'."""
    return path == "/" or path.startswith(UNDER)


class Passing:
    """The ASGI application for pages, in a worker."""

    def __init__(self, socket: str) -> None:
        """``socket``: path of the socket at which the pages' process listens."""
        self._socket = socket
        self._under_way = 0
        self._pages: httpx.AsyncHTTPTransport | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        try:
            body = await _read(receive)
        except _GoneError:
            return
        if body is None:
            await _say(send, 413, b"The form is too large.")
        elif self._under_way >= _MOST:
            await _say(send, 503, b"Too many pages are asked for at this moment; try again.")
        else:
            self._under_way += 1
            try:
                await self._pass(scope, body, send)
            finally:
                self._under_way -= 1

    async def _pass(self, scope: Scope, body: bytes, send: Send) -> None:
        import httpx  # noqa: PLC0415  # for workers that somebody looks at

        if self._pages is None:
            # No client around it: that keeps the cookies of one answer, and shows them with everybody's next request.
            self._pages = httpx.AsyncHTTPTransport(uds=self._socket, limits=httpx.Limits(max_connections=_MOST))
        begun = False
        try:
            answer = await self._pages.handle_async_request(_request(scope, body))
            try:
                headers = [(k.lower(), v) for k, v in answer.headers.raw if k.lower() not in _HOP]
                begun = True
                await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
                await _stream(answer.aiter_raw(), send)
            finally:
                await answer.aclose()
        except httpx.InvalidURL:
            await _say(send, 400, b"This is no address of a page.")
        except httpx.HTTPError as error:
            if begun:  # half-way through there is nothing left to say
                raise
            log.warning("pages do not answer", extra={"reason": f"{type(error).__name__}: {error}"})
            await _say(send, 503, _STARTING, (b"refresh", b"2"), (b"retry-after", b"2"))


def _request(scope: Scope, body: bytes) -> "httpx.Request":
    """The same request, to the pages' process. Raises httpx.InvalidURL."""
    import httpx  # noqa: PLC0415  # as above

    query = f"?{scope['query_string'].decode('ascii', 'replace')}" if scope["query_string"] else ""
    path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "replace")
    if not path.startswith("/"):
        raise httpx.InvalidURL(path)
    patience = dict.fromkeys(("connect", "read", "write", "pool"), _PATIENCE_S)
    return httpx.Request(
        scope["method"],
        f"http://pages{path}{query}",
        headers=_forwarded(scope),
        content=body,
        extensions={"timeout": patience},
    )


def _forwarded(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The caller's headers, and who called."""
    passed = [(k, v) for k, v in scope["headers"] if k not in _HOP and k != PEER]
    return [*passed, (PEER, (scope.get("client") or ("",))[0].encode())]


class _GoneError(Exception):
    """The caller left before the request was whole: half a form is none."""


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None where it is too large. Raises _GoneError."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        body += message.get("body", b"")
        if len(body) > _LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return body


async def _stream(parts: AsyncIterator[bytes], send: Send) -> None:
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _say(send: Send, status: int, text: bytes, *headers: tuple[bytes, bytes]) -> None:
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *headers],
    }
    await send(start)
    await send({"type": "http.response.body", "body": text})
