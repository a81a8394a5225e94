"""Drift of a million leads: from rows, from profiles, and what profiles cost the drainer.

``python benchmarks/monitoring.py``; QUICK=1 for a tenth of the rows and without bars on ratios. Evidently, for
comparison, comes from a Python that ``EVIDENTLY_PYTHON`` names, or from an environment that is made in the user's
cache the first time; Leadgate does not need it.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pandas as pd
import psycopg
from scipy.stats import ks_2samp

from drift_of_rows import from_rows
from leadgate.leads.layout import Layout, cut
from leadgate.leads.monitoring_rules import DriftRules
from leadgate.leads.profile_bytes import profile_to_bytes
from leadgate.leads.profiles import Categorical, Numeric, numeric_of
from leadgate.leads.summing import profile_columns
from leadgate.monitoring.data import categorical_drift, numeric_drift
from leadgate.records import Prediction
from leadgate.scoring import drainer
from leadgate.scoring.folding import log_predictions
from leadgate.scoring.segments import encode_header, encode_record
from leadgate.stats.distances import ks_statistic
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from project import make_project, workplace
from report import Row, is_quick, report

ROWS = 100_000 if is_quick() else 1_000_000
NUMERIC, CATEGORICAL = 10, 2
TURNS = 1 if is_quick() else 3
SEGMENT, SEGMENTS, BLOCKS = 1_500, 64, 1 if is_quick() else 7
START = datetime(2026, 7, 1, 10, tzinfo=UTC)
RULES = DriftRules()


def frames(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Baseline and current leads; half of the features have drifted."""
    rng = np.random.default_rng(1)
    sides = []
    for moved in (0.0, 0.2):
        columns: dict[str, object] = {}
        for i in range(NUMERIC):
            values = rng.standard_normal(rows) + (moved if i % 2 else 0.0)
            columns[f"n{i}"] = np.exp(values) if i % 4 == 0 else np.round(values * 20) if i % 4 == 1 else values
        for i in range(CATEGORICAL):
            weights = np.arange(1, 11) ** (1 + (moved if i % 2 else 0.0))
            names = np.array([f"category {k}" for k in range(10)], dtype=object)
            columns[f"c{i}"] = names[rng.choice(10, rows, p=weights / weights.sum())]
        sides.append(pd.DataFrame(columns))
    return sides[0], sides[1]


def counts_of(column: "pd.Series[str]") -> dict[str, int]:
    """How often there is each category."""
    counts = column.value_counts()
    return dict(zip(counts.index.tolist(), counts.tolist(), strict=True))


