"""The spool: a prediction is written here before it is answered, and found here after any crash.

One worker writes one segment at a time, ``<worker>-<number>.open``, and holds a lock on it while it lives: a segment
that can be locked has lost its writer. A finished segment is renamed to ``.seg``; the drainer takes those. Predictions
of all requests of one turn of the event loop are written together.
"""

import asyncio
import fcntl
import logging
import mmap
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uuid_utils

from leadgate.records import Prediction
from leadgate.scoring.plan import Durability
from leadgate.scoring.segments import HEADER_BYTES, encode_header, encode_record

OPEN, SEALED, NEW = ".open", ".seg", ".new"

SEAL_AFTER_S = 0.5
"""Age at which a segment is handed to the drainer: the lag of the log behind the answers."""
SEAL_BEHIND_S = 30.0
"""The same while the drainer is behind: an hour without a database is to be a hundred files, not thousands."""
SEAL_BYTES = 8 * 1024 * 1024
_BEHIND = 16
"""Segments of one worker that wait; above as many, the drainer is behind."""

log = logging.getLogger("leadgate.scoring")


class SpoolFullError(Exception):
    """A prediction cannot be written, so it must not be answered."""


Done = Callable[[SpoolFullError | None], None]
"""Called when a request's predictions are written, or cannot be."""


class Spool:
    """The spool of one worker. Everything runs in the event loop's thread, but the wait for the disk."""

    def __init__(self, folder: Path, durability: Durability = "process", *, disk_share: float = 0.95) -> None:
        """``disk_share``: no predictions are taken while more of the disk is used than this."""
        self.folder = folder
        self.durability = durability
        self.disk_share = disk_share
        self.full: str | None = None
        """Why nothing is taken now; None when all is well."""
        self.written = 0
        """Predictions since the start."""
        self.sealed = 0
        """Finished segments that wait for the drainer, as they were last counted."""
        self._name = uuid_utils.uuid7().hex
        self._number = 0
        self._segment: _OpenSegment | None = None
        self._waiting: list[Sequence[Prediction]] = []
        self._group: _Group | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._seal_wanted = False

    def append(self, predictions: Sequence[Prediction]) -> "asyncio.Future[None]":
        """Take the predictions of one request; they may be answered once the future is done.

        The future raises SpoolFullError, and then nothing of them is in the spool. All appends of one turn of the event
        loop share a future and a write.
        """
        return self._join(predictions).future

    def put(self, predictions: Sequence[Prediction], done: Done) -> None:
        """The same without a future: ``done`` is called with None, or with the error, in the order of the puts.

        Raises SpoolFullError when nothing is taken now.
        """
        self._join(predictions).replies.append(done)

    def _join(self, predictions: Sequence[Prediction]) -> "_Group":
        if self.full:
            raise SpoolFullError(self.full)
        self._waiting.append(predictions)
        group = self._group
        if group is None:
            loop = asyncio.get_running_loop()
            group = self._group = _Group(loop.create_future())
            if self._syncing is None:
                loop.call_soon(self._write_group)
        return group

    def tick(self) -> None:
        """Look after the disk and the age of the segment; called a few times a second."""
        self._look_at_disk()
        if self._segment and self._segment.age > (SEAL_AFTER_S if self.sealed <= _BEHIND else SEAL_BEHIND_S):
            self.seal()

    def count_sealed(self) -> int:
        """Finished segments of this worker that wait for the drainer. Lists the folder, so it belongs in a thread."""
        return sum(path.suffix == SEALED and path.stem.startswith(self._name) for path in self.folder.iterdir())

    def seal(self) -> None:
        """Hand the segment to the drainer, now or after the write that is under way; the next write opens another."""
        if self._group is not None or self._syncing is not None:
            self._seal_wanted = True
        elif self._segment is not None:
            segment, self._segment, self._seal_wanted = self._segment, None, False
            segment.seal()

    async def close(self) -> None:
        """Write what waits and hand over the last segment."""
        while (pending := self._group.future if self._group else self._syncing) is not None:
            await asyncio.wait([pending])
        self.seal()

    async def settle(self, patience_s: float) -> bool:
        """Wait until every segment that exists now is in the log; False when that takes longer than ``patience_s``."""
        self.seal()
        deadline = time.monotonic() + patience_s
        waiting = await asyncio.to_thread(self._segments)
        while waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            waiting &= await asyncio.to_thread(self._segments)
        return not waiting

    def _segments(self) -> set[str]:
        return {path.stem for path in self.folder.iterdir() if path.suffix in (OPEN, SEALED)}

    def _write_group(self) -> None:
        """Write everything that waits, and let it be answered."""
        group, self._group = self._group, None
        waiting, self._waiting = self._waiting, []
        assert group is not None
        try:
            if self._segment is None:
                self._number += 1
                self._segment = _OpenSegment(self.folder, f"{self._name}-{self._number:010d}")
            count = self._segment.write(waiting)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must be told
            self._fail(group, error)
            return
        if self.durability == "power":
            self._sync(group, self._segment, count)
            return
        self.written += count
        group.tell(None)
        if self._seal_wanted or self._segment.size > SEAL_BYTES:
            self.seal()

    def _sync(self, group: "_Group", segment: "_OpenSegment", count: int) -> None:
        """Wait for the disk in a thread; what arrives meanwhile is the next group."""
        loop = asyncio.get_running_loop()
        self._syncing = loop.run_in_executor(None, segment.sync)

        def done(result: "asyncio.Future[None]") -> None:
            self._syncing = None
            error = result.exception()
            if error is None:
                self.written += count
                group.tell(None)
            else:
                segment.take_back()
                self._fail(group, error)
            # What a disk has of a file after a failed sync is unknown; the next write goes to another one.
            if error is not None or self._seal_wanted or segment.size > SEAL_BYTES:
                self._segment, self._seal_wanted = None, False
                segment.seal()
            if self._group is not None:
                self._write_group()

        self._syncing.add_done_callback(done)

    def _fail(self, group: "_Group", error: BaseException) -> None:
        group.tell(SpoolFullError(_sentence(self.folder, error)))
        self._look_at_disk()

    def _look_at_disk(self) -> None:
        self.full = None
        with suppress(OSError):
            disk = shutil.disk_usage(self.folder)
            used = 1 - disk.free / disk.total
            if used > self.disk_share:
                self.full = (
                    f"The disk of the spool ({self.folder}) is {used:.1%} full, above the limit of "
                    f"{self.disk_share:.0%}; free some of it."
                )


