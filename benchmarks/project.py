"""A real project for benchmarks, made through the command line as a user makes it, and its service."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from leadgate.app.settings import Settings
from leadgate.app.wire import Home, open_home
from leadgate.simulator.leads import simulate_leads

KINDS = ("logistic_regression", "hist_gradient_boosting")


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder; the PostgreSQL servers whose data is in it are stopped before it is removed.

    Each stops by itself when the last process that used it ends, but not when one of those was killed, nor when the
    folder is gone before that: it would run on without its data.
    """
    with tempfile.TemporaryDirectory() as name:
        try:
            yield Path(name)
        finally:
            for file in Path(name).rglob("postmaster.pid"):
                with suppress(psutil.Error, OSError):
                    database = psutil.Process(int(file.read_text().split()[0]))
                    if database.name() == "postgres":  # a stale file may name anybody
                        database.send_signal(signal.SIGINT)  # its fast shutdown
                        database.wait(20)


def leadgate(folder: Path, *arguments: str) -> None:
    """Run a command in the project."""
    command = [sys.executable, "-m", "leadgate", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def make_project(folder: Path, leads: int = 12_000) -> list[dict[str, Any]]:
    """Import generated leads and train version 1 (logistic regression) and 2 (gradient boosting); gives requests."""
    frame = simulate_leads(leads, np.random.default_rng(7), datetime(2026, 1, 1, tzinfo=UTC), 100).frame
    file = folder / "leads.csv"
    frame.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(file)
    leadgate(folder, "init", ".", "--from", str(file))
    leadgate(folder, "data", "import", str(file))
    for kind in KINDS:
        leadgate(folder, "train", "--model", kind)
    used = [feature.name for feature in open_home(folder).project.lead.used]
    rows = frame.head(500).select("lead_id", *used).iter_rows(named=True)
    return [{"lead_id": row.pop("lead_id"), "features": row} for row in rows]


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    home: Home
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def worker(self) -> psutil.Process:
        """The first worker."""
        return next(p for p in psutil.Process(self.process.pid).children() if '"worker":{' in "".join(p.cmdline()))

    def pin(self) -> None:
        """The worker on core 0; the drainer, PostgreSQL and the supervisor on core 1, with the callers."""
        worker = self.worker
        others = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in [*others, *self.database]:
            _pin(process, 0 if process.pid == worker.pid else 1)

    @property
    def database(self) -> list[psutil.Process]:
        """The processes of PostgreSQL, which are nobody's children."""
        main = psutil.Process(int((self.home.state / "postgres" / "postmaster.pid").read_text().split()[0]))
        return [main, *main.children(recursive=True)]


@contextmanager
def serving(folder: Path, *arguments: str, spool: str | None = None) -> Iterator[Running]:
    """Serve the project on a free port; a second service of it needs a name for a spool of its own."""
    command = [sys.executable, "-m", "leadgate", "serve", "--port", "0", *arguments]
    home = open_home(folder) if spool is None else Home(folder, Settings(spool_dir=folder / spool))
    log = folder / f"serve-{spool or 'spool'}.log"  # a pipe that nobody empties would stop the server
    with log.open("w") as output:
        environment = {**os.environ, "LEADGATE_SPOOL_DIR": str(home.spool)}
        process = subprocess.Popen(command, cwd=folder, stderr=output, env=environment)
    try:
        yield Running(home, _port(process, log), process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return int(found.group(1))
        time.sleep(0.02)
    raise SystemExit(f"leadgate serve did not start: {log.read_text()[-1_000:]}")


def settled(running: Running, seconds: float = 30) -> bool:
    """Wait until the spool is empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(running.home.spool.iterdir()):
            return True
        time.sleep(0.1)
    return False


def _pin(process: psutil.Process, core: int) -> None:
    if (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
