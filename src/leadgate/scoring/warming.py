"""Lets a worker answer before anybody asks: the first caller must not wait for what the second one finds ready."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from leadgate.scoring.connection import Connection
from leadgate.scoring.metrics import Metrics
from leadgate.scoring.predict import ROUTE
from leadgate.scoring.service import Service, encode
from leadgate.scoring.spool import Spool

_TIMES = 200


class _Nowhere(asyncio.Transport):
    """Takes answers to nobody."""

    def write(self, data: Any) -> None:
        """Forget it."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""

    def close(self) -> None:
        """Nothing is open."""


async def warm_connection(service: Service, config: Config) -> None:
    """Send the champion's example lead through a connection of its own, into a spool that is thrown away."""
    body = encode({"lead_id": "warm", "features": service.live.example})
    request = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (ROUTE.encode(), len(body), body)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), service.spool.durability, disk_share=1.0)
        twin = replace(service, spool=spool, metrics=Metrics(), keyring=None)
        kind: Any = type("WarmingConnection", (Connection,), {"service": twin})
        connection = kind(config, ServerState(), {})
        connection.connection_made(_Nowhere())
        for _ in range(_TIMES):
            connection.data_received(request)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await spool.close()
        connection.connection_lost(None)
