"""Old days leave the log for a Delta table, and nothing is lost or doubled on the way, whatever happens."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
import pytest
from psycopg.rows import dict_row
from typer.testing import CliRunner

from leadgate.app import retaining
from leadgate.app.cli.logs import app
from leadgate.app.retaining import RetainedDay, day_states, first_kept, retain
from leadgate.app.starting import start_project
from leadgate.errors import RefusedError
from leadgate.records import Prediction
from leadgate.storage.archive import add_to_archive, archived_rows
from leadgate.storage.postgres.connection import Connection, connect
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from leadgate.storage.postgres.retention import logged_days
from workshop import simulated_file

NOW = datetime(2026, 6, 10, 15, tzinfo=UTC)
TODAY = NOW.date()
OLD = date(2026, 6, 1)

AWKWARD = [
    "",
    " ",
    "NULL",
    '"',
    'a"b',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\\N",
    "\\.",
    "ümläut",
    "日本",
    "a\tb",
    "'",
    "-",
    "0012",
]
"""Ids that a text form on the way could change."""


def prediction(day: date, number: int, **values: Any) -> Prediction:
    """A prediction of a day, at noon and ``number`` seconds; its id is of that time too."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(seconds=number, microseconds=123_457)
    millis = int(at.timestamp() * 1_000)
    known: dict[str, Any] = {
        "prediction_id": str(UUID(int=millis << 80 | 7 << 76 | 2 << 62 | number)),
        "lead_id": f"lead {number}",
        "scored_at": at,
        "model_name": "lead-scoring",
        "model_version": "3",
        "variant": "champion",
        "predicted_score": 1 / (number + 3),
        "priority": "low",
        "features": json.dumps({"industry": "tech", "visits": number / 7}).encode(),
        "latency_ms": 0.1 * number,
        "batch_size": 1,
        "request_id": f"request-{number}",
        "route_epoch": 4,
    }
    return Prediction(**{**known, **values})


def log(url: str, predictions: list[Prediction]) -> None:
    """What the drainer does."""
    with connect(url) as connection:
        ensure_partitions(connection, {p.scored_at.date() for p in predictions})
        copy_predictions(connection, predictions)


def retained(url: str, uri: str, days: int = 0) -> list[RetainedDay]:
    """Run the command's function, on a connection of its own as the command does."""
    with connect(url) as connection:
        before = first_kept(NOW, days)
        return retain(connection, uri, before=before, by="tester", now=NOW, step=lambda _: None)


def in_log(url: str) -> list[dict[str, Any]]:
    """Every row and column of the log, in the order of ids, by way of the driver's own types."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute(
            "SELECT *, features::text AS features FROM leadgate.prediction_logs ORDER BY prediction_id"
        ).fetchall()
    return [
        {**row, "prediction_id": str(row["prediction_id"]), "scored_at": row["scored_at"].astimezone(UTC)}
        for row in rows
    ]


def in_archive(uri: str) -> list[dict[str, Any]]:
    """The same of the archive, by way of a reader that is not ours."""
    return pl.read_delta(uri).sort("prediction_id").to_dicts()


def ids(rows: list[dict[str, Any]]) -> list[str]:
    """The ids of rows."""
    return [row["prediction_id"] for row in rows]


def partitions(url: str) -> list[date]:
    """The days that the log has a partition for."""
    with connect(url) as connection:
        return [day.day for day in logged_days(connection)]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Where the archive is going to be."""
    return str(tmp_path / "prediction_logs")


def test_what_leaves_the_log_is_in_the_archive_value_for_value(database: str, uri: str) -> None:
    """Every column, every float to the last bit, every character; and the day that it can be found by."""
    many = [
        prediction(OLD, n, lead_id=text or "x", request_id=text, shadow_version=text, shadow_score=n / 17)
        for n, text in enumerate(AWKWARD)
    ]
    exact = [5e-324, 0.1 + 0.2, 1 - 2**-53, 2 / 3]
    many += [prediction(OLD, 100 + n, predicted_score=score, latency_ms=1e300 / 3) for n, score in enumerate(exact)]
    many.append(prediction(OLD, 200, features=json.dumps({"ü": 'a"b\n,', "n": None, "f": 0.1}).encode()))
    log(database, many)
    before = in_log(database)
    assert len(before) == len(many)
    (day,) = retained(database, uri)
    assert (day.day, day.rows, day.added) == (OLD, len(many), len(many))
    assert in_archive(uri) == [{**row, "day": "2026-06-01"} for row in before]
    assert partitions(database) == []
    assert pl.read_delta(uri).schema["scored_at"] == pl.Datetime("us", "UTC")


