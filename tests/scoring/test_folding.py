"""What is in the log is in the profiles, once, whatever dies and however many write."""

import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest

from leadgate.errors import RefusedError
from leadgate.leads.baselines import Baseline, Quality, baseline_to_bytes
from leadgate.leads.layout import SCORE_EDGES, layout_of
from leadgate.leads.profiles import Profile
from leadgate.leads.schema import Feature, FeatureType
from leadgate.leads.summing import profile_columns
from leadgate.monitoring.watch import profile_of
from leadgate.records import Prediction
from leadgate.scoring.drainer import Drainer
from leadgate.scoring.folding import Folder, log_predictions, rebuild_hours, tidy_hours
from leadgate.scoring.segments import encode_header, encode_record
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.profiles import (
    HourKey,
    add_part,
    forget_hours,
    hold_off_adding,
    hours_between,
    logged_between,
    publish_baseline,
)

NOW = datetime(2026, 6, 2, 12, 30, tzinfo=UTC)
NAME = "lead-scoring"
LAYOUT = layout_of(
    [Feature(name="visits", type=FeatureType.NUMERIC), Feature(name="industry", type=FeatureType.CATEGORICAL)],
    {"visits": [float(i) for i in range(50)], "industry": ["tech", "retail"] * 25},
    ["industry"],
)
BINS = len(SCORE_EDGES) + 1
BASELINE = Baseline(
    layout=LAYOUT,
    profile=profile_columns(
        LAYOUT,
        {"visits": [float(i) for i in range(50)], "industry": ["tech", "retail"] * 25},
        scores=np.linspace(0, 1, 50),
        bands={},
    ),
    won=np.zeros(BINS, dtype=np.int64),
    lost=np.zeros(BINS, dtype=np.int64),
    importance={"visits": 0.1, "industry": 0.0},
    quality=Quality(
        leads=50,
        base_rate=0.1,
        auc=0.8,
        auc_low=0.7,
        auc_high=0.9,
        precision=None,
        recall=None,
        calibration_error=0.01,
        decision=0.5,
        high=0.7,
        medium=0.4,
    ),
    snapshot_version=0,
)


@pytest.fixture
def published(database: str) -> str:
    """A database that has the baseline of version 1."""
    with connect(database) as connection:
        content = baseline_to_bytes(BASELINE)
        publish_baseline(connection, NAME, "1", content, layout=LAYOUT.digest, at=NOW)
    return database


def made(number: int, at: datetime = NOW, version: str = "1") -> Prediction:
    """A prediction; every fifth has no visits."""
    features = {"visits": None if number % 5 == 0 else float(number % 50), "industry": ("tech", "retail")[number % 2]}
    return Prediction(
        prediction_id=f"019e0000-0000-7000-8000-{number:012d}",
        lead_id=f"lead {number}",
        scored_at=at,
        model_name=NAME,
        model_version=version,
        variant="champion",
        predicted_score=(number % 100) / 100,
        priority="low",
        features=msgspec.json.encode(features),
        latency_ms=0.5,
        batch_size=1,
        request_id="r",
        route_epoch=1,
    )


def segment(folder: Path, name: str, predictions: Sequence[Prediction]) -> None:
    """A finished segment of the spool."""
    record = encode_record(predictions, 0)
    (folder / f"{name}.seg").write_bytes(encode_header(len(predictions), 64 + len(record)).ljust(64, b"\0") + record)


def profile(url: str, version: str = "1", baseline: Baseline | None = BASELINE) -> Profile | None:
    """Everything that was folded for a version."""
    with connect(url) as connection:
        return profile_of(
            connection, NAME, version, baseline, since=NOW - timedelta(days=9), until=NOW + timedelta(days=9)
        )


