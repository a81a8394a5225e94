"""The whole of /predict against what servers and frameworks cost by themselves, and against the usual way.

``python benchmarks/serving.py``; QUICK=1 for a short form. Needs wrk (Debian: ``apt-get install wrk``). One worker on
core 0; the callers, the drainer and PostgreSQL on core 1; contenders take turns.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from callers import call, request_bytes
from leadgate.app.routing import set_route
from project import Running, make_project, serving, settled
from report import FOLDER, Row, is_quick, report

ROUNDS, SECONDS = (2, 1.0) if is_quick() else (5, 3.0)
CONNECTIONS = 64
PEERS = Path(__file__).parent / "peers"

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


@dataclass(frozen=True)
class Contender:
    """Something under load."""

    name: str
    port: int
    script: Path
    before: Any = None
    """Called before each of its turns."""


@dataclass
class Load:
    """What wrk saw."""

    per_second: float
    requests: int
    errors: int


def main() -> int:
    """Measure; gives the exit code."""
    if shutil.which("wrk") is None:
        sys.stderr.write("This benchmark loads the servers with wrk; `apt-get install wrk` brings it.\n")
        return 2
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        leads = make_project(folder)
        scripts = scripts_of(folder, leads)
        running = stack.enter_context(serving(folder))
        power_folder = _second_project(folder)
        power = stack.enter_context(serving(power_folder, "--durability", "power"))
        for service in (running, power):
            set_route(service.home, stage="shadow", champion="1", challenger="2", share=0, reason="bench")
            service.pin()
        contenders = _contenders(stack, folder, running, power, scripts)
        time.sleep(2)
        rates, totals = rounds(contenders, (running, power))
        # In its own time: the open loop, the count of the log, and memory.
        shadow(running)
        latencies = [1000 * s for s in _open_loop(running, leads)]
        drained = settled(running) and settled(power)
        rows = _rate_rows(rates)
        rows += [
            Row(what="open loop of 500/s: p50", measured=_at(latencies, 0.5), unit="ms", bar=1, at_most=True),
            Row(what="open loop of 500/s: p99", measured=_at(latencies, 0.99), unit="ms", bar=6, at_most=True),
        ]
        first = _first_request(folder, leads) if not is_quick() else []
        if first:
            ratio = median(first) / (_at(latencies, 0.5) / 1000)
            rows.append(Row(what="first request after ready / median", measured=ratio, unit="x", bar=5, at_most=True))
        answered = sum(t.requests for name, t in totals if name in OURS) + len(latencies)
        logged = _logged(running) + _logged(power)
        errors = {name: sum(t.errors for n, t in totals if n == name) for name, _ in totals}
        memory = max(_peak_memory(running), _peak_memory(power))
        rows += [
            Row(what="peak memory of a worker", measured=memory, unit="MB", bar=300, at_most=True),
            Row(what="answers of ours", measured=answered, unit=""),
            Row(what="rows in the prediction log / answers", measured=logged / answered, unit="", bar=1),
            Row(
                what="answers of ours other than 200",
                measured=sum(errors[n] for n in OURS),
                unit="",
                bar=0,
                at_most=True,
            ),
            Row(
                what="answers of the others other than 200",
                measured=sum(errors[n] for n in errors if n not in OURS),
                unit="",
            ),
            Row(what="spool drained after the load", measured=float(drained), unit="", bar=1),
        ]
    _plot(rates)
    notes = [
        f"{ROUNDS} alternating rounds of {SECONDS:g} s each; medians, and ratios taken within a round.",
        f"wrk, 1 thread, {CONNECTIONS} connections, 500 different leads in turn; worker on core 0, all else on core 1.",
        "Every /predict is validated, routed, scored, written to the spool before its answer, and drained meanwhile.",
        "The open loop measures from the time at which a request was due.",
        "BentoML and MLServer are not installed here and are left out.",
    ]
    return report("serving", "Requests a second of one worker", rows, notes)


LR, HGB, POWER, ALONE = "LR, HGB shadow", "HGB, LR shadow", "LR, HGB shadow, power", "LR alone"
EMPTY, BARE, PANDAS, MLFLOW = "empty FastAPI route", "bare ASGI answer", "FastAPI and pandas", "MLflow scoring server"
OURS = (LR, HGB, POWER, ALONE)


def _contenders(
    stack: ExitStack, folder: Path, running: Running, power: Running, scripts: dict[str, Path]
) -> list[Contender]:
    predict = scripts["predict"]
    found = [
        Contender(LR, running.port, predict, lambda: shadow(running)),
        Contender(HGB, running.port, predict, lambda: shadow(running, champion="2", challenger="1")),
        Contender(ALONE, running.port, predict, lambda: shadow(running, challenger=None)),
        Contender(POWER, power.port, predict),
    ]
    for name, module in ((EMPTY, "empty_route"), (BARE, "bare_asgi"), (PANDAS, "pandas_route")):
        found.append(Contender(name, stack.enter_context(peer(module, folder, _uvicorn(module))), predict))
    found.append(
        Contender(
            MLFLOW,
            stack.enter_context(peer("mlflow_server", folder, _uvicorn("mlflow_server"))),
            scripts["invocations"],
        )
    )
    return found


def shadow(running: Running, champion: str = "1", challenger: str | None = "2") -> None:
    """Put a champion in force, alone or with a challenger in its shadow."""
    stage: Any = "shadow" if challenger else "full"
    set_route(running.home, stage=stage, champion=champion, challenger=challenger, share=0, reason="bench")
    time.sleep(0.5)


def rounds(
    contenders: Sequence[Contender], services: Sequence[Running]
) -> tuple[dict[str, list[float]], list[tuple[str, Load]]]:
    """Load all in turn; gives their rates by name, round by round, and every load."""
    rates: dict[str, list[float]] = {c.name: [] for c in contenders}
    totals = []
    for turn in range(ROUNDS + 1):
        order = [*contenders[turn % len(contenders) :], *contenders[: turn % len(contenders)]]
        for contender in order:
            if contender.before:
                contender.before()
            for running in services:  # what one contender left to drain must not slow the next
                settled(running)
            load = _wrk(contender, 1.0 if turn == 0 else SECONDS)
            totals.append((contender.name, load))
            if turn:  # the first round warms
                rates[contender.name].append(load.per_second)
    return rates, totals


def _wrk(contender: Contender, seconds: float) -> Load:
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "-s", str(contender.script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{contender.port}"], capture_output=True, text=True, check=True)
    said = done.stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    counted = re.search(r"(\d+) requests in ([\d.]+)s", said)
    assert counted, said
    return Load(
        per_second=int(counted.group(1)) / float(counted.group(2)),
        requests=int(counted.group(1)),
        errors=(int(bad.group(1)) if bad else 0) + sum(map(int, socket_errors.groups() if socket_errors else ())),
    )


def _rate_rows(rates: dict[str, list[float]]) -> list[Row]:
    rows = [Row(what=name, measured=median(found), unit="/s") for name, found in rates.items()]
    bars = [
        (LR, EMPTY, 2.5),
        (LR, BARE, 0.5),
        (HGB, EMPTY, 2.0),
        (POWER, EMPTY, 1.5),
        (LR, PANDAS, 60),
    ]
    for ours, other, bar in bars:
        ratio = median(a / b for a, b in zip(rates[ours], rates[other], strict=True))
        rows.append(Row(what=f"{ours} / {other}", measured=ratio, unit="x", bar=bar))
    ratio = median(a / b for a, b in zip(rates[LR], rates[MLFLOW], strict=True))
    return [*rows, Row(what=f"{LR} / {MLFLOW}", measured=ratio, unit="x")]


def _open_loop(running: Running, leads: Sequence[dict[str, Any]]) -> list[float]:
    os.sched_setaffinity(0, {1})
    try:
        requests = [request_bytes(lead) for lead in leads]
        call(running.port, requests, rate=500, seconds=2, connections=20)
        return call(running.port, requests, rate=500, seconds=5 if is_quick() else 30, connections=20).latencies
    finally:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


def _first_request(folder: Path, leads: Sequence[dict[str, Any]]) -> list[float]:
    """Seconds of the very first request, of five fresh starts of a copy of the project."""
    found = []
    for _ in range(5):
        with serving(folder) as fresh:
            calls = call(fresh.port, [request_bytes(leads[0])], rate=20, seconds=0.05, connections=1)
            found.append(calls.answers[0].done - calls.answers[0].due)
    return found


def _second_project(folder: Path) -> Path:
    """A project of its own for the other durability: the same leads and models."""
    second = folder / "power"
    second.mkdir()
    make_project(second)
    return second


def scripts_of(folder: Path, leads: Sequence[dict[str, Any]]) -> dict[str, Path]:
    """The scripts of wrk, and the files of bodies that they send."""
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


def _uvicorn(module: str) -> list[str]:
    """The server that ours is built on, with the same settings."""
    return [
        *("uvicorn", f"{module}:app", "--http", "httptools", "--loop", "uvloop"),
        *("--no-access-log", "--log-level", "error"),
    ]


@contextmanager
def peer(name: str, folder: Path, server: Sequence[str]) -> Iterator[int]:
    """Another ASGI application, on core 0; gives its port."""
    port = _free_port()
    command = ["taskset", "-c", "0", sys.executable, "-m", *server, "--port", str(port)]
    log = folder / f"{name}.log"
    with log.open("w") as output:
        environment = {**os.environ, "BENCH_PROJECT": str(folder), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, cwd=PEERS, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + 90
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} did not start: {log.read_text()[-2_000:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _logged(running: Running) -> int:
    with running.home.connection() as connection:
        row = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
    return int(row[0]) if row else 0


def _peak_memory(running: Running) -> float:
    """Megabytes: the high-water mark of the worker's resident memory."""
    status = Path(f"/proc/{running.worker.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found.group(1)) / 1024


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def _plot(rates: dict[str, list[float]]) -> None:
    if is_quick():
        return
    mpl.use("agg")
    medians = sorted(((median(found), name) for name, found in rates.items()))
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    colours = ["#1f6feb" if name in OURS else "#9aa4b1" for _, name in medians]
    bars = axes.barh([name for _, name in medians], [value for value, _ in medians], color=colours)
    axes.bar_label(bars, labels=[f" {value:,.0f}" for value, _ in medians])
    axes.set_xlabel("requests a second, one worker on one core")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FOLDER / "serving.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
