"""The whole of /predict against what servers and frameworks cost by themselves, and against the usual way.

``python benchmarks/serving.py``; QUICK=1 for a short form. Needs wrk (Debian: ``apt-get install wrk``). One worker on
core 0; the callers, the drainer and PostgreSQL on core 1; contenders take turns.
"""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import psutil

from callers import Calls, call, request_bytes
from leadgate.app.routing import set_route
from leadgate.app.wire import open_home
from load import (
    CALLERS_CORE,
    CONNECTIONS,
    DISTURBED,
    REPEATS,
    ROUNDS,
    SECONDS,
    WARM_UP,
    Contender,
    Loads,
    require_wrk,
    said_of_precedence,
    scripts_of,
    take_turns,
)
from peer import Peer, await_ready, peer, uvicorn
from project import Running, make_project, serving, settled, workplace
from report import FOLDER, Row, is_quick, report

LR, HGB, POWER, ALONE = "LR, HGB shadow", "HGB, LR shadow", "LR, HGB shadow, power", "LR alone"
EMPTY, BARE, PANDAS, MLFLOW = "empty FastAPI route", "bare ASGI answer", "FastAPI and pandas", "MLflow scoring server"
OURS = (LR, HGB, POWER, ALONE)
PEERS = {EMPTY: "empty_route", BARE: "bare_asgi", PANDAS: "pandas_route", MLFLOW: "mlflow_server"}

SKIPPED = {ALONE, MLFLOW} if is_quick() else set()
"""What has no bar has no place in a minute."""

RATE, OPEN_LOOP_S, STARTS = (500, 2, 0) if is_quick() else (500, 30, 5)
ALL_CORES = range(os.cpu_count() or 1)

BARS = ((LR, EMPTY, 2.5), (LR, BARE, 0.5), (HGB, EMPTY, 2.0), (POWER, EMPTY, 1.5), (LR, PANDAS, 60.0))

