"""A process that has slow libraries in its memory, and forks itself for each command that a desk asks for.

Who asks connects and hears that somebody is there, asks, and reads what the command said and how it ended. Who hangs up
ends the command. Each command has a process that minds it, so the death of the one that forks harms none.
"""

import gc
import importlib
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector

import msgspec

READY = b"ready\n"
"""Said to who connects; before it nothing was asked, so nothing can have begun."""
_LOOK_S = 0.02
_PART = 65_536


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command, as a line of JSON."""

    arguments: tuple[str, ...]
    """After `leadgate`."""
    by: str | None
    """Who acts; None: whoever runs the service."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended, as a line of JSON; what it said and what it complained of follow as they are."""

    code: int
    """Its exit code; below zero the signal that ended it."""
    said: int
    """Bytes."""
    complaint: int
    """Bytes."""


def fork_for_callers(listener: socket.socket, modules: Sequence[str]) -> Asked | None:
    """Fork for each caller, until standard input ends; gives in a fork what it is asked to be, and None at the end.

    The modules are imported from the first call on, one by one while nobody waits: a service that nobody asks for an
    act keeps its memory small, and the first command begins at once.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that mind a command
    imports = _imports(modules)
    more = False
    while True:
        ready = select.select([listener.fileno(), 0], [], [], 0 if more else None)[0]
        if 0 in ready and not os.read(0, 1_024):
            return None
        if listener.fileno() in ready:
            asked = _fork(listener)
            if asked is not None:
                return asked
            more = True
        elif more:
            more = next(imports, None) is not None


def _imports(modules: Sequence[str]) -> Iterator[str]:
    """Import them, one at a time."""
    for name in modules:
        importlib.import_module(name)
        yield name
    gc.collect()
    gc.freeze()  # a collection in a fork would write to the memory that it shares


def _fork(listener: socket.socket) -> Asked | None:
    """Let a fork mind the next caller; gives something in the command alone."""
    try:
        connection, _ = listener.accept()
    except OSError:  # gone again
        return None
    with connection:
        if threading.active_count() > 1:  # a lock that another thread holds would stay locked in a fork
            raise RuntimeError(f"A module has started a thread: {threading.enumerate()[-1].name}.")
        with suppress(OSError):  # no memory for a fork: the caller goes another way
            if os.fork() == 0:
                listener.close()
                return _mind(connection)
    return None


def _mind(connection: socket.socket) -> Asked:
    """Fork the command and tell the caller how it ended; returns in the command alone."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.sendall(READY)
        asked = _read(connection)
        outs, errs = os.pipe(), os.pipe()
        pid = os.fork()
    except BaseException:  # noqa: BLE001  # whatever it is: what stands above is the affair of the process that forks
        os._exit(1)
    if pid == 0:
        connection.close()
        _redirect(outs, errs)
        return asked
    try:
        os.close(outs[1])
        os.close(errs[1])
        _tell(connection, pid, outs[0], errs[0])
    finally:
        os._exit(0)


def _read(connection: socket.socket) -> Asked:
    """What the caller asks for. Raises EOFError where it went away instead."""
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(_PART)
        if not part:
            raise EOFError
        line += part
    return msgspec.json.decode(line, type=Asked)


def _tell(connection: socket.socket, pid: int, out: int, err: int) -> None:
    """Hear the command to its end and pass on what it said; end it when the caller hangs up."""
    parts: dict[int, list[bytes]] = {out: [], err: []}
    with DefaultSelector() as selector:
        for stream in (connection.fileno(), out, err):
            selector.register(stream, EVENT_READ)
        while len(selector.get_map()) > 1:
            for key, _ in selector.select():
                if key.fd == connection.fileno():
                    return _end(pid)
                part = os.read(key.fd, _PART)
                parts[key.fd].append(part)
                if not part:
                    selector.unregister(key.fd)
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:  # it says nothing any more, and ends
        if select.select([connection], [], [], _LOOK_S)[0]:
            return _end(pid)
    said, complaint = b"".join(parts[out]), b"".join(parts[err])
    ended = Ended(code=os.waitstatus_to_exitcode(found[1]), said=len(said), complaint=len(complaint))
    connection.sendall(msgspec.json.encode(ended) + b"\n" + said + complaint)
    return None


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)  # an act is one transaction: it has happened or not
    os.waitpid(pid, 0)


def _redirect(outs: tuple[int, int], errs: tuple[int, int]) -> None:
    """Read nothing, and write into the pipes."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, stream in enumerate((nothing, outs[1], errs[1])):
        os.dup2(stream, target)
    for stream in (nothing, *outs, *errs):
        os.close(stream)
