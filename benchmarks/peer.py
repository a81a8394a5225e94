"""Other servers, for comparison: ASGI applications from the folder ``peers``, each alone on the core of ours."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Peer:
    """A server that was started, and may not be ready yet."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path


def uvicorn(application: str, http: str = "httptools", loop: str = "uvloop") -> list[str]:
    """The server that ours is built on; by default with the same settings."""
    options = ["--http", http, "--loop", loop, "--no-access-log", "--log-level", "error"]
    return ["uvicorn", f"{application}:app", *options]


def granian(application: str) -> list[str]:
    """The other one."""
    options = ["--interface", "asgi", "--loop", "uvloop", "--no-access-log", "--log-level", "error"]
    return ["granian", f"{application}:app", *options]


@contextmanager
def peer(name: str, folder: Path, server: Sequence[str]) -> Iterator[Peer]:
    """Start a server for the project in ``folder``; several may start side by side."""
    port = _free_port()
    command = ["taskset", "-c", "0", sys.executable, "-m", *server, "--port", str(port)]
    log = folder / f"{name}.log"
    with log.open("w") as output:
        environment = {**os.environ, "BENCH_PROJECT": str(folder), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, cwd=PEERS, stdout=output, stderr=output, env=environment)
    try:
        yield Peer(port, process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_ready(peer: Peer) -> None:
    """Wait until it answers a request, whatever the answer. Raises SystemExit with its last words."""
    deadline = time.monotonic() + 90
    while not _answers(peer.port):
        if peer.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{peer.log.stem} did not start: {peer.log.read_text()[-2_000:]}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
            return bool(probe.recv(1))
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
