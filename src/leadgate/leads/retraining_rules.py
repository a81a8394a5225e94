"""The section ``retraining`` of leadgate.yaml: when a model is trained anew, and what a new one has to be (quiet)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leadgate.leads.schema import Record
from leadgate.leads.worker_rules import Cron

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class TriggerRules(Record):
    """What asks for a training; null switches a trigger off."""

    schedule: Cron | None = "0 2 * * sun"
    """In UTC."""
    auc_below: Share | None = 0.85
    """Of the champion on matured leads, surely (the whole interval); for a champion that reached it on its hold-out."""
    drifted_features: Count | None = 2
    """More drifted features than these are an emergency; one asks people to look."""
    rating: bool = True
    """A sales rating surely below monitoring.business.rating is an emergency."""
    new_leads: Count | None = 10_000
    """More leads with an outcome than these since the last training."""


class RenewalGates(Record):
    """What a new version has to reach; null switches a gate off."""

    challenger_auc: Share | None = 0.87
    """On the hold-out, to become challenger; a version between both is registered and waits for a person."""
    alert_auc: Share | None = 0.85
    """On the hold-out; below it nothing is registered, and people are told."""
    champion_margin: Share = 0.01
    """AUC that it may lie below the champion's on the same recent leads."""
    locked_margin: Share = 0.03
    """AUC that it may lie below the best champion so far, on leads whose outcomes were locked with the champion."""
    unexplained_loss: Share | None = 0.05
    """AUC that the champion may surely have lost on recent leads, where the new version gains nothing on them: the
    world that turned is learnt, labels that are wrong are not."""
    relabelled: Share | None = 0.02
    """Share of the locked outcomes that may have changed since."""

    @model_validator(mode="after")
    def _ordered(self) -> "RenewalGates":
        low, high = self.alert_auc, self.challenger_auc
        if low is not None and high is not None and low > high:
            raise ValueError(f"alert_auc ({low:g}) is above challenger_auc ({high:g}); swap them")
        return self


class RetrainingRules(Record):
    """When a model is trained anew, on what, and what becomes of it."""

    triggers: TriggerRules = TriggerRules()
    cool_down_days: Positive = 7
    """Before the regular training, and before another one that the same trigger asks for..."""
    emergency_cool_down_days: Positive = 1
    """...and before one that an emergency, or many new leads, ask for."""
    most_a_month: Count = 6
    """Trainings that triggers start in 30 days."""
    least_new_leads: Count = 100
    """With fewer new leads with an outcome there is nothing new to learn."""
    window_days: Positive | None = 180
    """A model of the leads of this span, back from the last one whose outcome is known, is tried beside one of all
    leads, and the better is kept; null: all leads."""
    compare_days: Positive = 90
    """Held-out leads of this span, back from the same, compare the new version with the champion."""
    gates: RenewalGates = RenewalGates()
    rollout: Literal["auto", "ask"] = "auto"
    """auto: a version that passes goes into the shadow by itself; ask: a person starts its rollout."""
