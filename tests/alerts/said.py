"""What checks said, as rows; servers on loopback that are told."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import uuid_utils

from leadgate.storage.postgres.checks import CheckResult, add_results
from leadgate.storage.postgres.connection import Connection

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

AREAS = {
    "uptime": "system",
    "error rate": "system",
    "latency p99": "system",
    "freshness": "system",
    "volume": "system",
    "feature drift": "drift",
    "missing values": "data",
    "score drift": "scores",
    "AUC": "model",
    "calibration": "model",
    "conversion": "business",
}


def say(
    connection: Connection,
    at: datetime,
    said: Mapping[str | tuple[str, str], str] | Mapping[str, str] | Mapping[tuple[str, str], str],
    *,
    model: str = "lead-scoring",
    days: float = 7,
) -> None:
    """Write a run of checks down: severities by check, or by check and subject."""
    run_id = str(uuid_utils.uuid7())
    rows = []
    for key, severity in said.items():
        check, subject = (key, "") if isinstance(key, str) else key
        rows.append(
            CheckResult(
                run_id=run_id,
                model_name=model,
                checked_at=at,
                since=at - timedelta(days=days),
                until=at,
                area=AREAS[check],
                check_name=check,
                subject=subject,
                severity=severity,
                sentence=f"{check} is {severity}",
                value=None,
                threshold=None,
                low=None,
                high=None,
                level=None,
                sample=None,
                p_value=None,
                family=None,
                weight=1.0,
                details={},
            )
        )
    add_results(connection, rows)
    connection.commit()


@dataclass
class Party:
    """A web server that is told; it answers as ``answers`` say, the last one for ever."""

    answers: list[int | str]
    """A status; "hang" answers nothing for ten seconds; "drop" takes the message and hangs up."""
    retry_after: str | None = None
    """Sent with 429."""
    got: list[dict[str, Any]] = field(default_factory=list)
    """All bodies, refused ones too."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    """Those that were answered with 200, or whose answer was lost."""
    paths: list[str] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> int | str:
        """The next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def party(*answers: int | str, retry_after: str | None = None) -> Iterator[Party]:
    """A web server on loopback."""
    told = Party(answers=list(answers or (200,)), retry_after=retry_after)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.got.append(body)
            told.paths.append(self.path)
            answer = told.answer()
            if answer == "hang":
                told.closing.wait(10)
                return
            if answer in (200, "drop"):
                told.taken.append(body)
            if answer == "drop":
                return
            self.send_response(int(answer))
            if answer == 429 and told.retry_after is not None:
                self.send_header("Retry-After", told.retry_after)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        told.url = f"json://127.0.0.1:{server.server_address[1]}/hook"
        try:
            yield told
        finally:
            told.closing.set()
            server.shutdown()


def titles(bodies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of webhook messages."""
    return [body["title"] for body in bodies]


def wait_until(condition: Any, seconds: float = 20) -> None:
    """Until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
