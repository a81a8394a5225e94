"""Starts the HTTP service of a project."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import uuid_utils

from leadgate.app.children import fetch
from leadgate.app.cli.output import errors
from leadgate.app.routing import route_in_force
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.records import Route
from leadgate.rollout.exploring import explored_buckets
from leadgate.scoring.keys import is_in_force
from leadgate.scoring.plan import DATABASE_URL, ChildPlan, Durability, Limits, PagesPlan, WorkerPlan
from leadgate.scoring.server import bind, is_loopback
from leadgate.scoring.supervisor import Command, Supervisor

_LONGEST_SOCKET = 100


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How to serve, as the command line says it."""

    host: str
    port: int
    workers: int
    durability: Durability
    auth: bool | None
    """True asks callers for a key, False does not; None asks where other machines can reach the service."""


def run(home: Home, serving: Serving) -> None:
    """Serve the route in force until the process is told to stop.

    Raises RefusedError when the port is taken, when there is no champion, when route, versions, leadgate.yaml and
    database do not fit together, or when keys are asked for and nobody has one.
    """
    with_keys = not is_loopback(serving.host) if serving.auth is None else serving.auth
    listener = bind(serving.host, serving.port)
    try:
        _serve(home, serving, listener, with_keys=with_keys)
    finally:
        listener.close()


def _serve(home: Home, serving: Serving, listener: socket.socket, *, with_keys: bool) -> None:
    if with_keys:
        _require_key(home)
    route = route_in_force(home)
    _require_fit(home, route)
    for folder in (home.spool, home.run):
        folder.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(home.keep_database, {DATABASE_URL: home.database_url})
    with _socket(home, "pages") as pages, _socket(home, "desk") as desk:
        shown = PagesPlan(socket=pages, with_keys=with_keys, local=is_loopback(serving.host))
        try:
            supervisor.start(
                _workers(home, serving, listener, pages, desk, with_keys=with_keys),
                _child(home),
                listener,
                {"pages": _child(home, pages=shown, desk=desk), "desk": _child(home, desk=desk, forks=True)},
            )
            _greet(home, serving, listener, with_keys=with_keys)
            supervisor.run()
        finally:
            supervisor.stop()
    _farewell(home.spool)


def _workers(
    home: Home, serving: Serving, listener: socket.socket, pages: str, desk: str, *, with_keys: bool
) -> Sequence[Command]:
    settings, start = home.settings, uuid_utils.uuid7().hex
    return [
        _child(
            home,
            WorkerPlan(
                start=start,
                slot=slot,
                workers=serving.workers,
                listener=listener.fileno(),
                model_name=home.project.name,
                bundles=str(home.bundles),
                declared=tuple(feature.name for feature in home.project.lead.features),
                run=str(home.run),
                durability=serving.durability,
                disk_share=settings.spool_disk_share,
                with_keys=with_keys,
                traces=settings.traces,
                pages=pages,
                explored=explored_buckets(home.project.exploration.share),
                limits=Limits(
                    body_bytes=settings.max_body_bytes,
                    request_s=settings.request_timeout_s,
                    connections=settings.max_connections,
                    library_queue=settings.library_queue,
                ),
            ),
            desk=desk,
        )
        for slot in range(serving.workers)
    ]


@contextmanager
def _socket(home: Home, name: str) -> Iterator[str]:
    """Where a process listens, for as long as it does; others on this machine cannot reach it.

    A socket's path may have about a hundred characters, and a project's may be longer.
    """
    # Containers on one volume have the same process ids: one would take the other's callers, and then its socket away.
    beside = home.run.resolve() / f"{name}.{socket.gethostname()}.{os.getpid()}.sock"
    with TemporaryDirectory(prefix="leadgate-") as own:  # mode 700
        path = beside if len(os.fsencode(beside)) <= _LONGEST_SOCKET else Path(own) / f"{name}.sock"
        try:
            yield str(path)
        finally:
            path.unlink(missing_ok=True)


