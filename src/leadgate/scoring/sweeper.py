"""Ends connections whose callers keep the server waiting."""

import time
from typing import Any

from leadgate.scoring.connection import Awaited, Connection
from leadgate.scoring.contract import BadRequestError

_IDLE_S = 30.0
"""How long a connection is kept between two requests."""


class Sweeper:
    """Looks at all connections of a worker, about once a second."""

    def __init__(self, patience_s: float) -> None:
        """``patience_s``: how long a request may take to arrive, and an answer not to be taken."""
        self._patience = patience_s
        self._since: dict[Connection, tuple[Any, float]] = {}

    def sweep(self, connections: set[Any]) -> None:
        """End those that have kept the server waiting too long."""
        now = time.monotonic()
        seen: dict[Connection, tuple[Any, float]] = {}
        for connection in list(connections):
            awaited = connection.awaits
            if awaited is None:
                continue
            known = self._since.get(connection)
            since = known[1] if known and known[0] == awaited else now
            if not self._ends(connection, awaited[0], now - since):
                seen[connection] = (awaited, since)
        self._since = seen

    def _ends(self, connection: Connection, awaited: Awaited, seconds: float) -> bool:
        """End a connection whose caller has not moved for too long."""
        if seconds <= (_IDLE_S if awaited == "another" else self._patience):
            return False
        if awaited == "another":
            connection.transport.close()
        elif awaited == "request":
            error = BadRequestError(f"The request did not arrive within {self._patience:g} seconds.", status=408)
            connection.say_no(error)
        else:
            connection.give_up(f"it took nothing of its answers for {self._patience:g} seconds")
        return True
