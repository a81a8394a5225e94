"""What a version's leads brought in beyond what they would have brought with another one (quiet)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

LEVEL = 0.95
"""Coverage of the intervals."""
LEAST = 2
"""Leads a side, below which there is no variance."""
WELCH = (
    "difference of the mean revenue per matured lead, challenger minus champion, with Welch's 95 % interval (variances "
    "of the two sides apart)"
)
"""How the figures here are made."""


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What the matured leads of a side paid."""

    leads: int
    mean: float
    """Per lead, in the team's currency; a lead that did not convert paid 0."""
    variance: float
    """Of what a lead paid."""


@dataclass(frozen=True, kw_only=True)
class Increment:
    """Revenue per lead, treatment minus control."""

    value: float
    low: float
    high: float
    """Ends of the 95 % interval."""

    def times(self, leads: float) -> tuple[float, float, float]:
        """The same for a number of leads: value and both ends."""
        return self.value * leads, self.low * leads, self.high * leads


def increment(control: Paid, treatment: Paid) -> Increment | None:
    """The difference of two means with Welch's interval (Welch 1947); None below two leads a side.

    Revenue per lead is skewed, mostly 0; with the hundreds of leads that an experiment has, the mean is normal enough.
    """
    if min(control.leads, treatment.leads) < LEAST:
        return None
    parts = [side.variance / side.leads for side in (control, treatment)]
    value, error = treatment.mean - control.mean, sqrt(sum(parts))
    half = _quantile(parts, (control.leads, treatment.leads)) * error if error > 0 else 0.0
    return Increment(value=value, low=value - half, high=value + half)


def paid(row: Mapping[str, Any] | None) -> Paid:
    """A side from its row of ``sides``."""
    found = row or {}
    return Paid(
        leads=int(found.get("matured") or 0),
        mean=float(found.get("revenue_per_lead") or 0.0),
        variance=float(found.get("variance") or 0.0),
    )


def _quantile(parts: list[float], leads: tuple[int, int]) -> float:
    """Of Student's t with the degrees of freedom of Welch and Satterthwaite."""
    from scipy.stats import t  # noqa: PLC0415  # 0.5 s, for reports alone

    below = sum(part**2 / (n - 1) for part, n in zip(parts, leads, strict=True))
    return float(t.ppf((1 + LEVEL) / 2, sum(parts) ** 2 / below))
