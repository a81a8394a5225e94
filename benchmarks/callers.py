"""Callers that send /predict at a steady rate, whatever the answers do (an open loop), and remember every answer."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop


@dataclass(frozen=True)
class Answered:
    """One answer."""

    due: float
    """When the request was to be sent, seconds of the monotonic clock."""
    done: float
    """When its answer was whole."""
    status: int
    body: bytes


@dataclass
class Calls:
    """What came of a run."""

    answers: list[Answered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Requests without an answer, each with its reason."""

    @property
    def latencies(self) -> list[float]:
        """Seconds from the time a request was due, ascending: a server that stalls cannot hide behind its callers."""
        return sorted(a.done - a.due for a in self.answers)


def request_bytes(lead: dict[str, object]) -> bytes:
    """A whole HTTP request for a lead."""
    body = json.dumps(lead).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: leadgate\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def call(port: int, requests: Sequence[bytes], *, rate: float, seconds: float, connections: int = 32) -> Calls:
    """Send the requests in turn, ``rate`` a second for ``seconds``, over kept connections."""
    return uvloop.run(_call(port, requests, rate, seconds, connections))


async def _call(port: int, requests: Sequence[bytes], rate: float, seconds: float, connections: int) -> Calls:
    calls = Calls()
    start = time.monotonic() + 0.05
    total = int(rate * seconds)
    due = iter(range(total))

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for i in due:
            at = start + i / rate
            wait = at - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                writer.write(requests[i % len(requests)])
                status, body = await _answer(reader)
                calls.answers.append(Answered(at, time.monotonic(), status, body))
            except (OSError, EOFError) as error:
                calls.failures.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(caller() for _ in range(connections)))
    return calls


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)