def same(a: Profile | None, b: Profile | None) -> bool:
    """Whether two profiles say the same."""
    assert a is not None
    assert b is not None
    assert a.numeric["visits"].counts.tolist() == b.numeric["visits"].counts.tolist()
    assert a.numeric["visits"].moments.mean == pytest.approx(b.numeric["visits"].moments.mean)
    assert a.scores.counts.tolist() == b.scores.counts.tolist()
    return (a.predictions, a.categorical, a.bands, a.first_at, a.last_at) == (
        b.predictions,
        b.categorical,
        b.bands,
        b.first_at,
        b.last_at,
    )


def test_a_drained_segment_is_in_log_and_profile_once(published: str, tmp_path: Path) -> None:
    """Also when the file is found again, as after a drainer that died before it could remove it."""
    predictions = [made(i) for i in range(300)]
    drainer = Drainer(tmp_path, published, lambda: NOW)
    with psycopg.connect(published, autocommit=True) as connection:
        for _ in range(2):
            segment(tmp_path, "one", predictions)
            drainer.drain(connection)
    found = profile(published)
    assert found is not None
    assert (found.predictions, found.numeric["visits"].missing, found.numeric["visits"].count) == (300, 60, 240)
    assert found.categorical["industry"].counts == {"tech": 150, "retail": 150}
    assert found.scores.moments.mean == pytest.approx(np.mean([p.predicted_score for p in predictions]))


def test_a_refused_prediction_is_in_neither(published: str, tmp_path: Path) -> None:
    """One that the log's rules keep out does not keep out the others, and is not in the profile either."""
    bad = msgspec.structs.replace(made(7), predicted_score=1.5)
    segment(tmp_path, "one", [*(made(i) for i in range(5)), bad, made(8), made(8)])
    with psycopg.connect(published, autocommit=True) as connection:
        Drainer(tmp_path, published, lambda: NOW).drain(connection)
        row = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
    found = profile(published)
    assert found is not None
    assert row == (found.predictions,) == (6,)


@pytest.mark.parametrize("features", (b"null", b"[1]", b'{"visits": {"a": 1}, "industry": [2]}'))
def test_whatever_the_features_are_the_prediction_is_logged(published: str, tmp_path: Path, features: bytes) -> None:
    """What cannot be summed up is counted without its features, beside the others with theirs; nothing is refused."""
    odd = {n: msgspec.structs.replace(made(n), features=features) for n in (7, 41, 42)}
    segment(tmp_path, "one", [odd.get(n, made(n)) for n in range(50)])
    with psycopg.connect(published, autocommit=True) as connection:
        (drained,) = Drainer(tmp_path, published, lambda: NOW).drain(connection)
        row = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
        assert (row, drained.predictions, drained.damage) == ((50,), 50, None)
        whole, bare = profile(published), profile(published, baseline=None)
        assert whole is not None
        assert bare is not None
        # Of 50, every fifth has no visits and every second is of retail; 7, 41 and 42 are out.
        assert (whole.predictions, whole.numeric["visits"].count, bare.predictions) == (47, 37, 3)
        assert whole.categorical["industry"].counts == {"tech": 24, "retail": 23}
        assert rebuild_hours(connection, NAME, since=NOW, until=NOW + timedelta(hours=1)) == (1, 50)
    assert same(whole, profile(published))


@pytest.mark.parametrize("version", ("1", "2"))
def test_a_baseline_that_cannot_be_read_keeps_nothing_out_of_the_log(
    database: str, tmp_path: Path, version: str
) -> None:
    """One that a later release wrote with more in it, or that is no baseline: its leads are counted without features.

    Making their profiles anew would leave the features out of good ones, too, and is refused with the reason.
    """
    later = msgspec.msgpack.decode(zlib.decompress(baseline_to_bytes(BASELINE)))
    later["quality"]["decision"] = None
    content = {"1": b"not a baseline", "2": zlib.compress(msgspec.msgpack.encode(later))}[version]
    segment(tmp_path, "one", [made(n, version=version) for n in range(5)])
    with psycopg.connect(database, autocommit=True) as connection:
        publish_baseline(connection, NAME, version, content, layout=LAYOUT.digest, at=NOW)
        (drained,) = Drainer(tmp_path, database, lambda: NOW).drain(connection)
        assert (drained.predictions, drained.lost, drained.damage) == (5, 0, None)
        assert not list(tmp_path.iterdir())
        with pytest.raises(RefusedError, match=f"baseline of version {version}"):
            rebuild_hours(connection, NAME, since=NOW, until=NOW + timedelta(hours=1))
    bare = profile(database, version, baseline=None)
    assert bare is not None
    assert (bare.predictions, bare.scores.count) == (5, 5)


