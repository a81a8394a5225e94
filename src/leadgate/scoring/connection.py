"""One HTTP connection: the guard at the socket, and the short way of ``POST /predict``.

A prediction on compiled versions needs nothing that could make it wait but the spool, so it is answered without a task
and without the ASGI messages of ``predict.py``: this is half of what a request costs. Everything else, and every
request that is not plain, goes the ordinary way through uvicorn to the ASGI application.

uvicorn times out a connection that is idle between two requests. It does not time out one that never says anything, or
that sends its request a byte a minute; nor does it bound their number. The sweeper and the limits here do.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any, ClassVar, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from leadgate.records import Prediction
from leadgate.scoring.answering import Arm, answer
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.predict import ROUTE, too_large
from leadgate.scoring.problems import problem_body
from leadgate.scoring.refusals import refusal_of, request_id_of
from leadgate.scoring.service import Service, encode
from leadgate.scoring.spool import SpoolFullError

_PATH = ROUTE.encode()
_LONGEST_HEAD = 64 * 1024
"""Bytes of a request's head."""
_IDLE_S = 30.0
"""How long a connection is kept between two requests."""
_NOT_PLAIN = frozenset({b"idempotency-key", b"upgrade", b"connection", b"transfer-encoding"})
_GOOD_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n\r\n"
)
_STATUS = {
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    408: b"Request Timeout",
    413: b"Content Too Large",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class _Head(NamedTuple):
    """The head of a plain request for a prediction."""

    started: float
    """Seconds of the performance counter."""
    authorization: bytes | None
    request_id: str | None
    length: int


class Connection(HttpToolsProtocol):
    """One connection. The class attributes are set once, before the server starts."""

    service: ClassVar[Service]
    has_short_way: ClassVar[bool] = True

    head_bytes = 0
    """Of a request whose head is not whole yet."""
    _in_head = False
    answered = 0
    """Requests that went the short way."""
    _plain: _Head | None = None
    """The request that is being read, where it goes the short way."""
    _content = b""
    """Its body so far."""
    _pending = False
    """Whether its answer waits for the spool; what comes next waits for that answer."""
    _leaving = False
    """Whether the connection ends with that answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or say no."""
        super().connection_made(transport)
        if len(self.connections) > self.service.limits.connections:
            self.say_no(503, "Too many connections are open; try again.", retry_after=1)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head that does not end are bounded here, those of a body by its reader."""
        super().data_received(data)
        if self._in_head:
            self.head_bytes += len(data)
            if self.head_bytes > _LONGEST_HEAD:
                self.say_no(431, f"The request's head is larger than {_LONGEST_HEAD:,} bytes.")

    def on_message_begin(self) -> None:
        """A request begins; its ASGI scope is made only where it is needed."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True

    def on_headers_complete(self) -> None:
        """The head is whole: decide the way."""
        self._in_head = False
        self.head_bytes = 0
        if self.url == _PATH and self.has_short_way:
            self._plain = self._read_head()
            if self._plain is not None:
                self._content = b""
                return
        self._go_ordinary_way()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._plain is None:
            if not self._leaving:
                super().on_body(body)
            return
        self._content = self._content + body if self._content else body
        if len(self._content) > self.service.limits.body_bytes:
            plain, self._plain, self._content = self._plain, None, b""
            self._leaving = True
            self._refuse(BadRequestError(too_large(self.service.limits.body_bytes), status=413), plain)

    def on_message_complete(self) -> None:
        """The request is whole: answer it."""
        plain = self._plain
        if plain is None:
            if not self._leaving:
                super().on_message_complete()
            return
        self._plain = None
        service = self.service
        try:
            service.admit(plain.authorization, "score", plain.started)
            live = service.live
            lead = live.contract.decode_lead(self._content)
            if lead.event_id is not None or not live.compiled:
                self._go_ordinary_way_with(self._content)
                return
            prediction, arm = service.score_now(live, lead, plain.request_id)
            content = encode(answer(prediction, arm))
            service.spool.put((prediction,), partial(self._reply, plain, prediction, arm, content))
            self._pending = True
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets a problem and the log a line
            self._refuse(error, plain)

    def shutdown(self) -> None:
        """End after the answer that is under way."""
        if self._pending:
            self._leaving = True
        else:
            super().shutdown()

    def say_no(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        """Answer with a problem, whatever was asked, and close."""
        if self.transport.is_closing():
            return
        retry = [(b"retry-after", b"%d" % retry_after)] if retry_after is not None else []
        body = problem_body(status, detail)
        self.transport.write(
            _head(status, b"application/problem+json", body, [*retry, (b"connection", b"close")]) + body
        )
        self.transport.close()

    def _read_head(self) -> _Head | None:
        """The head of a plain request; None for one that has to go the ordinary way."""
        if self._pending or self.expect_100_continue or self.pipeline or self.flow.write_paused:
            return None
        if not self._is_between() or self.parser.get_method() != b"POST":
            return None
        authorization = request_id = None
        length = 0
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"authorization":
                authorization = value
            elif name == b"x-request-id":
                request_id = request_id_of(value)
            elif name in _NOT_PLAIN and (name != b"connection" or not self._is_kept(value)):
                return None
        if length > self.service.limits.body_bytes or not self.parser.should_keep_alive():
            return None
        return _Head(perf_counter(), authorization, request_id, length)

    def _is_kept(self, value: bytes) -> bool:
        return value.lower() == b"keep-alive" and self.parser.get_http_version() == "1.1"

    def _is_between(self) -> bool:
        """Whether no request of the ordinary way is under way."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _go_ordinary_way(self) -> None:
        """Make what uvicorn makes when a request begins, and let it go on."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def _go_ordinary_way_with(self, content: bytes) -> None:
        self._go_ordinary_way()
        if content:
            super().on_body(content)
        super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Start a request that goes the ordinary way, after the answer that is under way."""
        if self._pending:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def _reply(
        self, plain: _Head, prediction: Prediction, arm: Arm, content: bytes, error: SpoolFullError | None
    ) -> None:
        """The prediction is written down, or cannot be: answer."""
        self._pending = False
        if error is not None:
            self._refuse(error, plain)
            return
        self.answered += 1
        if not self.transport.is_closing():
            self.transport.write(self._good_head(content, prediction.request_id) + content)
        seconds = perf_counter() - plain.started
        metrics, labels = self.service.metrics, (arm.version, arm.variant)
        metrics.prediction_seconds.observe(labels, seconds)
        metrics.scores.observe(labels, prediction.predicted_score)
        metrics.predictions.add((arm.version, arm.variant, prediction.priority))
        self._go_on()

    def _refuse(self, error: Exception, plain: _Head) -> None:
        scope = {"client": self.client}
        refusal = refusal_of(error, route=ROUTE, request_id=plain.request_id, scope=scope)
        self.service.metrics.refusals.add((str(refusal.status),))
        self.service.metrics.request_seconds.observe((ROUTE, str(refusal.status)), perf_counter() - plain.started)
        self.answered += 1
        if not self.transport.is_closing():
            headers = [(b"x-request-id", refusal.request_id.encode()), *refusal.headers]
            head = _head(refusal.status, b"application/problem+json", refusal.body, headers)
            self.transport.write(head + refusal.body)
        self._go_on()

    def _go_on(self) -> None:
        if self._leaving:
            self.transport.close()
        elif self.pipeline:
            self.flow.resume_reading()
            super()._start_asgi_task(*self.pipeline.pop())

    def _good_head(self, content: bytes, request_id: str) -> bytes:
        server = self.server_state.default_headers
        date = server[0][1] if server else b""
        return _GOOD_HEAD % (date, len(content), request_id.encode())

    @property
    def awaits(self) -> tuple[Any, ...] | None:
        """What of a request has not arrived: equal until it has; None when nothing is awaited."""
        cycle: Any = self.cycle
        if self._plain is not None or self._in_head:
            return (self.answered, id(cycle), "rest")
        if cycle is not None and not cycle.response_complete:
            return (id(cycle), "body") if cycle.more_body else None
        if cycle is None and not self.answered and not self._pending:
            return ("anything",)
        return None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the next request with no timer of uvicorn's running."""
        return not self._pending and self.timeout_keep_alive_task is None and self._is_between()


def _head(status: int, kind: bytes, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers]
    text = b"".join(b"%b: %b\r\n" % line for line in lines)
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, _STATUS.get(status, b"Refused"), text)


class Sweeper:
    """Closes connections that keep the server waiting; called about once a second."""

    def __init__(self, patience_s: float) -> None:
        """``patience_s``: how long a request may take to arrive."""
        self._patience = patience_s
        self._since: dict[Connection, tuple[Any, float]] = {}

    def sweep(self, connections: set[Any]) -> None:
        """Close those that have waited too long."""
        now = time.monotonic()
        seen: dict[Connection, tuple[Any, float]] = {}
        for connection in list(connections):
            awaited = connection.awaits
            state = ("idle", connection.answered) if awaited is None and connection.is_idle else awaited
            if state is None:
                continue
            known = self._since.get(connection)
            since = known[1] if known and known[0] == state else now
            if awaited is None and now - since > _IDLE_S:
                connection.transport.close()
            elif awaited is not None and now - since > self._patience:
                connection.say_no(408, f"The request did not arrive within {self._patience:g} seconds.")
            else:
                seen[connection] = (state, since)
        self._since = seen
