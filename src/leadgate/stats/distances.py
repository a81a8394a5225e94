"""How far two distributions are apart, from counts in bins (quiet).

Counts are arrays of shape (bins,), of any numeric type, in the same bins on both sides. A side without any count has no
distribution: ValueError.
"""

from math import erfc, sqrt

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_LARGE = 5_000
_FEWEST_EXPECTED = 5.0
"""Cells with fewer expected counts make Pearson's statistic unreliable (Cochran 1954); they are pooled."""


def shares(counts: Counts | Floats) -> Floats:
    """Counts as shares that add up to 1."""
    total = float(counts.sum())
    if total <= 0:
        raise ValueError("no count, so there is no distribution")
    return np.asarray(counts / total, dtype=np.float64)


def ks_statistic(a: Counts, b: Counts) -> float:
    """Largest distance of the two distribution functions at the upper edges of the bins (Kolmogorov-Smirnov).

    Equal to the statistic of the values themselves when no bin has values of ``a`` below its upper edge; otherwise it
    is at most the largest such share of ``a`` too small.
    """
    gap = np.abs(np.cumsum(shares(a)) - np.cumsum(shares(b)))
    return float(gap.max())


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Two-sided p-value of a two-sample statistic, asymptotic; as ``scipy.stats.ks_2samp(method="asymp")``.

    With ties it is conservative. Large samples take Kolmogorov's limit: the other is slow there, and NaN in the end.
    """
    from scipy.stats import kstwo, kstwobign  # noqa: PLC0415  # 0.5 s, and the drainer never needs it

    # Python integers: n * m of two large numpy ones would overflow.
    effective = int(n) * int(m) / (int(n) + int(m))
    if effective > _LARGE:
        return float(kstwobign.sf(statistic * sqrt(effective)))
    return float(np.clip(kstwo.sf(statistic, max(1.0, round(effective))), 0.0, 1.0))


def js_divergence(a: Counts | Floats, b: Counts | Floats) -> float:
    """Jensen-Shannon divergence in nats, 0 to ln 2 (Lin 1991). Its root is the distance that others report."""
    p, q = shares(a), shares(b)
    middle = (p + q) / 2
    return max(0.0, entropy_of(middle) - (entropy_of(p) + entropy_of(q)) / 2)


def entropy_of(share: Floats) -> float:
    """Shannon entropy in nats of shares that add up to 1."""
    positive = share[share > 0]
    return float(-(positive * np.log(positive)).sum())


def psi(a: Counts | Floats, b: Counts | Floats, floor: float = 1e-4) -> float:
    """Population stability index of ``b`` against ``a``: the symmetric Kullback-Leibler divergence.

    Shares below ``floor`` count as ``floor``: an empty bin would make it infinite.
    """
    p, q = np.maximum(shares(a), floor), np.maximum(shares(b), floor)
    return float(((q - p) * np.log(q / p)).sum())


def homogeneity_p_value(a: Counts, b: Counts) -> float:
    """Pearson's chi-square test that two samples have the same distribution over the bins.

    Bins with fewer than 5 expected on a side are pooled, and where that leaves one bin nothing can be told: 1.
    """
    from scipy.stats import chi2  # noqa: PLC0415

    table = np.stack([a, b]).astype(np.float64)
    smaller = float(table.sum(axis=1).min()) / float(table.sum())
    rare = table.sum(axis=0) * smaller < _FEWEST_EXPECTED
    table = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:  # noqa: PLR2004  # one bin
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, table.shape[1] - 1))


def coarse(counts: Counts, reference: Counts, groups: int = 10) -> Counts:
    """Counts of fine bins in at most ``groups`` groups of neighbours that hold equal shares of ``reference``.

    A bin that holds more than such a share is a group by itself, so there can be fewer.
    """
    share = shares(reference)
    middle = np.cumsum(share) - share / 2
    group = np.minimum((middle * groups).astype(np.int64), groups - 1)
    return np.bincount(group, weights=counts, minlength=groups).astype(np.int64)


def quantile(counts: Counts, edges: Floats, q: float) -> float:
    """The upper edge of the bin in which a quantile lies; ``edges`` has one entry a bin."""
    seen = np.cumsum(counts)
    if seen[-1] <= 0:
        raise ValueError("no count, so there is no quantile")
    return float(edges[min(int(np.searchsorted(seen, q * seen[-1], side="left")), len(edges) - 1)])


def mean_difference_p_value(difference: float, variance_a: float, n: int, variance_b: float, m: int) -> float:
    """Two-sided p-value of a difference of two means by Welch's test, normal approximation."""
    error = sqrt(variance_a / n + variance_b / m) if n and m else 0.0
    if error == 0.0:
        return 1.0 if difference == 0.0 else 0.0
    return erfc(abs(difference) / error / sqrt(2))
