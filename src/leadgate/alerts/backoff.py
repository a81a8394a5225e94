"""When to try again (quiet)."""

from datetime import timedelta

from numpy.random import Generator

_FIRST_S = 30.0
_LONGEST_S = 3_600.0


def wait_after(attempts: int, rng: Generator, *, asked_s: float | None = None) -> timedelta:
    """How long to wait after so many failed attempts: twice as long each time, from half a minute up to an hour.

    Chance takes up to half of it away, so that messages that failed together do not come back together. A party that
    asks for patience (``asked_s``, its Retry-After) gets it, up to an hour, and is not kept waiting much longer.
    """
    longest = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempts - 1, 20))
    if asked_s is not None:
        patience = min(asked_s, _LONGEST_S)
        return timedelta(seconds=patience + float(rng.uniform(0.0, 0.1 * patience + 1)))
    return timedelta(seconds=longest * float(rng.uniform(0.5, 1.0)))
