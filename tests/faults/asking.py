"""Callers that go on whatever happens to the service, and remember every answer."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import httpx
from rig import wait_until


@dataclass(frozen=True)
class Refused:
    """An answer that is not a score."""

    at: float
    """Seconds of the monotonic clock."""
    status: int
    kind: str
    retry_after: str | None


def request_bytes(path: str, body: Any, **headers: str) -> bytes:
    """A whole HTTP request."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: leadgate", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Callers:
    """Connections that ask for scores at a steady rate, and go on whatever happens to them."""

    def __init__(self, port: int, leads: Sequence[dict[str, Any]], *, rate: float = 400, connections: int = 12) -> None:
        """``rate``: requests a second, over all connections. Every twentieth asks for five leads at once."""
        single = [request_bytes("/predict", lead) for lead in leads]
        batches = [request_bytes("/predict/batch", {"leads": leads[i : i + 5]}) for i in range(0, 50, 5)]
        self._requests = [
            r for i in range(len(single)) for r in (single[i], *([batches[i // 20 % 10]] * (i % 20 == 0)))
        ]
        self._port = port
        self._rate = rate
        self._connections = connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="callers")
        self.answered: dict[str, str] = {}
        """Version by the id of every prediction that was answered."""
        self.by_connection: list[list[str]] = [[] for _ in range(connections)]
        """Ids in the order in which each connection got them."""
        self.answered_at: list[float] = []
        self.refused: list[Refused] = []
        self.broken: list[float] = []
        """When a request was left without an answer."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "a caller waits for an answer for a minute"

    def more(self, answers: int, patience_s: float = 30) -> None:
        """Wait for so many more answers from now on."""
        want = len(self.answered_at) + answers
        wait_until(lambda: len(self.answered_at) >= want, patience_s, f"{answers} more answers")

    def longest_silence(self, since: float, until: float) -> float:
        """Seconds without any answer."""
        times = [since, *(at for at in list(self.answered_at) if since <= at <= until), until]
        return max(later - earlier for earlier, later in pairwise(times))

    async def _run(self) -> None:
        await asyncio.gather(*(self._call(i) for i in range(self._connections)))

    async def _call(self, number: int) -> None:
        period = self._connections / self._rate
        due = time.monotonic() + period * number / self._connections
        turn, stream = number * 7, None
        while not self._stop.is_set():
            due = max(due + period, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            turn += 1
            try:
                stream = stream or await asyncio.open_connection("127.0.0.1", self._port)
                stream[1].write(self._requests[turn % len(self._requests)])
                async with asyncio.timeout(50):
                    self._take(number, *(await _answer(stream[0])))
            except (OSError, EOFError):
                self.broken.append(time.monotonic())
                if stream is not None:
                    stream[1].close()
                stream = None
                await asyncio.sleep(0.02)
        if stream is not None:
            stream[1].close()

    def _take(self, number: int, status: int, headers: dict[str, str], body: bytes) -> None:
        now = time.monotonic()
        if status != 200:
            self.refused.append(Refused(now, status, headers["content-type"], headers.get("retry-after")))
            return
        content = json.loads(body)
        for score in content.get("predictions", [content]):
            self.answered[score["prediction_id"]] = score["model_version"]
            self.by_connection[number].append(score["prediction_id"])
        self.answered_at.append(now)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0][9:12]), headers, await reader.readexactly(int(headers["content-length"]))


class Repeater:
    """A caller that gives each request a key, repeats it until it is answered, and asks once more."""

    def __init__(self, port: int, leads: Any) -> None:
        self.answered: dict[str, str] = {}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._leads = leads
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repeater")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._client.close()
        assert self._same, "a key had two answers"

    _same = True

    def _run(self) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            first = self._ask(turn)
            again = self._ask(turn) if first else None
            if first and again:
                self._same &= first == again
                self.answered[first["prediction_id"]] = first["model_version"]

    def _ask(self, turn: int) -> Any:
        while not self._stop.is_set():
            with suppress(httpx.TransportError):
                done = self._client.post(
                    "/predict", json=self._leads[turn % 50], headers={"idempotency-key": f"key {turn}"}
                )
                if done.status_code == 200:
                    return done.json()
            time.sleep(0.05)
        return None
