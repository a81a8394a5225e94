"""Rollouts of challengers whose truth is known, from their canary to their end, judged by Leadgate each day.

What outcomes decide is simulated lead by lead. Shadow quality, latency and the like are taken as good, sign-offs as
given.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import chi2

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.decisions import decide
from leadgate.rollout.design import Baseline, design_of
from leadgate.rollout.evidence import Evidence, ExperimentEvidence, MarginEvidence, PlannedTest, Side
from leadgate.rollout.experiment import difference_of, harm_alpha, looks_of
from leadgate.rollout.stages import State, move
from leadgate.rollout.trial import attention, harmless, planned_test, sample_ratio
from leadgate.rollout.verdicts import Verdict
from leadgate.stats.experiments import Arm, Sums, compare_arms
from leadgate.stats.experiments import sample_ratio as ratio_of

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

RULES = RolloutRules()
HORIZON_DAYS = 7
DAYS_OF_TEST = 120
"""Traffic is such that the planned size takes as long."""
CANARY_DAYS = 7
"""At least; it goes on until enough of its leads have matured."""
_LONGEST_CANARY = 40
_LAST_DAY = 180
"""By then every rollout that is not blocked has ended."""
START = datetime(2026, 1, 5, tzinfo=UTC)

WORKED, UNWORKED = 0.25, 0.6
"""Share of the leads that the sales team can work at once, and what one that it cannot is worth of one that it can."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A challenger."""

    name: str
    lift: float = 0.0
    """Relative, of the probability that a lead converts."""
    share: float = 0.5
    """Of the leads that it really gets in the A/B test."""
    inflated: float = 0.0
    """By which its scores are higher on the logit scale, at the same ranking; 0 leaves the sales team out."""
    matched: bool = False
    """Whether both versions mark the same share of the leads high."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What became of a rollout."""

    end: str
    """full, harm, no lift or blocked."""
    exposed: int
    """Leads that the challenger answered, canary included."""
    planned: int
    """Leads a side."""
    naive_p: bool
    """Whether a chi-square test at every look would have stopped it: p < 0.05 and fewer conversions."""
    naive_rule: bool
    """Whether "more than 10 % worse" at a look would have."""
    lift: float
    """Observed at the end."""


@cache
def intercept(base: float) -> float:
    """Of the logit of a lead's probability, so that ``base`` of the leads convert."""
    grid = np.random.default_rng(1).normal(size=200_000) * 1.1
    return float(brentq(lambda m: float(expit(m + grid).mean()) - base, -12, 6))


@dataclass(frozen=True, kw_only=True)
class Leads:
    """All leads of a stage, counted by day.

    Each array holds the sums of the leads that arrived before a day, of shape (2 sides, days + 1), champion first.
    """

    leads: Values
    won: Values
    score: Values
    """The champion's."""
    score_won: Values
    score_squared: Values
    high: Values
    """Leads marked high."""
    test: tuple[Arm, Arm] | None
    """Of the first leads of each side, as many as planned; None where there are fewer."""
    test_day: int
    """By whose begin all of them have arrived."""

    def sums(self, side: int, day: int) -> Sums:
        """Of a side's leads that arrived before a day."""
        return Sums(
            leads=int(self.leads[side, day]),
            won=float(self.won[side, day]),
            score=float(self.score[side, day]),
            score_won=float(self.score_won[side, day]),
            score_squared=float(self.score_squared[side, day]),
        )


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Of a simulated model."""

    base: float
    """Share of the leads that convert."""
    planned: int
    """Leads a side of its A/B test."""

    @property
    def daily(self) -> int:
        """Leads a day."""
        return round(2 * self.planned / DAYS_OF_TEST)


def draw(truth: Truth, traffic: Traffic, days: int, rng: np.random.Generator) -> Leads:
    """Leads of that many days with their side and what becomes of them; ``truth.share`` goes to the challenger."""
    n, base = traffic.daily * days, traffic.base
    logit = intercept(base) + 1.1 * rng.normal(size=n)
    seen = logit + 0.6 * rng.normal(size=n)  # what a model knows of it
    challenger = rng.random(n) < truth.share
    chance = expit(logit) * np.where(challenger, 1 + truth.lift, 1.0)
    threshold = np.quantile(seen, 1 - WORKED)
    high = seen + np.where(challenger & (not truth.matched), truth.inflated, 0.0) > threshold
    if truth.inflated:
        chance = chance * _attention(high, rng)
    return _counted(challenger, rng.random(n) < chance, expit(seen), high, traffic)


def _attention(high: Flags, rng: np.random.Generator) -> Values:
    """What the sales team leaves of each lead's chance: it works those with priority high first, as far as it gets."""
    order = np.lexsort((rng.random(len(high)), ~high))
    worked = np.zeros(len(high), dtype=bool)
    worked[order[: round(WORKED * len(high))]] = True
    return np.where(worked, 1.0, UNWORKED)