def test_a_stored_part_that_cannot_be_read_keeps_nothing_out_of_the_log(published: str) -> None:
    """The hour stays in several rows; what is answered goes on into the log, and other hours are merged."""
    folder, later = Folder(), NOW + timedelta(hours=1)
    key = HourKey(
        model_name=NAME, model_version="1", variant="champion", hour=NOW.replace(minute=0), layout=LAYOUT.digest
    )
    with psycopg.connect(published, autocommit=True) as connection:
        ensure_partitions(connection, {NOW.date()})
        add_part(connection, key, 1, b"not a profile")
        for i in range(70):
            with connection.transaction():
                folder.log(connection, [made(i)])
        for i in (70, 71):
            log_predictions(connection, [made(i, later)])
        row = connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
        assert tidy_hours(connection, NAME, before=NOW + timedelta(hours=2)) == 1
        hours = hours_between(connection, NAME, since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=2))
    assert row == (72,)
    assert [(hour.predictions, hour.parts) for hour in hours] == [(71, 71), (2, 1)]


def test_a_transaction_that_fails_leaves_no_profile(published: str) -> None:
    """The copy and the profile are one act."""
    with connect(published) as connection:
        ensure_partitions(connection, {NOW.date()})
    with pytest.raises(psycopg.errors.UniqueViolation):
        log_twice(published)
    assert profile(published) is None


def test_hours_are_merged_while_they_grow(published: str) -> None:
    """An hour of two hundred segments is a few rows, and still says all."""
    folder = Folder()
    with psycopg.connect(published, autocommit=True) as connection:
        ensure_partitions(connection, {NOW.date()})
        for i in range(200):
            with connection.transaction():
                folder.log(connection, [made(i)])
        (hour,) = hours_between(connection, NAME, since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))
        assert (hour.predictions, hour.parts < 70) == (200, True)
        assert tidy_hours(connection, NAME, before=NOW + timedelta(hours=1)) == 1
        (hour,) = hours_between(connection, NAME, since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))
        assert (hour.predictions, hour.parts) == (200, 1)
    found = profile(published)
    assert found is not None
    assert found.categorical["industry"].counts == {"tech": 100, "retail": 100}


def test_many_drainers_lose_and_double_nothing(published: str) -> None:
    """Four of them add and merge the same hour at once, while it is tidied and made anew again and again."""
    stop = threading.Event()

    def add(start: int) -> None:
        folder = Folder()
        with psycopg.connect(published, autocommit=True) as connection:
            for i in range(start, start + 150):
                with connection.transaction():
                    ensure_partitions(connection, {NOW.date()})
                    folder.log(connection, [made(i)])

    def tidy(connection: psycopg.Connection[Any]) -> None:
        tidy_hours(connection, NAME, before=NOW + timedelta(hours=1))

    def make_anew(connection: psycopg.Connection[Any]) -> None:
        rebuild_hours(connection, NAME, since=NOW, until=NOW + timedelta(hours=1))

    with ThreadPoolExecutor(6) as pool:
        upkeep = [pool.submit(again_and_again, published, act, stop) for act in (tidy, make_anew)]
        workers = [pool.submit(add, start) for start in (0, 150, 300, 450)]
        wait(workers)
        stop.set()
    for done in (*workers, *upkeep):
        done.result()
    found = profile(published)
    assert found is not None
    assert found.predictions == 600
    assert sum(found.scores.counts) == 600


