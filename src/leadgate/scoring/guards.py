"""Keeps a worker's connections in bounds: how many there are, and how long one may keep it waiting.

uvicorn times out a connection that is idle between two requests. It does not time out one that never says anything, or
that sends its request a byte a minute; nor does it bound their number by refusing.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from leadgate.scoring.problems import problem_body

_LONGEST_HEAD = 64 * 1024
"""Bytes of a request's head."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. ``most`` is set once, before the server starts."""

    most = 4_000
    head_bytes = 0
    """Of a request whose head is not whole yet."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or say no."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            say_no(self, 503, "Too many connections are open; try again.", retry_after=1)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head that does not end are bounded here, those of a body by its reader."""
        before: Any = self.cycle
        between = before is None or before.response_complete
        super().data_received(data)
        if between and self.cycle is before:
            self.head_bytes += len(data)
            if self.head_bytes > _LONGEST_HEAD:
                say_no(self, 431, f"The request's head is larger than {_LONGEST_HEAD:,} bytes.")
        elif self.head_bytes:
            self.head_bytes = 0


class Sweeper:
    """Closes connections that keep the server waiting; called about once a second."""

    def __init__(self, patience_s: float) -> None:
        """``patience_s``: how long a request may take to arrive."""
        self._patience = patience_s
        self._since: dict[Any, tuple[int, float]] = {}

    def sweep(self, connections: set[Any]) -> int:
        """Close those that have waited too long; gives their number."""
        now, waiting, closed = time.monotonic(), {}, 0
        for connection in list(connections):
            state = _waits_for_request(connection)
            if state is None:
                continue
            known = self._since.get(connection)
            since = known[1] if known and known[0] == state else now
            if now - since > self._patience:
                say_no(connection, 408, f"The request did not arrive within {self._patience:g} seconds.")
                closed += 1
            else:
                waiting[connection] = (state, since)
        self._since = waiting
        return closed


def say_no(connection: HttpToolsProtocol, status: int, detail: str, *, retry_after: int | None = None) -> None:
    """Answer with a problem, whatever was asked, and close."""
    transport = connection.transport
    if transport.is_closing():
        return
    body = problem_body(status, detail)
    names = {408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}
    retry = f"retry-after: {retry_after}\r\n" if retry_after is not None else ""
    head = (
        f"HTTP/1.1 {status} {names[status]}\r\ncontent-type: application/problem+json\r\n{retry}"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    transport.write(head.encode() + body)
    transport.close()


def _waits_for_request(connection: Any) -> int | None:
    """What the server waits for: the same number until the request is whole; None when it waits for nothing.

    Between two requests uvicorn's own keep-alive timer runs.
    """
    cycle = connection.cycle
    if cycle is None:  # nothing was ever asked
        return 0
    if cycle.response_complete:  # the next request has begun, or uvicorn's timer runs
        return None if connection.timeout_keep_alive_task is not None else id(cycle)
    return id(cycle) if cycle.more_body else None
