"""The table of keys: what goes in comes out, and workers are told in the same transaction."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from leadgate.records import ApiKey
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.keys import CHANNEL, add_key, all_keys, revoke_key

NOW = datetime(2026, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)
KEY = ApiKey(
    key_id="abcdefgh2345",
    name="crm",
    scopes=("score", "read"),
    secret_sha256=bytes(range(32)),
    requests_per_second=12.5,
    created_at=NOW,
    created_by="tester",
    expires_at=NOW + timedelta(days=90),
    revoked_at=None,
)
BARE = replace(
    KEY, key_id="zzzzzzzz2345", requests_per_second=None, expires_at=None, created_at=NOW + timedelta(seconds=1)
)


def heard(listener: "psycopg.Connection[tuple[object, ...]]") -> list[str]:
    """What was notified since the last time."""
    return [notify.payload for notify in listener.notifies(timeout=0.1)]


def test_what_goes_in_comes_out(database: str) -> None:
    """Every field, with its type: a keyring compares keys to see whether something changed."""
    with connect(database) as connection:
        add_key(connection, BARE)
        add_key(connection, KEY)
        assert all_keys(connection) == [KEY, BARE]
        assert hash(all_keys(connection)[0]) == hash(KEY)


def test_a_key_is_revoked_once(database: str) -> None:
    """The first to revoke is remembered; a repetition changes nothing, and so does an unknown id."""
    with connect(database) as connection:
        add_key(connection, KEY)
        assert revoke_key(connection, KEY.key_id, "anna", NOW)
        assert not revoke_key(connection, KEY.key_id, "otto", NOW + timedelta(days=1))
        assert not revoke_key(connection, "nobody", "otto", NOW)
        assert all_keys(connection) == [replace(KEY, revoked_at=NOW)]
        assert connection.execute("SELECT revoked_by FROM leadgate.api_keys").fetchall() == [("anna",)]


def test_workers_are_told_when_and_only_when_it_is_so(database: str) -> None:
    """A notice comes with the commit; none comes of what was rolled back or changed nothing."""
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        with connect(database) as connection:
            with connection.transaction():
                add_key(connection, KEY)
                assert heard(listener) == []
            assert heard(listener) == [KEY.key_id]
            with connection.transaction(force_rollback=True):
                assert revoke_key(connection, KEY.key_id, "anna", NOW)
            assert heard(listener) == []
            revoke_key(connection, KEY.key_id, "anna", NOW)
            assert heard(listener) == [KEY.key_id]
            revoke_key(connection, KEY.key_id, "anna", NOW)
            assert heard(listener) == []


def test_an_id_cannot_be_taken_twice(database: str) -> None:
    """A second key under an id would be a way around the first."""
    with connect(database) as connection:
        add_key(connection, KEY)
        with pytest.raises(psycopg.errors.UniqueViolation):
            add_key(connection, replace(KEY, name="other"))
        assert all_keys(connection) == [KEY]
