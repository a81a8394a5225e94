"""Ends a worker that stands still: a feature of a team's own may never come to its end, and holds up all others."""

import asyncio
import faulthandler

STALLED_S = 60.0
"""How long a worker may answer nobody, be it for one lead."""
_TURNS = 30


async def end_if_stalled(seconds: float = STALLED_S) -> None:
    """End this process where its loop does not come round for so many seconds; the supervisor starts another.

    The stack is written to stderr: it names the line of features.py. A thread of C looks at the time, for an expression
    of ``re`` that does not end lets no other thread of Python run. What was answered is in the spool.
    """
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True)
            await asyncio.sleep(seconds / _TURNS)
    finally:
        faulthandler.cancel_dump_traceback_later()
