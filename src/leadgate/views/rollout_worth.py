"""What a challenger is worth: lift, conversions, revenue, each with its interval or not at all (quiet)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from leadgate.leads.rollout_rules import ExperimentRules
from leadgate.rollout.evidence import ExperimentEvidence, PlannedTest, Revenue, Side
from leadgate.stats.sequential import MIN_CONVERSIONS, sequence_interval
from leadgate.views.health import Mark
from leadgate.views.reports.money import LEVEL, Increment, Paid, increment
from leadgate.views.wording import share

_LEADS = 1_000
_MONTH_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Gain:
    """One figure and how sure it is."""

    name: str
    value: str
    interval: str
    says: str
    main: bool = True
    """Whether the first page shows it too."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What is known of it."""

    rollout_id: int
    challenger: str
    champion: str
    mark: Mark
    headline: str
    gains: Sequence[Gain] = ()
    """Empty where nothing can be said."""
    level: str = ""
    """Coverage of their intervals."""
    notes: Sequence[str] = ()
    evidence_id: int | None = None
    """Where it comes from."""
    at: datetime | None = None
    """As of when."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Which versions, and what was found of them."""

    rollout_id: int
    challenger: str
    champion: str
    design: Mapping[str, Any] | None
    """The plan of the experiment."""
    rules: ExperimentRules
    trial: ExperimentEvidence | None
    """The last evidence of the A/B test; None before there is any."""
    evidence_id: int | None = None
    at: datetime | None = None
    over: bool = False
    """Whether no A/B test can come any more."""


def worth_of(found: Contest) -> Worth:
    """What the challenger is worth against the champion, by the A/B test."""
    trial = found.trial
    if trial is None:
        why = (
            "was never found out: there was no A/B test."
            if found.over
            else "cannot be said yet: only the A/B test tells, and it has not been evaluated."
        )
        return _unknown(found, why)
    if found.rules.aa:
        return _unknown(found, "is nothing by design: both sides of this A/A test are the same model.")
    if min(trial.ratio_p, trial.silent_p) < found.rules.mismatch_p:
        return _unknown(found, "cannot be said: one side lacks leads or outcomes, so nothing is concluded from them.")
    conversions = _conversions(trial)
    if conversions is None:
        return _unknown(found, f"cannot be said yet: {_why_nothing(trial)}.")
    return _known(found, trial, conversions)


def _why_nothing(trial: ExperimentEvidence) -> str:
    have = trial.control.conversions + trial.treatment.conversions
    if have >= MIN_CONVERSIONS:
        return "one side has hardly any conversions, so there is nothing to measure the difference by"
    return f"{have:,} leads converted, and it takes {MIN_CONVERSIONS} at least"


def _known(found: Contest, trial: ExperimentEvidence, conversions: Increment) -> Worth:
    money = _money(trial, found.rules)
    mark, verdict = _verdict(conversions)
    return Worth(
        rollout_id=found.rollout_id,
        challenger=found.challenger,
        champion=found.champion,
        mark=mark,
        headline=f"Against version {found.champion}, version {found.challenger} {verdict}.",
        gains=[
            *_lift(trial.test),
            *_scaled("conversions", conversions, found.design, lambda v: f"{v:+,.1f}"),
            *(_revenue(money, found.design) if money else []),
        ],
        level=share(LEVEL if trial.test else 1 - found.rules.alpha),
        notes=_notes(found, trial, money),
        evidence_id=found.evidence_id,
        at=found.at,
    )


def _verdict(conversions: Increment) -> tuple[Mark, str]:
    if conversions.low > 0:
        return "green", "wins more leads"
    if conversions.high < 0:
        return "red", "wins fewer leads"
    return "unknown", "has not been shown to win more leads, or fewer: the interval holds 0"


def _unknown(found: Contest, why: str) -> Worth:
    return Worth(
        rollout_id=found.rollout_id,
        challenger=found.challenger,
        champion=found.champion,
        mark="unknown",
        headline=f"What version {found.challenger} is worth {why}",
        evidence_id=found.evidence_id,
        at=found.at,
    )


