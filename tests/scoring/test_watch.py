"""A worker takes up every route that it can, whatever went wrong with one before, and never stops watching."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leadgate.app.wire import Home
from leadgate.errors import LeadgateError, RefusedError
from leadgate.models.bundles import bundle_folder, fetch
from leadgate.models.card import card_to_json
from leadgate.models.scorers import Scored, load
from leadgate.records import ApiKey, Route
from leadgate.rollout.routing import change
from leadgate.scoring import log as serving_log
from leadgate.scoring import watch as watching
from leadgate.scoring.answering import live_of
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.keys import Keyring
from leadgate.scoring.log import ServingLog
from leadgate.scoring.memory import remember, remembered
from leadgate.scoring.service import Service
from leadgate.scoring.spool import Spool
from leadgate.scoring.watch import Versions, Watch, load_live
from leadgate.storage.postgres.connection import statement
from leadgate.storage.postgres.keys import add_key
from leadgate.storage.postgres.routes import add_route
from serviced import ACT, NOW, full_route, named, shared_route

NAME = "lead-scoring"


@pytest.fixture(scope="module")
def champion(workshop: Home) -> Scored:
    """Logistic regression."""
    return load(workshop.registry, workshop.registry.find("1"))


@pytest.fixture(scope="module")
def challenger(workshop: Home) -> Scored:
    """Histogram gradient boosting."""
    return load(workshop.registry, workshop.registry.find("2"))


@dataclass
class Machine:
    """A machine with version 1 on its disk, and a registry that can be made to fail."""

    home: Home
    root: Path
    fetched: list[str] = field(default_factory=list)
    fails: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)

    def fetch(self, version: str) -> None:
        """What a worker calls."""
        self.fetched.append(version)
        self.gate.wait(20)
        if self.fails:
            raise self.fails
        fetch(self.home.registry, version, self.root)

    def versions(self) -> Versions:
        """What a worker has."""
        return Versions(self.root, NAME, self.fetch)

    def damage(self, version: str, file: str, content: bytes) -> None:
        """Change a file."""
        (bundle_folder(self.root, NAME, version) / file).write_bytes(content)


@pytest.fixture
def machine(workshop: Home, tmp_path: Path) -> Machine:
    """With version 1."""
    made = Machine(workshop, tmp_path / "bundles")
    made.gate.set()
    fetch(workshop.registry, "1", made.root)
    return made


@dataclass
class Watched:
    """A worker that watches."""

    service: Service
    versions: Versions
    database: str
    memory: Path
    watch: Watch

    def put(self, route: Route, *, silently: bool = False) -> None:
        """Put a route in force; ``silently``: the word of it is lost."""
        with psycopg.connect(self.database) as connection:
            if silently:
                connection.execute(statement("routes", "add_route"), asdict(route))
            else:
                add_route(connection, route)

    def takes_up(self, epoch: int, seconds: float = 8.0) -> None:
        """Wait for a route."""
        until(lambda: self.service.live.route.epoch == epoch, seconds)

    @property
    def failures(self) -> float:
        """Routes that could not be taken up, and other troubles of the watch."""
        return sum(self.service.metrics.route_failures.series.values())


@contextmanager
def watched(machine: Machine, champion: Scored, database: str, tmp_path: Path) -> Iterator[Watched]:
    """A worker that answers with version 1, alone."""
    for folder in ("spool", "run"):
        (tmp_path / folder).mkdir(exist_ok=True)
    service = Service(
        live=live_of(full_route(champion), champion, None),
        spool=Spool(tmp_path / "spool", disk_share=1.0),
        log=ServingLog(database),
        clock=lambda: NOW,
        keyring=Keyring([]),
    )
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    versions = machine.versions()
    watch = Watch(service, versions, database, loop, tmp_path / "run")
    made = Watched(service, versions, database, tmp_path / "run", watch)
    made.put(full_route(champion))
    watch.start()
    try:
        yield made
        assert watch._thread.is_alive()
    finally:
        watch.stop()
        watch._thread.join(10)
        loop.call_soon_threadsafe(loop.stop)
        running.join(10)
        loop.close()


@pytest.fixture
def worker(machine: Machine, champion: Scored, database: str, tmp_path: Path) -> Iterator[Watched]:
    """A worker that watches."""
    with watched(machine, champion, database, tmp_path) as made:
        yield made


def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait, within bounds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def again(route: Route, champion: Scored) -> Route:
    """The champion alone once more, under the next epoch."""
    return change(route, ACT, stage="full", champion=named(champion), challenger=None, share=0)


def test_what_a_version_has_not_done_yet_is_told_as_nothing(
    machine: Machine, champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """At the start and when a route is taken up: Prometheus sees no first value, so there has to be a nought before."""
    fetch(machine.home.registry, "2", machine.root)
    with watched(machine, champion, database, tmp_path) as worker:
        told = worker.service.metrics.exposition().decode()
        assert 'leadgate_predictions_total{model_version="1",priority="high",variant="champion",worker="0"} 0.0' in told
        assert 'leadgate_prediction_failures_total{model_version="1",variant="champion",worker="0"} 0.0' in told
        assert 'leadgate_request_seconds_count{route="/predict",status="503",worker="0"} 0.0' in told
        assert 'model_version="2"' not in told
        worker.put(shared_route(champion, challenger, stage="shadow"))
        worker.takes_up(2)
        told = worker.service.metrics.exposition().decode()
        assert 'leadgate_prediction_failures_total{model_version="2",variant="challenger",worker="0"} 0.0' in told
        assert 'leadgate_shadow_failures_total{shadow_version="2",worker="0"} 0.0' in told
        assert 'leadgate_shadow_difference_count{model_version="1",shadow_version="2",worker="0"} 0.0' in told


def test_a_route_whose_versions_are_elsewhere_is_taken_up_once_they_are_here(
    worker: Watched, machine: Machine, champion: Scored, challenger: Scored
) -> None:
    """It is fetched, loaded and kept for a successor that starts without the database."""
    route = shared_route(champion, challenger, stage="shadow")
    worker.put(route)
    worker.takes_up(2)
    assert machine.fetched == ["2"]
    assert worker.service.live.challenger is not None
    assert remembered(worker.memory) == (route, [])


def test_a_rollback_does_not_wait_for_a_version_that_is_being_fetched(
    worker: Watched, machine: Machine, champion: Scored, challenger: Scored
) -> None:
    """The registry hangs; the route after it is taken up all the same, and the old one never."""
    machine.gate.clear()
    route = shared_route(champion, challenger, stage="shadow")
    worker.put(route)
    until(lambda: machine.fetched == ["2"])
    worker.put(again(route, champion))
    worker.takes_up(3)
    machine.gate.set()
    assert worker.service.metrics.route_changes.series == {(): 1}


@pytest.mark.parametrize("lost", ("notification", "connection"))
def test_a_change_is_found_when_the_word_of_it_is_lost(worker: Watched, champion: Scored, lost: str) -> None:
    """By asking every second, on another connection if need be."""
    until((worker.memory / "keys.json").exists)  # it watches by now
    if lost == "connection":
        with psycopg.connect(worker.database, autocommit=True) as connection:
            killed = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        assert killed
    worker.put(again(full_route(champion), champion), silently=lost == "notification")
    worker.takes_up(2)


def test_another_model_under_the_number_is_refused_once(
    worker: Watched, machine: Machine, champion: Scored, challenger: Scored, caplog: pytest.LogCaptureFixture
) -> None:
    """Told with the reason and counted; the registry is asked once, not for ever; the next route is taken up."""
    route = replace(shared_route(champion, challenger, stage="shadow"), challenger_digest="f" * 64)
    worker.put(route)
    until(lambda: worker.failures == 1)
    time.sleep(2.2)  # two more looks
    assert machine.fetched == ["2"]
    assert worker.failures == 1
    told = [record for record in caplog.records if "route refused" in record.message]
    assert ["another model" in str(vars(record)["reason"]) for record in told] == [True]
    assert worker.service.live.route.epoch == 1
    worker.put(change(route, ACT, stage="shadow", champion=named(champion), challenger=named(challenger), share=0))
    worker.takes_up(3)


def test_a_registry_that_is_away_is_asked_again_after_longer_and_longer(
    worker: Watched, machine: Machine, champion: Scored, challenger: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each failure is counted, and the route taken up once the version can be had."""
    monkeypatch.setattr(watching, "_FETCH_AGAIN_S", 0.5)
    machine.fails = LeadgateError("the registry is away")
    worker.put(shared_route(champion, challenger, stage="shadow"))
    until(lambda: worker.failures == 2)
    assert machine.fetched == ["2", "2"]
    assert worker.service.live.route.epoch == 1
    machine.fails = None
    worker.takes_up(2)


