"""Learns of new routes and keys while a worker serves, and takes them up between two requests.

PostgreSQL tells of a change (LISTEN); what is lost on the way is found by asking every second. A new version is loaded
and warmed here, in a thread, before the switch: no request waits for it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from leadgate.errors import RefusedError
from leadgate.models.bundles import declared_names, load_bundle
from leadgate.models.scorers import Scored
from leadgate.records import ApiKey, Route
from leadgate.scoring.answering import Live, Request, answer, live_of, record
from leadgate.scoring.contract import LeadIn
from leadgate.scoring.making import NO_EVENTS
from leadgate.scoring.memory import remember
from leadgate.scoring.service import Service, encode
from leadgate.storage.postgres.connection import Connection, count_in_utc, limit_statements, patient
from leadgate.storage.postgres.keys import CHANNEL as KEYS_CHANNEL
from leadgate.storage.postgres.keys import all_keys
from leadgate.storage.postgres.oversight import standing_of
from leadgate.storage.postgres.routes import CHANNEL, present_route

_POLL_S = 1.0
_STANDING_S = 15.0
"""Between two looks at what monitoring found: as often as Prometheus asks."""
_STATEMENT_S = 10.0
_FETCH_AGAIN_S = 10.0
_LONGEST_PAUSE_S = 300.0
_KEPT = 8
"""Versions that stay loaded, so that going back to one takes no time."""

log = logging.getLogger("leadgate.scoring")

Fetch = Callable[[str], None]
"""Brings the files of a version onto this machine. Raises LeadgateError."""


class Versions:
    """The versions that a worker has loaded."""

    def __init__(self, root: Path, model_name: str, fetch: Fetch, declared: Iterable[str] = ()) -> None:
        """``declared``: names of the features in leadgate.yaml."""
        self._declared = declared
        self._root = root
        self._model_name = model_name
        self._loaded: dict[tuple[str, str], Scored] = {}
        self.fetch = fetch

    def find(self, version: str, digest: str) -> Scored | None:
        """A version whose model has this digest; None when it is not on this machine."""
        scored = self._loaded.pop((version, digest), None) or self._load(version, digest)
        if scored is not None:
            self._loaded[version, digest] = scored
        while len(self._loaded) > _KEPT:
            del self._loaded[next(iter(self._loaded))]
        return scored

    def names(self) -> list[str]:
        """What callers may send, used by a version or not: after going back to one nobody is refused who was not."""
        return sorted({*self._declared, *declared_names(self._root, self._model_name)})

    def _load(self, version: str, digest: str) -> Scored | None:
        try:
            scored = load_bundle(self._root, self._model_name, version)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, another copy may be right
            log.warning("version cannot be loaded", extra={"version": version, "reason": repr(error)})
            return None
        return scored if scored is not None and scored.card.model_digest == digest else None


def versions_of(route: Route) -> list[tuple[str, str]]:
    """The versions that a route names, with the digests of their models; the champion first."""
    named = [(route.champion, route.champion_digest)]
    if route.challenger is not None and route.challenger_digest is not None:
        named.append((route.challenger, route.challenger_digest))
    return named


def load_live(route: Route, versions: Versions) -> Live:
    """A route with its versions, warm; what is not on this machine is fetched first.

    Raises RefusedError when the versions do not fit together, or are not those that the route means.
    """
    scored = []
    for version, digest in versions_of(route):
        found = versions.find(version, digest)
        if found is None:
            versions.fetch(version)
            found = versions.find(version, digest)
        if found is None:
            raise RefusedError(_another_model(version, digest))
        scored.append(found)
    live = live_of(route, scored[0], scored[1] if len(scored) > 1 else None, versions.names())
    _warm(live)
    return live


def _another_model(version: str, digest: str) -> str:
    return (
        f"The route names version {version} with model digest {digest[:12]}…, the registry has another model "
        "under that number, or one that cannot be loaded here; set the route anew with `leadgate route set`."
    )


class Watch:
    """The thread of one worker that watches routes, and keys where keys are asked for."""

    def __init__(
        self, service: Service, versions: Versions, url: str, loop: asyncio.AbstractEventLoop, memory: Path
    ) -> None:
        """``memory``: folder where route and keys are kept for a worker that has to start without the database."""
        self._service = service
        self._versions = versions
        self._url = url
        self._loop = loop
        self._memory = memory
        self._keys: list[ApiKey] | None = None
        self._stop = threading.Event()
        self._refused_epoch = 0
        self._fetch = _Fetching()
        self._trouble: str | None = None
        self._look_again = 0.0
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def _run(self) -> None:
        told = False
        while not self._stop.is_set():
            try:
                with psycopg.connect(patient(self._url), autocommit=True) as connection:
                    told = False
                    count_in_utc(connection)
                    limit_statements(connection, _STATEMENT_S)
                    connection.execute(f"LISTEN {CHANNEL}")
                    connection.execute(f"LISTEN {KEYS_CHANNEL}")
                    self._listen(connection)
            except psycopg.Error as error:
                if not told:  # the route in force stays in force while the database is away
                    log.warning("cannot watch the route", extra={"reason": str(error).strip().splitlines()[-1:]})
                told = True
                self._stop.wait(_POLL_S)

    def _listen(self, connection: Connection) -> None:
        while not self._stop.is_set():
            self._look(connection)
            for _ in connection.notifies(timeout=_POLL_S, stop_after=1):
                pass

    def _look(self, connection: Connection) -> None:
        """Look at keys and at the route, each whatever becomes of the other.

        A watch that ended would keep this worker on its route for ever.
        """
        trouble = None
        for look in (self._look_at_keys, self._look_at_route, self._look_at_standing):
            try:
                look(connection)
            except psycopg.Error:
                raise
            except Exception as error:
                trouble = repr(error)
                if trouble != self._trouble:  # it may come again every second
                    self._service.metrics.route_failures.add(())
                    log.exception("the watch failed; it goes on", extra={"reason": trouble})
        self._trouble = trouble

    def _look_at_route(self, connection: Connection) -> None:
        """Take up a new route once all its versions are here.

        Those that are not are fetched beside this thread, so that a rollback in the meantime does not wait for them.
        """
        present = self._service.live.route
        route = present_route(connection, present.model_name)
        if route is None or route.epoch in (present.epoch, self._refused_epoch):
            return
        if self._fetch.epoch == route.epoch and self._fetch.waits():
            return
        missing = [named for named in versions_of(route) if self._versions.find(*named) is None]
        if not missing:
            self._take_up(route)
        elif self._fetch.epoch == route.epoch and self._fetch.done:
            self._refuse(route, RefusedError(_another_model(*missing[0])))
        else:
            self._fetch_beside(route, [version for version, _ in missing])

    def _take_up(self, route: Route) -> None:
        try:
            live = load_live(route, self._versions)
        except Exception as error:  # noqa: BLE001  # whatever it is, the route before stays
            self._refuse(route, error)
            return
        remember(self._memory, route, self._keys)
        self._loop.call_soon_threadsafe(self._switch, live)

    def _refuse(self, route: Route, error: Exception) -> None:
        """Leave a route alone until there is another."""
        self._refused_epoch = route.epoch
        self._service.metrics.route_failures.add(())
        facts = {"epoch": route.epoch, "reason": str(error)}
        log.error("route refused; the one before stays", extra=facts, exc_info=error)

    def _fetch_beside(self, route: Route, versions: list[str]) -> None:
        """Fetch versions in a thread, unless one is at it; what fails is tried again after longer and longer pauses."""
        if self._fetch.is_alive():
            return
        if self._fetch.epoch != route.epoch:
            self._fetch = _Fetching(epoch=route.epoch)
        made = self._fetch

        def fetch() -> None:
            try:
                for version in versions:
                    self._versions.fetch(version)
                made.done = True
            except Exception as error:
                made.failures += 1
                made.not_before = time.monotonic() + min(_LONGEST_PAUSE_S, _FETCH_AGAIN_S * 2 ** (made.failures - 1))
                self._service.metrics.route_failures.add(())
                log.exception("version cannot be fetched; the route before stays", extra={"reason": str(error)})

        made.thread = threading.Thread(target=fetch, name="fetch", daemon=True)
        made.thread.start()

    def _switch(self, live: Live) -> None:
        """Take up a route: in the event loop's thread, hence between two requests."""
        self._service.take_up(live)
        self._service.metrics.route_changes.add(())
        self._service.metrics.gauges["leadgate_route_epoch"] = live.route.epoch
        route = live.route
        log.info(
            "route taken up",
            extra={
                "epoch": route.epoch,
                "stage": route.stage,
                "champion": route.champion,
                "challenger": route.challenger,
                "reason": route.reason,
            },
        )

    def _look_at_keys(self, connection: Connection) -> None:
        keys = all_keys(connection)
        if keys != self._keys:
            self._keys = keys
            remember(self._memory, None, keys)
            self._loop.call_soon_threadsafe(self._renew, keys)

    def _look_at_standing(self, connection: Connection) -> None:
        """Let Prometheus know when checks ran and which alerts are open; without the right to read that, nothing."""
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + _STANDING_S
        with suppress(psycopg.errors.InsufficientPrivilege):
            standing = standing_of(connection, self._service.live.route.model_name)
            self._service.metrics.gauges.update(
                {
                    "leadgate_last_check_timestamp_seconds": standing.checked_at.timestamp()
                    if standing.checked_at
                    else 0.0,
                    "leadgate_alerts_yellow": float(standing.yellow),
                    "leadgate_alerts_red": float(standing.red),
                }
            )

    def _renew(self, keys: list[ApiKey]) -> None:
        if self._service.keyring is not None:
            self._service.keyring = self._service.keyring.renewed(keys)


