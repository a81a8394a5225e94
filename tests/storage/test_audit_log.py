"""The audit log: whole, in order, and no change to it goes unseen."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import make_conninfo

from leadgate.chain import START, Checked, check, details_text
from leadgate.storage.postgres.audit import GUARDED, append_entry, chain, latest_entries, protection
from leadgate.storage.postgres.connection import _statements, connect, statement
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.server import start_embedded

NOW = datetime(2026, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)

BY_POSTGRESQL = """
SELECT entry,
       encode(sha256, 'hex') AS stored,
       encode(sha256(convert_to('[' || concat_ws(',', '"leadgate.audit.1"', entry::text,
           to_json(to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
           to_json(actor), to_json(act), to_json(subject), to_json(details), to_json(encode(previous_sha256, 'hex'))
       ) || ']', 'UTF8')), 'hex') AS recomputed,
       encode(previous_sha256, 'hex') AS previous,
       encode(lag(sha256) OVER (ORDER BY entry), 'hex') AS before
FROM leadgate.audit_log ORDER BY entry
"""
"""The chain, recomputed by PostgreSQL's own JSON and SHA-256."""

texts = st.text(st.characters(exclude_categories=()), max_size=12)
times = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=6,
)
acts = st.fixed_dictionaries(
    {"at": times, "actor": texts, "act": texts, "subject": texts, "details": st.dictionaries(texts, values, max_size=3)}
)


def append(connection: Any, number: int, **given: Any) -> int:
    """An entry like any other."""
    known: dict[str, Any] = {
        "at": NOW + timedelta(minutes=number),
        "actor": "anna",
        "act": "route.set",
        "subject": f"model {number}",
        "details": {"number": number},
    }
    return append_entry(connection, **{**known, **given})


def filled(url: str, entries: int = 6) -> None:
    """A log of some entries."""
    with connect(url) as connection:
        for number in range(1, entries + 1):
            append(connection, number)


def checked(url: str, noted: str | None = None) -> Checked:
    """What a verification finds."""
    with connect(url) as connection:
        return check(chain(connection), noted=noted)


@pytest.fixture(scope="module")
def log(server: str, template: str) -> str:
    """URL of a database with six entries, for tests that take back what they do."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE audited TEMPLATE {}").format(sql.Identifier(template)))
    url = make_conninfo(server, dbname="audited")
    filled(url)
    return url


@pytest.fixture
def owner(log: str) -> Iterator["psycopg.Connection[Any]"]:
    """A superuser's connection to it."""
    with psycopg.connect(log) as connection:
        yield connection
        connection.rollback()


def head_of(connection: "psycopg.Connection[Any]") -> str:
    """The digest of the last entry."""
    head = check(chain(connection)).head
    assert head is not None
    return head.sha256


def test_what_is_appended_is_what_postgresql_recomputes(database: str) -> None:
    """An independent oracle: PostgreSQL's JSON, PostgreSQL's SHA-256; and the details are stored byte for byte."""
    awkward = "".join(map(chr, range(1, 0x250))) + '\\u0000","],[ \u2028\ufeff\U0001f600'
    with connect(database) as connection:
        append(connection, 1, details={"b": awkward, "a": [1.5, 1e300, -0.0, None, True], awkward: {"x": []}})
        append(connection, 2, actor=awkward, act=awkward, subject=awkward, at=datetime(1, 1, 3, tzinfo=UTC))
        append(connection, 3, actor="\udcff\0", at=datetime(9999, 12, 29, 1, 2, 3, 4, tzinfo=UTC))
    with psycopg.connect(database) as connection:
        rows = connection.execute(BY_POSTGRESQL).fetchall()
    assert [row[0] for row in rows] == [1, 2, 3]
    assert all(stored == recomputed for _, stored, recomputed, _, _ in rows)
    assert [row[3] for row in rows] == [row[4] or START for row in rows]
    assert checked(database).broken is None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(acts, min_size=1, max_size=3))
