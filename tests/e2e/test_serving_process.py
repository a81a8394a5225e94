"""The service as its operators run it: two workers, real sockets, routes and keys changed while it serves."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest

from commands import Cli
from leadgate.app.wire import Home, open_home

LEAD: dict[str, Any] = {"lead_id": "L-1", "features": {"company_size": 120.0, "industry": "Software"}}


@pytest.fixture(scope="module")
def project(project_by_commands: Cli) -> Cli:
    """Version 1 is champion, version 2 challenger."""
    return project_by_commands


@pytest.fixture(scope="module")
def client(project: Cli) -> Iterator[httpx.Client]:
    """A service of two workers."""
    with project.server("--workers", "2") as client:
        yield client


@pytest.fixture(scope="module")
def home(project: Cli, client: httpx.Client) -> Home:
    """The project, whose database runs with the service."""
    return open_home(project.folder)


def exchange(client: httpx.Client, sent: bytes, answers: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
    """Send bytes on a bare connection; status, headers and body of each answer."""
    found = []
    with socket.create_connection(("127.0.0.1", int(str(client.base_url.port))), timeout=10) as connection:
        connection.sendall(sent)
        stream = connection.makefile("rb")
        for _ in range(answers):
            status = int(stream.readline().split()[1])
            lines = iter(lambda: stream.readline().strip(), b"")
            headers = {k.decode().lower(): v.decode() for k, _, v in (line.partition(b": ") for line in lines)}
            found.append((status, headers, stream.read(int(headers["content-length"]))))
    return found


def request(lead: Any, *headers: str, version: str = "1.1") -> bytes:
    """A request for a prediction, as bytes."""
    body = json.dumps(lead).encode()
    lines = [f"POST /predict HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def eventually(true: Callable[[], bool], seconds: float = 5.0) -> float:
    """Seconds until something is true; fails when it takes longer."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds
        time.sleep(0.01)
    return time.monotonic() - started


def logged(home: Home, prediction_ids: list[str]) -> int:
    """How many of these predictions are in the log."""
    with home.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM leadgate.prediction_logs WHERE prediction_id = ANY(%s::uuid[])", [prediction_ids]
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    "sent",
    (
        request(LEAD),
        request(LEAD, "Connection: close"),
        request(LEAD, "Expect: 100-continue", "Connection: close"),
        request(LEAD, version="1.0"),
        request(LEAD, "Idempotency-Key: every-way"),
        request(LEAD, "X-Request-ID: mine"),
    ),
    ids=("short way", "close", "expect", "HTTP/1.0", "idempotent", "request id"),
)
def test_every_way_through_the_server_gives_the_same_answer(client: httpx.Client, home: Home, sent: bytes) -> None:
    """The plain request that is answered at the socket, and those that go through the application: one score."""
    expected = client.post("/predict", json=LEAD).json()
    if b"Expect" in sent:
        with socket.create_connection(("127.0.0.1", int(str(client.base_url.port))), timeout=10) as connection:
            connection.sendall(sent)
            received = b""
            while part := connection.recv(65_536):
                received += part
        content = received[received.index(b"{") :]
    else:
        ((status, headers, content),) = exchange(client, sent)
        assert (status, headers["content-type"]) == (200, "application/json")
        if b"X-Request-ID" in sent:
            assert headers["x-request-id"] == "mine"
    answer = json.loads(content)
    assert {**answer, "prediction_id": ""} == {**expected, "prediction_id": ""}
    eventually(lambda: logged(home, [answer["prediction_id"], expected["prediction_id"]]) == 2)


def test_requests_sent_at_once_are_answered_in_order(client: httpx.Client) -> None:
    """Pipelined, whichever way each of them goes."""
    health = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    leads = [{**LEAD, "lead_id": f"P-{i}"} for i in range(6)]
    wrong = request({"lead_id": ""})
    sent = request(leads[0]) + health + request(leads[1]) + request(leads[2]) + wrong + request(leads[3]) + health
    answers = exchange(client, sent, 7)
    assert [status for status, *_ in answers] == [200, 200, 200, 200, 422, 200, 200]
    assert [json.loads(body).get("lead_id", "") for *_, body in answers] == ["P-0", "", "P-1", "P-2", "", "P-3", ""]


def test_a_wrong_request_is_a_problem_at_the_socket_too(client: httpx.Client) -> None:
    """Status, path and request id as from the application."""
    bad = {**LEAD, "features": {"company_size": "big"}}
    ((status, headers, body),) = exchange(client, request(bad, "X-Request-ID: mine"))
    problem = json.loads(body)
    assert (status, headers["content-type"], headers["x-request-id"]) == (422, "application/problem+json", "mine")
    assert problem["errors"][0]["path"] == "$.features.company_size"
    assert problem["request_id"] == "mine"


def test_metrics_tell_of_all_workers(client: httpx.Client) -> None:
    """Whichever worker is asked, the predictions of both are in the sum."""

    def answered() -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("leadgate_predictions_total"))

    time.sleep(2.2)  # each worker tells the other once a second
    before = answered()
    for _ in range(40):
        with httpx.Client(base_url=client.base_url) as fresh:  # a new connection, for either worker
            assert fresh.post("/predict", json=LEAD).status_code == 200
    eventually(lambda: answered() == before + 40)
    text = client.get("/metrics").text
    assert 'worker="0"' in text
    assert 'worker="1"' in text


