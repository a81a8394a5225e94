"""A service in the test's own process: the real application, spool and drainer on a database of the test's own."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvicorn
from starlette.testclient import TestClient

from leadgate.models.scorers import Scored
from leadgate.records import ApiKey, Route
from leadgate.rollout.routing import Act, Named, change, first_route
from leadgate.scoring.answering import Live, live_of
from leadgate.scoring.api import App
from leadgate.scoring.connection import Connection
from leadgate.scoring.drainer import Drainer
from leadgate.scoring.keys import Keyring
from leadgate.scoring.log import ServingLog
from leadgate.scoring.plan import Limits
from leadgate.scoring.service import Service
from leadgate.scoring.spool import Spool
from leadgate.scoring.sweeper import Sweeper

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ACT = Act(by="tester", at=NOW, reason="test")


@dataclass
class Served:
    """A running service."""

    client: TestClient
    service: Service
    database: str
    stop_draining: threading.Event = field(default_factory=threading.Event)

    def settle(self) -> None:
        """Wait until what was answered is in the log."""
        assert self.client.portal is not None
        assert self.client.portal.call(self.service.spool.settle, 10.0)

    def logged(self, what: str) -> list[tuple[Any, ...]]:
        """Columns of the prediction log, in the order of the ids."""
        self.settle()
        with psycopg.connect(self.database) as connection:
            return connection.execute(f"SELECT {what} FROM leadgate.prediction_logs ORDER BY prediction_id").fetchall()


def named(scored: Scored) -> Named:
    """A version as a route names it."""
    return Named(version=scored.version.version, digest=scored.card.model_digest)


def full_route(champion: Scored) -> Route:
    """The champion alone."""
    return first_route(champion.card.model_name, named(champion), ACT)


def shared_route(champion: Scored, challenger: Scored, *, stage: Any, share: int = 0) -> Route:
    """The second route of a model: a challenger beside the champion."""
    return change(
        full_route(champion),
        ACT,
        stage=stage,
        champion=named(champion),
        challenger=named(challenger),
        share=share,
        salt="salt",
    )


@dataclass
class Listening:
    """A running service at a real socket, as a worker has it: with the short way, and with the sweeper."""

    listener: socket.socket
    service: Service
    loop: asyncio.AbstractEventLoop
    database: str
    server: uvicorn.Server

    def connections(self) -> list[Connection]:
        """Those that are open."""
        return [c for c in self.server.server_state.connections if isinstance(c, Connection)]

    @property
    def port(self) -> int:
        """On loopback."""
        return int(self.listener.getsockname()[1])

    def client(self, **headers: str) -> httpx.Client:
        """A caller."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=10)

    def dial(self, *, buffer: int | None = None) -> socket.socket:
        """A bare connection; ``buffer``: bytes that the kernel may take in before they are read."""
        connection = socket.socket()
        connection.settimeout(10)
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def logged(self, what: str) -> list[tuple[Any, ...]]:
        """Columns of the prediction log, in the order of the ids."""
        assert asyncio.run_coroutine_threadsafe(self.service.spool.settle(10.0), self.loop).result(15)
        with psycopg.connect(self.database) as connection:
            return connection.execute(f"SELECT {what} FROM leadgate.prediction_logs ORDER BY prediction_id").fetchall()


def lead(scored: Scored, lead_id: str = "L-1", **features: Any) -> dict[str, Any]:
    """A request for a training lead."""
    known = {f.name: v for f, v in zip(scored.card.lead.used, scored.card.example, strict=True)}
    return {"lead_id": lead_id, "features": {**known, **features}}


class Broken:
    """A scorer that fails, or takes its time first."""

    def __init__(self, error: Exception | None = None, wait_s: float = 0.0, score: float = 0.5) -> None:
        self.error, self.wait_s, self.answer = error, wait_s, score

    def score(self, values: Any) -> float:
        """One."""
        return self.score_many([values])[0]

    def score_many(self, rows: Any) -> list[float]:
        """Many."""
        time.sleep(self.wait_s)
        if self.error:
            raise self.error
        return [self.answer] * len(rows)


