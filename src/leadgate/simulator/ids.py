"""Prediction ids of simulated time (quiet)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION, _VARIANT = 7 << 76, 0b10 << 62


def uuid7_at(moment: datetime, rng: np.random.Generator) -> str:
    """A UUID version 7 of a moment (RFC 9562, section 5.7): 48 bits of milliseconds, 74 bits of chance."""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    first, last = (int(bits) for bits in rng.integers(0, (1 << 12, 1 << 62)))
    return str(UUID(int=milliseconds << 80 | _VERSION | first << 64 | _VARIANT | last))
