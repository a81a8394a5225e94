"""Drift of a million leads: from rows, from profiles, and what profiles cost the drainer.

``python benchmarks/monitoring.py``; QUICK=1 for a tenth of the rows. ``EVIDENTLY_PYTHON`` names a Python that has
Evidently (``pip install evidently`` in a venv of its own), which is then timed on the same file; Leadgate does not need
it. All are timed end to end from the same data frames in memory, one process, interleaved.
"""

import json
import os
import subprocess
import sys
import tempfile
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
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from leadgate.leads.layout import cut
from leadgate.leads.monitoring_rules import DriftRules
from leadgate.leads.profiles import Categorical, Numeric, numeric_of
from leadgate.monitoring.data import Drift, categorical_drift, numeric_drift
from leadgate.monitoring.rows import drift_of_rows
from leadgate.records import Prediction
from leadgate.scoring import drainer
from leadgate.scoring.folding import log_predictions
from leadgate.scoring.segments import encode_header, encode_record
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from project import make_project, workplace
from report import Row, is_quick, report

ROWS = 100_000 if is_quick() else 1_000_000
NUMERIC, CATEGORICAL = 10, 2
REPEATS = 3
SEGMENT, SEGMENTS = 1_500, 10 if is_quick() else 30
START = datetime(2026, 7, 1, 10, tzinfo=UTC)
RULES = DriftRules()

