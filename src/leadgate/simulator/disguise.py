"""Makes a version of a model look worse, louder or slower than it is, in process only (quiet).

The registry and the version's files stay as they are: what is put on is a scorer around the version's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import cos, exp, log, pi, sqrt

from leadgate.models.scorers import Row, RowScorer, Scored

_SURE = 1e-9
"""Scores nearer to 0 and 1 than this are taken as this near: their logit would be infinite."""


@dataclass(frozen=True, kw_only=True)
class Disguise:
    """What is done to a version's scores."""

    version: str
    """The version's number: it wears the disguise in every role."""
    worse: float = 0.0
    """Share of the variance of the logits that is noise, 0 to 1. The spread stays, so that only the ranking suffers;
    a lead gets the same noise each time."""
    inflated: float = 0.0
    """Added to the logits: the ranking stays, every score rises (0.7 doubles the odds)."""
    slow_ms: float = 0.0
    """Added to the latency of each answer that waits for this version."""
    centre: float = -2.0
    """Mean logit of the leads, around which noise is mixed in; that of the simulated truth."""
    spread: float = 1.7
    """Standard deviation of the logits of a good model."""
    seed: int = 0
    """Other seeds give other noise."""


@dataclass(frozen=True, kw_only=True)
class DisguisedScorer:
    """Scores as a version does, changed."""

    scorer: RowScorer
    disguise: Disguise

    def score(self, values: Row) -> float:
        """Probability of conversion of one lead."""
        return _changed(self.disguise, self.scorer.score(values), values)

    def score_many(self, rows: Sequence[Row]) -> list[float]:
        """Probabilities of many leads, in their order."""
        scores = self.scorer.score_many(rows)
        return [_changed(self.disguise, score, row) for score, row in zip(scores, rows, strict=True)]


def disguised(scored: Scored, disguise: Disguise | None) -> Scored:
    """The version in its disguise; another version as it is."""
    if disguise is None or scored.version.version != disguise.version:
        return scored
    return replace(scored, scorer=DisguisedScorer(scorer=scored.scorer, disguise=disguise))


def _changed(disguise: Disguise, score: float, values: Row) -> float:
    inside = min(max(score, _SURE), 1 - _SURE)
    logit = log(inside / (1 - inside))
    if disguise.worse:
        noise = disguise.spread * _normal(disguise.seed, values)
        own = disguise.centre + sqrt(1 - disguise.worse) * (logit - disguise.centre)
        logit = own + sqrt(disguise.worse) * noise
    return 1 / (1 + exp(-logit - disguise.inflated))


def _normal(seed: int, values: Row) -> float:
    """A standard normal number that belongs to these values (Box and Muller, 1958)."""
    hashed = blake2b(repr((seed, *values)).encode(), digest_size=16).digest()
    first, second = (int.from_bytes(part, "big") for part in (hashed[:8], hashed[8:]))
    return sqrt(-2 * log((first + 1) / 2**64)) * cos(2 * pi * second / 2**64)
