"""The AUC over all leads, where the outcome is known of those with a high score and of a sample of the others (quiet).

This is sampling in two phases (Neyman 1938; Cochran, Sampling Techniques, 1977, chapter 12): each lead of the sample
stands for as many as there are for each of them, which weights it by the inverse of its probability to be drawn
(Horvitz and Thompson 1952). The variance is that of the placements, as DeLong has it, within the parts and between
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from leadgate.stats.binned import BinnedAuc, on_logits
from leadgate.stats.proportions import Z95

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HALF = 0.03
"""Half the width of an interval with which an AUC can be judged."""
_SURE = 2.576
"""Standard errors: by chance one comparison in a hundred finds more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A part of the leads, and the sample of it whose outcome is known."""

    leads: float
    """All of them, known or not; only what they are to those of the other parts counts."""
    won: Counts
    """Of the sample, those that converted, by bin of the score, from the lowest, shape (bins,)."""
    lost: Counts

    @property
    def known(self) -> int:
        """How many the sample has."""
        return int(self.won.sum() + self.lost.sum())


@dataclass(frozen=True, kw_only=True)
class Apart:
    """How far one AUC is above another."""

    difference: float
    error: float
    """Its standard error, as if the two had no lead in common: with some it is smaller."""

    @property
    def z(self) -> float:
        """The difference over its standard error."""
        return self.difference / self.error if self.error > 0 else 0.0

    @property
    def sure(self) -> bool:
        """Whether they differ beyond chance, at 1 %: it is asked again and again."""
        return abs(self.z) > _SURE


def auc_of_parts(parts: Sequence[Part]) -> BinnedAuc | None:
    """The AUC over all leads of the parts; None where it cannot be known: a part without a sample, or one class only.

    With one part it is the plain AUC of its sample, and the variance is DeLong's but for a term of order 1 / n.
    """
    parts = [part for part in parts if part.leads > 0]
    if not parts or min(part.known for part in parts) == 0:
        return None
    weights = [part.leads / part.known for part in parts]
    won = sum((w * part.won for w, part in zip(weights, parts, strict=True)), np.zeros(1))
    lost = sum((w * part.lost for w, part in zip(weights, parts, strict=True)), np.zeros(1))
    m, n = float(won.sum()), float(lost.sum())
    if m <= 0 or n <= 0:
        return None
    below, above = np.cumsum(lost) - lost / 2, m - np.cumsum(won) + won / 2
    value = float((won * below).sum() / (m * n))
    # What each lead moves the value by, times the number of all leads.
    pull = (m + n) / m * (below / n - value), (m + n) / n * (above / m - value)
    variance = sum(_within(part, pull, part.leads / (m + n)) + _between(part, pull, m + n) for part in parts)
    rarer = min(sum(int(part.won.sum()) for part in parts), sum(int(part.lost.sum()) for part in parts))
    return BinnedAuc(value=value, variance=variance, interval=on_logits(value, variance, rarer))


def _mean(part: Part, pull: tuple[Floats, Floats]) -> float:
    return float((part.won * pull[0]).sum() + (part.lost * pull[1]).sum()) / part.known


def _within(part: Part, pull: tuple[Floats, Floats], share: float) -> float:
    """Of the sample within the part."""
    if part.known == 1:
        return float("inf")
    mean = _mean(part, pull)
    squares = float((part.won * (pull[0] - mean) ** 2).sum() + (part.lost * (pull[1] - mean) ** 2).sum())
    return share**2 * squares / (part.known - 1) / part.known


def _between(part: Part, pull: tuple[Floats, Floats], leads: float) -> float:
    """Of how many leads the part happens to have."""
    return part.leads / leads * _mean(part, pull) ** 2 / leads


def apart(a: BinnedAuc, b: BinnedAuc) -> Apart:
    """How far ``a`` is above ``b``."""
    return Apart(difference=a.value - b.value, error=sqrt(a.variance + b.variance))


def leads_needed(found: BinnedAuc, leads: int, half: float) -> int:
    """How many leads give an AUC a 95 % interval of plus and minus ``half``, by that of ``leads`` leads of their kind.

    The variance of an AUC falls with the number of leads, as that of a mean does.
    """
    return ceil(leads * found.variance * (Z95 / half) ** 2)
