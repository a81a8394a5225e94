"""Moves the spool into PostgreSQL, whatever happens on the way.

A segment is in the log exactly when its name is in ``spool_segments``: both are written in one transaction, and the
file is removed after it. So a drainer may be killed anywhere, and two may work on one spool.
"""

import fcntl
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from leadgate.records import Prediction
from leadgate.scoring.folding import log_predictions
from leadgate.scoring.segments import Segment, read_segment
from leadgate.scoring.spool import NEW, OPEN, SEALED
from leadgate.storage.postgres.connection import Connection, commit_durably, count_in_utc, patient
from leadgate.storage.postgres.idempotency import forget_answers
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import DrainedSegment, claim_segment, forget_segments

REJECTED, DAMAGED = ".rejected", ".damaged"
"""A segment with predictions that the log's rules refuse, and one that could not be read whole: kept, for the person
who has to find out why, or who has a release of Leadgate that can read it."""

_PAUSE_S = 0.05
_TIDY_S = 3_600.0
_LONGEST_PAUSE_S = 2.0
_REMEMBERED = timedelta(days=90)
_REPEATED = timedelta(days=2)
"""For how long answers are kept that a repeated request gets: twice as long as it does, for clocks differ."""
_BORN_S = 60.0
"""A segment that is younger may be in the hands of a writer that has not locked it yet."""

log = logging.getLogger("leadgate.drainer")


@dataclass(frozen=True, kw_only=True)
class SpoolState:
    """What waits to be drained."""

    segments: int
    size: int
    """Bytes."""
    lag_s: float
    """Age of the oldest segment."""
    kept: int
    """Segments that were damaged or refused, beside those that wait."""


def spool_state(folder: Path) -> SpoolState:
    """Look at a spool. Never raises: files may go while it looks."""
    sizes, oldest, kept = [], time.time(), 0
    for path in _files(folder, SEALED, OPEN, REJECTED, DAMAGED):
        if path.suffix in (REJECTED, DAMAGED):
            kept += 1
            continue
        with suppress(FileNotFoundError):
            found = path.stat()
            sizes.append(found.st_size)
            oldest = min(oldest, found.st_mtime)
    return SpoolState(segments=len(sizes), size=sum(sizes), lag_s=max(0.0, time.time() - oldest), kept=kept)


