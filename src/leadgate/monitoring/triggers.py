"""Whether a model is to be trained anew now, and why, or why not (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from leadgate.leads.retraining_rules import RetrainingRules
from leadgate.monitoring.findings import Finding, named

Name = Literal["scheduled", "performance", "drift", "rating", "volume"]
Asks = Literal["training", "emergency", "review"]
Act = Literal["run", "wait", "review", "rest"]
"""run: train now; wait: something asks, and something forbids; review: people have to look; rest: nothing asks."""
WhyNot = Literal[
    "no champion", "under way", "no deliveries", "nothing new", "rollout", "too many", "cool-down"
]  # in the order in which they are asked

MONTH = timedelta(days=30)
_SLACK = timedelta(hours=12)
"""A weekly run begins a little later each time; the next is due when a week has passed but for this (or for half of a
cool-down that is shorter than a day)."""
_STALE = timedelta(days=2)
"""Checks that are older say nothing of now."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Something that may ask for a training."""

    name: Name
    fired: bool | None
    """None: there is not enough to judge."""
    asks: Asks
    value: float | None
    threshold: float | None
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known at a time."""

    now: datetime
    trained_at: datetime | None
    """When a version was last trained, or a retraining began; None while no version answers."""
    due_at: datetime | None
    """The last time that the schedule names; None without a schedule."""
    findings: Sequence[Finding]
    """Of the last run of checks."""
    checked_at: datetime | None
    """Of that run; None where there is none."""
    new_leads: int
    """Leads with an outcome that the last training did not know."""
    started: Sequence[datetime]
    """When the retrainings of the last months began that a trigger asked for."""
    under_way: int | None
    """The retraining that has not ended; None without one."""
    rollout: str | None
    """The version that a rollout tries at present; None without one."""
    answered: Mapping[str, datetime] = field(default_factory=dict)
    """By trigger: when the last training began for which it asked, alone or beside another."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows."""

    act: Act
    trigger: Name | None
    """That asked; None where none did."""
    emergency: bool
    why_not: WhyNot | None
    """The kind of reason not to run; None where it runs, and where nothing asks."""
    reason: str
    """In a sentence: why it runs, or why not."""
    triggers: tuple[Trigger, ...]

    @property
    def answer(self) -> tuple[str, str | None, str | None]:
        """What makes it another decision than the one before; days that pass do not."""
        return (self.act, self.trigger, self.why_not)


def decide(known: Known, rules: RetrainingRules) -> Decision:
    """Emergencies come before what is due; the first reason not to run that holds is told."""
    triggers = judge(known, rules)
    asking = [t for t in triggers if t.fired and t.asks != "review"]
    if not asking and known.under_way is not None:
        return _decision("wait", None, "under way", _under_way(known.under_way), triggers)
    if not asking:
        review = next((t for t in triggers if t.fired), None)
        act: Act = "review" if review else "rest"
        reason = f"{review.sentence}; somebody should look" if review else "nothing asks for a training"
        return _decision(act, review, None, reason, triggers)
    first = min(asking, key=lambda t: t.asks != "emergency")
    # What keeps an emergency from running may let the weekly run pass: each is asked for itself.
    refused: list[tuple[Trigger, WhyNot, str]] = []
    for trigger in sorted(asking, key=lambda t: t is not first):
        no = why_not(trigger, known, rules)
        if no is None:
            return _decision("run", trigger, None, trigger.sentence, triggers)
        refused.append((trigger, *no))
    trigger, kind, sentence = refused[0]
    return _decision("wait", trigger, kind, f"{trigger.sentence}; but {sentence}", triggers)


def judge(known: Known, rules: RetrainingRules) -> tuple[Trigger, ...]:
    """Each trigger that is switched on."""
    asked = rules.triggers
    found = [_scheduled(known, rules)] if asked.schedule is not None else []
    if asked.auc_below is not None:
        found.append(_performance(known, asked.auc_below))
    if asked.drifted_features is not None:
        found.append(_drift(known, asked.drifted_features))
    if asked.rating:
        found.append(_rating(known))
    if asked.new_leads is not None:
        found.append(_volume(known, asked.new_leads))
    return tuple(found)