def _counted(challenger: Flags, won: Flags, score: Values, high: Flags, traffic: Traffic) -> Leads:
    daily, planned = traffic.daily, traffic.planned

    def by_day(values: Flags | Values) -> Values:
        sums = np.array([np.where(challenger == side, values, 0.0).reshape(-1, daily).sum(axis=1) for side in (0, 1)])
        return np.concatenate([np.zeros((2, 1)), sums.cumsum(axis=1)], axis=1)

    first = [np.flatnonzero(challenger == side)[:planned] for side in (False, True)]
    enough = min(len(side) for side in first) == planned
    arms = [Arm(leads=planned, conversions=int(won[side].sum())) for side in first]
    return Leads(
        leads=by_day(np.ones(len(won))),
        won=by_day(won),
        score=by_day(score),
        score_won=by_day(score * won),
        score_squared=by_day(score**2),
        high=by_day(high),
        test=(arms[0], arms[1]) if enough else None,
        test_day=max(int(side[-1]) for side in first) // daily + 1 if enough else 0,
    )


def play(truth: Truth, base: float, seed: int) -> Played:
    """One rollout from its canary to its end."""
    rng = np.random.default_rng([seed, round(1_000 * base), round(1_000 * (2 + truth.lift)), int(truth.matched)])
    design = design_of(Baseline(leads=10**6, conversions=round(base * 10**6), leads_per_day=1), RULES, HORIZON_DAYS)
    planned = design.leads_per_arm
    state = State(stage="canary", since=START)
    traffic = Traffic(base=base, planned=planned)
    leads = draw(truth, traffic, _LAST_DAY, rng)
    early = draw(replace(truth, share=RULES.canary.share), traffic, _LONGEST_CANARY, rng)
    exposed, naive = 0, (False, False)
    trial = None
    for day in range(1, _LAST_DAY):
        now = START + timedelta(days=day)
        testing = state.stage == "ab_test"
        pool, since = leads if testing else early, (now - state.since).days
        trial = _trial(pool, since, planned, canary=not testing)
        if testing:
            naive = _naive(trial, naive)
        before, state = state, _next(state, trial, now)
        if before.stage != state.stage:
            exposed += trial.treatment.exposed
        if state.stage in ("full", "rolled_back"):
            return _played(state, trial, exposed, naive)
    assert trial is not None
    return _played(state, trial, exposed + trial.treatment.exposed, naive)


def _played(state: State, trial: ExperimentEvidence, exposed: int, naive: tuple[bool, bool]) -> Played:
    harmed = trial.harm is not None and trial.harm >= trial.harm_threshold
    ends = {"full": "full", "rolled_back": "harm" if harmed or trial.test is None else "no lift"}
    return Played(
        end=ends.get(state.stage, "blocked"),
        exposed=exposed,
        planned=trial.planned,
        naive_p=naive[0],
        naive_rule=naive[1],
        lift=trial.treatment.rate / trial.control.rate - 1 if trial.control.rate else 0.0,
    )