EVIDENTLY = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from evidently import Dataset, DataDefinition, Report
from evidently.presets import DataDriftPreset
then, now = pd.read_pickle(sys.argv[1]), pd.read_pickle(sys.argv[2])
numeric = [c for c in then if c.startswith("n")]
kinds = DataDefinition(numerical_columns=numeric, categorical_columns=[c for c in then if c.startswith("c")])
started = time.perf_counter()
report = Report([DataDriftPreset(num_method="ks", cat_method="jensenshannon")])
run = report.run(Dataset.from_pandas(now, data_definition=kinds), Dataset.from_pandas(then, data_definition=kinds))
run.dict()
print(time.perf_counter() - started)
"""


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


def by_leadgate(then: pd.DataFrame, now: pd.DataFrame) -> list[Drift]:
    """Bins, profiles of both sides, distances and p-values, on as many threads as there are processors."""
    a, b = (
        {str(n): side[n].to_numpy() if str(n).startswith("n") else _counts(side[n]) for n in side}
        for side in (then, now)
    )
    return list(drift_of_rows(a, b, RULES, threads=os.cpu_count() or 1).values())


def _counts(column: "pd.Series[str]") -> dict[str, int]:
    counts = column.value_counts()
    return dict(zip(counts.index.tolist(), counts.tolist(), strict=True))


def by_scipy(then: pd.DataFrame, now: pd.DataFrame) -> list[float]:
    """The loop that one would write: KS for numbers, JS for categories and for numbers over ten bins."""
    found = []
    for name in then:
        if str(name).startswith("n"):
            a, b = then[name].to_numpy(), now[name].to_numpy()
            found.append(float(ks_2samp(a, b, method="asymp").statistic))
            tenths = np.unique(np.quantile(a, np.arange(11) / 10))
            jensenshannon(np.histogram(a, tenths)[0], np.histogram(b, tenths)[0])
        else:
            x, y = then[name].value_counts(normalize=True), now[name].value_counts(normalize=True)
            found.append(float(jensenshannon(x.sort_index(), y.sort_index())))
    return found


def timed(what: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def from_rows(then: pd.DataFrame, now: pd.DataFrame) -> list[Row]:
    """Leadgate against the loop, and against Evidently where there is one."""
    ours, theirs = [], []
    for _ in range(REPEATS):
        ours.append(timed(lambda: by_leadgate(then, now)))
        theirs.append(timed(lambda: by_scipy(then, now)))
    leadgate, loop = min(ours), min(theirs)
    rows = [
        Row(what=f"KS and JS of {ROWS:,} against {ROWS:,} rows, 12 features: Leadgate", measured=leadgate, unit="s"),
        Row(what="the same by a scipy loop", measured=loop, unit="s"),
        Row(what="Leadgate against the scipy loop", measured=loop / leadgate, unit="x", bar=None if is_quick() else 3),
    ]
    evidently = by_evidently(then, now)
    if evidently is not None:
        bar = None if is_quick() else 15.0
        rows += [
            Row(what="the same by Evidently's DataDriftPreset", measured=evidently, unit="s"),
            Row(what="Leadgate against Evidently", measured=evidently / leadgate, unit="x", bar=bar),
        ]
    exact = by_scipy(then, now)
    found = by_leadgate(then, now)
    worst = max(abs(d.ks - e) for d, e in zip(found, exact, strict=True) if d.ks is not None)
    return [*rows, Row(what="largest error of KS from profiles", measured=worst, unit="", bar=0.001, at_most=True)]


def by_evidently(then: pd.DataFrame, now: pd.DataFrame) -> float | None:
    """Seconds; None where there is no Evidently."""
    python = os.environ.get("EVIDENTLY_PYTHON")
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("then.pkl", "now.pkl")]
        for frame, file in zip((then, now), files, strict=True):
            # Text as plain objects: the other Python may have an older pandas.
            plain = frame.astype({name: object for name in frame if str(name).startswith("c")})
            plain.set_axis(pd.Index(list(frame), dtype=object), axis=1).to_pickle(file)
        ran = subprocess.run([python, "-c", EVIDENTLY, *files], capture_output=True, text=True, check=False)
    if ran.returncode:
        print(ran.stderr[-2_000:])
        return None
    return float(ran.stdout.strip().splitlines()[-1])


def from_profiles(then: pd.DataFrame, now: pd.DataFrame) -> list[Row]:
    """Distances alone, of profiles of a tenth of the rows and of all of them; and what these take."""
    took, sizes = {}, {}
    for rows in (ROWS // 10, ROWS):
        pairs: list[tuple[Numeric, Numeric, np.ndarray]] = []
        for i in range(NUMERIC):
            edges = cut(then[f"n{i}"].to_numpy()[: ROWS // 10])
            a, b = (numeric_of(side[f"n{i}"].to_numpy()[:rows], edges) for side in (then, now))
            pairs.append((a, b, edges))
        counts = [
            [Categorical(missing=0, counts=_counts(side[f"c{i}"][:rows])) for side in (then, now)]
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
        sizes[rows] = sum(b.counts.nbytes for _, b, _ in pairs)
    few, many = took[ROWS // 10], took[ROWS]
    return [
        Row(what="12 features from profiles", measured=1000 * many, unit="ms", bar=50, at_most=True),
        Row(what="the same with a tenth of the rows behind them", measured=1000 * few, unit="ms"),
        Row(
            what="memory of the numeric profiles against that of a tenth of the rows",
            measured=sizes[ROWS] / sizes[ROWS // 10],
            unit="x",
            bar=1.0,
            at_most=True,
        ),
    ]


def folding(folder: Path) -> list[Row]:
    """What the drainer takes with and without profiles, in turns, on segments as a busy worker writes them."""
    from leadgate.app.profiling import publish  # noqa: PLC0415
    from leadgate.app.wire import open_home  # noqa: PLC0415

    requests = make_project(folder)
    home = open_home(folder)
    publish(home, home.registry.find("1"))
    ways = {"plain": copy_predictions, "folded": log_predictions}
    took: dict[str, list[float]] = {"plain": [], "folded": []}
    made = 0
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        ensure_partitions(connection, {START.date()})
        for turn in range(5):
            for name in ("plain", "folded") if turn % 2 else ("folded", "plain"):
                spool = folder / f"spool-{name}-{turn}"
                spool.mkdir()
                for k in range(SEGMENTS):
                    at = START + timedelta(seconds=k)
                    write_segment(spool / f"{name}-{turn}-{k:03d}.seg", requests, made, SEGMENT, at)
                    made += SEGMENT
                draining = drainer.Drainer(spool, home.database_url, lambda: START)
                with patch.object(drainer, "log_predictions", ways[name]):
                    started = time.perf_counter()
                    draining.drain(connection)
                    took[name].append(time.perf_counter() - started)
    plain, folded = (median(took[name]) / SEGMENT / SEGMENTS * 1e6 for name in ("plain", "folded"))
    return [
        Row(what="draining a prediction with profiles", measured=folded, unit="us"),
        Row(what="draining it without", measured=plain, unit="us"),
        Row(
            what="share of the drainer's time that profiles take",
            measured=max(0.0, 1 - plain / folded),
            unit="",
            bar=0.15,
            at_most=True,
        ),
    ]


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
    rows = [*from_rows(then, now), *from_profiles(then, now)]
    with workplace() as folder:
        rows += folding(folder)
    told = json.dumps({"rows": ROWS, "numeric": NUMERIC, "categorical": CATEGORICAL})
    notes = [f"Data: {told}. Least of {REPEATS} turns; the drainer's rows are medians of five."]
    if os.environ.get("EVIDENTLY_PYTHON") is None:
        notes.append("Evidently was not timed: name a Python that has it in EVIDENTLY_PYTHON.")
    return report("monitoring", "Drift of a million leads, and what profiles cost", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