def test_a_route_is_in_force_everywhere_within_a_second(client: httpx.Client, project: Cli) -> None:
    """A promotion, and its rollback, under a caller that never stops; no request fails."""
    seen: list[tuple[float, int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            with httpx.Client(base_url=client.base_url) as fresh:
                answer = fresh.post("/predict", json=LEAD)
            seen.append((time.monotonic(), answer.status_code, answer.json()["model_version"]))

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        project.ok("models", "promote", "2")
        promoted = time.monotonic()
        time.sleep(1.5)
        project.ok("rollback", "--reason", "test")
        back = time.monotonic()
        time.sleep(1.5)
    finally:
        stop.set()
        caller.join()
    assert {status for _, status, _ in seen} == {200}
    assert {v for at, _, v in seen if at > back + 1.0} == {"1"}
    assert "2" in {v for at, _, v in seen if promoted < at < back}
    shown = project.json("route", "show")
    assert [(r["epoch"], r["champion"]) for r in shown] == [(3, "1"), (2, "2"), (1, "1")]
    assert shown[0]["reason"] == "test"
    assert project.json("models", "show", "champion")["version"]["version"] == "1"


def test_keys_are_asked_for_made_and_revoked_while_it_serves(project: Cli, client: httpx.Client) -> None:
    """--auth refuses to start while nobody has a key; a revoked key is refused within seconds."""
    said = project.refusal("serve", "--auth", "--port", "0")
    assert "leadgate keys create" in said
    key = project.json("keys", "create", "--name", "crm", "--scope", "score")
    token = next(value for value in key.values() if isinstance(value, str) and value.startswith("lg_"))
    with project.server("--auth") as guarded:
        headers = {"Authorization": f"Bearer {token}"}
        assert guarded.post("/predict", json=LEAD).status_code == 401
        assert guarded.post("/predict", json=LEAD, headers=headers).status_code == 200
        assert guarded.get("/metrics", headers=headers).status_code == 403
        project.ok("keys", "revoke", "crm")
        eventually(lambda: guarded.post("/predict", json=LEAD, headers=headers).status_code == 401)
    log = (project.folder / "serve.log").read_text()
    assert token.rsplit("_", 1)[1] not in log


def test_a_stop_finishes_what_is_in_flight(project: Cli, client: httpx.Client, home: Home) -> None:
    """Whatever was answered before SIGTERM ended the service is in the log when it has ended, with exit code 0."""
    answered: list[str] = []

    def ask(base_url: httpx.URL) -> None:
        with httpx.Client(base_url=base_url) as caller:
            while True:
                try:
                    answer = caller.post("/predict", json=LEAD)
                except httpx.TransportError:
                    return
                assert answer.status_code == 200
                answered.append(answer.json()["prediction_id"])

    with project.server() as ending:
        callers = [threading.Thread(target=ask, args=(ending.base_url,)) for _ in range(4)]
        for caller in callers:
            caller.start()
        until = time.monotonic() + 60.0
        while len(answered) <= 100 and time.monotonic() < until:
            time.sleep(0.05)
    for caller in callers:
        caller.join()
    assert len(answered) > 100
    assert logged(home, answered) == len(answered)


def test_what_does_not_fit_together_is_told_before_it_serves(project: Cli, client: httpx.Client) -> None:
    """leadgate.yaml says another type than the champion was trained with: one sentence that names both."""
    config = project.folder / "leadgate.yaml"
    text = config.read_text()
    changed = re.sub(r"company_size: \{type: numeric, range: \[[^]]*\]", "company_size: {type: categorical", text)
    assert changed != text
    try:
        config.write_text(changed)
        said = project.refusal("serve", "--port", "0")
    finally:
        config.write_text(text)
    assert "'company_size' is categorical" in said
    assert "version 1" in said


def test_a_field_of_leadgate_yaml_is_taken_from_callers(project: Cli, client: httpx.Client) -> None:
    """Though no version uses it: it was declared for one that was taken back, or that is to come."""
    lead = {**LEAD, "features": {**LEAD["features"], "of_another_version": 7}}
    assert client.post("/predict", json=lead).status_code == 422
    config = project.folder / "leadgate.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("  features:\n", "  features:\n    of_another_version: {type: numeric}\n"))
        with project.server() as other:
            assert other.post("/predict", json=lead).json()["lead_id"] == "L-1"
            assert other.post("/predict/batch", json={"leads": [lead]}).status_code == 200
    finally:
        config.write_text(text)


def test_no_process_shows_the_databases_url(project: Cli, client: httpx.Client, home: Home) -> None:
    """It may hold a password, and everybody on the machine can read a command line."""
    lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    ours = [line for line in lines if "leadgate.app.children" in line and str(project.folder) in line]
    assert len(ours) == 5  # two workers, the drainer, the pages, and the one that forks for commands
    assert not [line for line in ours if home.database_url in line]
