"""A real service that can be hurt, callers that remember every answer, and the account of what became of them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, LiteralString, Self

import psutil
import psycopg

from leadgate.app.wire import Home
from tally import Tally

SOAK_S = 60 * float(os.environ.get("LEADGATE_SOAK") or 0)
"""Seconds that the long form is to take in all; 0 in the short form."""

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


@dataclass(frozen=True)
class Refused:
    """An answer that is not a score."""

    at: float
    """Seconds of the monotonic clock."""
    status: int
    kind: str
    retry_after: str | None


def request_bytes(path: str, body: Any, **headers: str) -> bytes:
    """A whole HTTP request."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: leadgate", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Callers:
    """Connections that ask for scores at a steady rate, and go on whatever happens to them."""

    def __init__(self, port: int, leads: Sequence[dict[str, Any]], *, rate: float = 400, connections: int = 12) -> None:
        """``rate``: requests a second, over all connections. Every twentieth asks for five leads at once."""
        single = [request_bytes("/predict", lead) for lead in leads]
        batches = [request_bytes("/predict/batch", {"leads": leads[i : i + 5]}) for i in range(0, 50, 5)]
        self._requests = [
            r for i in range(len(single)) for r in (single[i], *([batches[i // 20 % 10]] * (i % 20 == 0)))
        ]
        self._port = port
        self._rate = rate
        self._connections = connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="callers")
        self.answered: dict[str, str] = {}
        """Version by the id of every prediction that was answered."""
        self.by_connection: list[list[str]] = [[] for _ in range(connections)]
        """Ids in the order in which each connection got them."""
        self.answered_at: list[float] = []
        self.refused: list[Refused] = []
        self.broken: list[float] = []
        """When a request was left without an answer."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "a caller waits for an answer for a minute"

    def more(self, answers: int, patience_s: float = 30) -> None:
        """Wait for so many more answers from now on."""
        want = len(self.answered_at) + answers
        wait_until(lambda: len(self.answered_at) >= want, patience_s, f"{answers} more answers")

    def longest_silence(self, since: float, until: float) -> float:
        """Seconds without any answer."""
        times = [since, *(at for at in list(self.answered_at) if since <= at <= until), until]
        return max(later - earlier for earlier, later in pairwise(times))

    async def _run(self) -> None:
        await asyncio.gather(*(self._call(i) for i in range(self._connections)))

    async def _call(self, number: int) -> None:
        period = self._connections / self._rate
        due = time.monotonic() + period * number / self._connections
        turn, stream = number * 7, None
        while not self._stop.is_set():
            due = max(due + period, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            turn += 1
            try:
                stream = stream or await asyncio.open_connection("127.0.0.1", self._port)
                stream[1].write(self._requests[turn % len(self._requests)])
                async with asyncio.timeout(50):
                    self._take(number, *(await _answer(stream[0])))
            except (OSError, EOFError):
                self.broken.append(time.monotonic())
                if stream is not None:
                    stream[1].close()
                stream = None
                await asyncio.sleep(0.02)
        if stream is not None:
            stream[1].close()

    def _take(self, number: int, status: int, headers: dict[str, str], body: bytes) -> None:
        now = time.monotonic()
        if status != 200:
            self.refused.append(Refused(now, status, headers["content-type"], headers.get("retry-after")))
            return
        content = json.loads(body)
        for score in content.get("predictions", [content]):
            self.answered[score["prediction_id"]] = score["model_version"]
            self.by_connection[number].append(score["prediction_id"])
        self.answered_at.append(now)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0][9:12]), headers, await reader.readexactly(int(headers["content-length"]))


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
        return self._children('"worker":null')

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
    log = spool.parent / f"serve-{time.monotonic_ns()}.log"  # a pipe that nobody empties would stop the server
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
        "database_url": home.database_url,
        "spool": str(spool),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "leadgate.app.children", json.dumps(plan)],
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
