"""The audit log: whole, in order, and no change to it goes unseen."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from leadgate.chain import START, Checked, Entry, check, details_text, digest_of, seal
from leadgate.storage.postgres.audit import GUARDED, append_entry, chain, latest_entries, protection
from leadgate.storage.postgres.connection import connect
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


def filled(url: str, entries: int = 6) -> str:
    """A log of some entries; gives the digest of the last."""
    with connect(url) as connection:
        for number in range(1, entries + 1):
            append(connection, number)
        head = checked(url).head
    return (head or checked(url).head or pytest.fail("no entry")).sha256


def checked(url: str, noted: str | None = None) -> Checked:
    """What a verification finds."""
    with connect(url) as connection:
        return check(chain(connection), noted=noted)


def chained(given: list[dict[str, Any]]) -> list[Entry]:
    """A chain of acts, without a database."""
    entries: list[Entry] = []
    for act in given:
        after = (entries[-1].entry, entries[-1].sha256) if entries else None
        entries.append(seal(after=after, **act))
    return entries


def tamper(url: str, *statements: str) -> None:
    """What a superuser can do who switches the triggers off."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)


# --- the chain itself


@given(st.lists(acts, min_size=1, max_size=6), st.data())
def test_any_changed_field_of_any_entry_is_found_at_that_entry(
    given: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever the texts hold; and the untouched chain is whole."""
    entries = chained(given)
    assert check(entries) == Checked(entries=len(entries), first=1, head=entries[-1], noted=None, broken=None)
    at = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(
        st.sampled_from(["happened_at", "actor", "act", "subject", "details", "previous_sha256", "sha256"])
    )
    value = data.draw(texts.filter(lambda text: text != getattr(entries[at], field)))
    spoilt = [*entries[:at], replace(entries[at], **{field: value}), *entries[at + 1 :]]
    found = check(spoilt)
    assert found.broken is not None
    assert (found.broken.entry, found.broken.kind, found.entries) == (at + 1, "changed", at)
    assert str(at + 1) in found.broken.sentence


@given(st.lists(acts, min_size=2, max_size=7), st.data())
def test_any_entry_that_is_gone_moved_or_doubled_is_found(given: list[dict[str, Any]], data: st.DataObject) -> None:
    """In the middle by the numbers, at the end by a noted digest."""
    entries = chained(given)
    head = entries[-1].sha256
    at = data.draw(st.integers(0, len(entries) - 1))
    gone = check(entries[:at] + entries[at + 1 :], noted=head).broken
    assert gone is not None
    assert (gone.kind, gone.entry) == (("missing", at + 1) if at < len(entries) - 1 else ("head", None))
    doubled = check([*entries[: at + 1], *entries[at:]]).broken
    assert doubled is not None
    assert (doubled.kind, doubled.entry) == ("order", at + 1)
    other = data.draw(st.permutations(entries).filter(lambda order: order != entries))
    moved = check(other).broken
    assert moved is not None
    assert moved.kind in ("missing", "order")


@given(st.lists(acts, min_size=2, max_size=6), st.data())
def test_a_rewritten_chain_fits_no_digest_that_was_noted_after_the_change(
    given: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Rewriting all after a point makes a whole chain: the noted digest tells, from the changed entry on."""
    entries = chained(given)
    at = data.draw(st.integers(0, len(entries) - 1))
    forged = chained([*given[:at], {**given[at], "actor": given[at]["actor"] + "!"}, *given[at + 1 :]])
    assert check(forged).broken is None
    for entry in entries:
        found = check(forged, noted=entry.sha256)
        assert (found.noted, found.broken is None) == ((entry.entry, True) if entry.entry <= at else (None, False))


def test_a_replaced_entry_with_a_digest_of_its_own_breaks_the_link() -> None:
    """Recomputing the digest of one entry is not enough."""
    entries = chained([{"at": NOW, "actor": "a", "act": "b", "subject": "c", "details": {}}] * 3)
    after = (entries[0].entry, entries[0].sha256)
    forged = seal(after=after, at=NOW, actor="eve", act="b", subject="c", details={})
    found = check([entries[0], forged, entries[2]]).broken
    assert found is not None
    assert (found.kind, found.entry) == ("link", 3)


def test_a_stretch_of_a_chain_may_begin_anywhere_but_the_whole_may_not() -> None:
    """An export of a span is verified in itself; a log whose beginning is gone is broken."""
    entries = chained([{"at": NOW, "actor": "a", "act": "b", "subject": "c", "details": {}}] * 4)
    assert check(entries[2:], from_start=False).broken is None
    gone = check(entries[2:]).broken
    assert gone is not None
    assert (gone.kind, gone.entry) == ("missing", 1)
    first = replace(entries[0], previous_sha256="1" * 64)
    resealed = (first.happened_at, first.actor, first.act, first.subject, first.details)
    first = replace(first, sha256=digest_of(1, resealed, first.previous_sha256))
    foreign = check([first], from_start=False).broken
    assert foreign is not None
    assert foreign.kind == "link"


@given(st.lists(texts, min_size=5, max_size=5), st.lists(texts, min_size=5, max_size=5))
def test_no_two_entries_share_a_text(one: list[str], other: list[str]) -> None:
    """Commas, quotes and brackets inside a field cannot be taken for the seams between fields."""
    assert (digest_of(1, one, START) == digest_of(1, other, START)) == (one == other)
    joined = [one[0] + '","' + one[1], "", *one[2:]]
    assert digest_of(1, joined, START) != digest_of(1, one, START)


def test_a_time_is_the_same_in_any_zone_and_needs_one() -> None:
    """What is hashed is UTC."""
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    made = [seal(after=None, at=at, actor="a", act="b", subject="c", details={}) for at in (NOW, there)]
    assert made[0] == made[1]
    assert made[0].happened_at == "2026-06-01T12:30:15.123456Z"
    with pytest.raises(ValueError, match="time zone"):
        seal(after=None, at=NOW.replace(tzinfo=None), actor="a", act="b", subject="c", details={})


def test_details_that_json_does_not_know_become_text() -> None:
    """An act does not fail by its record; keys are sorted, so one content has one text."""
    given = {"path": Path("x"), "at": NOW, "nan": float("nan"), "share": 0.1, "b": (1, None, True), "name": "a\udc80\0"}
    assert details_text(given) == (
        r'{"at":"2026-06-01T12:30:15.123456Z","b":[1,null,true],"name":"a\udc80\u0000","nan":"nan",'
        r'"path":"x","share":0.1}'
    )


# --- in PostgreSQL


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
        with pytest.raises(ZeroDivisionError), connection.transaction():
            assert append(connection, 9) == 3
            1 / 0  # noqa: B018  # the act fails
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


ONE = "SELECT 4, happened_at, actor, act, subject, details, previous_sha256, sha256 FROM leadgate.audit_log WHERE entry = 3"


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
        (["DELETE FROM leadgate.audit_log WHERE entry = 4", f"INSERT INTO leadgate.audit_log {ONE}"], "changed", 4),
        (
            [
                "INSERT INTO leadgate.audit_log SELECT 7, now(), 'eve', 'x', 'y', '{}', sha256, sha256 FROM leadgate.audit_log WHERE entry = 6"
            ],
            "changed",
            7,
        ),
        (
            [
                "INSERT INTO leadgate.audit_log SELECT 0, now(), 'eve', 'x', 'y', '{}', sha256, sha256 FROM leadgate.audit_log WHERE entry = 6"
            ],
            "order",
            0,
        ),
    ),
)
def test_tampering_by_a_superuser_shows(database: str, statements: list[str], kind: str, entry: int | None) -> None:
    """Change, delete, cut off, swap, insert: verification names the entry, or the head that was noted."""
    head = filled(database)
    assert checked(database, head).noted == 6
    tamper(database, *statements)
    found = checked(database, head).broken
    assert found is not None
    assert (found.kind, found.entry) == (kind, entry)


