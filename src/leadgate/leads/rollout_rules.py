"""The section ``rollout`` of leadgate.yaml: how far evidence must carry a challenger (quiet)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leadgate.leads.schema import Record

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
LiveStage = Literal["shadow", "canary", "ab_test", "full"]


class StageRules(Record):
    """How long a stage takes."""

    min_days: Annotated[float, Field(ge=0)]
    """No challenger leaves it earlier, whatever the evidence; days in which it was paused do not count."""
    max_days: Positive
    """After it people are told that it is overdue."""
    min_leads: Count
    """Leads that the challenger must have scored in it."""

    @model_validator(mode="after")
    def _ordered(self) -> "StageRules":
        if self.min_days > self.max_days:
            raise ValueError(f"min_days ({self.min_days:g}) is above max_days ({self.max_days:g}); swap them")
        return self


class ShadowRules(StageRules):
    """The challenger scores every lead, and nobody is told."""

    min_days: Annotated[float, Field(ge=0)] = 7
    max_days: Positive = 14
    min_leads: Count = 500
    min_matured: Count = 300
    """Leads scored in it whose outcome window has passed with an outcome, before quality is judged."""
    min_conversions: Count = 30
    """And those of them that converted: without conversions there is nothing to rank."""


class CanaryRules(StageRules):
    """The challenger answers a few leads."""

    min_days: Annotated[float, Field(ge=0)] = 7
    max_days: Positive = 14
    min_leads: Count = 100
    share: Annotated[float, Field(ge=0.001, lt=0.5)] = 0.1
    """Of the leads, for the challenger."""
    min_matured: Count = 50
    """Leads that the challenger answered whose horizon has passed with an outcome: before that nothing is known of
    what its answers do."""


class AbRules(StageRules):
    """Both answer, and outcomes decide."""

    min_days: Annotated[float, Field(ge=0)] = 14
    max_days: Positive = 28
    min_leads: Count = 5_000
    """A side, with matured outcomes; the planned size holds where it is larger."""
    share: Annotated[float, Field(ge=0.01, le=0.9)] = 0.5
    """Of the leads, for the challenger."""


class FullRules(StageRules):
    """The challenger answers every lead and is still watched."""

    min_days: Annotated[float, Field(ge=0)] = 17.5
    max_days: Positive = 28
    min_leads: Count = 100
    min_matured: Count = 300
    """Leads whose horizon has passed with an outcome, before the watch may end."""


class GradualRules(Record):
    """A way back in steps: the old version takes most leads, the new one keeps a few."""

    share: Annotated[float, Field(ge=0.001, lt=0.5)] = 0.1
    """Of the leads, still for the version that goes."""
    days: Positive = 7


class Bar(Record):
    """A threshold, absolute or as a multiple of the champion's figure on the same leads."""

    at_least: float | None = None
    at_most: float | None = None
    of: Literal["itself", "champion"] = "itself"
    """champion: the threshold is that multiple of the champion's figure."""

    @model_validator(mode="after")
    def _one_side(self) -> "Bar":
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a bar has either at_least or at_most")
        return self


_UPWARD = ("throughput", "auc", "precision", "recall", "ab_auc")
"""Figures of which more is better."""
_SHARES = ("error_rate", "auc", "precision", "recall", "calibration_error", "ab_auc")
"""Figures between 0 and 1."""
_BARS = (*_UPWARD, "p95_ms", "p99_ms", "error_rate", "memory_mb", "calibration_error")


class GateRules(Record):
    """What the gates ask; null switches one off."""

    p95_ms: Bar | None = Bar(at_most=100)
    p99_ms: Bar | None = Bar(at_most=200)
    throughput: Bar | None = Bar(at_least=1_000)
    """Requests a second that the workers could answer, from the processor time of those they did answer."""
    error_rate: Bar | None = Bar(at_most=0.001)
    memory_mb: Bar | None = Bar(at_most=2_048)
    """Peak resident memory of a worker."""
    auc: Bar | None = Bar(at_least=0.85)
    precision: Bar | None = Bar(at_least=0.80)
    recall: Bar | None = Bar(at_least=0.80)
    calibration_error: Bar | None = Bar(at_most=0.05)
    auc_loss: Share | None = 0.02
    """The challenger's AUC may be this far below the champion's on the same leads (DeLong's paired interval)."""
    degradation: Share | None = 0.10
    """No figure may be more than this share worse than the champion's on the same leads."""
    quartile_shift: Share | None = 0.15
    """The quartiles of the challenger's scores may differ from the champion's by this."""
    agreement: Annotated[float, Field(ge=-1, le=1)] | None = 0.5
    """Spearman's rank correlation of the two versions' scores, at least."""
    missing_rise: Share | None = 0.01
    """The share of missing values of a feature may rise by this over what it was before the rollout."""
    unknown_categories: Share | None = 0.001
    """Share of leads with a category that leadgate.yaml does not name."""
    rating: Annotated[float, Field(ge=0, le=10)] | None = 8
    """Mean of the sales ratings in the A/B test."""
    min_ratings: Count = 5
    ab_auc: Bar | None = Bar(at_least=0.87)
    """AUC on the leads of the A/B test."""
    attention: Annotated[float, Field(gt=0)] | None = 0.15
    """The shares of leads marked high, and of leads contacted, may differ between the sides by this (relative): a side
    that gets more of the sales team's attention converts more, whatever its ranking is worth."""

    @model_validator(mode="after")
    def _sensible(self) -> "GateRules":
        for name in _BARS:
            bar: Bar | None = getattr(self, name)
            if bar is not None:
                _refuse_senseless(name, bar)
        return self