def test_any_text_survives_the_database(database: str, given: list[dict[str, Any]]) -> None:
    """Nothing on the way changes a character, whatever it is: the log stays whole."""
    with connect(database) as connection:
        numbers = [append_entry(connection, **act) for act in given]
    found = checked(database)
    assert (found.broken, found.entries) == (None, numbers[-1])


def test_an_aborted_act_leaves_no_gap(database: str) -> None:
    """Its entry goes with it, and the next one takes the number."""
    filled(database, 2)
    with connect(database) as connection:
        with connection.transaction(force_rollback=True):
            assert append(connection, 9) == 3
        assert append(connection, 3) == 3
    found = checked(database)
    assert (found.entries, found.broken) == (3, None)


def test_an_act_and_its_record_are_one(database: str) -> None:
    """Nobody else sees an entry before its act is committed."""
    with connect(database) as connection, connect(database) as other:
        append(connection, 1)
        with connection.transaction():
            append(connection, 2)
            assert [e.entry for e in latest_entries(other)] in ([], [1])
            other.rollback()
        connection.commit()
        assert [e.entry for e in latest_entries(other)] == [2, 1]


APPENDS = """
import sys
from datetime import UTC, datetime
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import connect
with connect(sys.argv[1]) as connection:
    connection.autocommit = True
    sys.stdin.readline()
    for number in range(150):
        with connection.transaction(force_rollback=number % 5 == 0):
            append_entry(
                connection, at=datetime.now(UTC), actor=sys.argv[2], act="x.y", subject="z", details={"number": number}
            )
"""


def test_processes_that_append_at_once_make_one_unbroken_chain(database: str) -> None:
    """Also while every fifth act is taken back; each one's acts stand in its own order."""
    processes = [
        subprocess.Popen([sys.executable, "-c", APPENDS, database, name], stdin=subprocess.PIPE, text=True)
        for name in ("anna", "otto")
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0]
    found = checked(database)
    assert (found.entries, found.broken) == (240, None)
    with connect(database) as connection:
        for name in ("anna", "otto"):
            own = [e.details for e in chain(connection) if e.actor == name]
            assert own == [details_text({"number": number}) for number in range(150) if number % 5]


def test_a_stretch_has_no_gap_though_clocks_differ(database: str) -> None:
    """An entry whose clock ran late is within the stretch all the same."""
    with connect(database) as connection:
        for number, minutes in enumerate((0, 10, 5, 60, 20, 90)):
            append(connection, number, at=NOW + timedelta(minutes=minutes))
        since, until = NOW + timedelta(minutes=8), NOW + timedelta(minutes=60)
        assert [e.entry for e in chain(connection, since=since, until=until)] == [2, 3, 4, 5]
        assert list(chain(connection, since=NOW + timedelta(days=1))) == []


def test_entries_are_found_by_what_is_asked(database: str) -> None:
    """By act or its kind, subject, actor and time, the newest first."""
    with connect(database) as connection:
        append(connection, 1, act="route.set", actor="anna")
        append(connection, 2, act="route.roll_back", actor="otto")
        append(connection, 3, act="router.set", subject="model 1")

        def numbers(**given: Any) -> list[int]:
            return [e.entry for e in latest_entries(connection, **given)]

        assert numbers() == [3, 2, 1]
        assert numbers(act="route") == [2, 1]
        assert numbers(act="route.set") == [1]
        assert numbers(subject="model 1") == [3, 1]
        assert numbers(actor="otto") == [2]
        assert numbers(since=NOW + timedelta(minutes=2)) == [3, 2]
        assert numbers(until=NOW + timedelta(minutes=2)) == [1]
        assert numbers(most=1) == [3]


# --- tampering


