"""The spool: what may be answered is written, what cannot be written is refused, and nothing is written twice."""

import asyncio
import errno
import fcntl
import os
import shutil
import stat
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_segments import prediction

from leadgate.records import Prediction
from leadgate.scoring import spool as spool_module
from leadgate.scoring.segments import HEADER_BYTES, Segment, read_segment
from leadgate.scoring.spool import OPEN, SEALED, Spool, SpoolFullError


class Usage(NamedTuple):
    """What shutil.disk_usage gives."""

    total: int
    used: int
    free: int


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the operating system was asked to write or to wait for the disk."""
    counts: Counter[str] = Counter()
    for name in ("pwrite", "fdatasync"):
        real = getattr(os, name)

        def counted(*arguments: Any, real: Callable[..., Any] = real, name: str = name) -> Any:
            counts[name] += 1
            return real(*arguments)

        monkeypatch.setattr(os, name, counted)
    return counts


def fail_next_write(monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> None:
    """Let the next write take ``after`` bytes and the one after that fail: the disk is full."""
    real = os.pwrite
    left = iter([after] if after else [])

    def full(file: int, data: bytes, offset: int) -> int:
        if (some := next(left, None)) is not None:
            return real(file, data[:some], offset)
        monkeypatch.setattr(os, "pwrite", real)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine in a loop of its own."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def segments(folder: Path, suffix: str = SEALED) -> list[Segment]:
    """What the segments in a folder hold, in order."""
    return [read_segment(path.read_bytes()) for path in sorted(folder.glob(f"*{suffix}"))]


def written(folder: Path, suffix: str = SEALED) -> list[Prediction]:
    """Every prediction in them; they must be whole."""
    found = segments(folder, suffix)
    assert not [s.damage for s in found if s.damage or s.lost]
    return [p for s in found for p in s.predictions]


def test_all_requests_of_a_turn_share_a_write(tmp_path: Path, writes: Counter[str]) -> None:
    """Requests that are ready in the same turn of the loop are answered after one write for all of them."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        before = writes["pwrite"]
        futures = [spool.append([prediction(i), prediction(i + 1)]) for i in range(1, 200, 2)]
        assert len(set(map(id, futures))) == 1
        await asyncio.gather(*futures)
        assert writes["pwrite"] == before + 1
        assert spool.written == 201
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(i) for i in range(201)]


def test_an_answer_is_in_the_file_before_it_is_given(tmp_path: Path) -> None:
    """When the future is done, another process that reads the file finds the prediction committed."""

    async def test() -> None:
        spool = Spool(tmp_path)
        for i in range(5):
            future = spool.append([prediction(i)])
            assert not future.done()
            await future
            assert written(tmp_path, OPEN) == [prediction(j) for j in range(i + 1)]

    run(test)


@pytest.mark.parametrize("durability", ("process", "power"))
def test_replies_come_after_the_write_and_in_order(tmp_path: Path, writes: Counter[str], durability: Any) -> None:
    """Requests without a future share the write of those with one, and are told in the order in which they came."""
    told: list[tuple[int, object, int]] = []

    async def test() -> None:
        spool = Spool(tmp_path, durability)
        await spool.append([prediction(0)])
        before = writes["pwrite"]

        def reply(number: int) -> Callable[[SpoolFullError | None], None]:
            return lambda error: told.append((number, error, len(written(tmp_path, OPEN))))

        for i in range(1, 9):
            spool.put([prediction(i)], reply(i))
        await spool.append([prediction(9)])
        assert writes["pwrite"] == before + 1
        await spool.close()

    run(test)
    assert told == [(i, None, 10) for i in range(1, 9)]


def test_a_reply_that_fails_does_not_keep_the_others_from_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller's connection may be in any state, also when the write fails."""
    told: list[object] = []

    def broken(_: object) -> None:
        raise RuntimeError("the connection is gone")

    async def test() -> None:
        spool = Spool(tmp_path)
        spool.put([prediction(0)], broken)
        spool.put([prediction(1)], told.append)
        await spool.append([prediction(2)])
        fail_next_write(monkeypatch)
        spool.put([prediction(3)], broken)
        spool.put([prediction(4)], told.append)
        with pytest.raises(SpoolFullError):
            await spool.append([prediction(5)])
        await spool.close()

    run(test)
    assert [type(error) for error in told] == [type(None), SpoolFullError]
    assert written(tmp_path) == [prediction(i) for i in range(3)]


