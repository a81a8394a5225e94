"""The Delta table of the predictions that have left the log: a folder for each day."""

import os
from datetime import date, datetime
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake

DAY = "day"
"""The column that the table is partitioned by: the day (UTC) of scored_at, such as ``2026-06-01``."""


def archived_days(uri: str) -> dict[date, int]:
    """How many predictions of each day are in the archive."""
    if not DeltaTable.is_deltatable(uri):
        return {}
    counts = pl.scan_delta(uri).group_by(DAY).len().collect()
    return {date.fromisoformat(day): rows for day, rows in counts.sort(DAY).iter_rows()}


def archived_rows(uri: str, day: date, ids: pl.Series) -> pl.DataFrame | None:
    """Those of a day's predictions that are in the archive, in no particular order; None without an archive."""
    if not DeltaTable.is_deltatable(uri):
        return None
    # The files know the least and the greatest id in them, and ids are sorted by time: most files are not opened.
    near = pl.col("prediction_id").is_between(pl.lit(ids.min()), pl.lit(ids.max()))
    there = pl.scan_delta(uri).filter(pl.col(DAY) == day.isoformat(), near).drop(DAY)
    wanted = ids.alias("prediction_id").to_frame().lazy()
    return _marked(there.join(wanted, on="prediction_id", how="semi").collect(engine="streaming"))


def archived_score(uri: str, model_name: str, lead_id: str, until: datetime) -> dict[str, Any] | None:
    """The last prediction of a lead up to a time that has left the log, by column; None without one."""
    if not DeltaTable.is_deltatable(uri):
        return None
    own = (pl.col("lead_id") == lead_id) & (pl.col("model_name") == model_name) & (pl.col("scored_at") <= until)
    found = pl.scan_delta(uri).filter(own).sort("scored_at", "prediction_id").tail(1).collect(engine="streaming")
    return _marked(found).row(0, named=True) if len(found) else None


def _marked(frame: pl.DataFrame) -> pl.DataFrame:
    """With the columns of explored leads: those that were archived before there were any have none."""
    added = [pl.lit(None, pl.String()).alias(name) for name in ("own_priority",) if name not in frame.columns]
    explored = pl.col("explored").fill_null(value=False) if "explored" in frame.columns else pl.lit(value=False)
    return frame.with_columns(*added, explored=explored)


def add_to_archive(uri: str, day: date, frame: pl.DataFrame, facts: dict[str, str]) -> None:
    """Append predictions of a day, all or none; ``facts`` stand in the commit."""
    write_deltalake(
        uri,
        frame.with_columns(pl.lit(day.isoformat()).alias(DAY)),
        mode="append",
        schema_mode="merge",  # a column that the log gets one day is added
        partition_by=[DAY],
        commit_properties=CommitProperties(custom_metadata=facts),
    )


def settle_archive() -> None:
    """Return when all that was written is on the disk.

    What was just read back may have come from memory only, and a power cut must not take what is dropped next.
    """
    os.sync()