COPY_AS_4 = (
    "INSERT INTO leadgate.audit_log SELECT 4, happened_at, actor, act, subject, details, previous_sha256, sha256 "
    "FROM leadgate.audit_log WHERE entry = 3"
)
FORGE = (
    "INSERT INTO leadgate.audit_log SELECT {}, now(), 'eve', 'x', 'y', '{{}}', sha256, sha256 "
    "FROM leadgate.audit_log WHERE entry = 6"
)


@pytest.mark.parametrize(
    ("statements", "kind", "entry"),
    (
        (["UPDATE leadgate.audit_log SET details = replace(details, '3', '4') WHERE entry = 3"], "changed", 3),
        (["UPDATE leadgate.audit_log SET details = details || ' ' WHERE entry = 3"], "changed", 3),
        (["UPDATE leadgate.audit_log SET actor = 'otto' WHERE entry = 1"], "changed", 1),
        (
            ["UPDATE leadgate.audit_log SET happened_at = happened_at - interval '1 microsecond' WHERE entry = 6"],
            "changed",
            6,
        ),
        (["UPDATE leadgate.audit_log SET happened_at = 'infinity' WHERE entry = 2"], "changed", 2),
        (
            ["UPDATE leadgate.audit_log SET happened_at = '2026-06-01 12:32:15.123456+00 BC' WHERE entry = 2"],
            "changed",
            2,
        ),
        (["UPDATE leadgate.audit_log SET sha256 = '' WHERE entry = 5"], "changed", 5),
        (["DELETE FROM leadgate.audit_log WHERE entry = 3"], "missing", 3),
        (["DELETE FROM leadgate.audit_log WHERE entry <= 2"], "missing", 1),
        (["DELETE FROM leadgate.audit_log WHERE entry = 6"], "head", None),
        (["TRUNCATE leadgate.audit_log"], "head", None),
        (
            [
                "UPDATE leadgate.audit_log SET entry = -entry WHERE entry IN (3, 4)",
                "UPDATE leadgate.audit_log SET entry = 7 + entry WHERE entry < 0",
            ],
            "changed",
            3,
        ),
        (["DELETE FROM leadgate.audit_log WHERE entry = 4", COPY_AS_4], "changed", 4),
        (
            [FORGE.format(7)],
            "changed",
            7,
        ),
        (
            [FORGE.format(0)],
            "order",
            0,
        ),
    ),
)
def test_tampering_by_a_superuser_shows(
    owner: "psycopg.Connection[Any]", statements: list[str], kind: str, entry: int | None
) -> None:
    """Change, delete, cut off, swap, insert: verification names the entry, or the head that was noted."""
    head = head_of(owner)
    assert check(chain(owner), noted=head).noted == 6
    owner.execute("SET LOCAL session_replication_role = replica")
    for sentence in statements:
        owner.execute(sentence.encode())
    found = check(chain(owner), noted=head).broken
    assert found is not None
    assert (found.kind, found.entry) == (kind, entry)


def test_only_a_noted_head_shows_a_chain_rewritten_with_new_digests(owner: "psycopg.Connection[Any]") -> None:
    """The honest limit of a hash chain, and what is done about it."""
    head, entries = head_of(owner), list(chain(owner))
    owner.execute("SET LOCAL session_replication_role = replica")
    owner.execute("DELETE FROM leadgate.audit_log WHERE entry >= 3")
    for old in entries[2:]:
        append(owner, old.entry, actor="eve")
    assert check(chain(owner)).broken is None
    found = check(chain(owner), noted=head).broken
    assert found is not None
    assert found.kind == "head"
    assert check(chain(owner), noted=entries[1].sha256).noted == 2  # what was noted before the change still holds


# --- triggers and the role


@pytest.mark.parametrize("table", GUARDED)
@pytest.mark.parametrize(
    "statement", ("UPDATE leadgate.{} SET {} = {}", "DELETE FROM leadgate.{}", "TRUNCATE leadgate.{} CASCADE")
)
def test_append_only_tables_refuse_change_even_by_their_owner(
    owner: "psycopg.Connection[Any]", table: str, statement: str
) -> None:
    """Also where nothing would match, and also for a superuser, until one switches the trigger off."""
    row = owner.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'leadgate' AND table_name = %s AND is_identity = 'NO'",
        [table],
    ).fetchone()
    assert row is not None
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only") as caught:
        owner.execute(statement.format(table, row[0], row[0]).encode())
    assert caught.value.diag.message_hint is not None