def test_a_day_is_the_utc_day_to_the_microsecond(database: str, uri: str) -> None:
    """Whatever time zone the server is set to: the first and the last moment of a day leave with that day."""
    start = datetime(2026, 6, 1, tzinfo=UTC)
    moments = [start, start + timedelta(days=1, microseconds=-1), start + timedelta(days=1)]
    with psycopg.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'America/New_York'")
    log(database, [prediction(at.date(), n, scored_at=at) for n, at in enumerate(moments)])
    found = retained(database, uri)
    assert [(day.day, day.rows) for day in found] == [(OLD, 2), (OLD + timedelta(days=1), 1)]
    assert [(row["day"], row["scored_at"]) for row in sorted(in_archive(uri), key=lambda r: r["scored_at"])] == [
        ("2026-06-01", moments[0]),
        ("2026-06-01", moments[1]),
        ("2026-06-02", moments[2]),
    ]


def test_only_days_that_are_old_enough_leave(database: str, uri: str) -> None:
    """Today and so many whole days before it stay; with none, today stays all the same."""
    days = [TODAY - timedelta(days=n) for n in range(4)]
    log(database, [prediction(day, n) for n, day in enumerate(days)])
    assert [day.day for day in retained(database, uri, days=2)] == [TODAY - timedelta(days=3)]
    assert partitions(database) == sorted(days[:3])
    assert [day.day for day in retained(database, uri, days=0)] == sorted(days[1:3])
    assert partitions(database) == [TODAY]
    assert retained(database, uri, days=0) == []


