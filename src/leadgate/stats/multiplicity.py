"""Many comparisons at once (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadgate.stats.experiments import Arm, TwoArms, compare_arms


@dataclass(frozen=True, kw_only=True)
class Adjusted:
    """A p-value among others."""

    p_value: float
    adjusted: float
    rejected: bool


@dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """A part of the leads."""

    name: str
    control: Arm
    treatment: Arm
    two_arms: TwoArms
    adjusted_p: float
    harmed: bool
    """Whether the treatment converts less there, beyond what chance and the number of parts explain."""


def benjamini_hochberg(p_values: Sequence[float], q: float = 0.05) -> tuple[Adjusted, ...]:
    """Control of the false discovery rate at ``q`` (Benjamini & Hochberg 1995), by scipy; the order is kept."""
    from scipy.stats import false_discovery_control  # noqa: PLC0415  # 0.5 s, and serving never needs it

    if not p_values:
        return ()
    adjusted = false_discovery_control(p_values, method="bh")
    return tuple(
        Adjusted(p_value=p, adjusted=float(a), rejected=bool(a <= q)) for p, a in zip(p_values, adjusted, strict=True)
    )


def compare_segments(
    segments: Mapping[str, tuple[Arm, Arm]], q: float = 0.05, least: int = 100
) -> tuple[SegmentResult, ...]:
    """Compare control and treatment in each part; those with fewer than ``least`` leads on a side are left out."""
    judged = {name: pair for name, pair in segments.items() if min(arm.leads for arm in pair) >= least}
    compared = [compare_arms(*pair) for pair in judged.values()]
    adjusted = benjamini_hochberg([found.p_value for found in compared], q)
    return tuple(
        SegmentResult(
            name=name,
            control=pair[0],
            treatment=pair[1],
            two_arms=found,
            adjusted_p=p.adjusted,
            harmed=p.rejected and found.difference < 0,
        )
        for (name, pair), found, p in zip(judged.items(), compared, adjusted, strict=True)
    )
