"""Query results as Polars frames, by way of COPY: ten times faster than row by row."""

import io
from typing import Any

import polars as pl

from leadgate.storage.postgres.connection import Connection, statement


def copy_frame(
    connection: Connection, subject: str, name: str, parameters: dict[str, Any], types: dict[str, pl.DataType]
) -> pl.DataFrame:
    """Run a named ``COPY ... TO STDOUT (FORMAT csv, HEADER)``; columns get ``types``.

    Times travel as whole microseconds since 1970 so that no text form has to be parsed.
    """
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(statement(subject, name), parameters) as copy:
        for block in copy:
            buffer.write(block)
    buffer.seek(0)
    times = {column: pl.Int64() for column, kind in types.items() if isinstance(kind, pl.Datetime)}
    frame = pl.read_csv(
        buffer,
        schema_overrides={**types, **times, **{c: pl.String() for c, k in types.items() if k == pl.Boolean}},
        missing_utf8_is_empty_string=False,
    )
    booleans = [(pl.col(column) == "t").alias(column) for column, kind in types.items() if isinstance(kind, pl.Boolean)]
    return frame.with_columns(
        *booleans, *(pl.col(column).cast(types[column]) for column in times if column in frame.columns)
    )
