"""The dashboard with 10 million predictions in the log: how long pages take, what they weigh, and their queries.

``python benchmarks/pages.py [PREDICTIONS]``; QUICK=1 for 300,000. The log is of 60 days; checks ran every quarter of an
hour for 30 of them, a rollout was judged as often, and workers reported each minute. Pages are asked for over HTTP; a
query's time is the client's, its plan is PostgreSQL's own.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import uvicorn

from leadgate.app.checking import run_checks
from leadgate.app.profiling import publish
from leadgate.app.rollouts import evaluate, start
from leadgate.app.routing import route_in_force
from leadgate.app.showing import doors_of, sources_of
from leadgate.app.wire import Home, open_home
from leadgate.scoring.drainer import Drainer
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.views.pages import PAGES
from leadgate.views.site import Site
from leadgate.views.sources import Reader
from monitoring import write_segment
from project import make_project, workplace
from report import Row, is_quick, report

PREDICTIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000 if is_quick() else 10_000_000
DAYS, CHECKED_DAYS = 60, 30
SEGMENT = 5_000
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ASKED = 40 if is_quick() else 200
"""Times that each page is asked for."""
LEAD = "lead 77"
ADDRESSES: Mapping[str, str] = {"leads": f"/ui/leads?lead={LEAD.replace(' ', '+')}", "models": "/ui/models?version=1"}
"""Where a page shows more than its first address does."""

_REST_OF_LOG = """
INSERT INTO leadgate.prediction_logs
SELECT md5(%(day)s || ' ' || n || ' ' || p.prediction_id)::uuid,
       p.scored_at + %(shift)s::interval, p.lead_id || CASE n %% 5 WHEN 0 THEN '' ELSE ' ' || n || ' ' || %(day)s END,
       p.model_name, p.model_version, p.variant, p.predicted_score, p.priority, p.features, p.latency_ms, p.batch_size,
       p.request_id, p.route_epoch, p.shadow_version, p.shadow_score
FROM leadgate.prediction_logs p
CROSS JOIN generate_series(1, %(times)s) AS n
WHERE p.scored_at >= %(since)s AND p.scored_at < %(until)s
ON CONFLICT DO NOTHING
"""
"""A day like the first one: a fifth of its leads are old acquaintances."""
_OTHER_HOURS = """
INSERT INTO leadgate.profile_hours (model_name, model_version, variant, hour, layout, predictions, payload)
SELECT model_name, model_version, variant, hour - n * interval '1 day', layout, predictions, payload
FROM leadgate.profile_hours, generate_series(1, %(days)s) AS n
"""
_OTHER_RUNS = """
WITH runs AS (SELECT n, gen_random_uuid() AS run_id FROM generate_series(1, %(runs)s) AS n)
INSERT INTO leadgate.check_results
    (run_id, model_name, checked_at, window_since, window_until, area, check_name, subject, severity, sentence, value,
     threshold, low, high, level, sample, p_value, family, weight, details)
SELECT runs.run_id, model_name, checked_at - n * interval '15 minutes', window_since - n * interval '15 minutes',
       window_until - n * interval '15 minutes', area, check_name, subject, severity, sentence,
       value * (1 + 0.1 * sin(n / 50.0)), threshold, low, high, level, sample, p_value, family, weight, details
FROM leadgate.check_results, runs
"""
_OTHER_EVIDENCE = """
INSERT INTO leadgate.rollout_evidence (rollout_id, gathered_at, evidence, verdicts, act, reason)
SELECT rollout_id, gathered_at - n * interval '15 minutes', evidence, verdicts, act, reason
FROM leadgate.rollout_evidence, generate_series(1, %(runs)s) AS n
"""
_MEASUREMENTS = """
INSERT INTO leadgate.service_measurements
SELECT 'lead-scoring', 'a start', worker::text, until, until - interval '1 minute', 600, 0, 0.3, 200000000,
       '{"champion": [0, 500, 90, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}', '{"champion": 600}', '{}', 0, 0
FROM generate_series(0, 1) AS worker,
     generate_series(%(now)s - interval '30 days', %(now)s, interval '1 minute') AS until
ON CONFLICT DO NOTHING
"""
_ALERTS = """
INSERT INTO leadgate.alerts
    (model_name, area, check_name, subject, cause, state, severity, severity_since, sentence, opened_at, raised_by,
     resolved_at)
SELECT 'lead-scoring', 'drift', 'feature drift', 'industry', 'drift', 'resolved', 'yellow', at, 'KS 0.2', at,
       ARRAY[604800.0], at + interval '2 hours'
FROM generate_series(%(now)s - interval '300 days', %(now)s - interval '1 day', interval '6 hours') AS at
"""


class Noted(psycopg.Cursor[Any]):
    """A cursor that notes what it executes and how long that takes."""

    times: list[tuple[str, Any, float]]

    def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        started = time.perf_counter()
        try:
            return super().execute(query, params, **how)
        finally:
            self.times.append((str(query), params, 1000 * (time.perf_counter() - started)))


class NotedReader(Reader):
    """The pages' connections, with such cursors."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.times: list[tuple[str, Any, float]] = []

    @contextmanager
    def connection(self) -> Iterator[Any]:
        with super().connection() as connection:
            connection.cursor_factory = type("NotedCursor", (Noted,), {"times": self.times})
            yield connection