def _child(
    home: Home,
    worker: WorkerPlan | None = None,
    pages: PagesPlan | None = None,
    desk: str | None = None,
    *,
    forks: bool = False,
) -> Command:
    def command(ready: int) -> Sequence[str]:
        plan = ChildPlan(
            project=str(home.folder),
            clock_shift_days=home.settings.clock_shift_days,
            ready=ready,
            spool=str(home.spool),
            worker=worker,
            pages=pages,
            desk=desk,
            forks=forks,
        )
        return [sys.executable, "-m", "leadgate.app.children", msgspec.json.encode(plan).decode()]

    return command


def _require_key(home: Home) -> None:
    """Raise RefusedError when callers are asked for a key and there is none in force."""
    from leadgate.storage.postgres.keys import all_keys  # noqa: PLC0415

    with home.connection() as connection:
        if not any(is_in_force(key, home.clock()) for key in all_keys(connection)):
            raise RefusedError(
                "The service asks its callers for a key, and there is none that is in force; make one with "
                "`leadgate keys create --name crm --scope score`, or say --no-auth."
            )


def _require_fit(home: Home, route: Route) -> None:
    """Bring the champion here, and raise RefusedError when it takes a feature otherwise than leadgate.yaml says."""
    from leadgate.models.bundles import load_bundle  # noqa: PLC0415

    champion = load_bundle(home.bundles, route.model_name, route.champion)
    if champion is None or champion.card.model_digest != route.champion_digest:
        fetch(home.folder, route.champion)
        champion = load_bundle(home.bundles, route.model_name, route.champion)
    assert champion is not None
    declared = {feature.name: feature for feature in home.project.lead.features}
    for feature in champion.card.lead.taken:
        now = declared.get(feature.name)
        if now is not None and now.type is not feature.type:
            raise RefusedError(
                f"leadgate.yaml says that {feature.name!r} is {now.type.value}, version {route.champion} was trained "
                f"with it {feature.type.value}; mend leadgate.yaml, or train and promote a version that fits it."
            )


def _greet(home: Home, serving: Serving, listener: socket.socket, *, with_keys: bool) -> None:
    from leadgate.storage.postgres.routes import present_route  # noqa: PLC0415

    with home.connection() as connection:
        route = present_route(connection, home.project.name)
    assert route is not None
    host, port = listener.getsockname()[:2]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    _warm(host, port)
    if home.settings.clock_shift_days:
        errors.print(f"note: this process's clock is shifted by {home.settings.clock_shift_days:g} days")
    beside = f", version {route.challenger} in stage {route.stage}" if route.challenger else ""
    who = "callers show a key" if with_keys else "this machine only, no key asked"
    if not with_keys and not is_loopback(serving.host):
        who = "ANYONE who reaches it may score"
    errors.print(
        f"Serving {route.model_name} version {route.champion}{beside} at {base}; {who}. "
        f"The dashboard is {base}/, the API's page {base}/docs. Ctrl-C stops it.",
        soft_wrap=True,
    )
    if explored := home.project.exploration.share:
        errors.print(
            f"Exploration is on: {explored:.2%} of the leads, drawn at random, get priority high whatever their score, "
            "marked `explored`; sales work them like any other lead of that priority (docs/feedback-bias.md).",
            soft_wrap=True,
        )


def _warm(host: str, port: int) -> None:
    """The first request through a socket is slower than the second; let it be ours."""
    import httpx  # noqa: PLC0415

    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared with, not listened on
    url = f"http://{f'[{reach}]' if ':' in reach else reach}:{port}/health/live"
    with httpx.Client(timeout=5, trust_env=False) as client:
        for _ in range(5):
            client.get(url)


def _farewell(spool: Path) -> None:
    from leadgate.scoring.drainer import spool_state  # noqa: PLC0415

    left = spool_state(spool)
    if left.segments:
        errors.print(
            f"{left.segments} segments ({left.size:,} bytes) of predictions could not be moved into the database; they "
            f"are kept in {spool}, and the next `leadgate serve` moves them.",
            soft_wrap=True,
        )