def _refuse_senseless(name: str, bar: Bar) -> None:
    """Raises ValueError for a bar that everything or nothing can meet."""
    upward = name in _UPWARD
    limit = bar.at_least if upward else bar.at_most
    if limit is None:
        raise ValueError(
            f"{name} takes {'at_least' if upward else 'at_most'}: {'more' if upward else 'less'} is better"
        )
    if limit < 0 or (name in _SHARES and bar.of == "itself" and limit > 1):
        span = "between 0 and 1" if name in _SHARES else "0 or more"
        raise ValueError(f"{name} is {span}, so {limit:g} cannot be asked of it")


class ExperimentRules(Record):
    """How the A/B test is planned and judged."""

    min_lift: Annotated[float, Field(ge=0)] = 0.05
    """Relative lift of the conversion rate that a promotion needs to show."""
    detectable_lift: Annotated[float, Field(gt=0)] = 0.10
    """Relative lift that the planned size is to see..."""
    power: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """...with this probability."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Of the chi-square test at the planned size, and of the sequence of looks before it."""
    harm_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.04
    """Probability that a challenger which does no harm is ever stopped for harm, over all looks of canary and A/B test
    together."""
    harm_margin: Annotated[float, Field(gt=0, lt=1)] = 0.10
    """Relative loss of conversions that harm is looked for at: the looks are tuned to find it soonest."""
    horizon_days: Positive | None = None
    """A lead converts when it does so within this many days of its first score; null: the outcome window."""
    leads_per_arm: Count | None = None
    """Overrules the planned size."""
    deal_size_margin: Share | None = 0.10
    """Deals must be shown to be no more than this share smaller; null: not asked."""
    days_to_close_margin: Share | None = 0.10
    """The same for longer sales cycles."""
    mismatch_p: Annotated[float, Field(gt=0, lt=0.05)] = 0.001
    """A split that is less probable than this blocks every verdict."""
    cuped: bool = True
    """Whether the looks use the champion's score to take out variance."""
    segments: tuple[str, ...] = ()
    """Features by which harm is looked for; empty: the segments of the lead."""
    aa: bool = False
    """Both sides are the same model: nothing is promoted, the machinery is tested."""


class RolloutRules(Record):
    """The way of a challenger."""

    shadow: ShadowRules = ShadowRules()
    canary: CanaryRules = CanaryRules()
    ab_test: AbRules = AbRules()
    full: FullRules = FullRules()
    gradual_rollback: GradualRules = GradualRules()
    extension_days: Positive = 7
    max_extensions: Annotated[int, Field(ge=0)] = 2
    """Of a stage that ended without a verdict, by itself; people may extend as they like."""
    sign_off: tuple[LiveStage, ...] = ("shadow", "ab_test")
    """Stages that a challenger leaves only with a person's approval."""
    approve_own_model: bool = True
    """Whether the person who trained the challenger may approve it."""
    priority: Literal["scores", "quantiles"] = "quantiles"
    """quantiles: the challenger marks the same share of leads high as the champion does, so that one which merely
    scores higher does not take the sales team's attention; it keeps its thresholds when it becomes champion. scores:
    both by the thresholds of leadgate.yaml."""
    capacity: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the leads that the sales team can work; the two versions' top lists are compared at it."""
    gates: GateRules = GateRules()
    experiment: ExperimentRules = ExperimentRules()

    @model_validator(mode="after")
    def _grows(self) -> "RolloutRules":
        if self.canary.share > self.ab_test.share:
            raise ValueError(
                f"the canary's share ({self.canary.share:g}) is above the A/B test's ({self.ab_test.share:g}); "
                "a challenger's share only grows"
            )
        return self
