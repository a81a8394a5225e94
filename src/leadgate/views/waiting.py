"""What a page waits for only so long: work that may be slow, or hang, is done beside it and found there later."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

log = logging.getLogger("leadgate.pages")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[T]):
    """What is known of it."""

    value: T | None
    """The last answer; None before the first."""
    trouble: str | None
    """Why there is none, or none of now; None where the answer is."""


class _Errand:
    """One thing that was asked for."""

    def __init__(self) -> None:
        self.value: Any = None
        self.trouble: str | None = None
        self.done_at: float | None = None
        self.running: threading.Event | None = None


class Patience:
    """Does slow work one at a time, in a thread of its own that nobody waits for when the process ends."""

    def __init__(self, *, wait_s: float = 1.5, again_s: float = 15.0, most: int = 200) -> None:
        """``wait_s``: what a page waits in all; ``most``: answers that are kept.

        ``again_s``: after a failure work is tried again; for so long an answer that is due anew will do.
        """
        self._wait_s, self._again_s, self._most = wait_s, again_s, most
        self._errands: OrderedDict[Hashable, _Errand] = OrderedDict()
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[_Errand, Callable[[], Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def deadline(self) -> float:
        """Until when a page that begins now waits."""
        return monotonic() + self._wait_s

    def ask(
        self, key: Hashable, work: Callable[[], T], *, until: float, fresh_s: float | None = None, who: str
    ) -> Asked[T]:
        """The answer, at the latest at ``until``; the last one where it takes longer.

        ``fresh_s``: how long an answer holds, None for good. ``who`` is asked, for the sentence that says so.
        """
        with self._lock:
            errand = self._errand(key)
            if errand.running is None and self._is_due(errand, fresh_s):
                errand.running = threading.Event()
                self._queue.put((errand, work))
                self._begin()
            running = None if self._is_good_enough(errand, fresh_s) else errand.running
        if running is not None and not running.wait(max(0.0, until - monotonic())):
            return Asked(value=errand.value, trouble=f"{who} has not answered yet; what it knows follows by itself.")
        return Asked(value=errand.value, trouble=errand.trouble and f"{who} does not answer: {errand.trouble}")

    def _errand(self, key: Hashable) -> _Errand:
        errand = self._errands.setdefault(key, _Errand())
        self._errands.move_to_end(key)
        for old in list(self._errands)[: max(0, len(self._errands) - self._most)]:
            if self._errands[old].running is None:
                del self._errands[old]
        return errand

    def _is_due(self, errand: _Errand, fresh_s: float | None) -> bool:
        if errand.done_at is None:
            return True
        age = monotonic() - errand.done_at
        return age > self._again_s if errand.trouble else fresh_s is not None and age > fresh_s

    def _is_good_enough(self, errand: _Errand, fresh_s: float | None) -> bool:
        """Whether the last answer will do while the next one is on its way."""
        if errand.done_at is None or errand.trouble:
            return False
        return fresh_s is None or monotonic() - errand.done_at <= fresh_s + self._again_s

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="patience")
            self._thread.start()

    def _work(self) -> None:
        while True:
            errand, work = self._queue.get()
            try:
                errand.value, errand.trouble = work(), None
            except Exception as error:  # noqa: BLE001  # whatever it is, the page says so
                log.warning("a page did without", extra={"cause": f"{type(error).__name__}: {error}"})
                errand.trouble = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            with self._lock:
                errand.done_at = monotonic()
                running, errand.running = errand.running, None
            if running is not None:
                running.set()
