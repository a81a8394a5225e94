"""Latencies from counts in buckets (quiet)."""

from collections.abc import Sequence


def quantile_of(counts: Sequence[int], edges: Sequence[float], q: float) -> float:
    """An upper bound of a quantile: the upper edge of the bucket that it lies in.

    ``counts`` has one more than ``edges``, the last for what lies above every edge; for a quantile in there the bound
    is infinite. ``q`` is between 0 and 1. Raises ValueError without any count.
    """
    total = sum(counts)
    if total == 0:
        raise ValueError("no latency was counted")
    seen = 0
    for count, edge in zip(counts, (*edges, float("inf")), strict=True):
        seen += count
        if seen >= q * total:
            return edge
    return float("inf")
