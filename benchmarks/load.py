"""Loads servers in turn with wrk, and remembers what else the machine did meanwhile."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from report import is_quick

ROUNDS, WARM_UP, SECONDS = (1, 1, 1) if is_quick() else (5, 1, 4)
CONNECTIONS = 64
CALLERS_CORE = min(1, (os.cpu_count() or 1) - 1)
DISTURBED = 0.03
"""A load is repeated when other programs took more than this share of the machine's processor time."""
REPEATS, PATIENCE_S = (0, 0.0) if is_quick() else (12, 90.0)
"""In a whole run, and how long it waits for quiet before them; then disturbed loads count too, and the table tells."""

PREDICT = """
local file = io.open("{file}", "r")
local bodies, n = {{}}, 0
local headers = {{["Content-Type"] = "application/json"}}
for line in file:lines() do
  n = n + 1
  bodies[n] = wrk.format("POST", "{path}", headers, line)
end
local i = 0
request = function() i = i % n + 1; return bodies[i] end
"""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Something under load."""

    name: str
    port: int
    pid: int
    """Of the process that answers, or of its parent."""
    script: Path
    """Of wrk."""
    before: Callable[[], None] = lambda: None
    """Called before each of its turns."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of loading a contender once."""

    name: str
    requests: int
    """Answers."""
    seconds: float
    errors: int
    """Answers other than 2xx and 3xx, connections that failed, and requests that timed out."""
    busy: float
    """Seconds of processor time of the server."""
    others: float
    """Share of the machine's processor time that programs took which are not part of the benchmark."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


@dataclass
class Loads:
    """All loads of a run."""

    counted: dict[str, list[Load]] = field(default_factory=dict)
    """One a round, by contender."""
    every: list[Load] = field(default_factory=list)
    """With those that warmed, and those that were disturbed and repeated."""
    drained: float = 0.0
    """Longest time, in seconds, that ``settle`` took after a load."""

    def median(self, name: str) -> float:
        """Requests a second."""
        return median(load.per_second for load in self.counted[name])

    def ratio(self, one: str, other: str) -> float:
        """Of the rates of two within a round, its median over the rounds: a slow moment of the machine meets both."""
        pairs = zip(self.counted[one], self.counted[other], strict=True)
        return median(a.per_second / b.per_second for a, b in pairs)

    def busy(self, name: str) -> float:
        """Seconds of the server's processor time for one request."""
        return median(load.busy / load.requests for load in self.counted[name])

    def of(self, names: Iterable[str]) -> list[Load]:
        """Every load of some contenders."""
        wanted = set(names)
        return [load for load in self.every if load.name in wanted]


