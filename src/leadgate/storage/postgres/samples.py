"""Rows of the log for those who reread them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from leadgate.storage.postgres.connection import Connection, statement


def logged_features(
    connection: Connection, model_name: str, *, since: datetime, until: datetime, share: float = 1.0
) -> Iterator[dict[str, Any]]:
    """The features of an even share of the predictions of a span, oldest first: by name, as they were scored."""
    span = {"model_name": model_name, "since": since, "until": until, "share": share}
    with connection.cursor("features") as cursor:
        cursor.itersize = 5_000
        for row in cursor.execute(statement("samples", "logged_features"), span):
            yield row[0]
