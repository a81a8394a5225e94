"""The API keys: hashes, never secrets."""

from dataclasses import asdict
from datetime import datetime

from leadgate.records import ApiKey
from leadgate.storage.postgres.connection import Connection, statement

CHANNEL = "leadgate_keys"
"""NOTIFY channel on which workers learn of a new or a revoked key."""


def all_keys(connection: Connection) -> list[ApiKey]:
    """Every key, revoked ones too, oldest first."""
    rows = connection.execute(statement("keys", "all_keys")).fetchall()
    return [
        ApiKey(
            key_id=key_id,
            name=name,
            scopes=tuple(scopes),  # the driver gives a list, and a key is frozen
            secret_sha256=bytes(secret_sha256),
            requests_per_second=requests_per_second,
            created_at=created_at,
            created_by=created_by,
            expires_at=expires_at,
            revoked_at=revoked_at,
        )
        for (
            key_id,
            name,
            scopes,
            secret_sha256,
            requests_per_second,
            created_at,
            created_by,
            expires_at,
            revoked_at,
        ) in rows
    ]


def add_key(connection: Connection, key: ApiKey) -> None:
    """Keep a new key and tell every worker, in one transaction."""
    with connection.transaction():
        connection.execute(statement("keys", "add_key"), {**asdict(key), "scopes": list(key.scopes)})
        connection.execute(statement("keys", "tell_workers"), {"key_id": key.key_id})


def revoke_key(connection: Connection, key_id: str, by: str, at: datetime) -> bool:
    """End a key and tell every worker, in one transaction; False when there is none or it was revoked before."""
    with connection.transaction():
        revoked = connection.execute(statement("keys", "revoke_key"), {"key_id": key_id, "by": by, "at": at}).rowcount
        if revoked:
            connection.execute(statement("keys", "tell_workers"), {"key_id": key_id})
    return revoked == 1
