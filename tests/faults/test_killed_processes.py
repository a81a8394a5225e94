"""Nothing that was answered is lost: the processes of a real service are killed while it works.

Short by default; LEADGATE_SOAK=minutes runs the same for that long, with as many more faults.
"""

import random
import signal
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from asking import Callers, Repeater
from rig import (
    HOLDS,
    TRAPS,
    UNTRAP,
    account,
    another_drainer,
    answers,
    empty_spool,
    held,
    leads_of,
    left_in,
    more_than,
    rounds,
    serving,
    signal_postgres,
    wait_until,
    waiting_for_locks,
)

from leadgate.app.wire import Home
from tally import Tally

FORGOTTEN_S = 8
"""A caller whom nobody answers waits for ten seconds and more; a busy machine lets all of them wait for three."""


@pytest.fixture
def spool(home: Home, tmp_path: Path) -> Path:
    """An empty spool, and an empty log."""
    return empty_spool(home, tmp_path)


@pytest.fixture(scope="module")
def leads(home: Home) -> list[dict[str, Any]]:
    """Leads to ask for."""
    return leads_of(home)


@pytest.mark.parametrize("durability", ("process", "power"))
def test_workers_are_killed(home: Home, spool: Path, leads: Any, tally: Tally, durability: str) -> None:
    """The other worker answers meanwhile, a new one comes, and what the dead one had answered is in the log."""
    with serving(home, spool, "--workers", "2", "--durability", durability) as service:
        with Callers(service.port, leads) as callers:
            callers.more(200)
            for turn in rounds(short=3, share=0.06):
                killed = time.monotonic()
                service.kill_worker(turn % 2)
                tally.fault(f"worker killed ({durability})")
                callers.more(150)
                wait_until(lambda: len(service.workers()) == 2, 45, "the second worker")
                assert callers.longest_silence(killed, time.monotonic()) < FORGOTTEN_S
        assert {r.status for r in callers.refused} == set()
        service.drained()
        assert account(home.database_url, callers.answered, tally) == (0, 0)
        assert not [word for word in service.stop().splitlines() if "damaged" in word]


def test_the_only_worker_is_killed(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Requests wait in the socket, which is the supervisor's, until a new worker takes them."""
    with serving(home, spool) as service, Callers(service.port, leads) as callers:
        for _ in rounds(short=2, share=0.04):
            callers.more(200)
            service.kill_worker()
            tally.fault("only worker killed")
        callers.more(200, 60)
        callers.__exit__()
        service.drained()
        assert account(home.database_url, callers.answered, tally) == (0, 0)


def test_postgres_is_killed(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """No answer waits for it and none fails; the supervisor starts it again, and the log catches up.

    A caller with idempotency keys, whose answers are in PostgreSQL, repeats what failed; it never gets two answers.
    """
    with serving(home, spool) as service:
        with Callers(service.port, leads) as callers, Repeater(service.port, leads) as repeater:
            for _ in rounds(short=2, share=0.07):
                callers.more(200)
                killed = time.monotonic()
                before = len(repeater.answered)
                signal_postgres(home, signal.SIGKILL)
                tally.fault("PostgreSQL killed")
                wait_until(lambda: answers(home.database_url), 60, "PostgreSQL to come back")
                callers.more(100)
                assert callers.longest_silence(killed, time.monotonic()) < FORGOTTEN_S
                wait_until(partial(more_than, repeater.answered, before + 3), 60, "answers under keys")
        assert (callers.refused, callers.broken) == ([], [])
        service.drained()
        assert account(home.database_url, callers.answered | repeater.answered, tally) == (0, 0)


def test_drainers_are_killed(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """That of the service, and others beside it at any moment of their short lives."""
    chance = random.Random(1)
    with serving(home, spool) as service:
        with Callers(service.port, leads, rate=600) as callers:
            for turn in rounds(short=6, share=0.08):
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
                for _ in rounds(short=1, share=0.08):
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


def test_the_supervisor_is_killed_and_the_clock_goes_back(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """Its children end by themselves; services whose clocks differ by days take over what waits, and order holds."""
    url = home.database_url
    runs: list[Callers] = []
    for shift in (1, -1):
        with serving(home, spool, LEADGATE_CLOCK_SHIFT_DAYS=str(shift)) as service:
            with Callers(service.port, leads) as callers:
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
    assert account(url, {key: version for run in runs for key, version in run.answered.items()}, tally) == (0, 0)
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT prediction_id::text, scored_at FROM leadgate.prediction_logs").fetchall()
    at: dict[str, datetime] = dict(rows)
    for callers in runs:
        assert all(ids == sorted(ids) for ids in callers.by_connection)
        times = [at[key] for key in sorted(callers.answered)]
        assert times == sorted(times)


def test_it_is_stopped_under_load(home: Home, spool: Path, leads: Any, tally: Tally) -> None:
    """SIGTERM: what was answered is in the log when the command returns."""
    for _ in rounds(short=1, share=0.03):
        with serving(home, spool, "--workers", "2") as service, Callers(service.port, leads, rate=600) as callers:
            callers.more(300)
            text = service.stop()
            tally.fault("stopped under load")
            assert left_in(spool) == []
            assert "Traceback" not in text
        assert account(home.database_url, callers.answered, tally) == (0, 0)
