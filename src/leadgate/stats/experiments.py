"""Two proportions: how many leads they need, and what they say (quiet)."""

from dataclasses import dataclass, fields
from math import ceil, exp, log, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from leadgate.errors import RefusedError
from leadgate.records import Interval

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Matured leads of one side."""

    leads: int
    conversions: int

    @property
    def rate(self) -> float:
        """Share that converted; 0 without leads."""
        return self.conversions / self.leads if self.leads else 0.0


@dataclass(frozen=True, kw_only=True)
class TwoArms:
    """What two sides say."""

    difference: float
    """Of the rates, treatment minus control."""
    lift: float | None
    """Relative, treatment over control - 1; None where nobody converted in control."""
    lift_interval: Interval | None
    """Of the lift, by the logarithm of the ratio (Katz and others, 1978); None where a side has no conversion."""
    p_value: float
    """Pearson's chi-square test without continuity correction."""
    statistic: float


@dataclass(frozen=True, kw_only=True)
class RatioCheck:
    """Whether leads are split as planned."""

    expected_share: float
    observed_share: float
    """Of the treatment; 0 without leads."""
    p_value: float
    """Chi-square goodness of fit."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """All that a comparison of two rates with a covariate needs of a side."""

    leads: int
    won: float
    """Leads that converted."""
    score: float
    """Sum of the scores."""
    score_won: float
    """Sum of the scores of those that converted."""
    score_squared: float
    """Sum of the squares of the scores."""

    @property
    def won_spread(self) -> float:
        """Sum of the squared distances from the rate."""
        return self.won - self.won**2 / self.leads

    @property
    def score_spread(self) -> float:
        """Sum of the squared distances from the mean score."""
        return self.score_squared - self.score**2 / self.leads

    @property
    def covariance(self) -> float:
        """Sum of the products of both distances."""
        return self.score_won - self.score * self.won / self.leads


@dataclass(frozen=True, kw_only=True)
class AdjustedDifference:
    """Of two rates, with the variance that a covariate explains taken out."""

    difference: float
    variance: float
    """Of the difference."""
    reduction: float
    """Share of the variance that was taken out."""


def planned_size(baseline: float, detectable_lift: float, power: float, alpha: float = 0.05) -> int:
    """Leads a side so that a two-sided test of two proportions sees a relative lift with that power.

    The normal approximation with a pooled variance under equality (Fleiss, Levin & Paik 2003, 4.14, without its
    continuity correction), which is what the chi-square test is. Raises RefusedError for senseless figures.
    """
    lifted = _require_sense(baseline, detectable_lift, power, alpha)
    normal = NormalDist()
    pooled = (baseline + lifted) / 2
    spread = normal.inv_cdf(1 - alpha / 2) * sqrt(2 * pooled * (1 - pooled))
    spread += normal.inv_cdf(power) * sqrt(baseline * (1 - baseline) + lifted * (1 - lifted))
    return ceil((spread / (lifted - baseline)) ** 2)


def power_of(baseline: float, lift: float, leads: int, alpha: float = 0.05) -> float:
    """Probability that ``leads`` a side see a relative lift; the same approximation. Raises RefusedError."""
    lifted = _require_sense(baseline, lift, 0.5, alpha)
    normal = NormalDist()
    pooled = (baseline + lifted) / 2
    null = normal.inv_cdf(1 - alpha / 2) * sqrt(2 * pooled * (1 - pooled))
    real = sqrt(baseline * (1 - baseline) + lifted * (1 - lifted))
    return normal.cdf((abs(lifted - baseline) * sqrt(leads) - null) / real)


def detectable_lift(baseline: float, leads: int, power: float, alpha: float = 0.05) -> float:
    """The smallest relative lift that ``leads`` a side see with that power; the largest there can be where none is."""
    low, high = 0.0, (1 - baseline) / baseline * (1 - 1e-9)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(baseline, middle, leads, alpha) >= power else (middle, high)
    return high


def compare_arms(control: Arm, treatment: Arm, level: float = 0.95) -> TwoArms:
    """The chi-square test and the relative lift with its interval."""
    difference = treatment.rate - control.rate
    lift = treatment.rate / control.rate - 1 if control.conversions else None
    statistic, p_value = _chi_square(control, treatment)
    return TwoArms(
        difference=difference,
        lift=lift,
        lift_interval=_lift_interval(control, treatment, level),
        p_value=p_value,
        statistic=statistic,
    )


def sample_ratio(control: int, treatment: int, share: float) -> RatioCheck:
    """Whether ``treatment`` of all leads is compatible with ``share`` of them; between 0 and 1, exclusive."""
    from scipy.stats import chisquare  # noqa: PLC0415  # 0.5 s, and serving never needs it

    total = control + treatment
    if total == 0:
        return RatioCheck(expected_share=share, observed_share=0.0, p_value=1.0)
    found = chisquare([control, treatment], [total * (1 - share), total * share])
    return RatioCheck(expected_share=share, observed_share=treatment / total, p_value=float(found.pvalue))


def sums_of(converted: Flags, score: Scores | None = None) -> Sums:
    """A side's sums; both arrays of shape (leads of the side,). Without scores nothing can be taken out."""
    won = converted.astype(np.float64)
    x = np.zeros(len(won)) if score is None else score
    return Sums(
        leads=len(won),
        won=float(won.sum()),
        score=float(x.sum()),
        score_won=float(x @ won),
        score_squared=float(x @ x),
    )