def why_not(trigger: Trigger, known: Known, rules: RetrainingRules) -> tuple[WhyNot, str] | None:
    """The first reason not to train, by kind and in words; None where nothing forbids it."""
    if known.trained_at is None:
        return "no champion", "no version answers yet; `leadgate train` makes one, `leadgate serve` lets it answer"
    if known.under_way is not None:
        return "under way", _under_way(known.under_way)
    silence = _silence(known)
    if silence is not None:
        return "no deliveries", f"{silence.sentence}: what is silent is not lost, so nothing is learnt from it"
    if known.new_leads < rules.least_new_leads:
        return "nothing new", f"only {known.new_leads:,} new leads have an outcome ({rules.least_new_leads:,} needed)"
    return _too_soon(trigger, known, rules)


def _under_way(number: int) -> str:
    return (
        f"retraining {number} is under way, one at a time; where it was killed, the worker goes on with it, or "
        "`leadgate retrain`"
    )


def _too_soon(trigger: Trigger, known: Known, rules: RetrainingRules) -> tuple[WhyNot, str] | None:
    if known.rollout is not None and trigger.name != "scheduled":
        return "rollout", f"version {known.rollout} is on its way; what it does about it shows first"
    month = [at for at in known.started if at > known.now - MONTH]
    if len(month) >= rules.most_a_month:
        return "too many", f"{len(month)} retrainings began in the last 30 days, and {rules.most_a_month} may"
    return _cool_down(trigger, known, rules)


def _cool_down(trigger: Trigger, known: Known, rules: RetrainingRules) -> tuple[WhyNot, str] | None:
    """The schedule waits its time; what else asks waits a day only, but not for an answer that it has had already.

    What a training has not mended, another one a day later will not: an emergency that goes on is no news.
    """
    assert known.trained_at is not None
    answered = known.answered.get(trigger.name)
    again = timedelta() if answered is None else answered + timedelta(days=rules.cool_down_days) - known.now
    if answered is not None and trigger.name != "scheduled" and again > timedelta():
        return "cool-down", (
            f"a training began for that {_days(known.now - answered)} ago, and {rules.cool_down_days:g} days are to "
            f"pass before another ({_days(again)} left)"
        )
    days = rules.cool_down_days if trigger.name == "scheduled" else rules.emergency_cool_down_days
    slack = _slack(rules) if trigger.name == "scheduled" else timedelta()
    left = known.trained_at + timedelta(days=days) - slack - known.now
    if left <= timedelta():
        return None
    return "cool-down", f"the last training is {_ago(known)} ago, and {days:g} days are to pass ({_days(left)} left)"


def _scheduled(known: Known, rules: RetrainingRules) -> Trigger:
    """A time that lay in the cool-down is let pass: the weekly run stays on its day."""
    due, trained = known.due_at, known.trained_at
    if trained is None:
        return _unknown_for("scheduled", "training", None, "no version answers yet, `leadgate serve` lets one")
    free = trained + timedelta(days=rules.cool_down_days) - _slack(rules)
    fired = due is not None and due >= free
    when = "" if due is None else f"{due:%A %Y-%m-%d %H:%M} UTC"
    told = f"the regular training of {when} is due" if fired else f"the last regular time, {when}, is done with"
    if due is not None and trained < due < free:
        told = f"the last regular time, {when}, came within {rules.cool_down_days:g} days of a training and is let pass"
    return Trigger(name="scheduled", fired=fired, asks="training", value=None, threshold=None, sentence=told)


def _slack(rules: RetrainingRules) -> timedelta:
    return min(_SLACK, timedelta(days=rules.cool_down_days / 2))


