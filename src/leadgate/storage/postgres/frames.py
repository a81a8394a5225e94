"""Query results as Polars frames, by way of COPY: ten times faster than row by row."""

import io
from typing import Any

import polars as pl

from leadgate.storage.postgres.connection import Connection, statement


def copy_frame(
    connection: Connection, subject: str, name: str, parameters: dict[str, Any], types: dict[str, pl.DataType]
) -> pl.DataFrame:
    """Run a named ``COPY ... TO STDOUT (FORMAT csv, HEADER)``; columns get ``types``.

    The statement gives times as whole microseconds since 1970, so that no text form has to be parsed.
    """
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(statement(subject, name), parameters) as copy:
        for block in copy:
            buffer.write(block)
    buffer.seek(0)
    raw = pl.read_csv(buffer, schema_overrides={column: _on_the_wire(kind) for column, kind in types.items()})
    return raw.select(_typed(column, kind) for column, kind in types.items())


def _on_the_wire(kind: pl.DataType) -> pl.DataType:
    if isinstance(kind, pl.Datetime):
        return pl.Int64()
    return pl.String() if isinstance(kind, pl.Boolean) else kind


def _typed(column: str, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Boolean):
        return pl.col(column) == "t"
    return pl.col(column).cast(kind)