@pytest.mark.parametrize("after", (0, 1, 300))
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """All requests of the write are refused, none is in the segment, and the next write takes its place."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        size = size_of(tmp_path)
        fail_next_write(monkeypatch, after=after)
        refused = [spool.append([prediction(i)]) for i in range(1, 4)]
        results = await asyncio.gather(*refused, return_exceptions=True)
        assert [type(r) for r in results] == [SpoolFullError] * 3
        assert str(tmp_path) in str(results[0])
        assert "No space left" in str(results[0])
        assert written(tmp_path, OPEN) == [prediction(0)]
        await spool.append([prediction(4)])
        assert written(tmp_path, OPEN) == [prediction(0), prediction(4)]
        assert (spool.written, spool.full) == (2, None)
        await spool.close()
        assert (
            size_of(tmp_path) - size == size - HEADER_BYTES
        )  # of equal records: the second lies where the first ended

    run(test)
    assert written(tmp_path) == [prediction(0), prediction(4)]


def test_a_segment_that_cannot_be_opened_is_refused_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first write of a segment is its header; when that fails, no file is left and the next request succeeds."""

    async def test() -> None:
        spool = Spool(tmp_path)
        fail_next_write(monkeypatch)
        with pytest.raises(SpoolFullError):
            await spool.append([prediction(0)])
        assert names(tmp_path) == []
        await spool.append([prediction(1)])
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(1)]


def test_a_caller_that_went_away_does_not_disturb_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled request, and one nobody waits for when its write fails, leave the spool at work."""

    async def test() -> None:
        spool = Spool(tmp_path)
        waiting = asyncio.ensure_future(wait(spool, prediction(0)))
        await asyncio.sleep(0)
        waiting.cancel()
        fail_next_write(monkeypatch)
        spool.append([prediction(1)])
        await asyncio.sleep(0.01)
        await spool.append([prediction(2)])
        await spool.close()

    run(test)
    assert prediction(2) in written(tmp_path)


async def wait(spool: Spool, one: Prediction) -> None:
    """A request of one lead."""
    await spool.append([one])


def test_a_segment_is_handed_over_when_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick seals what is older than the lag that is allowed, and leaves a younger one open."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        spool.tick()
        assert segments(tmp_path) == []
        monkeypatch.setattr(spool_module, "SEAL_AFTER_S", 0.0)
        spool.tick()
        assert written(tmp_path) == [prediction(0)]
        assert segments(tmp_path, OPEN) == []
        await spool.append([prediction(1)])
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(0), prediction(1)]


def test_a_segment_is_handed_over_when_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment grows by at most one write beyond the limit."""
    monkeypatch.setattr(spool_module, "SEAL_BYTES", 2_000)

    async def test() -> None:
        spool = Spool(tmp_path)
        for i in range(100):
            await spool.append([prediction(i)])
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(i) for i in range(100)]
    assert all(path.stat().st_size < 2_400 for path in tmp_path.iterdir())
    assert len(segments(tmp_path)) > 5


@pytest.mark.parametrize("durability", ("process", "power"))
def test_sealing_between_two_writes_loses_nothing(tmp_path: Path, durability: Any) -> None:
    """A seal that is asked for while requests wait, or while the disk is waited for, comes after them."""

    async def test() -> None:
        spool = Spool(tmp_path, durability)
        for i in range(50):
            future = spool.append([prediction(2 * i)])
            if i % 2:
                await asyncio.sleep(0)
            spool.seal()
            other = spool.append([prediction(2 * i + 1)])
            await asyncio.gather(future, other)
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(i) for i in range(100)]
    assert all(name.endswith(SEALED) for name in names(tmp_path))


def test_the_lock_tells_whether_the_writer_lives(tmp_path: Path) -> None:
    """An open segment cannot be locked by anybody else, a sealed one can."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        assert not can_lock(the_only(tmp_path, OPEN))
        await spool.close()
        assert can_lock(the_only(tmp_path, SEALED))

    run(test)


def test_settling_waits_for_the_drainer(tmp_path: Path) -> None:
    """It is over when the segments of its beginning are gone; later ones do not hold it up."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        assert not await spool.settle(0.05)
        settling = asyncio.ensure_future(spool.settle(10))
        await asyncio.sleep(0.05)
        await spool.append([prediction(1)])
        assert not settling.done()
        the_only(tmp_path, SEALED).unlink()
        assert await settling
        assert written(tmp_path, OPEN) == [prediction(1)]
        await spool.close()

    run(test)


