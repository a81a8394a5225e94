"""Nothing that was answered is lost: a real service whose database, disk or files are taken away while it works.

Short by default; LEADGATE_SOAK=minutes runs the same for that long, with as many more faults.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import Callers
from rig import (
    account,
    answers,
    empty_spool,
    freeze,
    held,
    keep_postgres,
    leads_of,
    left_in,
    more_than,
    postgres,
    rounds,
    serving,
    signal_postgres,
    stop_postgres,
    wait_until,
)

from leadgate.app.wire import Home
from tally import Tally


@pytest.fixture
def spool(home: Home, tmp_path: Path) -> Path:
    """An empty spool, and an empty log."""
    return empty_spool(home, tmp_path)


@pytest.fixture(scope="module")
def leads(home: Home) -> list[dict[str, Any]]:
    """Leads to ask for."""
    return leads_of(home)


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
    keep_postgres(home)
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

            def ask() -> int:
                return client.post("/predict", json=leads[0], headers={"idempotency-key": "k"}).status_code

            assert client.post("/predict", json=leads[0]).status_code == 200
            assert ask() == 503
            keep_postgres(home)
            wait_until(lambda: ask() == 200, 12, "an answer under a key")
        service.stop()


@pytest.mark.parametrize("share", ("0.95", "1"))
def test_the_disk_of_the_spool_is_full(home: Home, disk: Path, leads: Any, tally: Tally, share: str) -> None:
    """Nothing is answered that is not written: callers are told to come back, and can once the log has caught up.

    At 1 there is no reserve: writes fail in the middle.
    """
    url = home.database_url
    with serving(home, disk, LEADGATE_SPOOL_DISK_SHARE=share) as service:
        with Callers(service.port, leads, rate=800) as callers:
            for _ in rounds(short=1, share=0.03):
                seen = len(callers.refused)
                with held(url, "claim"):
                    wait_until(partial(more_than, callers.refused, seen + 100), 60, "a full disk")
                tally.fault(f"disk full ({share})")
                callers.more(300, 60)
        assert {(r.status, r.kind, r.retry_after) for r in callers.refused} == {(503, "application/problem+json", "5")}
        assert callers.broken == []
        service.drained()
        assert account(url, callers.answered, tally) == (0, 0)
        assert "Traceback" not in service.stop()


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
            for _ in rounds(short=3, share=0.25):
                for name in chance.sample(sorted(faults), chance.randint(1, 3)):
                    faults[name]()
                    tally.fault(f"storm: {name}")
                callers.more(200, 100)
            wait_until(lambda: answers(home.database_url), 60, "PostgreSQL to come back")
        service.drained(60)
        assert {r.status for r in callers.refused} == set(), f"seed {seed}"
        assert account(home.database_url, callers.answered, tally) == (0, 0)


@pytest.fixture
def disk(spool: Path, tmp_path: Path) -> Iterator[Path]:
    """A spool on a disk of one megabyte, and an empty log."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here, which needs root: {done.stderr.strip()}")
    (folder / "spool").mkdir()
    yield folder / "spool"
    subprocess.run(["umount", "-l", str(folder)], check=True)
