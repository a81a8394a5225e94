"""One worker: an event loop that answers requests, with its spool and its watch."""

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from pathlib import Path

import uvicorn

from leadgate.errors import DatabaseDownError, RefusedError
from leadgate.records import ApiKey, Route
from leadgate.scoring.api import App
from leadgate.scoring.connection import Connection
from leadgate.scoring.desk import Desk
from leadgate.scoring.drainer import SpoolState, spool_state
from leadgate.scoring.keys import Keyring
from leadgate.scoring.log import ServingLog
from leadgate.scoring.measuring import Recorder
from leadgate.scoring.memory import remember, remembered
from leadgate.scoring.metrics import Metrics
from leadgate.scoring.parent import tell_ready
from leadgate.scoring.passing import Passing
from leadgate.scoring.plan import ChildPlan, WorkerPlan
from leadgate.scoring.service import Service
from leadgate.scoring.spool import Spool
from leadgate.scoring.stalling import end_if_stalled
from leadgate.scoring.sweeper import Sweeper
from leadgate.scoring.traces import traced
from leadgate.scoring.warming import warm_connection
from leadgate.scoring.watch import Fetch, Versions, Watch, load_live
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.keys import all_keys
from leadgate.storage.postgres.routes import present_route

_TICK_S = 0.1
_LOOK_S = 1.0

log = logging.getLogger("leadgate.scoring")


def run_worker(child: ChildPlan, plan: WorkerPlan, url: str, fetch: Fetch, clock: Callable[[], datetime]) -> None:
    """Answer requests until SIGTERM; finishes what is in flight and hands over the spool, then returns.

    Raises LeadgateError when route, versions and database do not fit together.
    """
    _raise_file_limit()
    versions = Versions(Path(plan.bundles), plan.model_name, fetch, plan.declared)
    route, keys = _route_and_keys(url, plan)
    service = Service(
        live=load_live(route, versions),
        spool=Spool(Path(child.spool), plan.durability, disk_share=plan.disk_share),
        log=ServingLog(url),
        clock=clock,
        metrics=Metrics(str(plan.slot), Path(plan.run)),
        keyring=Keyring(keys, share=1 / plan.workers) if plan.with_keys else None,
        limits=plan.limits,
        explored=plan.explored,
    )
    Connection.service = service
    Connection.has_short_way = not plan.traces  # spans begin at the ASGI application
    listener = socket.socket(fileno=plan.listener)
    server = _Server(service, versions, child, plan, url)
    with closing(listener):
        server.run(listener)


class _Server:
    """uvicorn, and what runs beside it in the same loop."""

    def __init__(self, service: Service, versions: Versions, child: ChildPlan, plan: WorkerPlan, url: str) -> None:
        self._service = service
        self._versions = versions
        self._child = child
        self._url = url
        self._plan = plan
        desk = Desk(project=child.project, database_alive=service.log.alive, forks_at=child.desk)
        app = App(service, self._lifespan, desk, None if plan.pages is None else Passing(plan.pages))
        config = uvicorn.Config(
            traced(app) if plan.traces else app,
            http=Connection,
            loop="uvloop",
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who called is who connected: a caller's word decides nothing
            timeout_keep_alive=30,
            timeout_graceful_shutdown=30,
        )
        self._uvicorn = uvicorn.Server(config)

    def run(self, listener: socket.socket) -> None:
        # uvicorn raises the signal again when it has stopped; SIGTERM must then end the process in its ordinary way.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with suppress(KeyboardInterrupt, SystemExit):
            self._uvicorn.run(sockets=[listener])
        if not self._uvicorn.started:
            raise RefusedError("The server did not start; its log says why.")

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        service, plan = self._service, self._plan
        with suppress(DatabaseDownError):  # the spool waits for it; it was asked for at the first start
            await asyncio.to_thread(service.log.open)
        watch = Watch(
            service,
            self._versions,
            self._url,
            asyncio.get_running_loop(),
            Path(plan.run),
        )
        watch.start()
        if self._service.live.compiled and not self._service.live.looks_up and Connection.has_short_way:
            await warm_connection(service, self._uvicorn.config)
        recorder = Recorder(service, start=plan.start, worker=str(plan.slot))
        beside = [asyncio.create_task(each) for each in (self._tick(recorder), self._look(), end_if_stalled())]
        # What was loaded so far stays: the collector need not look at it again and again while requests wait.
        gc.collect()
        gc.freeze()
        # A request leaves no cycles, so looking for them after every 700 objects is wasted; after 20,000 is enough.
        gc.set_threshold(20_000, 10, 10)
        tell_ready(self._child.ready)
        yield
        for task in beside:
            task.cancel()
        watch.stop()
        await service.spool.close()
        await recorder.close()
        await asyncio.to_thread(service.log.close)

    async def _tick(self, recorder: Recorder) -> None:
        sweeper = Sweeper(self._plan.limits.request_s)
        turn = 0
        while True:
            await asyncio.sleep(_TICK_S)
            turn += 1
            try:
                self._service.spool.tick()
                recorder.tick()
                if turn % 10 == 0:
                    sweeper.sweep(self._uvicorn.server_state.connections)
            except Exception:  # one bad turn must not end all turns
                log.exception("tick failed")

    async def _look(self) -> None:
        """Look at the spool once a second, in a thread: after an outage its folder takes long to list."""
        spool = self._service.spool
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                state = await asyncio.to_thread(spool_state, spool.folder)
                spool.sealed = await asyncio.to_thread(spool.count_sealed)
                self._measure(state)
            except Exception:  # one bad look must not end all looks
                log.exception("look failed")

    def _measure(self, state: SpoolState) -> None:
        service = self._service
        service.metrics.gauges.update(
            {
                "leadgate_route_epoch": service.live.route.epoch,
                "leadgate_spool_segments": state.segments,
                "leadgate_spool_bytes": state.size,
                "leadgate_spool_lag_seconds": state.lag_s,
                "leadgate_spool_kept": state.kept,
                "leadgate_spool_full": float(service.spool.full is not None),
                "leadgate_library_queue": service.library.waiting,
                "leadgate_connections": len(self._uvicorn.server_state.connections),
            }
        )
        service.metrics.leave_snapshot()


def _route_and_keys(url: str, plan: WorkerPlan) -> tuple[Route, list[ApiKey]]:
    """From the database; while it is away, as a worker here last knew them."""
    run = Path(plan.run)
    try:
        with connect(url) as connection:
            route, keys = present_route(connection, plan.model_name), all_keys(connection)
    except DatabaseDownError:
        return remembered(run)
    if route is None:
        raise RefusedError(f"Model {plan.model_name!r} has no route; make a champion with `leadgate train`.")
    remember(run, route, keys)
    return route, keys


def _raise_file_limit() -> None:
    """Each connection is a file; the usual soft limit of 1,024 is for another age."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
