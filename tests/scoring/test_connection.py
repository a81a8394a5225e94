"""The service at its socket: what a caller can do to it there, alone and to the others."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

from leadgate.app.wire import Home
from leadgate.models.scorers import Scored, load
from leadgate.scoring.plan import Limits
from serviced import Broken, Listening, a_key, by_library, full_route, lead, listen

PATIENCE_S = 1.0


@pytest.fixture(scope="module")
def champion(workshop: Home) -> Scored:
    """Logistic regression."""
    return load(workshop.registry, workshop.registry.find("1"))


@pytest.fixture
def open_to_all(champion: Scored, database: str, tmp_path: Path) -> Iterator[Listening]:
    """A service that asks nobody for a key and waits a second for a request."""
    limits = Limits(request_s=PATIENCE_S, connections=20)
    with listen(tmp_path / "spool", database, full_route(champion), champion, limits=limits) as listening:
        yield listening


def request(body: bytes, *headers: str, path: str = "/predict") -> bytes:
    """A request, as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def said(connection: socket.socket, stream: IO[bytes] | None = None) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of the next answer; ``stream``: where more than one is on its way."""
    stream = stream or connection.makefile("rb")
    status = int(stream.readline().split()[1])
    lines = iter(lambda: stream.readline().strip(), b"")
    headers = {k.decode().lower(): v.decode() for k, _, v in (line.partition(b": ") for line in lines)}
    return status, headers, json.loads(stream.read(int(headers["content-length"])))


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("event", (True, False), ids=("event id", "library"))
def test_a_request_costs_its_key_one_request_whichever_way_it_goes(
    event: bool, champion: Scored, database: str, tmp_path: Path
) -> None:
    """What is handed over from the socket to the application was admitted; a burst of one is enough for it."""
    key, shown = a_key("crm", "score", rate=0.001)
    served = champion if event else by_library(champion, Broken())
    body = {**lead(champion), "event_id": "e-1"} if event else lead(champion)
    with listen(tmp_path / "spool", database, full_route(served), served, keys=[key]) as at:
        answers = [at.client(**shown).post("/predict", json=body) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert len(at.logged("prediction_id")) == 1


@pytest.mark.parametrize("path", ("/predict", "/predict/batch", "/outcomes", "/health/live"))
def test_who_shows_no_key_is_refused_before_the_body_is_taken_in(
    path: str, champion: Scored, database: str, tmp_path: Path
) -> None:
    """Megabytes that are announced, and never sent, need not arrive for it: nobody fills a worker's memory unknown."""
    key, _ = a_key("crm", "score")
    with listen(tmp_path / "spool", database, full_route(champion), champion, keys=[key]) as at, at.dial() as caller:
        caller.settimeout(5)
        caller.sendall(request(b"", path=path).replace(b"Length: 0", b"Length: 7000000") + b"{")
        status, _, problem = said(caller)
        assert (status, problem["status"]) in {(401, 401), (413, 413)}


@pytest.mark.parametrize("size", (0, 15_000, 40_000, 300_000))
def test_bodies_of_any_size_get_the_same_answer(size: int, open_to_all: Listening, champion: Scored) -> None:
    """Small ones at the socket, large ones in the application; and more than one on a connection."""
    body = json.dumps(lead(champion)).encode().ljust(size)
    with open_to_all.dial() as caller:
        for _ in range(2):
            caller.sendall(request(body))
            status, _, answer = said(caller)
            assert (status, answer["predicted_score"]) == (200, champion.scorer.score(champion.card.example))
    assert len(open_to_all.logged("prediction_id")) == 2


def test_an_event_id_that_no_header_can_hold_is_refused_with_nothing_written(
    open_to_all: Listening, champion: Scored
) -> None:
    """422 on a connection that stays, not a row without an answer."""
    body = json.dumps({**lead(champion), "event_id": "e-1\n"}).encode()
    with open_to_all.dial() as caller:
        for _ in range(2):
            caller.sendall(request(body))
            status, _, problem = said(caller)
            assert (status, problem["errors"][0]["path"]) == (422, "$.event_id")
    assert open_to_all.logged("prediction_id") == []