@dataclass
class _Fetching:
    """The fetching of the versions of one route."""

    epoch: int = 0
    thread: threading.Thread | None = None
    failures: int = 0
    not_before: float = 0.0
    done: bool = False
    """Whether the registry has given all that was missing."""

    def is_alive(self) -> bool:
        """Whether it is under way."""
        return self.thread is not None and self.thread.is_alive()

    def waits(self) -> bool:
        """Whether there is nothing to do but wait."""
        return self.is_alive() or time.monotonic() < self.not_before


def _warm(live: Live) -> None:
    """Let every part of an answer run often enough that the first caller does not wait for it."""
    card = live.champion.scored.card
    given = {feature.name: value for feature, value in zip(card.lead.used, card.example, strict=True)}
    values = tuple(given.get(feature.name) for feature in live.contract.features)
    columns = dict(zip([feature.name for feature in live.contract.features], values, strict=True))
    body = encode({"lead_id": "warm", "features": columns})
    if live.making is not None:
        values, _ = live.making.extend(values, NO_EVENTS, datetime.fromtimestamp(0).astimezone())
    request = Request(datetime.fromtimestamp(0).astimezone(), 0.0, "warm", 1)
    for arm in live.arms:
        for _ in range(100 if arm.compiled else 3):
            live.contract.decode_lead(body)
            lead = LeadIn("warm", values)
            prediction = record(live, arm, lead, arm.score(values), None, "warm", request)
            encode(answer(prediction, arm))
