"""A child's side of its tie to the supervisor."""

import os
import signal
import threading
from contextlib import suppress

_used: set[int] = set()
"""Pipes that were closed: their numbers may be those of other files by now."""


def tell_ready(pipe: int, why_not: str = "") -> bool:
    """Say that this process is ready, or why it cannot be; once. False when nobody hears it.

    Nobody does when the supervisor has started this process anew, or when it was told before.
    """
    if pipe in _used:
        return False
    _used.add(pipe)
    try:
        os.write(pipe, why_not.encode()[:4_000] or b"ready")
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.close(pipe)
    return True


def end_with_parent() -> None:
    """End this process when the one that started it is gone: standard input is a pipe from there."""

    def wait() -> None:
        while os.read(0, 1_024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
