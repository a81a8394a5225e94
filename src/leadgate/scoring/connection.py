"""One HTTP connection: the guard at the socket, and the short way of ``POST /predict``.

A prediction on compiled versions needs nothing that could make it wait but the spool, so it is answered without a task
and without the ASGI messages of ``predict.py``: this is half of what a request costs. Everything else, and every
request that is not plain, goes the ordinary way through uvicorn to the ASGI application.

uvicorn times out a connection that is idle between two requests. It does not time out one that never says anything,
that sends its request a byte a minute, or that never reads an answer (``sweeper.py`` does); nor does it bound their
number and heads, as the limits here do.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from functools import partial
from time import perf_counter
from typing import Any, ClassVar, Literal, NamedTuple

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from leadgate.records import ApiKey, Prediction
from leadgate.scoring.answering import Arm, answer
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.predict import ADMITTED, ROUTE
from leadgate.scoring.refusals import CrowdedError, Refusal, refusal_of, request_id_of
from leadgate.scoring.service import Service, encode
from leadgate.scoring.spool import SpoolFullError

_PATH = ROUTE.encode()
_LONGEST_HEAD = 64 * 1024
"""Bytes of a request's head."""
_LARGEST_PLAIN = 16 * 1024
"""Bytes of a body that goes the short way: they are held before the key is looked at. The ordinary way asks first."""
_MOST_AHEAD = 32
"""Requests that a caller may send ahead of the answers to those before them."""
_LONGEST_ROUTE = 100
"""Characters of a path that the log repeats."""
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


log = logging.getLogger("leadgate.scoring")


Awaited = Literal["request", "reading", "another"]
"""The request or its rest; that answers are taken from the socket; another request."""


class _Head(NamedTuple):
    """The head of a plain request for a prediction."""

    started: float
    """Seconds of the performance counter."""
    authorization: bytes | None
    request_id: str | None
    length: int


class _Flow(FlowControl):
    """Reads no further while requests wait for their turn; uvicorn does after each answer, so that they pile up."""

    def __init__(self, transport: asyncio.Transport, pipeline: Collection[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Go on when the last of them has begun, which may need the rest of its body."""
        if not self._pipeline:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """One connection. The class attributes are set once, before the server starts."""

    service: ClassVar[Service]
    has_short_way: ClassVar[bool] = True

    url = b""
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
    _started: Any = None
    """The cycle of the last request of the ordinary way whose turn has come."""
    _leaving = False
    """Whether the connection ends with that answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or say no."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) > self.service.limits.connections:
            self.say_no(CrowdedError())

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone; uvicorn tells the request that came last, which need not be the one under way."""
        super().connection_lost(exc)
        if self._started is not None:
            self._started.disconnected = True

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head that does not end are bounded here, those of a body by its reader."""
        super().data_received(data)
        if self._in_head:
            # Where the head began in these bytes, most of them may be requests before it.
            self.head_bytes += len(data) if self.head_bytes else 1
            if self.head_bytes > _LONGEST_HEAD:
                self.say_no(BadRequestError(f"The request's head is larger than {_LONGEST_HEAD:,} bytes.", status=431))

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
        self._content = self._content + body if self._content else body  # no more than the head announced

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
            caller = service.admit(plain.authorization, "score", plain.started)
            live = service.live
            lead = live.contract.decode_lead(self._content)
            if lead.event_id is not None or not live.compiled:
                self._go_ordinary_way_with(self._content, caller)
                return
            if live.making is not None:
                if live.looks_up or not live.is_whole(lead):
                    self._go_ordinary_way_with(self._content, caller)
                    return
                lead = service.make_now(live, lead)
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

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; in our form, not in uvicorn's."""
        self.say_no(BadRequestError(msg))

    def say_no(self, error: Exception) -> None:
        """Answer with the problem of an error, whatever was asked, and close."""
        if self.transport.is_closing():
            return
        path = self.url.partition(b"?")[0][:_LONGEST_ROUTE].decode("latin-1")
        ids = (request_id_of(value) for name, value in self.headers or () if name == b"x-request-id")
        self._send(self._refusal(error, path or "(none)", next(ids, None)), closing=True)
        self.transport.close()

    def give_up(self, reason: str) -> None:
        """Cut off a caller who cannot even be told."""
        log.warning("connection cut off", extra={"peer": (self.client or ("?",))[0], "reason": reason})
        self.transport.abort()

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
        if length > _LARGEST_PLAIN or length > self.service.limits.body_bytes or not self.parser.should_keep_alive():
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
        if len(self.pipeline) > _MOST_AHEAD:
            self.give_up(f"it sent more than {_MOST_AHEAD} requests ahead of their answers")
            raise ConnectionAbortedError  # the parser reads no further

    def _go_ordinary_way_with(self, content: bytes, caller: ApiKey | None) -> None:
        """Hand over a request that is whole, and admitted."""
        self._go_ordinary_way()
        scope: Any = self.scope
        scope[ADMITTED] = caller
        if content:
            super().on_body(content)
        super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Start a request that goes the ordinary way, after the answer that is under way."""
        if self._pending:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            self._started = cycle
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
        refusal = self._refusal(error, ROUTE, plain.request_id)
        self.service.metrics.request_seconds.observe((ROUTE, str(refusal.status)), perf_counter() - plain.started)
        self.answered += 1
        if not self.transport.is_closing():
            self._send(refusal)
        self._go_on()

    def _refusal(self, error: Exception, route: str, request_id: str | None) -> Refusal:
        """What to say of an error; logged and counted."""
        refusal = refusal_of(error, route=route, request_id=request_id, scope={"client": self.client})
        self.service.metrics.refusals.add((str(refusal.status),))
        return refusal

    def _send(self, refusal: Refusal, *, closing: bool = False) -> None:
        headers = [(b"x-request-id", refusal.request_id.encode()), *refusal.headers]
        if closing and (b"connection", b"close") not in headers:
            headers.append((b"connection", b"close"))
        self.transport.write(_head(refusal.status, b"application/problem+json", refusal.body, headers) + refusal.body)

    def _go_on(self) -> None:
        if self._leaving:
            self.transport.close()
        elif self.pipeline:
            cycle, app = self.pipeline.pop()
            self.flow.resume_reading()
            self._start_asgi_task(cycle, app)

    def _good_head(self, content: bytes, request_id: str) -> bytes:
        server = self.server_state.default_headers
        date = server[0][1] if server else b""
        return _GOOD_HEAD % (date, len(content), request_id.encode())

    @property
    def awaits(self) -> tuple[Awaited, Any] | None:
        """What of its caller the server waits for: equal until the caller has moved; None while the caller waits."""
        cycle: Any = self.cycle
        if unread := self.transport.get_write_buffer_size():
            return "reading", (unread, self.answered, id(cycle))
        if self._pending or self.flow.read_paused:  # with requests in hand, whose answers come first
            return None
        if self._plain is not None or self._in_head:
            return "request", (self.answered, id(cycle), "rest")
        if not self._is_between():
            return ("request", (id(cycle), "body")) if cycle.more_body else None
        if cycle is None and not self.answered:
            return "request", "anything"
        return None if self.timeout_keep_alive_task else ("another", self.answered)  # uvicorn's own timer runs


def _head(status: int, kind: bytes, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers]
    text = b"".join(b"%b: %b\r\n" % line for line in lines)
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, _STATUS.get(status, b"Refused"), text)
