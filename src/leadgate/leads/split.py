"""Sets a hold-out apart (quiet)."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

import numpy as np
import numpy.typing as npt

BUCKETS = 10_000
"""The hash split's resolution: a share of 0.2 is 2,000 of these."""


def bucket(lead_id: str, created_at: datetime | None) -> int:
    """The bucket of a lead, 0 to 9,999, from its id and date alone.

    The first 8 bytes of MD5 over ``id|YYYY-MM-DD``, as an integer, modulo the number of buckets: stable as leads are
    added, the same on every machine, and computable in Spark and SQL, which have MD5 built in.
    """
    date = created_at.date().isoformat() if created_at else ""
    digest = hashlib.md5(f"{lead_id}|{date}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def hash_holdout(ids: Iterable[str], times: Iterable[datetime | None], share: float) -> npt.NDArray[np.bool_]:
    """Which leads are held out: those in the first ``share`` of the buckets. Shape (n,), in the order given."""
    limit = round(share * BUCKETS)
    return np.fromiter((bucket(i, t) < limit for i, t in zip(ids, times, strict=True)), dtype=np.bool_)


def time_holdout(times: npt.NDArray[np.datetime64], share: float) -> npt.NDArray[np.bool_]:
    """Which leads are held out: the most recent ``share`` of them. Shape (n,).

    The cut lies between two moments, so that leads of the same moment stay on one side; a tie at the cut goes to the
    hold-out.
    """
    ordered = np.sort(times)
    cut = ordered[len(ordered) - max(1, round(share * len(ordered)))]
    held: npt.NDArray[np.bool_] = times >= cut
    return held