class _Group:
    """The requests that are written together."""

    __slots__ = ("future", "replies")

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self.future = future
        self.replies: list[Done] = []

    def tell(self, error: SpoolFullError | None) -> None:
        """Let them go on."""
        for reply in self.replies:
            try:
                reply(error)
            except Exception:  # one caller's connection must not keep the others from their answers
                log.exception("reply failed")
        if self.future.done():  # at a forced stop its requests may have been cancelled
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)
            self.future.exception()  # a caller that has gone away must not make a warning


class _OpenSegment:
    """The segment that is being written."""

    def __init__(self, folder: Path, name: str) -> None:
        self.predictions = 0
        self.size = HEADER_BYTES
        self._before = (0, HEADER_BYTES)
        self._named = False
        self._since = time.monotonic()
        self._path = folder / (name + OPEN)
        new = folder / (name + NEW)
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(self._file, encode_header(0, HEADER_BYTES).ljust(HEADER_BYTES, b"\0"), 0)
            self._header = mmap.mmap(self._file, HEADER_BYTES)
            new.rename(self._path)  # only now can anybody take it for a segment without a writer
        except BaseException:
            os.close(self._file)
            new.unlink(missing_ok=True)
            raise

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._since

    def write(self, requests: Sequence[Sequence[Prediction]]) -> int:
        """Append the predictions of many requests, all or none; gives their number.

        A write that failed half-way leaves bytes that the next one writes over.
        """
        records, total = [], self.predictions
        for predictions in requests:
            records.append(encode_record(predictions, total))
            total += len(predictions)
        data = b"".join(records)
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:] if written else data, self.size + written)
        self._before = self.predictions, self.size
        self._commit(total, self.size + len(data))
        return total - self._before[0]

    def take_back(self) -> None:
        """Undo the last write: it will not be answered."""
        self._commit(*self._before)

    def sync(self) -> None:
        """Wait until the disk has it; the header too, which is a mapped page of the same file, and the file's name."""
        os.fdatasync(self._file)
        if not self._named:
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._named = True

    def seal(self) -> None:
        """Give it to the drainer; an empty one is removed.

        When that fails it loses its lock all the same, and the drainer takes it like that of a dead writer.
        """
        try:
            os.ftruncate(self._file, self.size)
            if self.predictions:
                self._path.rename(self._path.with_suffix(SEALED))
            else:
                self._path.unlink()
        except OSError as error:
            log.error("segment cannot be handed over", extra={"segment": self._path.name, "reason": str(error)})  # noqa: TRY400
        finally:
            self._header.close()
            os.close(self._file)

    def _commit(self, predictions: int, size: int) -> None:
        self.predictions, self.size = predictions, size
        header = encode_header(predictions, size)
        self._header[: len(header)] = header


def _sentence(folder: Path, error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) else repr(error)
    return f"The spool ({folder}) cannot be written: {reason}."
