"""What a version was trained on and how well it did on its hold-out, as monitoring needs it (quiet).

Stored with the version's files. Scores of training leads would flatter a model, so the scores are the hold-out's.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from leadgate.errors import RefusedError
from leadgate.leads.layout import SCORE_EDGES, Layout
from leadgate.leads.profile_bytes import (
    counts_from_bytes,
    counts_to_bytes,
    layout_from_tree,
    layout_to_tree,
    profile_from_bytes,
    profile_to_bytes,
)
from leadgate.leads.profiles import Profile

Counts = npt.NDArray[np.int64]


class UnreadableBaselineError(RefusedError):
    """A baseline of another release, or a damaged one."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The figures of a version on its hold-out."""

    leads: int
    base_rate: float
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    precision: float | None
    recall: float | None
    calibration_error: float
    decision: float
    """The score above which precision and recall call a lead "will convert"."""
    high: float
    medium: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """What the leads and scores of now are held against."""

    layout: Layout
    profile: Profile
    """Features of all labelled leads of the snapshot; scores, bands and segments of the hold-out."""
    won: Counts
    """Hold-out leads that converted, by bin of the score."""
    lost: Counts
    """Those that did not."""
    importance: Mapping[str, float]
    """By feature: how much AUC the hold-out loses when its values are shuffled; 0 for one that does not matter."""
    quality: Quality
    snapshot_version: int

    def weight(self, feature: str) -> float:
        """The importance of a feature, as a share of the largest; 1 where nothing is known of any."""
        largest = max(self.importance.values(), default=0.0)
        return self.importance.get(feature, 0.0) / largest if largest > 0 else 1.0


class _Bytes(msgspec.Struct, gc=False):
    """A baseline on its way."""

    layout: dict[str, Any]
    profile: bytes
    won: tuple[bytes, bytes, int]
    lost: tuple[bytes, bytes, int]
    importance: dict[str, float]
    quality: Quality
    snapshot_version: int


def baseline_to_bytes(baseline: Baseline) -> bytes:
    """The file that is stored with a version."""
    made = _Bytes(
        layout=layout_to_tree(baseline.layout),
        profile=profile_to_bytes(baseline.profile),
        won=counts_to_bytes(baseline.won),
        lost=counts_to_bytes(baseline.lost),
        importance=dict(baseline.importance),
        quality=baseline.quality,
        snapshot_version=baseline.snapshot_version,
    )
    return zlib.compress(msgspec.msgpack.encode(made), 6)


def baseline_from_bytes(content: bytes) -> Baseline:
    """The baseline, from its file. Raises UnreadableBaselineError."""
    try:
        return _decoded(content)
    except Exception as error:  # a later release may have other fields, and what is damaged may fail anywhere
        raise UnreadableBaselineError(
            "This release of Leadgate cannot read the version's baseline; use the release that trained the version, or "
            "train it again."
        ) from error


def _decoded(content: bytes) -> Baseline:
    found = msgspec.msgpack.decode(zlib.decompress(content), type=_Bytes)
    layout = layout_from_tree(found.layout)
    bins = len(SCORE_EDGES) + 1
    return Baseline(
        layout=layout,
        profile=profile_from_bytes(found.profile, layout),
        won=counts_from_bytes(*found.won, bins),
        lost=counts_from_bytes(*found.lost, bins),
        importance=found.importance,
        quality=found.quality,
        snapshot_version=found.snapshot_version,
    )