@pytest.mark.parametrize(
    ("sent", "status", "route"),
    (
        (b"POST /predict?x=1 HTTP/1.1\r\nx-request-id: mine\r\ncontent-length: 9\r\n\r\n{", 408, "/predict"),
        (b"", 408, "(none)"),
        (b"GET / HTTP/1.1\r\n" + b"x: %b\r\n" % (b"y" * 7_000) * 40, 431, "/"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, 400, "(none)"),
    ),
    ids=("half a body", "nothing", "endless head", "no HTTP"),
)
def test_what_is_refused_at_the_socket_is_logged_and_counted(
    sent: bytes, status: int, route: str, open_to_all: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    """As any other refusal: a problem with a request id, the same in the log, and one more in the metrics."""
    with caplog.at_level(logging.WARNING, "leadgate"), open_to_all.dial() as caller:
        caller.sendall(sent)
        found, headers, problem = said(caller)
        with suppress(ConnectionResetError):  # where not all that was sent was read
            assert caller.recv(1) == b""
    assert (found, headers["content-type"], headers["connection"]) == (status, "application/problem+json", "close")
    assert problem["request_id"] == headers["x-request-id"]
    if b"mine" in sent:
        assert problem["request_id"] == "mine"
    (line,) = [vars(r) for r in caplog.records if r.getMessage() == "request refused"]
    assert (line["status"], line["route"], line["request_id"]) == (status, route, problem["request_id"])
    assert line["peer"] == "127.0.0.1"
    assert open_to_all.service.metrics.refusals.series[str(status),] == 1


def test_many_requests_at_once_are_no_long_head(open_to_all: Listening, champion: Scored) -> None:
    """Hundreds of kilobytes that end within the next head: what counts for the bound on heads is that head alone."""
    body = json.dumps(lead(champion)).encode().ljust(15_000)
    sent = request(body) * 20
    with open_to_all.dial() as caller:
        caller.sendall(sent[: -len(body) - 5])
        answers = [said(caller, stream)[0] for stream in [caller.makefile("rb")] for _ in range(19)]
        caller.sendall(sent[-len(body) - 5 :])
        assert [*answers, said(caller)[0]] == [200] * 20


def test_a_caller_cannot_pile_up_requests(
    open_to_all: Listening, champion: Scored, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests by the thousand, faster than they are answered: few are taken in, and the caller is cut off."""
    sent = request(json.dumps(lead(champion)).encode()) * 1_000
    with open_to_all.dial() as caller, pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012  # one of many
        for _ in range(1_000):
            caller.sendall(sent)
    assert "connection cut off" in {r.getMessage() for r in caplog.records}
    with open_to_all.client() as other:
        assert other.post("/predict", json=lead(champion)).status_code == 200
    assert len(open_to_all.logged("prediction_id")) < 100


def test_the_body_of_a_request_sent_ahead_is_waited_for(open_to_all: Listening, champion: Scored) -> None:
    """What waits for its turn is not read further; at its turn it is."""
    body = json.dumps(lead(champion)).encode().ljust(500_000)
    with open_to_all.dial() as caller:
        caller.sendall(request(body) * 5)
        stream = caller.makefile("rb")
        assert [said(caller, stream)[0] for _ in range(5)] == [200] * 5


def test_a_connection_too_many_is_logged_and_counted(open_to_all: Listening, caplog: pytest.LogCaptureFixture) -> None:
    """503 with when to come again; the operator sees that the bound is reached."""
    callers = [open_to_all.dial() for _ in range(21)]
    try:
        with caplog.at_level(logging.WARNING, "leadgate"):
            status, headers, problem = said(callers[-1])
    finally:
        for caller in callers:
            caller.close()
    assert (status, headers["retry-after"], problem["request_id"]) == (503, "1", headers["x-request-id"])
    assert [r.__dict__["status"] for r in caplog.records if r.getMessage() == "request refused"] == [503]
    assert open_to_all.service.metrics.refusals.series["503",] == 1


@pytest.mark.parametrize("path", ("/openapi.json", "/predict"))
def test_a_caller_who_never_reads_its_answers_is_cut_off(
    path: str, open_to_all: Listening, champion: Scored, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks again and again and takes nothing: it is not kept for ever, and the log says why it was cut off."""
    gauges = open_to_all.service.metrics.gauges
    sent = request(json.dumps(lead(champion)).encode())
    if path != "/predict":
        sent = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    open_to_all.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)  # else the kernel takes megabytes
    with open_to_all.dial(buffer=2_048) as caller:
        for _ in range(5):
            caller.sendall(sent * 10)
            time.sleep(0.1)
        eventually(lambda: gauges["leadgate_connections"] == 0)
    assert {r.getMessage() for r in caplog.records} == {"connection cut off"}
    with open_to_all.client() as other:
        assert other.post("/predict", json=lead(champion)).status_code == 200


def test_a_caller_who_reads_slowly_is_not(open_to_all: Listening) -> None:
    """Each part that it takes gives it time for the next."""
    open_to_all.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
    with open_to_all.dial(buffer=2_048) as caller:
        caller.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30)
        received = b""
        while received.count(b"HTTP/1.1 200") < 30:
            part = caller.recv(65_536)
            assert part, "cut off"
            received += part
            if len(received) < 200_000:
                time.sleep(PATIENCE_S / 50)