NOTES = (
    f"{ROUNDS} alternating rounds of {SECONDS} s each, after {WARM_UP} s of warming; medians, ratios within a round.",
    f"wrk, 1 thread, {CONNECTIONS} connections, 500 different leads in turn; worker on core 0, all else on core 1.",
    said_of_precedence(),
    "Every /predict is validated, routed, scored, written to the spool before its answer, and drained meanwhile.",
    "We aim at 3 x an empty FastAPI route, and at 2.5 x with durability power.",
    "The open loop measures from the time at which a request was due. The first request opens its own connection.",
    f"A load during which other programs took more than {DISTURBED:.0%} of the machine is repeated, {REPEATS} at most.",
    "BentoML and MLServer are not among the dependencies and are left out.",
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything, before it is judged."""

    loads: Loads
    calls: Calls
    """The open loop."""
    first: Sequence[float]
    """Seconds of the first request after a start, ascending; none in the short form."""
    logged: int
    """Rows in the prediction log."""
    drained: bool
    memory: float
    """Megabytes: the largest resident memory of a worker."""


def main() -> int:
    """Measure; gives the exit code."""
    require_wrk()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through every `finally`, as on Ctrl-C
    with workplace() as folder:
        leads = make_project(folder)
        measured = _measure(folder, leads)
    if not is_quick():
        _plot(measured.loads)
    return report("serving", "Requests a second of one worker", _rows(measured), NOTES)


def shadow(running: Running, champion: str = "1", challenger: str | None = "2") -> None:
    """Put a champion in force, alone or with a challenger in its shadow."""
    stage: Any = "shadow" if challenger else "full"
    set_route(running.home, stage=stage, champion=champion, challenger=challenger, share=0, reason="bench")
    time.sleep(0.5)


def settle(services: Sequence[Running]) -> bool:
    """Wait until nothing is left to drain: it would slow whoever is next."""
    return all(settled(running) for running in services)


def _measure(folder: Path, leads: Sequence[dict[str, Any]]) -> Measured:
    requests = [request_bytes(lead) for lead in leads]
    with ExitStack() as stack:
        others = _start_peers(stack, folder)
        running = stack.enter_context(serving(folder))
        power = stack.enter_context(serving(folder, "--durability", "power", spool="spool-power"))
        services = (running, power)
        scripts = scripts_of(folder, leads)
        contenders = [*_ours(running, power, scripts), *_await_peers(others, scripts)]
        for service in services:
            service.pin()
        os.sched_setaffinity(0, {CALLERS_CORE})
        loads = take_turns(contenders, partial(settle, services), lambda: [p.pid for p in running.database])
        shadow(running)
        call(running.port, requests, rate=RATE, seconds=1, connections=20)
        calls = call(running.port, requests, rate=RATE, seconds=OPEN_LOOP_S, connections=20)
        drained = settle(services)
        memory = max(_peak_memory(service.worker) for service in services)
        logged = _logged(running)
    first = sorted(_first_request(folder, requests[0]) for _ in range(STARTS))
    return Measured(loads=loads, calls=calls, first=first, logged=logged, drained=drained, memory=memory)


def _ours(running: Running, power: Running, scripts: dict[str, Path]) -> list[Contender]:
    """One project, two services: a change of the route is for both."""
    ways = {
        LR: (running, partial(shadow, running)),
        HGB: (running, partial(shadow, running, champion="2", challenger="1")),
        ALONE: (running, partial(shadow, running, challenger=None)),
        POWER: (power, partial(shadow, running)),
    }
    return [
        Contender(name=name, port=service.port, pid=service.worker.pid, script=scripts["predict"], before=before)
        for name, (service, before) in ways.items()
        if name not in SKIPPED
    ]


def _start_peers(stack: ExitStack, folder: Path) -> dict[str, Peer]:
    """They get ready while our services do."""
    assert open_home(folder).database_url  # two of them look into the registry, and need not race for its start
    return {
        name: stack.enter_context(peer(module, folder, uvicorn(module)))
        for name, module in PEERS.items()
        if name not in SKIPPED
    }


def _await_peers(started: dict[str, Peer], scripts: dict[str, Path]) -> list[Contender]:
    found = []
    for name, server in started.items():
        await_ready(server)
        script = scripts["invocations" if name == MLFLOW else "predict"]
        found.append(Contender(name=name, port=server.port, pid=server.process.pid, script=script))
    return found


def _first_request(folder: Path, request: bytes) -> float:
    """Seconds of the first prediction of a fresh service, its connection included."""
    os.sched_setaffinity(0, ALL_CORES)
    with serving(folder) as fresh:
        fresh.pin()
        os.sched_setaffinity(0, {CALLERS_CORE})
        start = time.perf_counter()
        with socket.create_connection(("127.0.0.1", fresh.port)) as connection:
            connection.sendall(request)
            answer = connection.recv(65_536)
        taken = time.perf_counter() - start
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return taken


def _logged(running: Running) -> int:
    with running.home.connection() as connection:
        row = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
    return int(row[0]) if row else 0


def _peak_memory(worker: psutil.Process) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    assert found
    return int(found.group(1)) / 1024


def _rows(measured: Measured) -> list[Row]:
    return [*_rate_rows(measured.loads), *_latency_rows(measured), *_honesty_rows(measured)]


def _rate_rows(loads: Loads) -> list[Row]:
    rows = [Row(what=name, measured=loads.median(name), unit="/s") for name in loads.counted]
    rows += [Row(what=f"{a} / {b}", measured=loads.ratio(a, b), unit="x", bar=bar) for a, b, bar in BARS]
    if MLFLOW in loads.counted:
        rows.append(Row(what=f"{LR} / {MLFLOW}", measured=loads.ratio(LR, MLFLOW), unit="x"))
    return rows + [
        Row(what=f"processor time of a request: {name}", measured=loads.busy(name) * 1e6, unit="µs")
        for name in (LR, HGB, POWER, EMPTY, BARE)
    ]


def _latency_rows(measured: Measured) -> list[Row]:
    latencies = [1000 * seconds for seconds in measured.calls.latencies]
    middle = _at(latencies, 0.5)
    rows = [
        Row(what=f"open loop of {RATE}/s: p50", measured=middle, unit="ms", bar=1, at_most=True),
        Row(what=f"open loop of {RATE}/s: p99", measured=_at(latencies, 0.99), unit="ms", bar=6, at_most=True),
    ]
    if measured.first:
        first = 1000 * median(measured.first)
        rows.append(Row(what="first request after ready", measured=first, unit="ms"))
        rows.append(Row(what="first request after ready / p50", measured=first / middle, unit="x", bar=5, at_most=True))
    return rows


def _honesty_rows(measured: Measured) -> list[Row]:
    """What would make the rates worthless."""
    loads, calls = measured.loads, measured.calls
    answered = sum(load.requests - load.errors for load in loads.of(OURS)) + len(calls.answers)
    wrong = sum(load.errors for load in loads.of(OURS)) + len(calls.failures)
    wrong += sum(answer.status != 200 for answer in calls.answers)
    counted = [load for found in loads.counted.values() for load in found]
    return [
        Row(what="peak memory of a worker", measured=measured.memory, unit="MB", bar=300, at_most=True),
        Row(what="answers of ours", measured=answered, unit=""),
        Row(what="rows in the prediction log / answers", measured=measured.logged / answered, unit="", bar=1),
        Row(what="errors of ours", measured=wrong, unit="", bar=0, at_most=True),
        Row(what="errors of the others", measured=sum(load.errors for load in loads.of(PEERS)), unit=""),
        Row(what="spool drained after the load", measured=float(measured.drained), unit="", bar=1),
        Row(what="longest draining after a load", measured=loads.drained, unit="s"),
        Row(what="other programs' share, median load", measured=100 * median(x.others for x in counted), unit="%"),
        Row(what="other programs' share, worst load", measured=100 * max(x.others for x in counted), unit="%"),
    ]


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def _plot(loads: Loads) -> None:
    mpl.use("agg")
    medians = sorted((loads.median(name), name) for name in loads.counted)
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    colours = ["#1f6feb" if name in OURS else "#9aa4b1" for _, name in medians]
    bars = axes.barh([name for _, name in medians], [value for value, _ in medians], color=colours)
    axes.bar_label(bars, labels=[f" {value:,.0f}" for value, _ in medians])
    axes.set_xlabel("requests a second, one worker on one core")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / "serving.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
