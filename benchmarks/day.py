"""A day of 10 million predictions: made through the drainer, then all checks are run on it.

``python benchmarks/day.py [PREDICTIONS]``; QUICK=1 for 200,000. The spool's segments are written and drained as a busy
service does it, spread over 24 hours; a tenth of the leads has an outcome. The checks run in a process of their own, as
``leadgate check run`` does, whose time and peak memory are taken.
"""

import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from leadgate.app.profiling import publish
from leadgate.app.routing import route_in_force
from leadgate.app.wire import CONFIG, open_home
from leadgate.records import Outcome
from leadgate.scoring.drainer import Drainer
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from monitoring import write_segment
from project import make_project, workplace
from report import Row, is_quick, report

PREDICTIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000 if is_quick() else 10_000_000
SEGMENT = 5_000
OUTCOMES = PREDICTIONS // 10
DAY = datetime(2026, 7, 1, tzinfo=UTC)
NOW = DAY + timedelta(days=2)
CHECKS = """
import json, resource, sys, time
from datetime import datetime
from pathlib import Path
from leadgate.app.checking import run_checks
from leadgate.app.wire import open_home
home = open_home(Path(sys.argv[1])).on(lambda: datetime.fromisoformat(sys.argv[2]))
home.database_url
started = time.perf_counter()
run = run_checks(home)
took = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
used = next(f.sample for f in run.findings if f.check == "usage")
print(json.dumps({"took": took, "peak": peak, "findings": len(run.findings), "predictions": used}))
"""


def fill(folder: Path) -> float:
    """Write and drain the day; gives seconds."""
    requests = make_project(folder)
    config = folder / CONFIG
    config.write_text(config.read_text().replace("window_days: 60", "window_days: 1"))
    home = open_home(folder)
    publish(home, home.registry.find("1"))
    route_in_force(home)
    spool = folder / "spool"
    spool.mkdir()
    started = time.perf_counter()
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        ensure_partitions(connection, {DAY.date()})
        draining = Drainer(spool, home.database_url, lambda: DAY)
        for start in range(0, PREDICTIONS, SEGMENT):
            at = DAY + timedelta(seconds=86_000 * start / PREDICTIONS)
            write_segment(spool / f"{start:09d}.seg", requests, start, min(SEGMENT, PREDICTIONS - start), at)
            draining.drain(connection)
        took = time.perf_counter() - started
        for start in range(0, OUTCOMES, 100_000):
            _report(connection, start, min(OUTCOMES, start + 100_000))
    return took


def _report(connection: "psycopg.Connection[tuple[object, ...]]", start: int, end: int) -> None:
    late = DAY + timedelta(days=1)
    outcomes = [
        Outcome(
            lead_id=f"lead {i * 10}",
            converted=i % 5 == 0,
            deal_size=1_000.0,
            days_to_close=1.0,
            outcome_at=late - timedelta(seconds=1),
            source="benchmark",
        )
        for i in range(start, end)
    ]
    record_outcomes(connection, outcomes, late)


def main() -> int:
    """Fill a day, run the checks on it."""
    with workplace() as folder:
        filled = fill(folder)
        command = [sys.executable, "-c", CHECKS, str(folder), NOW.isoformat()]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    rows = [
        Row(what="predictions that the checks saw", measured=found["predictions"], unit="", bar=PREDICTIONS),
        Row(what="findings", measured=found["findings"], unit=""),
        Row(what="all checks", measured=found["took"], unit="s", bar=60, at_most=True),
        Row(what="peak memory of their process", measured=found["peak"], unit="MB", bar=1_000, at_most=True),
        Row(what="writing and draining a prediction", measured=filled / PREDICTIONS * 1e6, unit="us"),
        Row(
            what="peak memory of the drainer's process",
            measured=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            unit="MB",
        ),
    ]
    notes = [f"{PREDICTIONS:,} predictions of nine features in 24 hours, {OUTCOMES:,} outcomes of their leads."]
    return report("day", f"A day of {PREDICTIONS:,} predictions", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