def require_wrk() -> None:
    """Say what is missing and end with code 2, where wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.stderr.write("This benchmark loads the servers with wrk; `apt-get install wrk` brings it.\n")
        raise SystemExit(2)


@cache
def precedence() -> tuple[str, ...]:
    """What starts a program so that it runs as soon as it can, and nothing where the system does not allow that.

    The drainer and PostgreSQL share a core with wrk. Where they make it wait, the worker has nothing to do, and the
    rate would be theirs and not the worker's.
    """
    command = ("chrt", "--fifo", "1")
    allowed = (
        shutil.which("chrt") and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    )
    return command if allowed else ()


def said_of_precedence() -> str:
    """A sentence for those who read the table."""
    if precedence():
        return "On their core the callers go before the drainer and PostgreSQL: the rate is to be the worker's."
    return "The callers share their core with the drainer and PostgreSQL, which may leave the worker without work."


def take_turns(
    contenders: Sequence[Contender], settle: Callable[[], object], databases: Callable[[], Iterable[int]]
) -> Loads:
    """Load all in turn, each round beginning with another.

    ``settle`` waits until nothing is left over from the load before, which must not slow the next. ``databases`` gives
    the processes that belong to the benchmark and are not its children.
    """
    loads = Loads(counted={contender.name: [] for contender in contenders})
    repeats, patience = REPEATS, PATIENCE_S
    for turn in range(ROUNDS):
        shift = turn % len(contenders)
        for contender in [*contenders[shift:], *contenders[:shift]]:
            load = _turn(contender, settle, databases, loads)
            while load.others > DISTURBED and repeats:
                repeats -= 1
                patience -= _await_quiet(patience, databases)
                load = _turn(contender, settle, databases, loads)
            loads.counted[contender.name].append(load)
    return loads


def _turn(
    contender: Contender, settle: Callable[[], object], databases: Callable[[], Iterable[int]], loads: Loads
) -> Load:
    contender.before()
    for seconds in (WARM_UP, SECONDS):
        load = _load(contender, seconds, databases)
        loads.every.append(load)
    start = time.monotonic()
    settle()
    loads.drained = max(loads.drained, time.monotonic() - start)
    return load


def _await_quiet(patience: float, databases: Callable[[], Iterable[int]]) -> float:
    """Wait until other programs rest, but no longer than ``patience``; gives the seconds that it took."""
    start = time.monotonic()
    while time.monotonic() - start < patience:
        watch = _Watch()
        time.sleep(1)
        if watch.others(databases) <= DISTURBED:
            break
    return time.monotonic() - start


class _Watch:
    """What the processors are busy with from now on."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before = _busy_times()

    def spent(self) -> dict[int, float]:
        """Seconds of processor time, by process."""
        return {pid: busy - self._before.get(pid, 0.0) for pid, busy in _busy_times().items()}

    def others(self, databases: Callable[[], Iterable[int]]) -> float:
        """The share of the machine that programs took which are not part of the benchmark."""
        lasted, spent = time.monotonic() - self._since, self.spent()
        ours = {os.getpid(), *_tree(psutil.Process()), *databases()}
        return sum(busy for pid, busy in spent.items() if pid not in ours) / lasted / (os.cpu_count() or 1)


def _load(contender: Contender, seconds: int, databases: Callable[[], Iterable[int]]) -> Load:
    server, watch = psutil.Process(contender.pid), _Watch()
    said = _wrk(contender, seconds)
    others, spent = watch.others(databases), watch.spent()
    counted = re.search(r"(\d+) requests in ([\d.]+)s", said)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    assert counted, said
    return Load(
        name=contender.name,
        requests=int(counted.group(1)),
        seconds=float(counted.group(2)),
        errors=(int(bad.group(1)) if bad else 0) + sum(map(int, failed.groups() if failed else ())),
        busy=sum(spent.get(pid, 0.0) for pid in (server.pid, *_tree(server))),
        others=others,
    )


def _wrk(contender: Contender, seconds: int) -> str:
    command = [*precedence(), "taskset", "-c", str(CALLERS_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    address = f"http://127.0.0.1:{contender.port}"
    return subprocess.run(
        [*command, "-s", str(contender.script), address], capture_output=True, text=True, check=True
    ).stdout


def _tree(process: psutil.Process) -> list[int]:
    return [child.pid for child in process.children(recursive=True)]


def _busy_times() -> dict[int, float]:
    """Processor time of each program so far, in seconds; the kernel's own threads, which work for all, left out."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != 2 and process.ppid() != 2:
                spent = process.cpu_times()
                found[process.pid] = spent.user + spent.system
    return found


def scripts_of(folder: Path, leads: Sequence[dict[str, Any]]) -> dict[str, Path]:
    """The scripts of wrk, and the files of bodies that they send: our way, and MLflow's."""
    names = list(leads[0]["features"])
    split = [
        {"dataframe_split": {"columns": names, "data": [[_plain(lead["features"][n]) for n in names]]}}
        for lead in leads
    ]
    made = {}
    for name, path, bodies in (("predict", "/predict", leads), ("invocations", "/invocations", split)):
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(body) + "\n" for body in bodies))
        made[name] = folder / f"{name}.lua"
        made[name].write_text(PREDICT.format(file=file, path=path))
    return made


def _plain(value: Any) -> Any:
    """As MLflow's schema takes it: numbers and booleans as numbers."""
    return float(value) if isinstance(value, bool | int) else value
