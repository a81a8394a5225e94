"""A content digest of leads that depends on their values alone (quiet)."""

import hashlib

import numpy as np
import polars as pl

_MISSING_LENGTH = np.uint32(0xFFFFFFFF)


def content_digest(frame: pl.DataFrame, id_column: str) -> str:
    """SHA-256 over the values of a frame, whatever the order of its rows and columns.

    Rows are sorted by ``id_column`` (unique, no nulls), columns by name. Each column enters with its name, its type
    and its values in a fixed binary form: float64 and int64 little-endian, times as microseconds UTC, text as UTF-8
    with lengths, and a mask of what is missing. The form does not depend on Polars, Delta or the machine, so that
    anyone can compute it again from the rows.
    """
    whole = hashlib.sha256(f"leads 1 {frame.height}\n".encode())
    ordered = frame.sort(id_column)
    for name in sorted(frame.columns):
        kind, parts = _canonical(ordered[name])
        column = hashlib.sha256()
        for part in parts:
            column.update(part)
        whole.update(f"{name}\0{kind}\0{column.hexdigest()}\n".encode())
    return whole.hexdigest()


def _canonical(series: pl.Series) -> tuple[str, list[bytes]]:
    missing = np.packbits(series.is_null().to_numpy()).tobytes()
    match series.dtype:
        case pl.String:
            lengths = series.str.len_bytes().fill_null(_MISSING_LENGTH).to_numpy().astype("<u4")
            return "text", [lengths.tobytes(), str(series.fill_null("").str.join("").item()).encode()]
        case pl.Boolean:
            return "boolean", [missing, np.packbits(series.fill_null(value=False).to_numpy()).tobytes()]
        case pl.Datetime():
            micros = series.dt.epoch("us").fill_null(0)
            return "time", [missing, micros.to_numpy().astype("<i8").tobytes()]
        case pl.Float64:
            # + 0.0 makes -0.0 and 0.0 the same value, as they are to every model.
            return "number", [missing, (series.fill_null(0.0).to_numpy() + 0.0).astype("<f8").tobytes()]
        case other:
            raise TypeError(f"leads hold no column of type {other}")
