"""The drainer beside its segments: what passes does not end it, what it commits is on the disk, what is old goes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import uuid_utils
from psycopg import sql

from leadgate.scoring.drainer import Drainer
from leadgate.scoring.log import ServingLog
from leadgate.scoring.once import KEPT
from leadgate.scoring.segments import HEADER_BYTES, encode_header, encode_record
from leadgate.storage.postgres.connection import patient
from leadgate.storage.postgres.idempotency import KnownAnswer, find_answer
from predicted import prediction

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)

TRAP: LiteralString = """
CREATE FUNCTION leadgate.trap() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN ASSERT current_setting('synchronous_commit') = TG_ARGV[0]; RETURN NEW; END $$
"""


def write(folder: Path) -> str:
    """A segment with one prediction; gives its id."""
    made = prediction("L-1", NOW)
    body = encode_record([made], 0)
    header = encode_header(1, HEADER_BYTES + len(body)).ljust(HEADER_BYTES, b"\0")
    (folder / f"{uuid_utils.uuid7().hex}.seg").write_bytes(header + body)
    return made.prediction_id


def logged(url: str) -> set[str]:
    """Ids in the log."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT prediction_id::text FROM leadgate.prediction_logs").fetchall()
    return {row[0] for row in rows}


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait, within bounds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def draining(folder: Path, url: str) -> Iterator[threading.Thread]:
    """A drainer that runs."""
    stop = threading.Event()
    thread = threading.Thread(target=Drainer(folder, url, lambda: NOW).run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(20)


def configure(url: str, setting: LiteralString) -> None:
    """Change a database's configuration for the connections to come, and end those that there are."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(sql.SQL("ALTER DATABASE {} SET {}").format(name, sql.SQL(setting)))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_database_that_only_reads_is_waited_for(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failover to a standby, say: the drainer tells it once, goes on, and moves what waits when it can."""
    configure(database, "default_transaction_read_only = on")
    known = write(tmp_path)
    with draining(tmp_path, database) as thread:
        time.sleep(1.0)
        assert thread.is_alive()
        told = [record for record in caplog.records if "takes no predictions" in record.message]
        assert ["read-only" in vars(record)["reason"] for record in told] == [True]
        configure(database, "default_transaction_read_only = off")
        until(lambda: logged(database) == {known})


def test_a_table_that_is_away_is_waited_for(database: str, tmp_path: Path) -> None:
    """Between two steps of a migration by hand, say, or with a right taken away."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE leadgate.spool_segments RENAME TO away")
        known = write(tmp_path)
        with draining(tmp_path, database) as thread:
            time.sleep(0.5)
            assert thread.is_alive()
            connection.execute("ALTER TABLE leadgate.away RENAME TO spool_segments")
            until(lambda: logged(database) == {known})


def test_a_service_that_can_only_append_drains(database: str, tmp_path: Path) -> None:
    """With the rights of leadgate_writer and no others: a new day, its predictions, an answer under a key."""
    url = f"{database}&options=-c%20role%3Dleadgate_writer"
    known = write(tmp_path)
    with draining(tmp_path, url):
        until(lambda: logged(database) == {known})
    found = ServingLog(url)
    found.open()
    try:
        made = KnownAnswer(request_sha256=b"1", answer=b"2")
        later = prediction("L-1", NOW + timedelta(days=3))
        assert found.answer_once("", "key", made, [later], at=NOW, since=NOW - KEPT) == made
    finally:
        found.close()
    assert logged(database) == {known, later.prediction_id}


@pytest.mark.parametrize(
    ("configured", "held"), (("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply"))
)
def test_what_leaves_the_spool_is_on_the_disk(database: str, tmp_path: Path, configured: str, held: str) -> None:
    """A server that commits before its disk has it would lose in a power cut what the spool has let go of."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TRAP)
        for table in ("spool_segments", "idempotent_answers"):
            connection.execute(
                sql.SQL(
                    "CREATE TRIGGER trap BEFORE INSERT ON leadgate.{} FOR EACH ROW EXECUTE FUNCTION leadgate.trap({})"
                ).format(sql.Identifier(table), sql.Literal(held))
            )
        name = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = {}").format(name, sql.Literal(configured))
        )
    known = write(tmp_path)
    with draining(tmp_path, database):
        until(lambda: logged(database) == {known})
    found = ServingLog(database)
    found.open()
    try:
        made = KnownAnswer(request_sha256=b"1", answer=b"2")
        assert found.answer_once("", "key", made, [], at=NOW, since=NOW - KEPT) == made
    finally:
        found.close()


def test_answers_that_nobody_gets_again_are_forgotten(database: str, tmp_path: Path) -> None:
    """Those of the last day stay, whatever the difference between two machines' clocks."""
    ages = {"now": timedelta(), "kept": KEPT, "a little more": KEPT + timedelta(hours=1), "old": timedelta(days=3)}
    with psycopg.connect(database) as connection:
        for key, age in ages.items():
            connection.execute(
                "INSERT INTO leadgate.idempotent_answers VALUES ('', %s, 'x', 'y', %s)", (key, NOW - age)
            )

    def left() -> set[str]:
        with psycopg.connect(database) as connection:
            return {key for key in ages if find_answer(connection, "", key, since=NOW - timedelta(days=30))}

    with draining(tmp_path, database):
        until(lambda: "old" not in left())
    assert left() == {"now", "kept", "a little more"}


def test_a_network_that_drops_out_is_noticed() -> None:
    """Whatever the URL leaves open ends after its time; what it says itself holds."""
    known = psycopg.conninfo.conninfo_to_dict(
        patient("postgresql://me:word@host/db?tcp_user_timeout=1&sslmode=require")
    )
    assert (known["user"], known["password"], known["host"], known["dbname"]) == ("me", "word", "host", "db")
    assert (known["tcp_user_timeout"], known["sslmode"]) == ("1", "require")
    assert int(known["keepalives_idle"] or 0) > 0
    assert int(known["connect_timeout"] or 0) > 0
    assert int(psycopg.conninfo.conninfo_to_dict(patient(""))["tcp_user_timeout"] or 0) >= 1_000