def test_a_switched_off_trigger_is_told(owner: "psycopg.Connection[Any]") -> None:
    """Before anything was changed: somebody is about to."""
    assert protection(owner).unguarded == []
    owner.execute("ALTER TABLE leadgate.routes DISABLE TRIGGER append_only")
    owner.execute("DROP TRIGGER append_only ON leadgate.audit_log")
    assert protection(owner).unguarded == ["audit_log", "routes"]


@pytest.fixture
def writer(owner: "psycopg.Connection[Any]") -> "psycopg.Connection[Any]":
    """A connection with the rights of a service."""
    owner.execute("SET ROLE leadgate_writer")
    return owner


def test_the_writer_can_append_and_read(writer: "psycopg.Connection[Any]") -> None:
    """It writes entries like anybody."""
    assert append(writer, 7) == 7
    found = check(chain(writer))
    assert (found.entries, found.broken) == (7, None)
    assert protection(writer).may_change is False
    writer.execute("RESET ROLE")
    assert protection(writer).may_change is True


@pytest.mark.parametrize(
    "statement",
    (
        "UPDATE leadgate.audit_log SET actor = 'eve'",
        "DELETE FROM leadgate.audit_log",
        "TRUNCATE leadgate.audit_log",
        "DROP TABLE leadgate.audit_log",
        "ALTER TABLE leadgate.audit_log DISABLE TRIGGER append_only",
        "ALTER TABLE leadgate.audit_log RENAME TO other",
        "DROP TRIGGER append_only ON leadgate.audit_log",
        "CREATE OR REPLACE FUNCTION leadgate.refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
        "SET session_replication_role = replica",
        "UPDATE leadgate.routes SET reason = ''",
        "DELETE FROM leadgate.rollout_evidence",
        "UPDATE leadgate.rollout_steps SET comment = ''",
        "DELETE FROM leadgate.rollout_approvals",
        "DELETE FROM leadgate.prediction_logs",
        "UPDATE leadgate.lead_outcomes SET converted = true",
        "UPDATE leadgate.api_keys SET scopes = '{approve}'",
        "INSERT INTO leadgate.audit_log TABLE leadgate.audit_log ON CONFLICT (entry) DO UPDATE SET actor = 'eve'",
    ),
)
def test_the_writer_cannot_change_what_was_written(writer: "psycopg.Connection[Any]", statement: str) -> None:
    """PostgreSQL itself refuses, whatever the service is made to send."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(statement.encode())


def test_the_writer_cannot_give_itself_rights(writer: "psycopg.Connection[Any]") -> None:
    """PostgreSQL only warns that nothing was granted."""
    writer.execute("GRANT ALL ON leadgate.audit_log TO leadgate_writer")
    assert protection(writer).may_change is False


def test_every_table_can_be_appended_to_by_the_writer(writer: "psycopg.Connection[Any]") -> None:
    """No table that a service writes was forgotten, when the next migration adds one."""
    lacking = writer.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'leadgate'::regnamespace AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition "
        "AND NOT (has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'SELECT'))"
    ).fetchall()
    assert lacking == [("alembic_version",)]


UPKEEP = ("upkeep",)
"""Queries of the worker, which removes old records and so has the rights of the tables' owner."""


class Nothing(dict[str, None]):
    """Null for whatever a query asks for."""

    def __missing__(self, name: str) -> None:
        """No value."""