def _next(state: State, trial: ExperimentEvidence, now: datetime) -> State:
    """A day's evaluation by Leadgate's own gates and decisions."""
    evidence = replace(NOTHING, as_of=now, state=state, scored=trial.treatment.exposed, experiment=trial)
    gates = (sample_ratio, attention, harmless if state.stage == "canary" else planned_test)
    verdicts = [verdict for gate in gates if (verdict := gate(evidence, RULES))]
    if state.stage == "canary" and state.days(now) < CANARY_DAYS:
        verdicts.append(Verdict(gate="duration", answer="wait", sentence=""))
    act = decide(evidence, verdicts, RULES).act
    return state if act == "hold" else move(state, act, now, days=RULES.extension_days, by_itself=True)


NOTHING = Evidence(
    as_of=START,
    state=State(stage="shadow", since=START),
    scored=None,
    system=None,
    recent=None,
    paired=None,
    scores=None,
    data=None,
    ratings=None,
    experiment=None,
    sustained=None,
    approvals=(),
)
"""Known of a rollout but what a benchmark puts in."""

_NOT_MEASURED = MarginEvidence(change=None, interval=None, verdict="no worse", leads=0)


def _trial(leads: Leads, since: int, planned: int, *, canary: bool) -> ExperimentEvidence:
    """The evidence of a day, which is the stage's ``since``-th."""
    days = leads.leads.shape[1] - 1
    arrived, matured = min(since, days), min(max(0, since - HORIZON_DAYS), days)
    sums = leads.sums(0, matured), leads.sums(1, matured)
    both = [
        Side(
            exposed=int(leads.leads[side, arrived]),
            matured=sums[side].leads,
            conversions=int(sums[side].won),
            silent=0,
            high=int(leads.high[side, arrived]),
            contacted=0,
        )
        for side in (0, 1)
    ]
    difference = difference_of(sums)
    alpha = harm_alpha(RULES.experiment, canary=canary)
    sequence, harm = looks_of(difference, (both[0], both[1]), planned, RULES.experiment, alpha)
    share = RULES.canary.share if canary else 0.5
    return ExperimentEvidence(
        control=both[0],
        treatment=both[1],
        left_out=0,
        planned=planned,
        share=share,
        ratio_p=ratio_of(both[0].exposed, both[1].exposed, share).p_value if arrived else 1.0,
        difference=difference.value if difference else None,
        variance=difference.variance if difference else None,
        reduction=difference.reduction if difference else 0.0,
        sequence=sequence,
        harm=harm,
        harm_threshold=float(np.log(1 / alpha)),
        test=_test(leads.test) if leads.test and matured >= leads.test_day else None,
        silent_p=1.0,
        deal_size=_NOT_MEASURED,
        deal_size_ratio=None,
        deal_size_p=None,
        days_to_close=_NOT_MEASURED,
        slower_p=None,
        segments=(),
        auc=None,
    )


@cache
def _test(arms: tuple[Arm, Arm]) -> PlannedTest:
    found = compare_arms(*arms)
    return PlannedTest(
        control_conversions=arms[0].conversions,
        treatment_conversions=arms[1].conversions,
        leads=arms[0].leads,
        p_value=found.p_value,
        lift=found.lift,
        interval=found.lift_interval,
    )


def _naive(trial: ExperimentEvidence, before: tuple[bool, bool]) -> tuple[bool, bool]:
    """What two popular rules would have said up to the planned size."""
    a, b = trial.control, trial.treatment
    if min(a.matured, b.matured) < 100 or not a.conversions or min(a.matured, b.matured) > trial.planned:
        return before
    pooled = (a.conversions + b.conversions) / (a.matured + b.matured)
    spread = pooled * (1 - pooled) * (1 / a.matured + 1 / b.matured)
    worse = b.rate < a.rate and float(chi2.sf((b.rate - a.rate) ** 2 / spread, 1)) < 0.05
    return before[0] or worse, before[1] or b.rate < 0.9 * a.rate