def adjusted_difference(control: Sums, treatment: Sums) -> AdjustedDifference:
    """CUPED (Deng, Xu, Kohavi & Walker 2013): the difference of rates with a score from before as covariate.

    At least two leads a side. The covariate's coefficient is fitted on both sides together. A score that is the same
    for all takes nothing out.
    """
    both = Sums(**{f.name: getattr(control, f.name) + getattr(treatment, f.name) for f in fields(Sums)})
    slope = both.covariance / both.score_spread if both.score_spread > _ROUNDING * both.score_squared else 0.0
    plain = sum(side.won_spread / (side.leads - 1) / side.leads for side in (control, treatment))
    variance = sum(
        (side.won_spread - 2 * slope * side.covariance + slope**2 * side.score_spread) / (side.leads - 1) / side.leads
        for side in (control, treatment)
    )
    rates = [(side.won - slope * side.score) / side.leads for side in (control, treatment)]
    return AdjustedDifference(
        difference=rates[1] - rates[0], variance=variance, reduction=1 - variance / plain if plain > 0 else 0.0
    )


_ROUNDING = 1e-9
"""Of the sum of squares: a smaller spread is what rounding leaves of none."""


def _chi_square(control: Arm, treatment: Arm) -> tuple[float, float]:
    from scipy.stats import chi2_contingency  # noqa: PLC0415  # as above

    table = [[arm.conversions, arm.leads - arm.conversions] for arm in (control, treatment)]
    if 0 in (table[0][0] + table[1][0], table[0][1] + table[1][1], control.leads, treatment.leads):
        return 0.0, 1.0
    found = chi2_contingency(table, correction=False)
    return float(found.statistic), float(found.pvalue)


def _lift_interval(control: Arm, treatment: Arm, level: float) -> Interval | None:
    if not control.conversions or not treatment.conversions:
        return None
    ratio = log(treatment.rate / control.rate)
    error = sqrt(sum(1 / arm.conversions - 1 / arm.leads for arm in (control, treatment)))
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(low=exp(ratio - half) - 1, high=exp(ratio + half) - 1, level=level)


def _require_sense(baseline: float, lift: float, power: float, alpha: float) -> float:
    """The lifted rate."""
    lifted = baseline * (1 + lift)
    if not 0 < baseline < 1:
        raise RefusedError(f"A conversion rate of {baseline:g} leaves nothing to compare; it must lie between 0 and 1.")
    if lift == 0 or not 0 < lifted < 1:
        raise RefusedError(
            f"A lift of {lift:+.0%} on a rate of {baseline:.1%} gives {lifted:.1%}; choose another lift."
        )
    if not 0 < power < 1 or not 0 < alpha < 1:
        raise RefusedError(f"Power ({power:g}) and alpha ({alpha:g}) must lie between 0 and 1.")
    return lifted
