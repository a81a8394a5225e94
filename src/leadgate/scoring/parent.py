"""A child's side of its tie to the supervisor."""

import os
import signal
import threading
from contextlib import suppress


def tell_ready(pipe: int, why_not: str = "") -> None:
    """Say that this process is ready, or why it cannot be; once."""
    with suppress(OSError):
        os.write(pipe, why_not.encode()[:4_000] or b"ready")
        os.close(pipe)


def end_with_parent() -> None:
    """End this process when the one that started it is gone: standard input is a pipe from there."""

    def wait() -> None:
        while os.read(0, 1_024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
