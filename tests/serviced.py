"""A service in the test's own process: the real application, spool and drainer on a database of the test's own."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from starlette.testclient import TestClient

from leadgate.models.scorers import Scored
from leadgate.records import ApiKey, Route
from leadgate.rollout.routing import Act, Named, change, first_route
from leadgate.scoring.answering import live_of
from leadgate.scoring.api import App
from leadgate.scoring.drainer import Drainer
from leadgate.scoring.keys import Keyring
from leadgate.scoring.log import ServingLog
from leadgate.scoring.plan import Limits
from leadgate.scoring.service import Service
from leadgate.scoring.spool import Spool

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
) -> Iterator[Served]:
    """Serve a route; ``keys`` asks callers for one of them."""
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(
        live=live_of(route, champion, challenger),
        spool=Spool(folder, disk_share=1.0),
        log=ServingLog(database),
        clock=lambda: NOW,
        keyring=None if keys is None else Keyring(keys),
        limits=limits or Limits(),
    )
    stop = threading.Event()
    drainer = threading.Thread(target=Drainer(folder, database, lambda: NOW).run, args=(stop,))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        service.log.open()
        yield
        await service.spool.close()
        service.log.close()

    drainer.start()
    try:
        with TestClient(App(service, lifespan)) as client:
            yield Served(client, service, database, stop)
    finally:
        stop.set()
        drainer.join(20)
