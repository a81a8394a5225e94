"""Profiles and layouts as bytes: few for few predictions, and bounded for many (quiet).

MessagePack, compressed. Counts of bins are the places of those that are not empty, as distances, and their numbers in
the smallest integers that hold them; all bins where most are full.
"""

import zlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from leadgate.leads.layout import LATENCY_EDGES, SCORE_EDGES, Layout
from leadgate.leads.profiles import Categorical, Moments, Numeric, Profile

Counts = npt.NDArray[np.int64]

_TYPES = ("<u1", "<u2", "<u4", "<i8")
_PLACES = np.dtype("<u2")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.decode


class NumericBytes(msgspec.Struct, array_like=True, gc=False):
    """A numeric profile on its way."""

    missing: int
    low: float
    high: float
    count: int
    mean: float
    m2: float
    places: bytes
    """Empty where all bins follow."""
    numbers: bytes
    width: int


class ProfileBytes(msgspec.Struct, array_like=True, gc=False):
    """A profile on its way."""

    predictions: int
    first_at: float | None
    last_at: float | None
    scores: NumericBytes
    latency: NumericBytes
    bands: dict[str, int]
    numeric: dict[str, NumericBytes]
    categorical: dict[str, tuple[int, int, dict[str, int]]]
    segments: dict[str, dict[str, tuple[int, float, float]]]


decode_profile = msgspec.msgpack.Decoder(ProfileBytes).decode
"""Of what ``profile_to_bytes`` compresses."""


def profile_to_bytes(profile: Profile) -> bytes:
    """A profile as bytes; the bins themselves are not in there."""
    return zlib.compress(
        _pack(
            ProfileBytes(
                predictions=profile.predictions,
                first_at=_seconds(profile.first_at),
                last_at=_seconds(profile.last_at),
                scores=_numeric(profile.scores),
                latency=_numeric(profile.latency),
                bands=dict(profile.bands),
                numeric={name: _numeric(found) for name, found in profile.numeric.items()},
                categorical={
                    name: (found.missing, found.other, dict(found.counts))
                    for name, found in profile.categorical.items()
                },
                segments={
                    name: {value: (m.count, m.mean, m.m2) for value, m in values.items()}
                    for name, values in profile.segments.items()
                },
            )
        ),
        1,
    )


def profile_from_bytes(content: bytes, layout: Layout) -> Profile:
    """The profile, over the layout that it was made with."""
    found = decode_profile(zlib.decompress(content))
    return Profile(
        predictions=found.predictions,
        first_at=moment_of(found.first_at),
        last_at=moment_of(found.last_at),
        scores=_restored(found.scores, len(SCORE_EDGES) + 1),
        latency=_restored(found.latency, len(LATENCY_EDGES) + 1),
        bands=found.bands,
        numeric={name: _restored(found.numeric[name], len(edges) + 1) for name, edges in layout.edges.items()},
        categorical={
            name: Categorical(missing=missing, other=other, counts=counts)
            for name, (missing, other, counts) in found.categorical.items()
        },
        segments={
            name: {value: Moments(count=n, mean=mean, m2=m2) for value, (n, mean, m2) in values.items()}
            for name, values in found.segments.items()
        },
    )


def scored_until(content: bytes) -> datetime | None:
    """When the last prediction of a profile was made, whatever its layout."""
    return moment_of(decode_profile(zlib.decompress(content)).last_at)


def bands_of(content: bytes) -> dict[str, int]:
    """The predictions of a profile by priority, whatever its layout."""
    return decode_profile(zlib.decompress(content)).bands


def counts_to_bytes(counts: Counts) -> tuple[bytes, bytes, int]:
    """Places, numbers, and which type the numbers have."""
    full = np.flatnonzero(counts)
    sparse = 2 * len(full) < len(counts)
    kept = counts[full] if sparse else counts
    width = int(np.searchsorted([1 << 8, 1 << 16, 1 << 32], int(kept.max(initial=0)), side="right"))
    places = _distances(full).astype(_PLACES).tobytes() if sparse else b""
    return places, kept.astype(_TYPES[width]).tobytes(), width


def _distances(places: Counts) -> Counts:
    """Of each place from the one before it; np.diff takes three times as long for few."""
    apart = places.copy()
    apart[1:] -= places[:-1]
    return apart


def counts_from_bytes(places: bytes, numbers: bytes, width: int, bins: int) -> Counts:
    """The counts of all bins."""
    counts = np.zeros(bins, dtype=np.int64)
    add_counts(counts, places, numbers, width)
    return counts


def add_counts(counts: Counts, places: bytes, numbers: bytes, width: int) -> None:
    """Add stored counts to those of all bins, in place."""
    kept = np.frombuffer(numbers, dtype=_TYPES[width])
    if places or len(kept) != len(counts):
        # No place occurs twice, so this adds each.
        counts[np.cumsum(np.frombuffer(places, dtype=_PLACES), dtype=np.int64)] += kept
    else:
        counts += kept


def layout_to_tree(layout: Layout) -> dict[str, Any]:
    """A layout as plain values."""
    return {
        "edges": {name: edges.tobytes() for name, edges in layout.edges.items()},
        "known": {name: sorted(names) for name, names in layout.known.items()},
        "segments": list(layout.segments),
    }


def layout_from_tree(tree: dict[str, Any]) -> Layout:
    """The layout."""
    return Layout(
        edges={name: np.frombuffer(edges, dtype="<f8") for name, edges in tree["edges"].items()},
        known={name: frozenset(names) for name, names in tree["known"].items()},
        segments=tuple(tree["segments"]),
    )


def _numeric(found: Numeric) -> NumericBytes:
    places, numbers, width = counts_to_bytes(found.counts)
    moments = found.moments
    return NumericBytes(
        found.missing, found.low, found.high, moments.count, moments.mean, moments.m2, places, numbers, width
    )


def _restored(found: NumericBytes, bins: int) -> Numeric:
    return Numeric(
        missing=found.missing,
        low=found.low,
        high=found.high,
        moments=Moments(count=found.count, mean=found.mean, m2=found.m2),
        counts=counts_from_bytes(found.places, found.numbers, found.width, bins),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def moment_of(seconds: float | None) -> datetime | None:
    """UTC, of seconds since 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