def test_a_day_bigger_than_a_piece_is_exported_in_pieces(
    database: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds a piece, not a day; nothing falls between two pieces."""
    monkeypatch.setattr(retaining, "_PIECE", 7)
    log(database, [prediction(OLD, n) for n in range(30)])
    before = ids(in_log(database))
    assert retained(database, uri)[0].rows == 30
    assert ids(in_archive(uri)) == before
    assert pl.read_delta(uri).height == 30


class Killed(BaseException):
    """The process ends here, as by kill -9: no handler of ours sees it."""


@pytest.mark.parametrize("step", ("settle_archive", "drop_day", "_verify"))
def test_a_run_that_dies_loses_and_doubles_nothing(
    database: str, uri: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """After the export and before the drop: the log is whole, and the next run finishes the work."""
    log(database, [prediction(OLD, n) for n in range(20)])
    before = in_log(database)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(retaining, step, die)
        with pytest.raises(Killed):
            retained(database, uri)
    assert in_log(database) == before
    (day,) = retained(database, uri)
    assert (day.rows, day.added) == (20, 0)
    assert in_archive(uri) == [{**row, "day": "2026-06-01"} for row in before]
    assert partitions(database) == []


def test_a_run_that_dies_between_two_pieces_is_taken_up_again(
    database: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there already is not added again."""
    log(database, [prediction(OLD, n) for n in range(20)])
    before = ids(in_log(database))
    monkeypatch.setattr(retaining, "_PIECE", 6)
    calls = []

    def third_fails(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise Killed
        add(*arguments)

    add = add_to_archive
    monkeypatch.setattr(retaining, "add_to_archive", third_fails)
    with pytest.raises(Killed):
        retained(database, uri)
    assert len(in_archive(uri)) == 12
    assert ids(in_log(database)) == before
    (day,) = retained(database, uri)
    assert (day.rows, day.added) == (20, 8)
    assert ids(in_archive(uri)) == before


def test_predictions_that_come_late_are_added_to_their_day(database: str, uri: str) -> None:
    """A spool that waited for weeks: its rows make the partition anew, and join those that left before."""
    log(database, [prediction(OLD, n) for n in range(0, 20, 2)])
    retained(database, uri)
    log(database, [prediction(OLD, n) for n in range(5)])  # 0, 2 and 4 come for the second time
    (day,) = retained(database, uri)
    assert (day.rows, day.added) == (5, 2)
    assert ids(in_archive(uri)) == sorted(prediction(OLD, n).prediction_id for n in {*range(0, 20, 2), 1, 3})
    assert partitions(database) == []


def test_a_prediction_that_says_something_else_than_before_stays(database: str, uri: str) -> None:
    """Neither of the two is thrown away: the day is refused, and a person has to look."""
    log(database, [prediction(OLD, 1)])
    retained(database, uri)
    log(database, [prediction(OLD, 1, predicted_score=0.75), prediction(OLD, 2)])
    with pytest.raises(RefusedError, match="2026-06-01"):
        retained(database, uri)
    assert len(in_log(database)) == 2
    assert {row["prediction_id"]: row["predicted_score"] for row in in_archive(uri)}[
        prediction(OLD, 1).prediction_id
    ] == prediction(OLD, 1).predicted_score


@pytest.mark.parametrize(
    "spoil",
    (
        lambda frame: frame.head(frame.height - 1),
        lambda frame: pl.concat([frame, frame.head(1)]),
        lambda frame: frame.with_columns(pl.col("predicted_score").cast(pl.Float32).cast(pl.Float64)),
        lambda frame: frame.with_columns(pl.col("scored_at").dt.truncate("1ms")),
        lambda frame: frame.drop("shadow_score"),
    ),
)
def test_nothing_is_dropped_that_was_not_read_back_alike(
    database: str, uri: str, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """A row short, a row twice, a value rounded, a column gone: the day stays in the log."""
    log(database, [prediction(OLD, n) for n in range(5)])
    before = in_log(database)
    add = add_to_archive
    monkeypatch.setattr(retaining, "add_to_archive", lambda uri, day, frame, facts: add(uri, day, spoil(frame), facts))
    with pytest.raises(RefusedError, match="nothing of that day was dropped"):
        retained(database, uri)
    assert in_log(database) == before


def test_rows_that_come_between_export_and_drop_are_taken_too(
    database: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count under the lock sees them, and the day is exported again."""
    log(database, [prediction(OLD, n) for n in range(5)])
    late = [prediction(OLD, 99)]

    def more_come() -> None:
        if late:
            log(database, [late.pop()])

    monkeypatch.setattr(retaining, "settle_archive", more_come)
    (day,) = retained(database, uri)
    assert (day.rows, day.added) == (6, 6)
    assert ids(in_archive(uri)) == sorted(prediction(OLD, n).prediction_id for n in (*range(5), 99))


def test_a_day_that_keeps_growing_stays(database: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a few tries, and every row is still in the log."""
    log(database, [prediction(OLD, 0)])
    numbers = iter(range(1, 100))
    monkeypatch.setattr(retaining, "settle_archive", lambda: log(database, [prediction(OLD, next(numbers))]))
    with pytest.raises(RefusedError, match="keep coming"):
        retained(database, uri)
    assert len(in_log(database)) == next(numbers)


def test_a_writer_at_work_is_waited_for(database: str, uri: str) -> None:
    """Rows that were written and not yet committed when the export read the day do not go down with it."""
    log(database, [prediction(OLD, n) for n in range(5)])
    with connect(database) as writer:
        copy_predictions(writer, [prediction(OLD, 77)])
        timer = threading.Timer(0.7, writer.commit)
        timer.start()
        (day,) = retained(database, uri)
        timer.join()
    assert day.rows == 6
    assert prediction(OLD, 77).prediction_id in ids(in_archive(uri))


def test_a_reader_in_the_way_is_not_pushed_aside(database: str, uri: str) -> None:
    """The log must not stand still behind a long report: the day stays for the next run, which adds nothing twice."""
    log(database, [prediction(OLD, n) for n in range(5)])
    with connect(database) as reader:
        reader.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone()
        began = time.monotonic()
        with pytest.raises(RefusedError, match="in use"):
            retained(database, uri)
        assert time.monotonic() - began < 10
    assert len(in_log(database)) == 5
    (day,) = retained(database, uri)
    assert (day.rows, day.added, len(in_archive(uri))) == (5, 0, 5)


def test_two_do_not_export_at_once(database: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would find the same rows missing and add them."""
    log(database, [prediction(OLD, n) for n in range(5)])
    refusals = []

    def second_comes() -> None:
        with pytest.raises(RefusedError, match="Somebody else") as caught:
            retained(database, uri)
        refusals.append(caught.value)

    monkeypatch.setattr(retaining, "settle_archive", second_comes)
    assert retained(database, uri)[0].added == 5
    assert len(refusals) == 1
    assert len(in_archive(uri)) == 5


def test_a_partition_that_is_no_day_is_left_alone(database: str, uri: str) -> None:
    """A partition is known by its bounds: a name is neither needed nor trusted."""
    with connect(database) as connection:
        for name, start, until in (
            ("prediction_logs_20260601", "2026-05-01 00:00+00", "2026-05-03 00:00+00"),
            ("by_hand", "2026-05-04 00:00+00", "2026-05-05 00:00+00"),
            ("prediction_logs_local", "2026-05-06 05:00+00", "2026-05-07 05:00+00"),
        ):
            connection.execute(
                f"CREATE TABLE leadgate.{name} PARTITION OF leadgate.prediction_logs "
                f"FOR VALUES FROM ('{start}') TO ('{until}')"
            )
        connection.execute("CREATE TABLE leadgate.rest PARTITION OF leadgate.prediction_logs DEFAULT")
        copy_predictions(connection, [prediction(date(2026, 5, day), day) for day in (2, 4, 6, 9)])
    assert [(day.day, day.rows) for day in retained(database, uri)] == [(date(2026, 5, 4), 1)]
    assert len(in_log(database)) == 3


def test_an_empty_day_just_goes(database: str, uri: str) -> None:
    """There is nothing to export."""
    with connect(database) as connection:
        ensure_partitions(connection, [OLD])
    (day,) = retained(database, uri)
    assert (day.rows, day.added, partitions(database)) == (0, 0, [])


def test_the_log_and_its_archive_are_told_by_day(database: str, uri: str) -> None:
    """Where the predictions of each day are: in the log, in the archive, in both."""
    log(database, [prediction(OLD, n) for n in range(5)] + [prediction(TODAY, 1)])
    retained(database, uri)
    log(database, [prediction(OLD, 9)])
    with connect(database) as connection:
        states = day_states(connection, uri)
    assert [(s.day, s.rows, s.archived) for s in states] == [(OLD, 1, 5), (TODAY, 1, 0)]
    assert all(s.size > 0 for s in states)


def test_partitions_are_made_by_two_at_once(database: str) -> None:
    """Two drainers begin the same day at the same moment; both get on."""
    days = [TODAY + timedelta(days=n) for n in range(5)]
    barrier = threading.Barrier(4)
    errors: list[Exception] = []

    def make(number: int, order: int, connection: Connection) -> None:
        barrier.wait()
        try:
            with connection.transaction():
                ensure_partitions(connection, days[::order])
                copy_predictions(connection, [prediction(day, number) for day in days])
        except Exception as error:  # noqa: BLE001  # told by the test's own thread
            errors.append(error)

    threads = []
    with connect(database) as a, connect(database) as b, connect(database) as c, connect(database) as d:
        for number, connection in enumerate((a, b, c, d)):
            order = 1 if number % 2 else -1
            threads.append(threading.Thread(target=make, args=(number, order, connection)))
            threads[-1].start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert partitions(database) == days
    assert len(in_log(database)) == 4 * len(days)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a leadgate.yaml."""
    folder = tmp_path_factory.mktemp("logs")
    file = simulated_file(folder, 300)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    return folder


def test_the_command_tells_first_and_acts_when_told_to(
    database: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --yes nothing changes; with it, the project's own archive has the rows."""
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    log(database, [prediction(OLD, n) for n in range(5)])

    def say(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--project", str(project)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    told = say("retain", "--days", "0")
    assert "--yes" in told
    assert "60 days" in told  # outcomes of these leads are still awaited
    assert len(in_log(database)) == 5
    assert not (project / ".leadgate" / "prediction_logs").exists()
    plan = json.loads(say("retain", "--days", "0", "--json"))
    assert (plan["done"], plan["days"][0]["day"], plan["days"][0]["rows"]) == (False, "2026-06-01", 5)
    done = json.loads(say("retain", "--days", "0", "--yes", "--json"))
    assert (done["done"], done["days"][0]["rows"], done["days"][0]["added"]) == (True, 5, 5)
    assert in_log(database) == []
    assert len(in_archive(str(project / ".leadgate" / "prediction_logs"))) == 5
    shown = json.loads(say("show", "--json"))
    assert [(day["day"], day["rows"], day["archived"]) for day in shown] == [("2026-06-01", 0, 5)]
    assert "2026-06-01" in say("show")
    assert "no day before" in say("retain", "--days", "9000", "--yes")
    with pytest.raises(RefusedError, match="calendar"):
        say("retain", "--days", "9999999", "--yes")


def test_a_day_that_was_archived_before_leads_were_explored_reads_as_it_would_be_written_now(tmp_path: Path) -> None:
    """A retention that was cut short before an upgrade goes on after it: no lead of that day was explored."""
    uri, old = str(tmp_path / "archive"), pl.DataFrame({"prediction_id": ["a", "b"], "priority": ["low", "high"]})
    add_to_archive(uri, OLD, old, {})
    found = archived_rows(uri, OLD, old["prediction_id"])
    assert found is not None
    assert found.sort("prediction_id").to_dicts() == [
        {"prediction_id": "a", "priority": "low", "own_priority": None, "explored": False},
        {"prediction_id": "b", "priority": "high", "own_priority": None, "explored": False},
    ]
    add_to_archive(uri, OLD, pl.DataFrame({"prediction_id": ["c"], "priority": ["high"], "explored": [True]}), {})
    both = archived_rows(uri, OLD, pl.Series(["a", "c"]))
    assert both is not None
    assert dict(both.select("prediction_id", "explored").iter_rows()) == {"a": False, "c": True}
