"""Shadows whose truth is known, judged each day by the gates that hold them against the champion."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.special import expit

from leadgate.rollout.comparing import paired_quality
from leadgate.rollout.decisions import decide
from leadgate.rollout.quality import auc_against_champion, degradation
from rollout_runs import NOTHING, RULES, Values, intercept

LEADS, DAYS = 200, 14
"""Leads a day whose outcome is known, and days."""
AS_GOOD, WORSE = 0.6, 1.2
"""Noise of a version's view of a lead's logit; the second costs 0.05 of AUC."""


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """What the daily looks at a shadow said, until it was sent back or its days were over."""

    sent_back: bool
    ever_passed: bool
    """By both gates at a look at which it may leave the shadow."""
    passes: bool
    """By both gates at the last look."""


def watch(noise: float, seed: int) -> Shadow:
    """A shadow's days, each of which brings leads whose outcome is known."""
    rng = np.random.default_rng([seed, round(100 * noise)])
    n = LEADS * DAYS
    logit = intercept(0.1) + 1.1 * rng.normal(size=n)
    leads = pl.DataFrame(
        {
            "matured": np.ones(n, dtype=bool),
            "won": rng.random(n) < expit(logit),
            "champion_score": _calibrated(logit + AS_GOOD * rng.normal(size=n), AS_GOOD),
            "challenger_score": _calibrated(logit + noise * rng.normal(size=n), noise),
        }
    )
    passes: list[bool] = []
    for day in range(3, DAYS + 1):
        paired = paired_quality(leads.head(day * LEADS), 0.5, RULES.capacity, rng)
        evidence = replace(NOTHING, paired=paired)
        verdicts = [v for gate in (auc_against_champion, degradation) if (v := gate(evidence, RULES))]
        if decide(evidence, verdicts, RULES).act == "roll_back":
            return Shadow(sent_back=True, ever_passed=any(passes), passes=False)
        if day >= RULES.shadow.min_days:
            passes.append(all(verdict.answer == "pass" for verdict in verdicts))
    return Shadow(sent_back=False, ever_passed=any(passes), passes=passes[-1])


def _calibrated(seen: Values, noise: float) -> Values:
    """What a calibrated model makes of a noisy view of the logit: the mean of the truth given the view."""
    weight = 1.1**2 / (1.1**2 + noise**2)
    centre = intercept(0.1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    spread = 1.1 * np.sqrt(1 - weight)
    mean = centre + weight * (seen - centre)
    return np.asarray(expit(mean[:, None] + spread * nodes) @ weights / weights.sum())