def test_power_waits_for_the_disk_before_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: Counter[str]
) -> None:
    """With durability "power" no future is done before fdatasync has returned; what comes meanwhile shares the next."""
    events: list[str] = []
    real = os.fdatasync

    def slow(file: int) -> None:
        events.append("sync begins")
        real(file)
        events.append("sync ends")

    monkeypatch.setattr(os, "fdatasync", slow)

    async def test() -> None:
        spool = Spool(tmp_path, "power")
        first = spool.append([prediction(0)])
        first.add_done_callback(lambda _: events.append("first answered"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [spool.append([prediction(i)]) for i in range(1, 20)]
        rest[0].add_done_callback(lambda _: events.append("rest answered"))
        await asyncio.gather(first, *rest)
        await asyncio.sleep(0)
        await spool.close()

    run(test)
    ends = [i for i, event in enumerate(events) if event == "sync ends"]
    assert events.index("first answered") > ends[0]
    assert events.index("rest answered") > ends[1]
    assert writes["fdatasync"] == 2
    assert written(tmp_path) == [prediction(i) for i in range(20)]


def test_process_does_not_wait_for_the_disk(tmp_path: Path, writes: Counter[str]) -> None:
    """The page cache survives the process; waiting for the disk is what "power" pays for."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        await spool.close()

    run(test)
    assert writes["fdatasync"] == 0


def test_power_knows_the_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name is not on the disk is lost with its contents: the folder is synced before the first answer."""
    synced: list[bool] = []
    real = os.fsync

    def noted(file: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(file).st_mode))
        real(file)

    monkeypatch.setattr(os, "fsync", noted)

    async def test() -> None:
        spool = Spool(tmp_path, "power")
        await spool.append([prediction(0)])
        assert synced == [True]
        await spool.append([prediction(1)])
        assert synced == [True]
        await spool.close()

    run(test)


def test_a_disk_that_fails_to_keep_its_word_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When fdatasync fails the requests are refused and not in the segment; later ones go to a new one."""

    async def test() -> None:
        spool = Spool(tmp_path, "power")
        await spool.append([prediction(0)])
        real = os.fdatasync

        def broken(_: int) -> None:
            monkeypatch.setattr(os, "fdatasync", real)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fdatasync", broken)
        with pytest.raises(SpoolFullError, match="Input/output error"):
            await spool.append([prediction(1)])
        await spool.append([prediction(2)])
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(0), prediction(2)]
    assert len(segments(tmp_path)) == 2


def test_a_disk_above_its_share_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the share predictions are refused at once, with the reason; below it they are taken again."""
    free = 100
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_000, 1_000 - free, free))

    async def test() -> None:
        nonlocal free
        spool = Spool(tmp_path, disk_share=0.9)
        spool.tick()
        await spool.append([prediction(0)])
        free = 99
        spool.tick()
        with pytest.raises(SpoolFullError, match=r"90\.1% full, above the limit of 90%"):
            spool.append([prediction(1)])
        free = 100
        spool.tick()
        await spool.append([prediction(2)])
        await spool.close()

    run(test)
    assert written(tmp_path) == [prediction(0), prediction(2)]


def test_a_segment_that_cannot_be_renamed_is_left_to_the_drainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealing must not end the ticks: the segment loses its lock, as if its writer had died, and a new one begins."""

    async def test() -> None:
        spool = Spool(tmp_path)
        await spool.append([prediction(0)])
        with monkeypatch.context() as broken:
            broken.setattr(Path, "rename", refuse)
            spool.seal()
        assert can_lock(the_only(tmp_path, OPEN))
        await spool.append([prediction(1)])
        await spool.close()

    run(test)
    assert written(tmp_path, OPEN) == [prediction(0)]
    assert written(tmp_path) == [prediction(1)]


def refuse(*_: object) -> Any:
    """Stand in for a file operation that the disk refuses."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def the_only(folder: Path, suffix: str) -> Path:
    """The one segment of a kind."""
    (path,) = folder.glob(f"*{suffix}")
    return path


def can_lock(path: Path) -> bool:
    """Whether another opening of the file gets the lock."""
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def size_of(folder: Path) -> int:
    """Bytes of the one segment there."""
    (path,) = folder.iterdir()
    return path.stat().st_size
