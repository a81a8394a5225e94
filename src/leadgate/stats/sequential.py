"""Looking as often as one likes: intervals and a test that stay valid (quiet)."""

from dataclasses import dataclass
from math import inf, log, sqrt

from leadgate.records import Interval

MIN_CONVERSIONS = 40
"""Of both sides together, below which the normal approximation of these methods is not to be trusted."""


@dataclass(frozen=True, kw_only=True)
class HarmBound:
    """How much speaks for harm, at whatever time one looks."""

    evidence: float
    """Natural logarithm of the likelihood ratio of "worse by the margin" against "no worse"."""
    threshold: float
    """Evidence that a harmless challenger ever exceeds with probability alpha at most (Ville's inequality)."""
    harmed: bool
    upper: float
    """One-sided upper bound of the difference, valid at every look."""


def sequence_interval(difference: float, variance: float, leads: int, planned: int, alpha: float = 0.05) -> Interval:
    """Two-sided asymptotic confidence sequence of a difference of means.

    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021), Time-uniform central limit theory and asymptotic confidence
    sequences, theorem 2.2: the boundary of a Gaussian mixture, whose parameter is chosen (their appendix B.2) so that
    the interval is narrowest at ``planned`` leads a side. ``variance`` is that of the estimate at this look, ``leads``
    those of the smaller side.
    """
    if leads < 1 or variance <= 0:
        return Interval(low=-inf, high=inf, level=1 - alpha)
    rho2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / max(planned, 1)
    grown = leads * rho2 + 1
    # variance * leads is the variance of one observation, which the theorem's boundary is stated in.
    half = sqrt(variance * leads * 2 * grown / (leads * leads * rho2) * log(sqrt(grown) / alpha))
    return Interval(low=difference - half, high=difference + half, level=1 - alpha)


def harm_bound(difference: float, variance: float, margin: float, alpha: float = 0.05) -> HarmBound:
    """One-sided test of "the true difference is not below 0", valid at every look.

    The likelihood ratio of the difference ``-margin`` against 0 (Wald 1945) is, for normal increments, a nonnegative
    supermartingale whenever the true difference is 0 or more, so it ever reaches 1/alpha with probability alpha at most
    (Ville 1939); its boundary is the straight line of Howard, Ramdas, McAuliffe & Sekhon (2021). ``margin`` > 0 is the
    harm that it finds soonest; a larger one is found sooner still. ``variance`` is that of the estimate at this look.
    """
    threshold = log(1 / alpha)
    if variance <= 0 or margin <= 0:
        return HarmBound(evidence=-inf, threshold=threshold, harmed=False, upper=inf)
    evidence = (-margin * difference - margin * margin / 2) / variance
    return HarmBound(
        evidence=evidence,
        threshold=threshold,
        harmed=evidence >= threshold,
        upper=difference + threshold * variance / margin + margin / 2,
    )
