"""Times to conversion (quiet)."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from leadgate.records import Interval
from leadgate.stats.amounts import ENOUGH, NonInferiority, judge_change
from leadgate.stats.proportions import Z95

Days = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SurvivalCurve:
    """How many leads have converted by when."""

    days: Days
    """Of each conversion, ascending, shape (k,)."""
    converted_share: Days
    """Share of the leads that have converted by then (1 - Kaplan-Meier), shape (k,)."""


@dataclass(frozen=True, kw_only=True)
class LogRank:
    """Whether leads of two sides convert at the same pace."""

    statistic: float
    """Chi-square with one degree of freedom."""
    p_value: float


def kaplan_meier(days: Days, event: Flags) -> SurvivalCurve:
    """The Kaplan-Meier estimate (1958), by statsmodels; ``event`` is False for leads that were watched no longer."""
    from statsmodels.duration.survfunc import SurvfuncRight  # noqa: PLC0415  # 1 s, and serving never needs it

    found = SurvfuncRight(days, event.astype(int))
    return SurvivalCurve(days=np.asarray(found.surv_times), converted_share=1 - np.asarray(found.surv_prob))


def log_rank(days_a: Days, event_a: Flags, days_b: Days, event_b: Flags) -> LogRank:
    """The log-rank test of two sides (Mantel 1966), by statsmodels. No event at all gives a p-value of 1."""
    from statsmodels.duration.survfunc import survdiff  # noqa: PLC0415  # as above

    events = np.concatenate([event_a, event_b])
    if not events.any():
        return LogRank(statistic=0.0, p_value=1.0)
    side = np.concatenate([np.zeros(len(days_a)), np.ones(len(days_b))])
    statistic, p_value = survdiff(np.concatenate([days_a, days_b]), events.astype(int), side)
    return LogRank(statistic=float(statistic), p_value=float(p_value))


def slower(
    days_control: Days, event_control: Flags, days_treatment: Days, event_treatment: Flags, margin: float
) -> NonInferiority:
    """Whether the leads that convert within the horizon take longer to, by more than ``margin`` (relative).

    The mean over the conversions, with the interval of the ratio of means by the delta method (Fieller's without its
    correlation, the sides being independent). Not the restricted mean over all leads: with a conversion rate of a few
    percent that is nearly the horizon, whatever happens to the pace.
    """
    a, b = days_control[event_control], days_treatment[event_treatment]
    fewest = min(len(a), len(b))
    if fewest < ENOUGH or a.mean() <= 0:
        return NonInferiority(change=None, interval=None, margin=margin, verdict="not enough data", leads=fewest)
    ratio = float(b.mean() / a.mean())
    relative = sum(float(side.var(ddof=1)) / len(side) / float(side.mean()) ** 2 for side in (a, b))
    half = Z95 * ratio * sqrt(relative)
    interval = Interval(low=ratio - half - 1, high=ratio + half - 1)
    return judge_change(ratio - 1, interval, margin, worse_is_less=False, margin=margin, leads=fewest)
