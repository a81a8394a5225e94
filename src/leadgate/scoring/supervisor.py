"""Starts workers, the drainer and what is beside them, starts anew what dies, and stops them in order."""

import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from leadgate.errors import RefusedError

_LOOK_S = 0.2
_START_S = 60.0
_STOP_S = 40.0
"""Longer than a worker gives its requests to finish."""
_DRAIN_S = 20.0
_LONGEST_PAUSE_S = 30.0

log = logging.getLogger("leadgate.supervisor")

Command = Callable[[int], Sequence[str]]
"""The command line of a child, given the file descriptor on which it says that it is ready."""


@dataclass
class _Child:
    name: str
    command: Command
    pass_fds: tuple[int, ...]
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    failures: int = 0
    not_before: float = field(default=0.0)

    def start(self) -> int:
        """Start it; gives the file descriptor on which it will say that it is ready."""
        listen, tell = os.pipe()
        try:
            self.process = subprocess.Popen(
                self.command(tell),
                stdin=subprocess.PIPE,  # closes when this process dies, however it dies
                pass_fds=(*self.pass_fds, tell),
                env={**os.environ, **self.environment},
                start_new_session=True,  # Ctrl-C in a terminal is for the supervisor alone
            )
        finally:
            os.close(tell)
        self.started = time.monotonic()
        return listen

    def stop(self, patience: float) -> None:
        """Ask it to end, and end it if it does not."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            log.warning("child does not end; killed", extra={"child": self.name})
            self.process.kill()
            self.process.wait()


class Supervisor:
    """The processes of one ``leadgate serve``."""

    def __init__(self, look_after: Callable[[], None], environment: dict[str, str]) -> None:
        """``look_after`` is called now and then, to keep alive what else the service needs.

        ``environment``: variables that every process gets beside those of this one.
        """
        self._environment = environment
        self._look_after = look_after
        self._workers: list[_Child] = []
        self._drainer: _Child | None = None
        self._beside: list[_Child] = []
        self._stopping = False

    def start(
        self, workers: Sequence[Command], drainer: Command, listener: socket.socket, beside: Mapping[str, Command]
    ) -> None:
        """Start all and wait until they are ready. Raises RefusedError with a child's own reason when one is not.

        Nobody waits for those ``beside`` them, by name: leads are scored without them.
        """
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._workers = [
            _Child(f"worker {i}", c, (listener.fileno(),), self._environment) for i, c in enumerate(workers)
        ]
        self._drainer = _Child("drainer", drainer, (), self._environment)
        pipes = [child.start() for child in (*self._workers, self._drainer)]
        for pipe in pipes:
            _wait_ready(pipe)
        self._beside = [_Child(name, command, (), self._environment) for name, command in beside.items()]
        for child in self._beside:
            os.close(child.start())

    def run(self) -> None:
        """Keep them running until SIGTERM or SIGINT."""
        looked = time.monotonic()
        while not self._stopping:
            time.sleep(_LOOK_S)
            if time.monotonic() - looked > 1.0:
                self._look_after()
                looked = time.monotonic()
            for child in self._children():
                if not self._stopping:
                    _revive(child)

    def stop(self) -> None:
        """Workers first, so that what they wrote is whole; then the drainer, which takes it all.

        Commands of desks that still run come to their end without the process that forked them.
        """
        for child in (*self._workers, *self._beside):
            if child.process is not None:
                child.process.terminate()
        deadline = time.monotonic() + _STOP_S
        for child in self._workers:
            child.stop(max(1.0, deadline - time.monotonic()))
        if self._drainer is not None:
            if self._drainer.process is None or self._drainer.process.poll() is not None:
                with suppress(RefusedError):
                    _wait_ready(self._drainer.start())
            self._drainer.stop(_DRAIN_S)
        for child in self._beside:
            child.stop(1.0)

    def _children(self) -> list[_Child]:
        return [*self._workers, *([self._drainer] if self._drainer else []), *self._beside]

    def _on_signal(self, *_: object) -> None:
        self._stopping = True


def _revive(child: _Child) -> None:
    """Start a child anew that has died; one that dies again and again is given longer and longer pauses."""
    assert child.process is not None
    code = child.process.poll()
    now = time.monotonic()
    if code is None:
        if child.failures and now - child.started > 10:  # noqa: PLR2004
            child.failures = 0
        return
    if not child.not_before:
        child.failures += 1
        child.not_before = now + _pause(child.failures)
        log.error("child has died", extra={"child": child.name, "exit_code": code, "failures": child.failures})
    if now >= child.not_before:
        child.not_before = 0.0
        with suppress(OSError):
            os.close(child.start())


def _pause(failures: int) -> float:
    """Seconds until a child that has died so many times in a row is started anew."""
    return 0.0 if failures == 1 else min(_LONGEST_PAUSE_S, 0.5 * 2 ** min(failures, 10))


def _wait_ready(pipe: int) -> None:
    """Wait for a child's word. Raises RefusedError with what it says when that is not "ready"."""
    word = b""
    deadline = time.monotonic() + _START_S
    try:
        while time.monotonic() < deadline:
            if select.select([pipe], [], [], 0.5)[0]:
                part = os.read(pipe, 4_096)
                if not part:
                    break
                word += part
        if word != b"ready":
            raise RefusedError(word.decode(errors="replace") or "A process of the service ended as it started.")
    finally:
        os.close(pipe)
