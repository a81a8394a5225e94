"""Old days leave the prediction log for a Delta table: exported, read back, compared, and only then dropped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.storage.archive import add_to_archive, archived_days, archived_rows, settle_archive
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.retention import (
    LoggedDay,
    count_rows,
    drop_day,
    logged_days,
    rows_of_day,
    serialise_retentions,
)
from leadgate.storage.postgres.rollouts import alive_rollouts

_PIECE = 100_000
"""Predictions in memory at a time, and in one file: 400 MB and 11 MB, measured with eight features."""
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class DayState:
    """Where the predictions of a day are."""

    day: date
    """UTC."""
    rows: int
    """In the log."""
    size: int
    """Bytes that the log takes for them."""
    archived: int
    """In the archive; those of a day that was exported and not dropped are in both."""


@dataclass(frozen=True, kw_only=True)
class RetainedDay:
    """A day that has left the log."""

    day: date
    """UTC."""
    rows: int
    """That the log had; all of them are in the archive."""
    added: int
    """Of these, the ones that were not there from an earlier run."""
    freed: int
    """Bytes."""


def archive_of(home: Home) -> str:
    """Where the Delta table of a project's old predictions is."""
    return home.settings.archive_uri or str(home.state / "prediction_logs")


def day_states(connection: Connection, uri: str, *, before: date | None = None) -> list[DayState]:
    """Each day in the log or, without ``before``, in the archive; oldest first."""
    logged = {day.day: day for day in logged_days(connection) if before is None or day.day < before}
    archived = archived_days(uri)
    days = logged if before is not None else logged.keys() | archived.keys()
    return [
        DayState(
            day=day,
            rows=count_rows(connection, day) if day in logged else 0,
            size=logged[day].size if day in logged else 0,
            archived=archived.get(day, 0),
        )
        for day in sorted(days)
    ]


def first_kept(now: datetime, days: int) -> date:
    """The oldest day that stays when a log keeps ``days`` whole days before today (UTC).

    Raises RefusedError when the calendar does not reach so far back.
    """
    try:
        return now.date() - timedelta(days=days)
    except OverflowError:
        raise RefusedError(f"--days {days} reaches back before the calendar begins; give fewer days.") from None


def refuse_needed_days(home: Home, connection: Connection, before: date) -> None:
    """Raises RefusedError where a rollout still counts leads of days before ``before``.

    It reads the log from a horizon and 30 days before its start on: leads whose first score is gone would be taken for
    new ones.
    """
    window = home.project.outcomes.window_days
    for rollout in alive_rollouts(connection):
        horizon = rollout.rules["experiment"]["horizon_days"] or window
        needed = (rollout.started_at - timedelta(days=max(horizon, 30.0))).date()
        if needed < before:
            days = (home.clock().date() - needed).days
            raise RefusedError(
                f"Rollout {rollout.rollout_id} of {rollout.model_name!r} counts the leads of the log from {needed} on, "
                f"so no day from then on may leave it; keep {days} days (--days {days}), or wait until it is over."
            )


def retain(
    connection: Connection, uri: str, *, before: date, by: str, now: datetime, step: Callable[[str], None]
) -> list[RetainedDay]:
    """Move the days before another out of the log into the Delta table at ``uri``; oldest first, one by one.

    For each day:

    1. Read it piece by piece and add to the archive what is not there yet, by prediction id. So a run that was cut
       short is taken up again, and predictions that come late for a day that has left are added to it.
    2. Read each piece back and compare every value.
    3. In one transaction: keep writers out, count the day, and drop it when it has as many rows as were compared.
       Otherwise rows came in meanwhile: again from 1.

    Raises RefusedError when somebody else does it now, when what is read back differs, and when the log is in use
    all the time; whatever was not dropped is whole in the log.
    """
    # Each statement for itself: an open transaction would hold the locks of every day until the last one.
    connection.autocommit = True
    serialise_retentions(connection)
    retained = []
    for day in logged_days(connection):
        if day.day < before:
            step(f"exporting {day.day}")
            retained.append(_retain_day(connection, uri, day, by=by, now=now))
    return retained


def _retain_day(connection: Connection, uri: str, day: LoggedDay, *, by: str, now: datetime) -> RetainedDay:
    facts = {"exported_by": by, "exported_at": now.isoformat()}
    added = 0
    for _ in range(_TRIES):
        rows, news = _export(connection, uri, day.day, facts)
        added += news
        settle_archive()
        if _drop(connection, uri, day, rows=rows, by=by, now=now):
            return RetainedDay(day=day.day, rows=rows, added=added, freed=day.size)
    raise RefusedError(
        f"Predictions of {day.day} keep coming into the log, or it holds a prediction twice, so it was exported and "
        "not dropped; run the command again when the spool is drained, nothing is exported twice."
    )


def _drop(connection: Connection, uri: str, day: LoggedDay, *, rows: int, by: str, now: datetime) -> bool:
    """Drop a day and write that down: both or neither."""
    with connection.transaction():
        dropped = drop_day(connection, day, rows=rows)
        if dropped:
            about, what = f"day {day.day}", {"rows": rows, "bytes": day.size, "archive": uri}
            append_entry(connection, at=now, actor=by, act="log.retain", subject=about, details=what)
    return dropped


def _export(connection: Connection, uri: str, day: date, facts: dict[str, str]) -> tuple[int, int]:
    """How many predictions of the day are safe in the archive, and how many of them are new there."""
    rows = added = 0
    after = None
    while (piece := rows_of_day(connection, day, after=after, most=_PIECE)).height:
        added += _archive(uri, day, piece, facts)
        rows += piece.height
        after = piece["prediction_id"][-1]
    return rows, added


def _archive(uri: str, day: date, piece: pl.DataFrame, facts: dict[str, str]) -> int:
    """Bring a piece of a day, in the order of ids, into the archive; gives how many rows were not there yet."""
    there = archived_rows(uri, day, piece["prediction_id"])
    news = piece if there is None else piece.join(there, on="prediction_id", how="anti", maintain_order="left")
    if news.height:
        add_to_archive(uri, day, news, facts)
    _verify(uri, day, piece)
    return news.height


def _verify(uri: str, day: date, piece: pl.DataFrame) -> None:
    ids = piece["prediction_id"]
    found = archived_rows(uri, day, ids)
    if found is None or not _same(found, piece):
        raise RefusedError(
            f"What the archive {uri} holds for {day} is not what the log holds (predictions {ids[0]} to {ids[-1]}), "
            "so nothing of that day was dropped; compare the two, and move the archive away if it was tampered with: "
            "the next run makes a new one of what is in the log."
        )


def _same(found: pl.DataFrame, piece: pl.DataFrame) -> bool:
    """Whether each row is there exactly once, with every value."""
    if not set(piece.columns) <= set(found.columns):
        return False
    return found.select(piece.columns).sort("prediction_id").equals(piece)


def total_freed(days: Sequence[RetainedDay | DayState]) -> int:
    """Bytes that the log gives back, or would."""
    return sum(day.freed if isinstance(day, RetainedDay) else day.size for day in days)
