"""Route changes under load: no request fails, and no worker answers with the old route for long.

``python benchmarks/rollback.py``; QUICK=1 for a short form. Two workers; versions 1 and 2 take turns as champion. Then
version 2 is a challenger in its canary, and red evidence brings it back.
"""

import json
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from callers import Calls, call, request_bytes
from leadgate.app.rollouts import evaluate, start
from leadgate.app.routing import roll_back, route_in_force, set_route
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.rollout_rules import GateRules
from leadgate.rollout import controller
from leadgate.scoring.metrics import SECONDS as EDGES
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.routes import routes_of
from project import Running, make_project, serving, settled
from report import Row, is_quick, report

RATE, CHANGES, SECONDS = (1_000.0, 25, 8.0) if is_quick() else (2_000.0, 200, 60.0)


def main() -> int:
    """Measure; gives the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        requests = [request_bytes(lead) for lead in make_project(Path(folder))]
        _ask_for_latency_only(Path(folder))
        with serving(Path(folder), "--workers", "2") as running:
            calls = _under_load(running, requests)
            drained = settled(running)
            rows = _rows(running, calls, drained=drained)
            rows += _verdict_rows(running, requests)
    notes = [
        f"Two workers, {RATE:,.0f} requests a second for {SECONDS:g} s in an open loop.",
        f"{CHANGES} changes of the route: every second one sets another champion, the other is a rollback.",
        "Staleness: time between a change's commit and the scoring of the last prediction under the route before it.",
        "Verdict: the controller finds latencies red, under the same load, of which a canary answers 49 %.",
    ]
    return report("rollback", "Route changes under load", rows, notes)


def _under_load(running: Running, requests: list[bytes]) -> Calls:
    home = running.home
    route_in_force(home)
    stop = threading.Event()

    def change() -> None:
        for i in range(CHANGES):
            time.sleep(SECONDS * 0.9 / CHANGES)
            if i % 2 == 0:
                set_route(home, stage="full", champion="2", challenger=None, share=0, reason="bench")
            else:
                roll_back(home, to=None, reason="bench")
        stop.set()

    changer = threading.Thread(target=change)
    changer.start()
    calls = call(running.port, requests, rate=RATE, seconds=SECONDS)
    changer.join()
    assert stop.is_set()
    return calls


def _ask_for_latency_only(folder: Path) -> None:
    """Rules under which only latencies decide, so that the way into the canary and back is short."""
    config = yaml.safe_load((folder / CONFIG).read_text())
    off = {name: None for name, value in GateRules() if name not in ("p99_ms", "min_ratings") and value is not None}
    at_once = {"min_days": 0, "min_leads": 1}
    config["rollout"] = {
        "shadow": {**at_once, "min_matured": 1, "min_conversions": 1},
        "canary": {**at_once, "share": 0.49},
        "sign_off": [],
        "gates": off,
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config))


def _verdict_rows(running: Running, requests: list[bytes]) -> list[Row]:
    """From a red verdict to the last answer by the challenger, under load."""
    home = Home(running.home.folder, running.home.settings)  # with the rules of the file
    if route_in_force(home).champion != "1":
        roll_back(home, to="1", reason="bench")
    began: list[float] = []
    decided: list[float] = []

    def lead_rollout() -> None:
        time.sleep(1)
        start(home, "2", reason="bench")
        time.sleep(2)
        _measure(home, 0.05)
        evaluate(home)
        time.sleep(2)
        _measure(home, 0.9)
        began.append(time.monotonic())
        with _noting(decided):
            evaluate(home)

    leader = threading.Thread(target=lead_rollout)
    leader.start()
    calls = call(running.port, requests, rate=RATE, seconds=15.0)
    leader.join()
    answers = [(a.done, json.loads(a.body)) for a in calls.answers if a.status == 200]
    own = [done for done, answer in answers if answer["variant"] == "challenger"]
    failed = len(calls.failures) + len(calls.answers) - len(answers)
    return [
        Row(what="red verdict: answers by the challenger before", measured=len(own), unit="", bar=1),
        Row(
            what="from the verdict to the last answer by the challenger",
            measured=1000 * max(0.0, max(own) - decided[-1]),
            unit="ms",
            bar=2000,
            at_most=True,
        ),
        Row(what="from the start of that evaluation", measured=1000 * (max(own) - began[-1]), unit="ms"),
        Row(what="failed requests then", measured=failed, unit="", bar=0, at_most=True),
    ]


def _measure(home: Home, seconds: float) -> None:
    """What a worker would write whose answers take so long."""
    now, place = home.clock(), bisect_right(EDGES, seconds)
    measured = Measurement(
        model_name=home.project.name,
        service="bench",
        worker=f"{seconds}",
        since=now - timedelta(seconds=1),
        until=now,
        requests=5_000,
        failures=0,
        busy_s=0.1,
        peak_memory_bytes=10**8,
        latencies={"champion": [(edge, 5_000 * (i == place)) for i, edge in enumerate((*EDGES, None))]},
    )
    with home.connection() as connection:
        add_measurement(connection, measured)


@contextmanager
def _noting(decided: list[float]) -> Iterator[None]:
    """Note the moments at which the controller has decided."""
    real: Any = vars(controller)["decide"]

    def noted(*given: Any) -> Any:
        found = real(*given)
        decided.append(time.monotonic())
        return found

    with mock.patch.object(controller, "decide", noted):
        yield


def _rows(running: Running, calls: Calls, *, drained: bool) -> list[Row]:
    home = running.home
    with home.connection() as connection:
        routes = routes_of(connection, home.project.name)[::-1]
        logged = {
            str(row[0]): row[1:]
            for row in connection.execute(
                "SELECT prediction_id, model_version, route_epoch, scored_at FROM leadgate.prediction_logs"
            )
        }
    answers = [json.loads(a.body) for a in calls.answers if a.status == 200]
    wrong = sum(_differs(answer, logged) for answer in answers)
    staleness = _staleness(routes, logged)
    failed = len(calls.failures) + sum(a.status != 200 for a in calls.answers)
    seconds = max(a.done for a in calls.answers) - min(a.due for a in calls.answers)
    return [
        Row(what="route changes", measured=len(routes) - 1, unit="", bar=CHANGES),
        Row(what="requests answered", measured=len(answers), unit=""),
        Row(what="requests a second", measured=len(answers) / seconds, unit="/s", bar=0.98 * RATE),
        Row(what="failed requests", measured=failed, unit="", bar=0, at_most=True),
        Row(what="answers whose log has another version, or no row", measured=wrong, unit="", bar=0, at_most=True),
        Row(what="longest staleness of a route", measured=1000 * max(staleness), unit="ms", bar=1000, at_most=True),
        Row(what="median staleness of a route", measured=1000 * sorted(staleness)[len(staleness) // 2], unit="ms"),
        Row(what="spool drained at the end", measured=float(drained), unit="", bar=1),
    ]


def _differs(answer: dict[str, Any], logged: dict[str, Any]) -> bool:
    row = logged.get(answer["prediction_id"])
    return row is None or row[0] != answer["model_version"]


def _staleness(routes: list[Any], logged: dict[str, Any]) -> list[float]:
    """For each change, how long after it the route before was still used."""
    changed = [route.changed_at.timestamp() for route in routes]
    last = {route.epoch: 0.0 for route in routes}
    for _, epoch, at in logged.values():
        end = bisect_right([r.epoch for r in routes], epoch)
        if end < len(changed):
            last[epoch] = max(last[epoch], at.timestamp() - changed[end])
    return [max(0.0, value) for value in last.values()]


if __name__ == "__main__":
    sys.exit(main())