def _conversions(trial: ExperimentEvidence) -> Increment | None:
    """More conversions a lead: of the planned test once it is made, before by the sequence, which may be looked at."""
    if trial.test is not None:
        n = trial.test.leads
        sides = [_shares(won, n) for won in (trial.test.control_conversions, trial.test.treatment_conversions)]
        return increment(sides[0], sides[1])
    if trial.sequence is None or trial.difference is None:
        return None
    return Increment(value=trial.difference, low=trial.sequence.low, high=trial.sequence.high)


def _money(trial: ExperimentEvidence, rules: ExperimentRules) -> Increment | None:
    """More revenue a lead: by Welch's interval once the planned size is there, before by a sequence, as above."""
    if trial.control_revenue is None or trial.treatment_revenue is None:
        return None
    control = _paid(trial.control, trial.control_revenue)
    treatment = _paid(trial.treatment, trial.treatment_revenue)
    found = increment(control, treatment)
    if trial.test is not None or found is None:
        return found
    variance = control.variance / control.leads + treatment.variance / treatment.leads
    if variance <= 0:
        return None
    sure = sequence_interval(found.value, variance, min(control.leads, treatment.leads), trial.planned, rules.alpha)
    return Increment(value=found.value, low=sure.low, high=sure.high)


def _lift(test: PlannedTest | None) -> list[Gain]:
    if test is None or test.lift is None or test.interval is None:
        return []
    return [
        Gain(
            name="lift of the conversion rate",
            value=f"{test.lift:+.1%}",
            interval=f"{test.interval.low:+.1%} to {test.interval.high:+.1%}",
            says=f"at the planned {test.leads:,} leads a side, p = {test.p_value:.2g}",
        )
    ]


def _revenue(money: Increment, design: Mapping[str, Any] | None) -> list[Gain]:
    each = Gain(
        name="more revenue per lead",
        value=f"{money.value:+,.2f}",
        interval=f"{money.low:+,.2f} to {money.high:+,.2f}",
        says="in your currency; a lead that does not convert counts 0",
    )
    return [each, *(replace(gain, main=False) for gain in _scaled("revenue", money, design, lambda v: f"{v:+,.0f}"))]


def _scaled(what: str, each: Increment, design: Mapping[str, Any] | None, show: Callable[[float], str]) -> list[Gain]:
    """The same for a thousand leads, and for a month at the traffic that the plan counted with."""
    gains = [_times(f"more {what} per {_LEADS:,} leads", each, _LEADS, show, "")]
    daily = float(((design or {}).get("baseline") or {}).get("leads_per_day") or 0.0)
    if daily > 0:
        says = f"if it answers every lead, at the {daily:,.0f} leads a day that the plan counted with"
        month = _times(f"more {what} in {_MONTH_DAYS} days", each, daily * _MONTH_DAYS, lambda v: f"{v:+,.0f}", says)
        gains.append(replace(month, main=False))
    return gains


def _times(name: str, each: Increment, leads: float, show: Callable[[float], str], says: str) -> Gain:
    value, low, high = (show(v) for v in each.times(leads))
    return Gain(name=name, value=value, interval=f"{low} to {high}", says=says)


def _notes(found: Contest, trial: ExperimentEvidence, money: Increment | None) -> list[str]:
    notes = []
    if trial.test is None:
        notes.append(
            f"The test {'ended' if found.over else 'is'} before its planned size: its intervals hold at every look and"
            " are wider than its final one. The lift is judged at the planned size."
        )
    if money is None:
        notes.append(
            "In money nothing can be said from this evaluation: it has no deal sizes. "
            f"`leadgate report experiment --rollout {found.rollout_id}` works it out from the log."
        )
    elif money.low <= 0 <= money.high:
        notes.append("In money it may be nothing: the interval of the revenue holds 0.")
    return notes


def _shares(won: int, leads: int) -> Paid:
    """Conversions as what leads pay: 1 or 0."""
    rate = won / leads
    return Paid(leads=leads, mean=rate, variance=rate * (1 - rate) * leads / max(leads - 1, 1))


def _paid(side: Side, revenue: Revenue) -> Paid:
    return Paid(leads=side.matured, mean=revenue.mean, variance=revenue.variance)
