"""Ends a function of features.py that does not come to its end: a training would wait for it for ever, without a word.

A clock decides here whether a value comes at all, and never which one. The service has a limit of its own
(``scoring/stalling.py``), for there an end of the whole worker is the better one.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

LONGEST_S = 60.0
"""How long one call of a function may take, be it for one lead."""
_LOOKS = 12
"""So often is looked within that time: nothing is done for a call itself, so training is not slowed."""


class EndlessError(BaseException):
    """A function took too long. No ``Exception``, for the function would catch it and go on."""


@contextmanager
def limited(file: str) -> Iterator[None]:
    """Raise EndlessError inside a call of code of ``file`` that takes more than ``LONGEST_S``.

    ``file`` is the name that the code was compiled under. In the main thread a signal does it, which ends an expression
    of ``re`` too. Another thread, such as a worker's job, gets no signals: there a second thread looks, and ends loops
    of Python, but no single call into C.
    """
    look = _Look(file, LONGEST_S)
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    with _by_signal(look) if main else _by_thread(look):
        yield


class _Look:
    """Whether the same call is under way as at the last look, and for how long."""

    def __init__(self, file: str, seconds: float) -> None:
        self.every = seconds / _LOOKS
        self._file, self._seconds = file, seconds
        self._call: FrameType | None = None
        self._since = 0.0

    def is_over(self, frame: FrameType | None) -> bool:
        """Whether the call that a stack is in has taken too long."""
        call = None
        while frame is not None:  # to the outermost frame of the file: the call of the function itself
            call = frame if frame.f_code.co_filename == self._file else call
            frame = frame.f_back
        if call is None or call is not self._call:
            self._call, self._since = call, time.monotonic()
            return False
        return time.monotonic() - self._since >= self._seconds


@contextmanager
def _by_signal(look: _Look) -> Iterator[None]:
    def handle(_number: int, frame: FrameType | None) -> None:
        if look.is_over(frame):
            raise EndlessError

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, look.every, look.every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


@contextmanager
def _by_thread(look: _Look) -> Iterator[None]:
    watched, done = threading.get_ident(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(look, watched, done), name="endless", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        _raise_in(watched, None)  # one that has not come through yet


def _watch(look: _Look, watched: int, done: threading.Event) -> None:
    frames: Callable[[], dict[int, FrameType]] = sys._current_frames  # noqa: SLF001  # public, in spite of its name
    while not done.wait(look.every):
        if look.is_over(frames().get(watched)):
            _raise_in(watched, EndlessError)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