def timed(what: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def from_profiles(then: pd.DataFrame, now: pd.DataFrame) -> list[Row]:
    """Distances alone, of profiles in memory of a tenth of the rows and of all of them; and what these take stored."""
    took = {}
    for rows in (ROWS // 10, ROWS):
        pairs: list[tuple[Numeric, Numeric, np.ndarray]] = []
        for i in range(NUMERIC):
            edges = cut(then[f"n{i}"].to_numpy()[: ROWS // 10])
            a, b = (numeric_of(side[f"n{i}"].to_numpy()[:rows], edges) for side in (then, now))
            pairs.append((a, b, edges))
        counts = [
            [Categorical(missing=0, counts=counts_of(side[f"c{i}"][:rows])) for side in (then, now)]
            for i in range(CATEGORICAL)
        ]

        def judge(
            pairs: list[tuple[Numeric, Numeric, np.ndarray]] = pairs, counts: list[list[Categorical]] = counts
        ) -> None:
            for a, b, edges in pairs:
                numeric_drift(a, b, edges, RULES)
            for x, y in counts:
                categorical_drift(x, y, RULES)

        took[rows] = min(timed(judge) for _ in range(10))
    few, many = took[ROWS // 10], took[ROWS]
    worst = max(abs(error_of_ks(then[f"n{i}"].to_numpy(), now[f"n{i}"].to_numpy())) for i in range(NUMERIC))
    return [
        Row(what="largest error of KS from profiles", measured=worst, unit="", bar=0.001, at_most=True),
        Row(what="12 features from profiles in memory", measured=1000 * many, unit="ms", bar=50, at_most=True),
        Row(what="the same with a tenth of the rows behind them", measured=1000 * few, unit="ms"),
        *stored(then, now),
    ]


def stored(then: pd.DataFrame, now: pd.DataFrame) -> list[Row]:
    """What a profile takes in the database, and how much of that more rows are to blame for."""
    few, many = (stored_bytes(then[:rows], now[:rows]) for rows in (ROWS // 10, ROWS))
    return [
        Row(what=f"a stored profile of {ROWS:,} leads", measured=many / 1024, unit="KB"),
        Row(
            what="it against one of a tenth of them, with bins of their own",
            measured=many / few,
            unit="x",
            bar=None if is_quick() else 2.0,
            at_most=True,
        ),
    ]


def stored_bytes(then: pd.DataFrame, now: pd.DataFrame) -> int:
    """Of the profile of ``now``, in bins that are cut from ``then``."""
    numbers, categories = [f"n{i}" for i in range(NUMERIC)], [f"c{i}" for i in range(CATEGORICAL)]
    layout = Layout(
        edges={name: cut(then[name].to_numpy()) for name in numbers},
        known={name: frozenset(then[name]) for name in categories},
        segments=(),
    )
    columns = {name: now[name].tolist() for name in numbers + categories}
    scores = np.random.default_rng(2).beta(2, 5, len(now))
    return len(profile_to_bytes(profile_columns(layout, columns, scores=scores, latencies=10 * scores, bands={})))


def error_of_ks(then: np.ndarray, now: np.ndarray) -> float:
    """Of profiles, against scipy on the rows."""
    edges = cut(then)
    found = ks_statistic(numeric_of(then, edges).counts, numeric_of(now, edges).counts)
    return found - float(ks_2samp(then, now, method="asymp").statistic)


def folding(folder: Path) -> list[Row]:
    """What the drainer takes with and without profiles, segment by segment in turns.

    A block is 64 segments a side, after which an hour's rows are merged once.
    """
    from leadgate.app.profiling import publish  # noqa: PLC0415
    from leadgate.app.wire import open_home  # noqa: PLC0415

    requests = make_project(folder)
    home = open_home(folder)
    publish(home, home.registry.find("1"))
    draining = Draining(folder / "spool", home.database_url, requests)
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        ensure_partitions(connection, {START.date()})
        blocks = [[draining.pair(connection, folded_first=bool(k % 2)) for k in range(SEGMENTS)] for _ in range(BLOCKS)]
    wall, cpu = ([[sum(pair[i][j] for pair in block) for i in (0, 1)] for block in blocks] for j in (0, 1))
    a_prediction = 1e6 / SEGMENT / SEGMENTS
    return [
        Row(what="draining a prediction with profiles", measured=median(b for _, b in wall) * a_prediction, unit="us"),
        Row(what="draining it without", measured=median(a for a, _ in wall) * a_prediction, unit="us"),
        Row(
            what="share of the drainer's time that profiles take",
            measured=max(0.0, median(1 - a / b for a, b in wall)),
            unit="",
            bar=None if is_quick() else 0.15,
            at_most=True,
        ),
        Row(
            what="share of its processor time, which is partly while PostgreSQL writes",
            measured=median(1 - a / b for a, b in cpu),
            unit="",
        ),
    ]


class Draining:
    """Drains segments with and without profiles."""

    def __init__(self, spool: Path, url: str, requests: list[dict[str, Any]]) -> None:
        self._spool, self._requests, self._made = spool, requests, 0
        self._drainer = drainer.Drainer(spool, url, lambda: START)
        spool.mkdir()

    def pair(
        self, connection: "psycopg.Connection[tuple[object, ...]]", *, folded_first: bool
    ) -> list[tuple[float, float]]:
        """Wall and processor seconds of a segment without and one with profiles."""
        ways = [copy_predictions, log_predictions]
        took = {way: self._drain(connection, way) for way in (reversed(ways) if folded_first else ways)}
        return [took[way] for way in ways]

    def _drain(
        self, connection: "psycopg.Connection[tuple[object, ...]]", way: Callable[..., None]
    ) -> tuple[float, float]:
        at = START + timedelta(microseconds=self._made)
        write_segment(self._spool / f"{self._made:09d}.seg", self._requests, self._made, SEGMENT, at)
        self._made += SEGMENT
        with patch.object(drainer, "log_predictions", way):
            started, busy = time.perf_counter(), time.process_time()
            self._drainer.drain(connection)
            return time.perf_counter() - started, time.process_time() - busy


def write_segment(path: Path, requests: list[dict[str, Any]], start: int, size: int, at: datetime) -> None:
    """A finished segment of the spool with the predictions ``start`` and those after it."""
    records = []
    for i in range(size):
        request = requests[(start + i) % len(requests)]
        prediction = Prediction(
            prediction_id=f"019e0000-0000-7000-8000-{start + i:012d}",
            lead_id=f"lead {start + i}",
            scored_at=at,
            model_name="lead-scoring",
            model_version="1",
            variant="champion",
            predicted_score=(start + i) % 997 / 997,
            priority="low",
            features=msgspec.json.encode(request["features"]),
            latency_ms=0.2 + (i % 50) / 100,
            batch_size=1,
            request_id=f"{start + i}",
            route_epoch=1,
        )
        records.append(encode_record([prediction], i))
    body = b"".join(records)
    path.write_bytes(encode_header(size, 64 + len(body)).ljust(64, b"\0") + body)


def main() -> int:
    """Measure all rows."""
    then, now = frames(ROWS)
    with workplace() as folder:
        rows = from_rows((then, now), folder, turns=TURNS, judged=not is_quick())
        rows += from_profiles(then, now)
        rows += folding(folder)
    told = json.dumps({"rows": ROWS, "numeric": NUMERIC, "categorical": CATEGORICAL})
    about = (
        f"Data: {told}. From rows: medians of {TURNS} turns and of their ratios; each side in a process of its own, "
        "one thread, from the frames in memory. Leadgate tells KS, JS, PSI and spread of a number, the loop KS and JS, "
        "Evidently KS."
    )
    drained = f"The drainer: medians of {BLOCKS} blocks of {SEGMENTS} segments of {SEGMENT:,} a side, in turns."
    return report("monitoring", "Drift of a million leads, and what profiles cost", rows, [about, drained])


if __name__ == "__main__":
    sys.exit(main())