def test_only_a_noted_head_shows_a_chain_rewritten_with_new_digests(database: str) -> None:
    """The honest limit of a hash chain, and what is done about it."""
    head = filled(database)
    with connect(database) as connection:
        entries = list(chain(connection))
    with psycopg.connect(database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM leadgate.audit_log WHERE entry >= 3")
        for old in entries[2:]:
            append(connection, old.entry, actor="eve")
    assert checked(database).broken is None
    found = checked(database, head).broken
    assert found is not None
    assert found.kind == "head"
    assert checked(database, entries[1].sha256).noted == 2  # what was noted before the change still holds


# --- triggers and the role


@pytest.mark.parametrize("table", GUARDED)
@pytest.mark.parametrize(
    "statement", ("UPDATE leadgate.{} SET {} = {}", "DELETE FROM leadgate.{}", "TRUNCATE leadgate.{} CASCADE")
)
def test_append_only_tables_refuse_change_even_by_their_owner(database: str, table: str, statement: str) -> None:
    """Also where nothing would match, and also for a superuser, until one switches the trigger off."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'leadgate' AND table_name = %s "
            "AND is_identity = 'NO'",
            [table],
        ).fetchone()
        assert row is not None
        column = sql.Identifier(row[0])
        command = sql.SQL(statement).format(sql.Identifier(table), column, column)  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only") as caught:
            connection.execute(command)
    assert caught.value.diag.message_hint is not None


def test_a_switched_off_trigger_is_told(database: str) -> None:
    """Before anything was changed: somebody is about to."""
    with psycopg.connect(database) as connection:
        assert protection(connection).unguarded == []
        connection.execute("ALTER TABLE leadgate.routes DISABLE TRIGGER append_only")
        connection.execute("DROP TRIGGER append_only ON leadgate.audit_log")
        assert protection(connection).unguarded == ["audit_log", "routes"]


@pytest.fixture
def writer(database: str) -> Iterator["psycopg.Connection[Any]"]:
    """A connection with the rights of a service."""
    filled(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE leadgate_writer")
        yield connection


def test_the_writer_can_append_and_read(writer: "psycopg.Connection[Any]", database: str) -> None:
    """It writes entries like anybody."""
    assert append(writer, 7) == 7
    found = checked(database)
    assert (found.entries, found.broken) == (7, None)
    assert protection(writer).may_change is False
    with psycopg.connect(database) as owner:
        assert protection(owner).may_change is True


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
        "CREATE OR REPLACE FUNCTION leadgate.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "SET session_replication_role = replica",
        "UPDATE leadgate.routes SET reason = ''",
        "DELETE FROM leadgate.rollout_evidence",
        "UPDATE leadgate.rollout_steps SET comment = ''",
        "DELETE FROM leadgate.rollout_approvals",
        "DELETE FROM leadgate.prediction_logs",
        "UPDATE leadgate.lead_outcomes SET converted = true",
        "UPDATE leadgate.api_keys SET scopes = '{approve}'",
        "INSERT INTO leadgate.audit_log SELECT * FROM leadgate.audit_log ON CONFLICT (entry) DO UPDATE SET actor = 'eve'",
        "GRANT UPDATE ON leadgate.audit_log TO leadgate_writer",
    ),
)
def test_the_writer_cannot_change_what_was_written(
    writer: "psycopg.Connection[Any]", database: str, statement: str
) -> None:
    """PostgreSQL itself refuses, whatever the service is made to send; the log stays as it was."""
    try:
        writer.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        pass
    else:
        assert statement.startswith("GRANT")  # PostgreSQL only warns that nothing was granted
        assert protection(writer).may_change is False
    found = checked(database)
    assert (found.entries, found.broken) == (6, None)


def test_every_table_can_be_appended_to_by_the_writer(writer: "psycopg.Connection[Any]") -> None:
    """No table that a service writes was forgotten, when the next migration adds one."""
    lacking = writer.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'leadgate'::regnamespace AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND NOT (has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'SELECT'))"
    ).fetchall()
    assert lacking == [("alembic_version",)]


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
