"""The API keys: hashes, never secrets."""

from psycopg.rows import class_row

from leadgate.records import ApiKey
from leadgate.storage.postgres.connection import Connection, statement


def all_keys(connection: Connection) -> list[ApiKey]:
    """Every key, revoked ones too, oldest first."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(statement("keys", "all_keys")).fetchall()