def test_the_writer_may_send_every_query_of_a_service(writer: "psycopg.Connection[Any]") -> None:
    """PostgreSQL plans each named query that reads or writes rows, and finds no right missing."""
    queries = files("leadgate.storage.postgres") / "queries"
    kinds = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    asked: dict[str, int] = dict.fromkeys(kinds, 0)
    lacking = []
    for subject in sorted(file.name.removesuffix(".sql") for file in queries.iterdir() if file.name.endswith(".sql")):
        for name, text in _statements(subject).items():
            bare = re.sub(r"^--.*$", "", text, flags=re.MULTILINE).strip()
            kind = bare.split(maxsplit=1)[0]
            if kind not in kinds or "{" in bare or subject in UPKEEP:
                continue
            try:
                with writer.transaction(force_rollback=True):
                    if subject == "outcomes":
                        writer.execute(statement("outcomes", "create_staged"))
                    writer.execute(b"EXPLAIN " + bare.encode(), Nothing())
                asked[kind] += 1
            except psycopg.errors.InsufficientPrivilege as error:
                lacking.append(f"{subject}.{name}: {error}")
            except psycopg.errors.IndeterminateDatatype:
                assert kind == "SELECT", name  # PostgreSQL cannot tell what a null would be
    assert lacking == []
    assert asked["INSERT"] > 10
    assert asked["UPDATE"] >= 3
    assert asked["DELETE"] >= 2


def test_the_writer_can_add_a_day_to_the_prediction_log_and_cannot_remove_it(
    writer: "psycopg.Connection[Any]",
) -> None:
    """The one thing that PostgreSQL lets only owners do and a service needs; the bounds are the day's, in UTC."""
    writer.execute("SET LOCAL timezone = 'Asia/Kathmandu'")
    writer.execute("SET LOCAL datestyle = 'German'")
    for _ in range(2):
        writer.execute("SELECT leadgate.add_prediction_day('2026-02-28')")
    writer.execute("SET LOCAL timezone = 'UTC'")
    writer.execute("SET LOCAL datestyle = 'ISO'")
    row = writer.execute(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'leadgate.prediction_logs_20260228'::regclass"
    ).fetchone()
    assert row == ("FOR VALUES FROM ('2026-02-28 00:00:00+00') TO ('2026-03-01 00:00:00+00')",)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute("DROP TABLE leadgate.prediction_logs_20260228")


# --- migrating where roles are not free


MIGRATES = "import sys; from leadgate.storage.postgres.migrate import migrate; migrate(sys.argv[1])"


def test_the_role_is_made_once_on_a_server_and_missed_by_nobody(tmp_path: Path) -> None:
    """Who may not make roles migrates without; two migrations at once make one role, and both grant."""
    server = start_embedded(tmp_path / "pg")
    urls = {name: server.replace("/postgres?", f"/{name}?") for name in ("plain", "one", "two")}
    assert len({server, *urls.values()}) == 4
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE ROLE nobody_special LOGIN")
        for name in urls:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.execute("ALTER DATABASE plain OWNER TO nobody_special")
    migrate(urls["plain"].replace("postgres:@", "nobody_special:@").replace("postgres@", "nobody_special@"))
    with connect(urls["plain"]) as connection:
        assert protection(connection).has_writer is False
        assert protection(connection).unguarded == []
        append(connection, 1)
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATES, urls[name]]) for name in ("one", "two")]
    assert [process.wait(60) for process in processes] == [0, 0]
    for name in ("one", "two"):
        with psycopg.connect(urls[name]) as connection:
            assert protection(connection).has_writer is True
            connection.execute("SET ROLE leadgate_writer")
            assert append(connection, 1) == 1


@pytest.mark.parametrize(("subject", "name"), [(subject, name) for subject in UPKEEP for name in _statements(subject)])
def test_the_writer_cannot_remove_records(writer: "psycopg.Connection[Any]", subject: str, name: str) -> None:
    """Not even those whose time is over: that is the worker's, with the rights of the owner."""
    values = {"model_name": "lead-scoring", "before": datetime(2026, 1, 1, tzinfo=UTC)}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(statement(subject, name), values)