class Drainer:
    """Drains one spool."""

    def __init__(self, folder: Path, url: str, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._url = url
        self._clock = clock
        self._down = False
        self._pause = _PAUSE_S

    def run(self, stop: threading.Event) -> None:
        """Drain until ``stop`` is set and nothing is left; gives up then when the database is down.

        What is left stays in the spool, and the next start goes on with it.
        """
        while True:
            try:
                with psycopg.connect(patient(self._url), autocommit=True) as connection:
                    count_in_utc(connection)
                    self._drain_on(connection, stop)
                    return
            except psycopg.Error as error:  # a standby that only reads or a lost grant passes too
                self._tell_down(error)
                if stop.is_set():
                    return
            stop.wait(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)

    def drain(self, connection: Connection) -> list[DrainedSegment]:
        """Take every segment that is finished or has lost its writer; gives what became of them, in order."""
        drained = []
        for path in self._ready():
            with suppress(FileNotFoundError):  # another drainer was here first
                drained.append(self._drain_segment(connection, path))
        return drained

    def _drain_on(self, connection: Connection, stop: threading.Event) -> None:
        tidied = -math.inf
        while True:
            last = stop.is_set()
            drained = self.drain(connection)
            self._tell_up()
            if last and not drained:
                return
            if time.monotonic() - tidied > _TIDY_S:
                tidied = time.monotonic()
                forget_segments(connection, before=self._clock() - _REMEMBERED)
                forget_answers(connection, before=self._clock() - _REPEATED)
            if not drained:
                stop.wait(_PAUSE_S)

    def _ready(self) -> Iterator[Path]:
        """Finished segments, those of dead writers among them, in the order in which each writer wrote them."""
        for path in _files(self._folder, OPEN, NEW):
            with suppress(FileNotFoundError, BlockingIOError):
                # Looked at before it is locked: its writer, which is about to lock it, must not find it locked.
                if path.suffix == NEW and time.time() - path.stat().st_mtime <= _BORN_S:
                    continue
                with _locked(path):
                    _take(path)
        yield from _files(self._folder, SEALED)

    def _drain_segment(self, connection: Connection, path: Path) -> DrainedSegment:
        segment = read_segment(path.read_bytes())
        drained = DrainedSegment(
            segment=path.stem,
            drained_at=self._clock(),
            predictions=len(segment.predictions),
            lost=segment.lost,
            damage=segment.damage,
        )
        try:
            with connection.transaction():
                _prepare(connection, segment.predictions)
                if claim_segment(connection, drained):
                    log_predictions(connection, segment.predictions)
        except (psycopg.DataError, psycopg.IntegrityError, ValueError):
            drained = self._drain_singly(connection, path, segment, drained)
        if drained.damage:
            log.error(
                "segment is damaged",
                extra={"segment": path.name, "damage": drained.damage, "lost": drained.lost},
            )
            if not path.with_suffix(REJECTED).exists():
                _keep(path, DAMAGED)
        path.unlink(missing_ok=True)
        return drained

    def _drain_singly(
        self, connection: Connection, path: Path, segment: Segment, drained: DrainedSegment
    ) -> DrainedSegment:
        """Keep out what the log refuses, and only that; the file is kept under another name."""
        refused: list[str] = []
        with connection.transaction():
            _prepare(connection, segment.predictions)
            for prediction in segment.predictions:
                try:
                    with connection.transaction():
                        log_predictions(connection, [prediction])
                except psycopg.errors.UniqueViolation:  # it is in the log: nothing is lost
                    continue
                except (psycopg.DataError, psycopg.IntegrityError, ValueError) as error:
                    refused.append(f"{prediction.prediction_id}: {str(error).splitlines()[0]}")
            notes = [drained.damage] if drained.damage else []
            if refused:
                notes.append(f"the log refuses {len(refused)}, the first {refused[0]}")
                _keep(path, REJECTED)
            drained = replace(
                drained,
                predictions=len(segment.predictions) - len(refused),
                lost=segment.lost + len(refused),
                damage="; ".join(notes) or None,
            )
            if not claim_segment(connection, drained):
                raise psycopg.Rollback
        return drained

    def _tell_down(self, error: psycopg.Error) -> None:
        if not self._down:
            # What the server says has its context behind it; where it could not be reached, the last try says why.
            reason = error.diag.message_primary or str(error).strip().rpartition("\n")[2] or type(error).__name__
            log.error("PostgreSQL takes no predictions; they wait in the spool", extra={"reason": reason})
        self._down = True

    def _tell_up(self) -> None:
        if self._down:
            log.info("PostgreSQL takes predictions again")
        self._down, self._pause = False, _PAUSE_S


def _prepare(connection: Connection, predictions: Sequence[Prediction]) -> None:
    commit_durably(connection)  # the file goes away after it
    ensure_partitions(connection, sorted({p.scored_at.date() for p in predictions}))


def _take(path: Path) -> None:
    """Make a segment of what a dead writer left; one that was never ready answered nothing."""
    if path.suffix == NEW:
        path.unlink()
    else:
        path.rename(path.with_suffix(SEALED))


def _keep(path: Path, suffix: str) -> None:
    """Give a segment a second name, under which it stays; a full disk has no room for a copy."""
    kept = path.with_suffix(suffix)
    try:
        with suppress(FileExistsError):
            os.link(path, kept)
    except OSError:  # a file system without links
        kept.write_bytes(path.read_bytes())


def _files(folder: Path, *suffixes: str) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in suffixes)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a segment. Raises BlockingIOError while its writer lives."""
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)