@pytest.mark.parametrize(
    "damage",
    (("version.json", b""), ("version.json", b'{"name": "lead-'), ("card.json", b"{}"), ("program.json", b"x")),
)
def test_a_damaged_copy_is_fetched_again(
    worker: Watched, machine: Machine, champion: Scored, challenger: Scored, damage: tuple[str, bytes]
) -> None:
    """A truncated or changed file of a version is as good as none."""
    fetch(machine.home.registry, "2", machine.root)
    machine.damage("2", *damage)
    worker.put(shared_route(champion, challenger, stage="shadow"))
    worker.takes_up(2)
    assert machine.fetched == ["2"]


@pytest.mark.parametrize("error", (KeyError("card.json"), OSError("disk")))
def test_no_error_ends_the_watch(
    worker: Watched,
    champion: Scored,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever fails within a look is told and counted once, and the route is taken up when it works again."""

    def find(*_: str) -> Scored:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(worker.versions, "find", find)
        worker.put(again(full_route(champion), champion))
        until(lambda: worker.failures == 1)
        time.sleep(1.2)
        assert worker.failures == 1
    assert [r.levelno for r in caplog.records if "the watch failed" in r.message] == [logging.ERROR]
    worker.takes_up(2)


def test_keys_that_cannot_be_read_keep_no_route_away(
    machine: Machine, champion: Scored, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do they wipe out those that are remembered; once they can be read they are."""
    (tmp_path / "run").mkdir()
    remember(tmp_path / "run", None, [key("crm")])

    def broken(*_: Any) -> list[ApiKey]:
        raise ValueError("a key of another release")

    with monkeypatch.context() as patched:
        patched.setattr(watching, "all_keys", broken)
        with watched(machine, champion, database, tmp_path) as worker:
            worker.put(again(full_route(champion), champion))
            worker.takes_up(2)
            assert [k.name for k in remembered(worker.memory)[1]] == ["crm"]
            patched.undo()
            with psycopg.connect(worker.database) as connection:
                add_key(connection, key("later"))
            until(lambda: [k.name for k in remembered(worker.memory)[1]] == ["later"])


def test_a_new_key_is_admitted(worker: Watched) -> None:
    """Within a second, in the worker that runs."""
    with psycopg.connect(worker.database) as connection:
        add_key(connection, key("crm"))
    until(lambda: bool(worker.service.keyring and worker.service.keyring._keys))


def test_a_database_that_holds_a_question_for_ever_is_asked_anew(
    machine: Machine, champion: Scored, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look ends after its time, so that the next one finds what there is by then."""
    monkeypatch.setattr(watching, "_STATEMENT_S", 0.3)
    with watched(machine, champion, database, tmp_path) as worker:
        worker.put(again(full_route(champion), champion))
        worker.takes_up(2)
        with psycopg.connect(database) as locking, psycopg.connect(database, autocommit=True) as looking:
            locking.execute("LOCK TABLE leadgate.routes IN ACCESS EXCLUSIVE MODE")

            def waits() -> set[int]:
                found = "SELECT pid FROM pg_locks WHERE NOT granted"
                return {row[0] for row in looking.execute(found).fetchall()}

            until(lambda: bool(waits()))
            first = waits()
            until(lambda: bool(waits() - first))


def test_a_statement_of_a_request_ends_after_its_time(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller is told that the database does not answer, and the connection is free for others."""
    monkeypatch.setattr(serving_log, "_STATEMENT_S", 0.3)
    found = ServingLog(database)
    found.open()
    try:
        with psycopg.connect(database) as locking:
            locking.execute("LOCK TABLE leadgate.prediction_logs IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(LeadgateError, match="does not answer"):
                found.latest("L-1")
        assert found.latest("L-1") is None
    finally:
        found.close()


def test_a_look_up_that_takes_long_holds_up_no_other(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked has gone by then; and what else is asked of the database goes on meanwhile."""
    monkeypatch.setattr(serving_log, "_LOOK_UP_S", 0.3)
    found = ServingLog(database)
    found.open()
    try:
        with psycopg.connect(database) as locking:
            locking.execute("LOCK TABLE leadgate.lead_events IN ACCESS EXCLUSIVE MODE")
            for _ in range(serving_log.LOOK_UPS + 1):
                with pytest.raises(LeadgateError, match="does not answer"):
                    found.look_up(["L-1"], columns=False, events=True)
            assert found.alive()
        assert set(found.look_up(["L-1"], columns=False, events=True)) == {"L-1"}
    finally:
        found.close()


def test_versions_stay_loaded_for_the_way_back(machine: Machine, champion: Scored) -> None:
    """The files of a version that was loaded once are not needed any more."""
    versions = machine.versions()
    assert versions.find("1", champion.card.model_digest) is not None
    machine.damage("1", "version.json", b"")
    assert versions.find("1", champion.card.model_digest) is not None
    assert machine.versions().find("1", champion.card.model_digest) is None


def test_the_digest_decides_which_version_is_meant(machine: Machine, champion: Scored) -> None:
    """A number alone is not enough: the registry may have been made anew."""
    versions = machine.versions()
    assert versions.find("1", "0" * 64) is None
    assert versions.find("1", champion.card.model_digest) is not None
    assert versions.find("7", champion.card.model_digest) is None


def test_a_start_fetches_what_is_missing_and_refuses_what_does_not_fit(
    machine: Machine, champion: Scored, challenger: Scored
) -> None:
    """The sentence names the version and what to do."""
    route = shared_route(champion, challenger, stage="canary", share=1_000)
    live = load_live(route, machine.versions())
    assert live.challenger is not None
    assert (live.challenger.version, machine.fetched) == ("2", ["2"])
    with pytest.raises(RefusedError, match=r"version 2 .*leadgate route set"):
        load_live(replace(route, challenger_digest="0" * 64), machine.versions())


def test_going_back_refuses_nobody(machine: Machine, champion: Scored) -> None:
    """A field that leadgate.yaml or another version here declares is taken and ignored; any other is a mistake."""
    lead = champion.card.lead
    extra = lead.features[0].model_copy(update={"name": "of_a_later_version"})
    newer = replace(champion.card, lead=lead.model_copy(update={"features": (*lead.features, extra)}))
    folder = bundle_folder(machine.root, NAME, "9")
    folder.mkdir()
    (folder / "card.json").write_bytes(card_to_json(newer))
    versions = Versions(machine.root, NAME, machine.fetch, ["in_leadgate_yaml"])
    live = load_live(full_route(champion), versions)
    for name in ("of_a_later_version", "in_leadgate_yaml"):
        assert live.contract.decode_lead(b'{"lead_id": "a", "features": {"%b": 1}}' % name.encode()).lead_id == "a"
    with pytest.raises(BadRequestError, match="no field 'of_nobody'"):
        live.contract.decode_lead(b'{"lead_id": "a", "features": {"of_nobody": 1}}')


@pytest.mark.parametrize("name", ("route.json", "keys.json"))
@pytest.mark.parametrize("content", (b"", b"{", b'{"model_name": 1}'))
def test_a_damaged_memory_is_a_sentence(champion: Scored, tmp_path: Path, name: str, content: bytes) -> None:
    """A worker that has to start without the database says why it cannot."""
    remember(tmp_path, full_route(champion), [key("crm")])
    assert remembered(tmp_path) == (full_route(champion), [key("crm")])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RefusedError, match="cannot be read"):
        remembered(tmp_path)


def test_no_memory_is_a_sentence(tmp_path: Path) -> None:
    """The same on a machine where no worker ever ran."""
    with pytest.raises(RefusedError, match="no worker here ever knew a route"):
        remembered(tmp_path)


def key(name: str) -> ApiKey:
    """A key in force."""
    return ApiKey(
        key_id=name,
        name=name,
        scopes=("score",),
        secret_sha256=b"x" * 32,
        requests_per_second=None,
        created_at=NOW,
        created_by="tester",
        expires_at=None,
        revoked_at=None,
    )


def test_prometheus_is_told_when_checks_ran_and_which_alerts_are_open(worker: Watched) -> None:
    """So that somebody hears of it when the worker that checks has died."""
    gauges = worker.service.metrics.gauges
    name = worker.service.live.route.model_name
    with psycopg.connect(worker.database) as connection:
        for minutes in (30, 10):
            connection.execute(
                "INSERT INTO leadgate.check_results (run_id, model_name, checked_at, window_since, window_until, area, "
                "check_name, subject, severity, sentence, weight, details) VALUES (gen_random_uuid(), %s, %s, %s, %s, "
                "'system', 'volume', '', 'red', 'few', 1, '{}')",
                [name, NOW - timedelta(minutes=minutes), NOW, NOW],
            )
        for check, severity, resolved in (("volume", "red", None), ("range", "yellow", None), ("AUC", "red", NOW)):
            connection.execute(
                "INSERT INTO leadgate.alerts (model_name, area, check_name, subject, cause, state, severity, "
                "severity_since, sentence, opened_at, raised_by, resolved_at) "
                "VALUES (%s, 'system', %s, '', '', %s, %s, %s, 'few', %s, '{}', %s)",
                [name, check, "resolved" if resolved else "firing", severity, NOW, NOW, resolved],
            )
    worker.watch._look_again = 0.0
    until(lambda: gauges["leadgate_last_check_timestamp_seconds"] == (NOW - timedelta(minutes=10)).timestamp())
    assert (gauges["leadgate_alerts_yellow"], gauges["leadgate_alerts_red"]) == (1.0, 1.0)


def test_who_may_not_read_alerts_takes_up_routes(
    machine: Machine, champion: Scored, database: str, tmp_path: Path
) -> None:
    """An older grant costs two figures and not the rollback."""
    with psycopg.connect(database) as connection:
        connection.execute("REVOKE SELECT ON leadgate.alerts FROM leadgate_writer")
    with watched(machine, champion, f"{database}&options=-c%20role%3Dleadgate_writer", tmp_path) as worker:
        worker.put(again(full_route(champion), champion))
        worker.takes_up(2)
        assert worker.failures == 0
    with psycopg.connect(database) as connection:
        connection.execute("GRANT SELECT ON leadgate.alerts TO leadgate_writer")