def by_library(scored: Scored, scorer: Any) -> Scored:
    """The version as if it could not be compiled."""
    return replace(scored, scorer=scorer, card=replace(scored.card, proof=None, why_library="test"))


def a_key(name: str, *scopes: str, rate: float | None = None) -> tuple[ApiKey, dict[str, str]]:
    """A key, and the header that shows it."""
    key = ApiKey(
        key_id=name,
        name=name,
        scopes=scopes,
        secret_sha256=sha256(f"secret of {name}".encode()).digest(),
        requests_per_second=rate,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="tester",
        expires_at=None,
        revoked_at=None,
    )
    return key, {"Authorization": f"Bearer lg_{name}_secret of {name}"}


@contextmanager
def serve(
    folder: Path,
    database: str,
    route: Route,
    champion: Scored,
    challenger: Scored | None = None,
    *,
    keys: list[ApiKey] | None = None,
    limits: Limits | None = None,
    pages: Any = None,
) -> Iterator[Served]:
    """Serve a route; ``keys`` asks callers for one of them, ``pages`` answers what is asked of the dashboard."""
    service = _service(folder, database, live_of(route, champion, challenger), keys, limits)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with _open(service):
            yield

    with _drained(folder, database) as stop, TestClient(App(service, lifespan, pages=pages)) as client:
        yield Served(client, service, database, stop)


@contextmanager
def listen(
    folder: Path,
    database: str,
    route: Route,
    champion: Scored,
    challenger: Scored | None = None,
    *,
    keys: list[ApiKey] | None = None,
    limits: Limits | None = None,
) -> Iterator[Listening]:
    """The same at a socket."""
    service = _service(folder, database, live_of(route, champion, challenger), keys, limits)
    ready: list[asyncio.AbstractEventLoop] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with _open(service):
            sweeping = asyncio.create_task(_sweep(service, server))
            ready.append(asyncio.get_running_loop())
            yield
            sweeping.cancel()

    kind = type("ServedConnection", (Connection,), {"service": service})
    app = App(service, lifespan)
    how: dict[str, Any] = {"loop": "uvloop", "lifespan": "on", "ws": "none", "timeout_graceful_shutdown": 5}
    server = uvicorn.Server(uvicorn.Config(app, http=kind, log_config=None, **how))
    with _drained(folder, database), socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=server.run, args=([listener],))
        serving.start()
        try:
            while not server.started:
                assert serving.is_alive()
                time.sleep(0.01)
            yield Listening(listener, service, ready[0], database, server)
        finally:
            server.should_exit = True
            serving.join(40)


def _service(folder: Path, database: str, live: Live, keys: list[ApiKey] | None, limits: Limits | None) -> Service:
    folder.mkdir(parents=True, exist_ok=True)
    return Service(
        live=live,
        spool=Spool(folder, disk_share=1.0),
        log=ServingLog(database),
        clock=lambda: NOW,
        keyring=None if keys is None else Keyring(keys),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def _open(service: Service) -> AsyncIterator[None]:
    service.log.open()
    yield
    await service.spool.close()
    service.log.close()


@contextmanager
def _drained(folder: Path, database: str) -> Iterator[threading.Event]:
    """Moves into the log what is in a spool, until the event is set or the block ends."""
    stop = threading.Event()
    drainer = threading.Thread(target=Drainer(folder, database, lambda: NOW).run, args=(stop,))
    drainer.start()
    try:
        yield stop
    finally:
        stop.set()
        drainer.join(20)


async def _sweep(service: Service, server: uvicorn.Server) -> None:
    sweeper = Sweeper(service.limits.request_s)
    while True:
        await asyncio.sleep(0.1)
        sweeper.sweep(server.server_state.connections)
        service.metrics.gauges["leadgate_connections"] = len(server.server_state.connections)