def furnish(folder: Path) -> Home:
    """A project with a log of 60 days and everything that goes with it."""
    requests = make_project(folder)
    home = open_home(folder).on(lambda: NOW)
    for version in ("1", "2"):
        publish(home, home.registry.find(version))
    route_in_force(home)
    begin = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC)
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        _first_day(folder, home, connection, requests, begin)
        start(home, "2", "benchmark")
        run_checks(home)
        evaluate(home)
        _multiply(connection, begin)
    return home


def _first_day(folder: Path, home: Home, connection: Any, requests: list[dict[str, Any]], begin: datetime) -> None:
    """Real predictions through the real drainer, which folds them into profiles."""
    spool = folder / "spool"
    spool.mkdir()
    first = min(20_000, PREDICTIONS // DAYS)
    ensure_partitions(connection, {begin.date()})
    drainer = Drainer(spool, home.database_url, lambda: NOW)
    for at in range(0, first, SEGMENT):
        when = begin + timedelta(seconds=40_000 * at / first)
        write_segment(spool / f"{at:09d}.seg", requests, at, min(SEGMENT, first - at), when)
        drainer.drain(connection)


def _multiply(connection: Any, begin: datetime) -> None:
    have = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()[0]
    each = {"since": begin, "until": begin + timedelta(days=1)}
    for day in range(1, DAYS + 1):
        ensure_partitions(connection, {(begin - timedelta(days=day)).date()})
        times = max(1, ceil(PREDICTIONS / DAYS / have))
        values = {**each, "shift": -timedelta(days=day), "day": f"day {day}", "times": times}
        connection.execute(_REST_OF_LOG, values)
    runs = CHECKED_DAYS * 96
    connection.execute(_OTHER_HOURS, {"days": DAYS})
    connection.execute(_OTHER_RUNS, {"runs": runs})
    connection.execute(_OTHER_EVIDENCE, {"runs": runs})
    connection.execute(_MEASUREMENTS, {"now": NOW})
    connection.execute(_ALERTS, {"now": NOW})
    connection.execute("VACUUM ANALYZE")


@contextmanager
def site(home: Home, reader: Reader) -> Iterator[httpx.Client]:
    """The pages over HTTP."""
    made = Site(sources_of(home, reader), doors_of(home, reader, with_keys=False, local=True))
    server = uvicorn.Server(uvicorn.Config(made, port=0, log_config=None, lifespan="off", access_log=False))
    running = threading.Thread(target=server.run)
    running.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        running.join(10)


def weight(client: httpx.Client, html: str) -> int:
    """Bytes of a page with all that it loads, uncompressed."""
    import re  # noqa: PLC0415

    loaded = set(re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', html))
    return len(html.encode()) + sum(len(client.get(path).content) for path in loaded)


def main() -> int:
    """Furnish, ask, explain."""
    rows: list[Row] = []
    with workplace() as folder:
        home = furnish(folder)
        reader = NotedReader(home.database_url)
        with psycopg.connect(home.database_url) as connection:
            found = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
        rows.append(Row(what="predictions in the log", measured=found[0] if found else 0, unit="", bar=PREDICTIONS))
        with site(home, reader) as client:
            for page in PAGES:
                rows += _ask(client, page.name, ADDRESSES.get(page.name, page.path))
        slowest = _slowest(reader.times)
        rows.append(Row(what="slowest query of any page", measured=slowest[0][1], unit="ms", bar=100, at_most=True))
        notes = [_plan(home.database_url, *each) for each in slowest]
        reader.close()
    return report("pages", f"The dashboard with {PREDICTIONS:,} predictions in the log", rows, [*_NOTES, *notes])


_NOTES = (
    "p95 of a warm page over HTTP on loopback, one viewer. Weight: the page with all it loads, uncompressed.",
    "A query's time is the largest median over its pages, as the client sees it; below are the plans of the slowest.",
)


def _ask(client: httpx.Client, name: str, address: str) -> list[Row]:
    first = client.get(address)
    first.raise_for_status()
    took = []
    for _ in range(ASKED if name == "overview" else ASKED // 4):
        started = time.perf_counter()
        client.get(address).raise_for_status()
        took.append(1000 * (time.perf_counter() - started))
    p95 = float(np.percentile(took, 95))
    heavy = weight(client, first.text) / 1000
    return [
        Row(what=f"{name}: p95 on the server", measured=p95, unit="ms", bar=200, at_most=True),
        Row(what=f"{name}: weight", measured=heavy, unit="kB", bar=600, at_most=True),
    ]


def _slowest(times: list[tuple[str, Any, float]], most: int = 5) -> list[tuple[tuple[str, Any], float]]:
    """The statements with the largest median time, each with parameters that it was executed with."""
    found: dict[str, list[float]] = defaultdict(list)
    example: dict[str, Any] = {}
    for query, params, took in times:
        found[query].append(took)
        example[query] = params
    ranked = sorted(found, key=lambda query: -float(np.median(found[query])))[:most]
    return [((query, example[query]), float(np.median(found[query]))) for query in ranked]


def _plan(url: str, executed: tuple[str, Any], took: float) -> str:
    query, params = executed
    with psycopg.connect(url) as connection:
        lines = connection.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + query, params).fetchall()
    head = " ".join(query.split())[:100]
    return "\n".join([f"\n`{head}...`: {took:.1f} ms\n\n```", *(line[0] for line in lines[:40]), "```"])


if __name__ == "__main__":
    sys.exit(main())
