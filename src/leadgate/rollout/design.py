"""What an A/B test of a given size can see, before it starts (quiet)."""

from dataclasses import dataclass
from math import ceil

from leadgate.errors import RefusedError
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.stats.experiments import detectable_lift, planned_size, power_of


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the champion does now."""

    leads: int
    """Matured leads that it rests on."""
    conversions: int
    """Within the horizon."""
    leads_per_day: float
    """New leads a day."""

    @property
    def rate(self) -> float:
        """Share of the matured leads that converted; 0 without any."""
        return self.conversions / self.leads if self.leads else 0.0


@dataclass(frozen=True, kw_only=True)
class Design:
    """The size of the experiment and what it can see."""

    baseline: Baseline
    leads_per_arm: int
    """Matured leads a side at which the chi-square test is made."""
    asked_lift: float
    """Relative lift that the settings want seen..."""
    power: float
    """...and the probability with which this size sees it."""
    detectable_lift: float
    """Relative lift that this size sees with the probability that the settings want."""
    detectable_at_minimum: float
    """The same for the settings' least number of leads a side."""
    days: float | None
    """Until the leads of both sides are in and their horizon has passed, at today's traffic; None without traffic."""
    horizon_days: float


def design_of(baseline: Baseline, rules: RolloutRules, horizon_days: float) -> Design:
    """Plan the experiment. Raises RefusedError for a baseline that nothing can be planned from."""
    if baseline.conversions in {0, baseline.leads}:
        raise RefusedError(
            f"Of {baseline.leads:,} matured leads {baseline.conversions:,} converted, so there is no rate to plan an "
            "experiment from; import outcomes (`leadgate outcomes import FILE`) or wait until leads mature."
        )
    asked, rate = rules.experiment, baseline.rate
    size = asked.leads_per_arm or max(
        rules.ab_test.min_leads, planned_size(rate, asked.detectable_lift, asked.power, asked.alpha)
    )
    return Design(
        baseline=baseline,
        leads_per_arm=size,
        asked_lift=asked.detectable_lift,
        power=power_of(rate, asked.detectable_lift, size, asked.alpha),
        detectable_lift=detectable_lift(rate, size, asked.power, asked.alpha),
        detectable_at_minimum=detectable_lift(rate, rules.ab_test.min_leads, asked.power, asked.alpha),
        days=_days(size, baseline, rules, horizon_days),
        horizon_days=horizon_days,
    )


def _days(size: int, baseline: Baseline, rules: RolloutRules, horizon_days: float) -> float | None:
    smaller = min(rules.ab_test.share, 1 - rules.ab_test.share)
    if baseline.leads_per_day <= 0:
        return None
    return ceil(size / (baseline.leads_per_day * smaller)) + horizon_days
