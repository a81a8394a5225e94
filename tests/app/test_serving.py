"""A start of the service that cannot work is refused before it serves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from leadgate.app.serving import _require_key, _socket
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.records import ApiKey
from leadgate.storage.postgres.keys import add_key, revoke_key

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def key(name: str, expires_at: datetime | None) -> ApiKey:
    """A key."""
    return ApiKey(
        key_id=name,
        name=name,
        scopes=("score",),
        secret_sha256=b"x" * 32,
        requests_per_second=None,
        created_at=NOW - timedelta(days=100),
        created_by="tester",
        expires_at=expires_at,
        revoked_at=None,
    )


def test_keys_that_nobody_can_use_are_none(database: str, tmp_path: Path) -> None:
    """A service that asks for a key starts only where a caller could show one that is neither revoked nor expired."""
    home = Home(tmp_path, Settings(database_url=database), lambda: NOW)
    with psycopg.connect(database, autocommit=True) as connection:
        for name, expires_at in (("old", NOW), ("gone", None)):
            with pytest.raises(RefusedError, match="leadgate keys create"):
                _require_key(home)
            add_key(connection, key(name, expires_at))
        revoke_key(connection, "gone", "tester", NOW)
        with pytest.raises(RefusedError, match="leadgate keys create"):
            _require_key(home)
        add_key(connection, key("new", NOW + timedelta(seconds=1)))
        _require_key(home)


def test_two_containers_on_one_folder_have_sockets_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is process 1 of its container; whoever ended first would have taken the other's dashboard with it."""
    home = Home(tmp_path, Settings())
    monkeypatch.setattr("leadgate.app.serving._LONGEST_SOCKET", 1_000)  # else a folder of its own, however it is named
    monkeypatch.setattr("socket.gethostname", lambda: "a")
    with _socket(home, "desk") as first:
        monkeypatch.setattr("socket.gethostname", lambda: "b")
        with _socket(home, "desk") as second:
            assert first != second
