"""A start of the service that cannot work is refused before it serves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from leadgate.app.serving import _require_key
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