def again_and_again(url: str, act: Callable[[psycopg.Connection[Any]], None], stop: threading.Event) -> None:
    """On a connection of its own, until it is stopped."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            act(connection)


def test_tidying_waits_for_who_makes_hours_anew(published: str) -> None:
    """Before it takes a row: with a row in its hands, each would wait for the other."""
    span = {"since": NOW - timedelta(hours=1), "until": NOW + timedelta(hours=1)}
    with psycopg.connect(published, autocommit=True) as connection:
        ensure_partitions(connection, {NOW.date()})
        for i in range(3):
            log_predictions(connection, [made(i)])
        with ThreadPoolExecutor() as pool:
            with connection.transaction():
                hold_off_adding(connection)
                tidied = pool.submit(tidy_alone, published)
                wait_for_a_waiter(connection)
                assert forget_hours(connection, NAME, **span) == 3
            tidied.result(20)
        assert hours_between(connection, NAME, **span) == []


def test_the_first_prediction_of_a_day_does_not_wait_for_who_waits_for_it(published: str) -> None:
    """A drainer makes the day's partition, for which it has the log to itself, while hours are made anew."""
    with psycopg.connect(published, autocommit=True) as connection, ThreadPoolExecutor() as pool:
        with connection.transaction():
            ensure_partitions(connection, {NOW.date()})
            anew = pool.submit(read_held_off, published)
            wait_for_a_waiter(connection)
            log_predictions(connection, [made(1)])
        assert anew.result(20) == 1


def read_held_off(url: str) -> int:
    """Predictions in the log, as who makes hours anew reads them."""
    with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
        hold_off_adding(connection)
        return sum(map(len, logged_between(connection, NAME, since=NOW, until=NOW + timedelta(hours=1))))


def tidy_alone(url: str) -> int:
    """On a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        return tidy_hours(connection, NAME, before=NOW + timedelta(hours=1))


def wait_for_a_waiter(connection: psycopg.Connection[Any]) -> None:
    """Until another session of the database waits for a lock."""
    deadline = time.monotonic() + 20
    waiting = (
        "SELECT FROM pg_locks JOIN pg_database d ON d.oid = database WHERE datname = current_database() AND NOT granted"
    )
    while connection.execute(waiting).fetchone() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def log_twice(url: str) -> None:
    """The same prediction two times in one transaction."""
    with connect(url) as connection:
        log_predictions(connection, [made(1)])
        log_predictions(connection, [made(1)])


def test_profiles_made_anew_are_those_that_were_folded(published: str) -> None:
    """The rows of the log prove the profiles; hours without a row stay away."""
    times = [NOW + timedelta(minutes=25 * i) for i in range(12)]
    with connect(published) as connection:
        ensure_partitions(connection, {at.date() for at in times})
        for i, at in enumerate(times):
            log_predictions(connection, [made(100 * i + j, at) for j in range(40)])
    before = profile(published)
    with psycopg.connect(published, autocommit=True) as connection:
        hours, predictions = rebuild_hours(connection, NAME, since=NOW, until=NOW + timedelta(days=1))
    assert (hours, predictions) == (6, 480)
    assert same(before, profile(published))


def test_a_version_gets_its_bins_when_its_baseline_comes(database: str) -> None:
    """Until then scores alone are summed up; the log makes the rest good."""
    with connect(database) as connection:
        ensure_partitions(connection, {NOW.date()})
        log_predictions(connection, [made(i) for i in range(40)])
    found = profile(database, baseline=None)
    assert found is not None
    assert (found.predictions, found.numeric, sum(found.scores.counts)) == (40, {}, 40)
    with connect(database) as connection:
        publish_baseline(connection, NAME, "1", baseline_to_bytes(BASELINE), layout=LAYOUT.digest, at=NOW)
    with psycopg.connect(database, autocommit=True) as connection:
        rebuild_hours(connection, NAME, since=NOW, until=NOW + timedelta(days=1))
    whole = profile(database)
    assert whole is not None
    assert whole.numeric["visits"].count == 32
    assert profile(database, baseline=None) is None
