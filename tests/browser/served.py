"""The dashboard over TCP, from a thread of this process."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import uvicorn

import warm
from leadgate.app.showing import doors_of, sources_of
from leadgate.app.wire import Home
from leadgate.views.site import Site
from leadgate.views.sources import Reader

_PATIENCE_S = 30.0


class Served:
    """A dashboard that can go away and come back at the same address."""

    def __init__(self, site: Site) -> None:
        """Does not listen yet."""
        self._site = site
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, and answer from now on."""
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(self._site, lifespan="off", ws="none", log_config=None, access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE_S
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        """Hang up, and refuse whoever dials."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()
        self._server = self._thread = None


@contextmanager
def served(home: Home, *, with_keys: bool = False) -> Iterator[Served]:
    """The dashboard of a project, at the time of its clock; acts are commands in processes, as everywhere."""
    reader = Reader(str(home.settings.database_url))
    sources = sources_of(home, reader)
    sources = replace(sources, desk=replace(sources.desk, command=_command(home)))
    made = Served(Site(sources, doors_of(home, reader, with_keys=with_keys, local=True)))
    with closing(reader):
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _command(home: Home) -> tuple[str, ...]:
    """``leadgate`` on the project's database, at the time of its clock."""
    shift = (home.clock() - datetime.now(UTC)) / timedelta(days=1)
    told = (f"LEADGATE_DATABASE_URL={home.settings.database_url}", f"LEADGATE_CLOCK_SHIFT_DAYS={shift:f}")
    warm.put_on_path(home.state)
    return ("env", *told, str(home.state / "leadgate"))
