"""What a worker does beside its answers goes on whatever fails, and takes nothing of their time."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uuid_utils

from leadgate.records import Prediction
from leadgate.scoring import spool as spooling
from leadgate.scoring import worker
from leadgate.scoring.drainer import SpoolState
from leadgate.scoring.plan import Limits
from leadgate.scoring.spool import Spool
from leadgate.scoring.worker import _Server


def prediction() -> Prediction:
    """A prediction that is like no other."""
    return Prediction(
        prediction_id=str(uuid_utils.uuid7()),
        lead_id="L-1",
        scored_at=datetime(2026, 6, 2, 12, tzinfo=UTC),
        model_name="leads",
        model_version="1",
        variant="champion",
        predicted_score=0.5,
        priority="low",
        features=b"{}",
        latency_ms=0.1,
        batch_size=1,
        request_id="r",
        route_epoch=1,
    )


def sealed(folder: Path) -> list[Path]:
    """Segments that were handed over."""
    return sorted(folder.glob("*.seg"))


def server(spool: Any) -> Any:
    """Of a worker, what its tasks beside the answers need."""
    return SimpleNamespace(
        _plan=SimpleNamespace(limits=Limits()),
        _service=SimpleNamespace(spool=spool),
        _uvicorn=SimpleNamespace(server_state=SimpleNamespace(connections=set())),
    )


def test_who_called_is_who_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages believe a login proxy by its address: no caller, on this machine either, may claim to be at another."""
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["client"])

    monkeypatch.setattr(worker, "App", lambda *_: app)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    plan: Any = SimpleNamespace(pages=None, traces=False)
    service: Any = SimpleNamespace(log=SimpleNamespace(alive=None))
    made: Any = _Server(service, Any, SimpleNamespace(project="p", desk=None), plan, "")  # type: ignore[arg-type]
    config = made._uvicorn.config
    config.load()
    headers = [(b"x-forwarded-for", b"10.0.0.5"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": headers, "scheme": "http"}
    asyncio.run(config.loaded_app(scope, None, None))
    assert seen == [("127.0.0.1", 1)]


def test_a_bad_turn_ends_no_others(caplog: pytest.LogCaptureFixture) -> None:
    """A disk that cannot be looked at once, say; segments are still handed over after it."""

    async def test() -> None:
        turns: list[str] = []

        def tick() -> None:
            turns.append("tick")
            if len(turns) == 1:
                raise OSError("the disk is away")

        recorder: Any = SimpleNamespace(tick=lambda: turns.append("recorder"))
        ticking = asyncio.ensure_future(_Server._tick(server(SimpleNamespace(tick=tick)), recorder))
        while turns.count("recorder") < 2:
            assert not ticking.done()
            await asyncio.sleep(0.01)
        ticking.cancel()
        assert turns[:3] == ["tick", "tick", "recorder"]
        assert "tick failed" in caplog.text

    asyncio.run(test())


def test_a_spool_that_takes_long_to_list_stops_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour without a database is thousands of files; they are counted in a thread, by every look and every wait."""

    async def test() -> None:
        threads: set[threading.Thread] = set()

        def slow(folder: Path) -> SpoolState:
            threads.add(threading.current_thread())
            return SpoolState(segments=1, size=2, lag_s=3.0, kept=4)

        listing = Path.iterdir

        def watched(path: Path) -> Any:
            threads.add(threading.current_thread())
            return listing(path)

        told = asyncio.Queue[SpoolState]()
        spool = Spool(tmp_path, disk_share=1.0)
        monkeypatch.setattr("leadgate.scoring.worker.spool_state", slow)
        monkeypatch.setattr("leadgate.scoring.worker._LOOK_S", 0.01)
        monkeypatch.setattr(Path, "iterdir", watched)
        made = server(spool)
        made._measure = told.put_nowait
        looking = asyncio.ensure_future(_Server._look(made))
        assert await spool.settle(5)
        assert (await asyncio.wait_for(told.get(), 5)).lag_s == 3.0
        looking.cancel()
        assert threading.main_thread() not in threads
        assert threads

    asyncio.run(test())


def test_an_outage_is_few_large_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is drained, segments are handed over a hundred times an hour, not thousands of times."""

    async def test() -> None:
        now = [0.0]
        monkeypatch.setattr(spooling, "time", SimpleNamespace(monotonic=lambda: now[0]))
        spool = Spool(tmp_path, disk_share=1.0)

        async def an_hour() -> int:
            before = len(sealed(tmp_path))
            for _ in range(3_600):
                now[0] += 1.0
                await spool.append((prediction(),))
                spool.sealed = spool.count_sealed()
                spool.tick()
            return len(sealed(tmp_path)) - before

        assert await an_hour() < 200
        for path in sealed(tmp_path):  # the database is back
            path.unlink()
        spool.sealed = spool.count_sealed()
        now[0] += 1.0
        await spool.append((prediction(),))
        spool.tick()
        assert len(sealed(tmp_path)) == 1, "the log is half a second behind the answers again"
        await spool.close()

    asyncio.run(test())


def test_segments_of_others_do_not_slow_a_worker_s_own(tmp_path: Path) -> None:
    """Many workers share a spool: only what a worker itself waits for says that the drainer is behind."""

    async def test() -> None:
        first, second = Spool(tmp_path, disk_share=1.0), Spool(tmp_path, disk_share=1.0)
        for _ in range(3):
            await first.append((prediction(),))
            first.seal()
        assert (first.count_sealed(), second.count_sealed()) == (3, 0)
        await first.close()

    asyncio.run(test())