def _performance(known: Known, asked: float) -> Trigger:
    found = next((f for f in _fresh(known, "AUC") if f.subject == "champion"), None)
    if found is None or found.value is None or found.interval is None:
        return _unknown("performance", "emergency", asked, found, known)
    holdout = found.details.get("holdout")
    if isinstance(holdout, float) and holdout < asked:
        fired, limit = found.severity == "red", found.threshold
        told = f"AUC {found.sentence}; below {asked:g} on its hold-out already, so the checks' red asks"
    else:
        fired, limit = found.interval.high < asked, asked
        surely = "surely below" if fired else "not surely below"
        told = f"AUC {found.value:.3f} of matured leads (95 %: up to {found.interval.high:.3f}) is {surely} {asked:g}"
    return Trigger(name="performance", fired=fired, asks="emergency", value=found.value, threshold=limit, sentence=told)


def _drift(known: Known, most: int) -> Trigger:
    found = _fresh(known, "feature drift")
    drifted = [f.subject for f in found if f.severity in ("yellow", "red")]
    if not drifted and all(f.severity == "unknown" for f in found):
        return _unknown("drift", "review", float(most), next(iter(found), None), known)
    which = f" ({', '.join(drifted)})" if drifted else ""
    many = len(drifted) > most
    return Trigger(
        name="drift",
        fired=bool(drifted),
        asks="emergency" if many else "review",
        value=float(len(drifted)),
        threshold=float(most),
        sentence=f"{len(drifted)} {'feature has' if len(drifted) == 1 else 'features have'} drifted{which}, more than "
        f"{most} are an emergency",
    )


def _rating(known: Known) -> Trigger:
    found = next(iter(_fresh(known, "sales rating")), None)
    if found is None or found.value is None:
        return _unknown("rating", "emergency", None, found, known)
    return Trigger(
        name="rating",
        fired=found.severity in ("yellow", "red"),
        asks="emergency",
        value=found.value,
        threshold=found.threshold,
        sentence=f"sales rating: {found.sentence}",
    )


def _volume(known: Known, most: int) -> Trigger:
    return Trigger(
        name="volume",
        fired=known.new_leads > most,
        asks="training",
        value=float(known.new_leads),
        threshold=float(most),
        sentence=f"{known.new_leads:,} new leads have an outcome, more than {most:,} ask for a training",
    )


def _silence(known: Known) -> Finding | None:
    """What says that the CRM has stopped to send outcomes, or sends far too few."""
    late = [f for f in _fresh(known, "delivery") if f.severity in ("yellow", "red")]
    few = [f for f in _fresh(known, "delivered volume") if f.severity == "red"]
    return next((f for f in (*late, *few) if f.subject == "outcomes"), None)


def _fresh(known: Known, check: str) -> list[Finding]:
    if known.checked_at is None or known.now - known.checked_at > _STALE:
        return []
    return named(known.findings, check)


def _unknown(name: Name, asks: Asks, threshold: float | None, found: Finding | None, known: Known) -> Trigger:
    if found is not None:
        why = found.sentence
    elif known.checked_at is None or known.now - known.checked_at > _STALE:
        why = "no checks have run in the last two days (`leadgate check run`)"
    else:
        why = "the last checks do not say"
    return _unknown_for(name, asks, threshold, why)


def _unknown_for(name: Name, asks: Asks, threshold: float | None, why: str) -> Trigger:
    return Trigger(name=name, fired=None, asks=asks, value=None, threshold=threshold, sentence=why)


def _decision(
    act: Act, trigger: Trigger | None, kind: WhyNot | None, reason: str, triggers: tuple[Trigger, ...]
) -> Decision:
    return Decision(
        act=act,
        trigger=trigger.name if trigger else None,
        emergency=trigger is not None and trigger.asks == "emergency",
        why_not=kind,
        reason=reason,
        triggers=triggers,
    )


def _ago(known: Known) -> str:
    assert known.trained_at is not None
    return _days(known.now - known.trained_at)


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:.1f} days"
