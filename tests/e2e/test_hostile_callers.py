"""Callers that mean harm, or are broken: the service says no, and goes on serving the others."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands import Cli

MOST = 300


@pytest.fixture(scope="module")
def client(project_by_commands: Cli) -> Iterator[httpx.Client]:
    """A service that gives a request 1.5 s to arrive and takes 300 connections."""
    limits = {"LEADGATE_REQUEST_TIMEOUT_S": "1.5", "LEADGATE_MAX_CONNECTIONS": str(MOST)}
    with project_by_commands.server(**limits) as client:
        yield client


def dial(client: httpx.Client) -> socket.socket:
    """A bare connection."""
    connection = socket.create_connection(("127.0.0.1", int(str(client.base_url.port))), timeout=10)
    connection.settimeout(10)
    return connection


def scores(client: httpx.Client) -> bool:
    """Whether an ordinary caller is served."""
    return client.post("/predict", json={"lead_id": "ordinary", "features": {}}).status_code == 200


def said(connection: socket.socket) -> tuple[int, Any]:
    """Status and body of what the server says before it closes."""
    received = b""
    with suppress(ConnectionResetError):  # what was sent and not read resets it, after what was said
        while part := connection.recv(65_536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)


@pytest.mark.parametrize(
    "sent",
    (
        b"",
        b"POST /predict HTTP/1.1\r\nhost: x\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{",
        b"POST /outcomes HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{",
    ),
    ids=("says nothing", "half a head", "half a body", "half a body, other route"),
)
def test_a_request_that_never_ends_is_ended(client: httpx.Client, sent: bytes) -> None:
    """Slow-loris: 408 in our form, within the time that a request has to arrive."""
    with dial(client) as connection:
        connection.sendall(sent)
        started = time.monotonic()
        status, problem = said(connection)
        assert (status, problem["status"]) == (408, 408)
        assert 1.0 < time.monotonic() - started < 5.0
    assert scores(client)


def test_a_request_that_drips_is_ended_too(client: httpx.Client) -> None:
    """A byte now and then does not start the clock anew."""
    with dial(client) as connection:
        started = time.monotonic()
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n")
        with suppress(OSError):  # reset, or a broken pipe
            while time.monotonic() - started < 8:
                connection.sendall(b" ")
                time.sleep(0.1)
        assert time.monotonic() - started < 6
    assert scores(client)


def test_a_second_request_on_a_kept_connection_is_timed_too(client: httpx.Client) -> None:
    """The first one was good; the second never ends."""
    with dial(client) as connection:
        body = b'{"lead_id": "a", "features": {}}'
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(head + body[:5])
        assert said(connection)[0] == 408


def test_an_idle_connection_that_was_good_is_kept(client: httpx.Client) -> None:
    """A CRM that scores a lead now and then need not connect anew each time."""
    with dial(client) as connection:
        request = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
        for _ in range(2):
            connection.sendall(request)
            answer = b""
            while b"alive" not in answer:  # head and body may arrive apart
                part = connection.recv(65_536)
                assert part
                answer += part
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(2.8)


def test_a_hundred_megabytes_are_refused(client: httpx.Client) -> None:
    """By the length it announces, without reading it; and by what arrives, where it announces none."""
    with dial(client) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n")
        assert said(connection)[0] == 413

    sent = 0
    with dial(client) as connection:
        connection.sendall(b"POST /predict/batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(OSError):  # reset, or a broken pipe
            while sent < 100 * 1024 * 1024:
                connection.sendall(b"10000\r\n%b\r\n" % (b"x" * 65_536))
                sent += 65_536
        assert said(connection)[0] == 413
    assert 8 * 1024 * 1024 < sent < 50 * 1024 * 1024
    assert scores(client)


@pytest.mark.parametrize("pause", (0.0, 0.02), ids=("flood", "stream"))
def test_a_caller_who_never_reads_loses_its_place(client: httpx.Client, pause: float) -> None:
    """It sends request after request and takes no answer: it is not kept for ever."""
    body = json.dumps({"leads": [{"lead_id": "a", "features": {}}] * 1_000}).encode()
    request = b"POST /predict/batch HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        connection.connect(("127.0.0.1", int(str(client.base_url.port))))
        connection.settimeout(30)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012  # one of many is cut off
            while True:
                connection.sendall(request)
                time.sleep(pause)
    assert scores(client)


def test_ten_thousand_idle_connections_do_not_stop_it(client: httpx.Client) -> None:
    """Over the bound they are told to go; when the idle ones are timed out, ordinary callers are served again."""
    with ExitStack() as opened:
        connections = [opened.enter_context(dial(client)) for _ in range(10_000)]
        # On a slow machine the first are timed out while the last still dial, which then find room.
        assert 503 in {said(connection)[0] for connection in connections[MOST::500]}
        time.sleep(4)
        with httpx.Client(base_url=client.base_url, timeout=10) as fresh:
            assert scores(fresh)
    assert scores(client)


def test_what_is_no_http_is_refused(client: httpx.Client) -> None:
    """And a head without end is, too."""
    with dial(client) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 400")
    sent = 0
    with dial(client) as connection, suppress(OSError):  # reset, or a broken pipe
        connection.sendall(b"GET / HTTP/1.1\r\n")
        for sent in range(100_000):
            connection.sendall(b"x-%d: %s\r\n" % (sent, b"y" * 1_000))
    assert sent < 50_000
    assert scores(client)


def test_nothing_of_it_was_an_error(client: httpx.Client, cli: Cli) -> None:
    """Hostile callers are refused, which is no fault of the service: no 500, no traceback, and no secret in the log."""
    assert scores(client)
    lines = [line for line in Path(cli.folder / "serve.log").read_text().splitlines() if line.startswith("{")]
    assert not [line for line in lines if json.loads(line)["level"] not in ("info", "warning")]
