"""A party that never ends its answer costs a deliverer next to nothing."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from said import party, wait_until
from saying import Scene, scene_in


@dataclass
class Dripping:
    """A web server that sends a byte of its answer at a time until it is let go; then it hangs up."""

    url: str
    asked: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    """On loopback. No timeout of a socket ends such an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = Dripping(f"json://127.0.0.1:{server.getsockname()[1]}")

        def drip(line: socket.socket) -> None:
            with line:
                line.recv(65_536)
                line.sendall(b"HTTP/1.1 ")
                while not told.let_go.wait(0.05):
                    line.sendall(b"x")

        def serve() -> None:
            while not told.let_go.is_set():
                line, _ = server.accept()
                told.asked += 1
                threading.Thread(target=drip, args=(line,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield told
        told.let_go.set()
        wait_until(lambda: not hanging("drip"))


def hanging(channel: str) -> int:
    """Threads at work for a channel."""
    return sum(thread.name == f"alerts-{channel}" for thread in threading.enumerate())


@pytest.fixture
def scene(tmp_path: Path, database: str) -> Scene:
    """A project with no channel."""
    return scene_in(tmp_path, database)


def connections(scene: Scene) -> int:
    """Of others to the project's database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(scene.rows(query)[0][0])


def test_nobody_holds_a_connection_while_a_party_takes_its_time(scene: Scene, dripping: Dripping) -> None:
    """A team's PostgreSQL has a hundred of them, for everybody."""
    scene.told_by(drip=dripping.url)
    scene.rule(timeout_s=0.2)
    scene.say({"error rate": "red"})
    assert scene.deliver() == []
    assert hanging("drip") == 1
    wait_until(lambda: connections(scene) == 0, 5)


def test_a_party_that_drips_for_ever_does_not_pile_up_threads(scene: Scene, dripping: Dripping) -> None:
    """A worker that delivers each minute would have 288 more a day; the other channel is told as if nothing were."""
    with party() as quick:
        scene.told_by(drip=dripping.url, quick=quick.url)
        scene.rule(timeout_s=0.2, attempts=100)
        scene.say({"error rate": "red"})
        for _ in range(8):
            scene.deliver(later=timedelta(hours=1))
        assert hanging("drip") == dripping.asked == 3
        assert len(quick.taken) == 1


def test_a_party_that_has_come_to_its_senses_is_told(scene: Scene, dripping: Dripping) -> None:
    """Threads that hang no longer do not count."""
    scene.told_by(drip=dripping.url)
    scene.rule(timeout_s=0.2)
    scene.say({"error rate": "red"})
    for _ in range(4):
        scene.deliver(later=timedelta(hours=1))
    dripping.let_go.set()
    wait_until(lambda: not hanging("drip"))
    with party() as well:
        scene.told_by(drip=well.url)
        assert scene.deliver(later=timedelta(hours=2)) == ["drip: lead-scoring: red: error rate"]
