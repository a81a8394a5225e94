"""What a rollout decides of challengers whose truth is known: operating characteristics by simulation.

``python benchmarks/rollout.py``; QUICK=1 for a short form. Every simulated rollout is judged each day by Leadgate's own
gates and decisions under the default rules. Shadow quality, latency and the like are taken as good and sign-offs as
given: what is measured is what outcomes decide.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain
from statistics import median

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import chi2

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.comparing import paired_quality
from leadgate.rollout.decisions import decide
from leadgate.rollout.design import Baseline, design_of
from leadgate.rollout.evidence import Evidence, ExperimentEvidence, MarginEvidence, PlannedTest, Side
from leadgate.rollout.experiment import difference_of, harm_alpha, looks_of
from leadgate.rollout.quality import auc_against_champion, degradation
from leadgate.rollout.stages import State, move
from leadgate.rollout.trial import attention, harmless, planned_test, sample_ratio
from leadgate.rollout.verdicts import Verdict
from leadgate.stats.experiments import Arm, compare_arms
from leadgate.stats.experiments import sample_ratio as ratio_of
from report import FOLDER, Row, is_quick, report

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

RUNS = 40 if is_quick() else 200
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

QUALITY_RUNS = 16 if is_quick() else 200
_SHADOW_LEADS, _SHADOW_DAYS = 200, 14
_NOISE, _WORSE_NOISE = 0.6, 1.2
"""Of a version's view of a lead's logit; the second costs 0.05 of AUC."""

_WORKED, _UNWORKED = 0.25, 0.6
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
def _intercept(base: float) -> float:
    """Of the logit of a lead's probability, so that ``base`` of the leads convert."""
    grid = np.random.default_rng(1).normal(size=200_000) * 1.1
    return float(brentq(lambda m: float(expit(m + grid).mean()) - base, -12, 6))


@dataclass(frozen=True, kw_only=True)
class Leads:
    """All leads of a simulated rollout's test, in the order of their arrival."""

    challenger: Flags
    won: Flags
    score: Values
    """The champion's."""
    high: Flags
    """Whether it is marked high."""


def draw(truth: Truth, base: float, n: int, rng: np.random.Generator, *, share: float) -> Leads:
    """Leads with their side and what becomes of them."""
    logit = _intercept(base) + 1.1 * rng.normal(size=n)
    seen = logit + 0.6 * rng.normal(size=n)  # what a model knows of it
    challenger = rng.random(n) < share
    chance = expit(logit) * np.where(challenger, 1 + truth.lift, 1.0)
    threshold = np.quantile(seen, 1 - _WORKED)
    high = seen + np.where(challenger & (not truth.matched), truth.inflated, 0.0) > threshold
    if truth.inflated:
        chance = chance * _attention(high, rng)
    return Leads(challenger=challenger, won=rng.random(n) < chance, score=expit(seen), high=high)


def _attention(high: Flags, rng: np.random.Generator) -> Values:
    """What the sales team leaves of each lead's chance: it works those with priority high first, as far as it gets."""
    order = np.lexsort((rng.random(len(high)), ~high))
    worked = np.zeros(len(high), dtype=bool)
    worked[order[: round(_WORKED * len(high))]] = True
    return np.where(worked, 1.0, _UNWORKED)


def play(truth: Truth, base: float, seed: int) -> Played:
    """One rollout from its canary to its end."""
    rng = np.random.default_rng([seed, round(1_000 * base), round(1_000 * (2 + truth.lift)), int(truth.matched)])
    design = design_of(Baseline(leads=10**6, conversions=round(base * 10**6), leads_per_day=1), RULES, HORIZON_DAYS)
    planned = design.leads_per_arm
    daily = round(2 * planned / DAYS_OF_TEST)
    state = State(stage="canary", since=START)
    leads = draw(truth, base, daily * _LAST_DAY, rng, share=truth.share)
    early = draw(truth, base, daily * _LONGEST_CANARY, rng, share=RULES.canary.share)
    exposed, naive = 0, (False, False)
    trial = None
    for day in range(1, _LAST_DAY):
        now = START + timedelta(days=day)
        testing = state.stage == "ab_test"
        pool, since = leads if testing else early, (now - state.since).days
        arrived, matured = since * daily, max(0, since - HORIZON_DAYS) * daily
        share = 0.5 if testing else RULES.canary.share
        trial = _trial(pool, arrived, matured, planned, share=share, canary=not testing)
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
    evidence = replace(_NOTHING, as_of=now, state=state, scored=trial.treatment.exposed, experiment=trial)
    gates = (sample_ratio, attention, harmless if state.stage == "canary" else planned_test)
    verdicts = [verdict for gate in gates if (verdict := gate(evidence, RULES))]
    if state.stage == "canary" and state.days(now) < CANARY_DAYS:
        verdicts.append(Verdict(gate="duration", answer="wait", sentence=""))
    act = decide(evidence, verdicts, RULES).act
    return state if act == "hold" else move(state, act, now, days=RULES.extension_days, by_itself=True)


_NOTHING = Evidence(
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

_NOT_MEASURED = MarginEvidence(change=None, interval=None, verdict="no worse", leads=0)


def _trial(  # private
    leads: Leads, arrived: int, matured: int, planned: int, *, share: float, canary: bool
) -> ExperimentEvidence:
    """The evidence of a day."""
    arrived, matured = min(arrived, len(leads.won)), min(matured, len(leads.won))
    sides = [leads.challenger[:arrived] == side for side in (False, True)]
    known = [mask[:matured] for mask in sides]
    won = [leads.won[:matured][mask] for mask in known]
    score = [leads.score[:matured][mask] for mask in known]
    marked = [int(leads.high[:arrived][mask].sum()) for mask in sides]
    both = [
        Side(exposed=int(mask.sum()), matured=len(w), conversions=int(w.sum()), silent=0, high=high, contacted=0)
        for mask, w, high in zip(sides, won, marked, strict=True)
    ]
    difference = difference_of((won[0], won[1]), (score[0], score[1]) if RULES.experiment.cuped else None)
    alpha = harm_alpha(RULES.experiment, canary=canary)
    sequence, harm = looks_of(difference, (both[0], both[1]), planned, RULES.experiment, alpha)
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
        test=_test(won, planned),
        silent_p=1.0,
        deal_size=_NOT_MEASURED,
        deal_size_ratio=None,
        deal_size_p=None,
        days_to_close=_NOT_MEASURED,
        slower_p=None,
        segments=(),
        auc=None,
    )


def _test(won: Sequence[Flags], planned: int) -> PlannedTest | None:
    if min(len(side) for side in won) < planned:
        return None
    arms = [Arm(leads=planned, conversions=int(side[:planned].sum())) for side in won]
    found = compare_arms(arms[0], arms[1])
    return PlannedTest(
        control_conversions=arms[0].conversions,
        treatment_conversions=arms[1].conversions,
        leads=planned,
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


def _many(truth: Truth, base: float, runs: int = RUNS) -> list[Played]:
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        chunks = pool.map(_chunk, [(truth, base, range(i, runs, 8)) for i in range(8)])
        return list(chain.from_iterable(chunks))


def _chunk(task: tuple[Truth, float, range]) -> list[Played]:
    truth, base, seeds = task
    return [play(truth, base, seed) for seed in seeds]


EQUAL, WORSE, BETTER = Truth(name="equal"), Truth(name="10 % worse", lift=-0.1), Truth(name="10 % better", lift=0.1)
INFLATED = Truth(name="equal, scores inflated", inflated=1.0)
MATCHED = replace(INFLATED, name="the same, priority by quantiles", matched=True)
SKEWED = Truth(name="equal, 51 % instead of 50 % of the leads", share=0.51)


def share(played: Sequence[Played], end: str) -> float:
    """Percent of rollouts that ended so."""
    return 100 * sum(p.end == end for p in played) / len(played)


def main() -> int:
    """Simulate and judge; gives the exit code."""
    rows, curves = [], {}
    for base in (0.10,) if is_quick() else (0.05, 0.10, 0.20):
        played = {truth.name: _many(truth, base) for truth in (EQUAL, WORSE, BETTER)}
        rows += _main_rows(base, played)
        curves[base] = played
    rows += _attention_rows()
    rows += _quality_rows()
    if not is_quick():
        _plot(curves)
    return report("rollout", "What a rollout decides, by simulation", rows, _notes())


def _main_rows(base: float, played: dict[str, list[Played]]) -> list[Row]:
    equal, worse, better = (played[truth.name] for truth in (EQUAL, WORSE, BETTER))
    at = f"base {base:.0%}: "
    used = median(p.exposed / p.planned for p in worse)
    return [
        Row(what=at + "planned leads a side", measured=equal[0].planned, unit=""),
        Row(what=at + "equal, promoted", measured=share(equal, "full"), unit="%", bar=5, at_most=True),
        Row(
            what=at + "equal, stopped for harm by daily looks",
            measured=share(equal, "harm"),
            unit="%",
            bar=5,
            at_most=True,
        ),
        Row(what=at + "   by a chi-square test at every look", measured=_percent(p.naive_p for p in equal), unit="%"),
        Row(
            what=at + '   by "more than 10 % worse" at a look', measured=_percent(p.naive_rule for p in equal), unit="%"
        ),
        Row(what=at + "10 % worse, reached full", measured=share(worse, "full"), unit="%", bar=1, at_most=True),
        Row(what=at + "10 % worse, stopped for harm", measured=share(worse, "harm"), unit="%"),
        Row(
            what=at + "   leads it answered before it was stopped, of the plan (median of all)",
            measured=100 * used,
            unit="%",
            bar=50,
            at_most=True,
        ),
        Row(what=at + "10 % better, promoted", measured=share(better, "full"), unit="%", bar=80),
    ]


def _attention_rows() -> list[Row]:
    inflated, matched = (_many(truth, 0.10) for truth in (INFLATED, MATCHED))
    return [
        Row(
            what="inflated scores, priority by scores: promoted",
            measured=share(inflated, "full"),
            unit="%",
            bar=5,
            at_most=True,
        ),
        Row(what="   lift that it would have been promoted for", measured=_median_lift(inflated), unit="%"),
        Row(
            what="   with priority by quantiles: promoted",
            measured=share(matched, "full"),
            unit="%",
            bar=5,
            at_most=True,
        ),
        Row(what="   lift observed then, mean", measured=100 * float(np.mean([p.lift for p in matched])), unit="%"),
        *_mismatch_rows(),
    ]


def _quality_rows() -> list[Row]:
    """What the gates of the shadow say of versions that are as good as the champion, looked at daily."""
    equal, worse = (_stopped(noise) for noise in (_NOISE, _WORSE_NOISE))
    return [
        Row(what="shadow, equally good: sent back by its quality", measured=equal, unit="%", bar=1, at_most=True),
        Row(what="shadow, AUC lower by 0.05: sent back by its quality", measured=worse, unit="%", bar=80),
    ]


def _stopped(noise: float) -> float:
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        chunks = pool.map(_shadows, [(noise, range(i, QUALITY_RUNS, 8)) for i in range(8)])
        return _percent(chain.from_iterable(chunks))


def _shadows(task: tuple[float, range]) -> list[bool]:
    noise, seeds = task
    return [_shadow(noise, seed) for seed in seeds]


def _shadow(noise: float, seed: int) -> bool:
    """Whether a shadow is sent back in its days, each of which brings leads whose outcome is known."""
    rng = np.random.default_rng([seed, round(100 * noise)])
    n = _SHADOW_LEADS * _SHADOW_DAYS
    logit = _intercept(0.1) + 1.1 * rng.normal(size=n)
    leads = pl.DataFrame(
        {
            "matured": np.ones(n, dtype=bool),
            "won": rng.random(n) < expit(logit),
            "champion_score": _calibrated(logit + _NOISE * rng.normal(size=n), _NOISE),
            "challenger_score": _calibrated(logit + noise * rng.normal(size=n), noise),
        }
    )
    for day in range(3, _SHADOW_DAYS + 1):
        paired = paired_quality(leads.head(day * _SHADOW_LEADS), 0.5, RULES.capacity, rng)
        evidence = replace(_NOTHING, paired=paired)
        verdicts = [v for gate in (auc_against_champion, degradation) if (v := gate(evidence, RULES))]
        if decide(evidence, verdicts, RULES).act == "roll_back":
            return True
    return False


def _calibrated(seen: Values, noise: float) -> Values:
    """What a calibrated model makes of a noisy view of the logit: the mean of the truth given the view."""
    weight = 1.1**2 / (1.1**2 + noise**2)
    centre = _intercept(0.1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    spread = 1.1 * np.sqrt(1 - weight)
    mean = centre + weight * (seen - centre)
    return np.asarray(expit(mean[:, None] + spread * nodes) @ weights / weights.sum())


def _median_lift(played: Sequence[Played]) -> float:
    return 100 * median(p.lift for p in played)


def _mismatch_rows() -> list[Row]:
    """Whether leads that get lost on one side are noticed; the larger the plan, the smaller a mismatch it sees."""
    rows = []
    for base, bar in ((0.10, None), (0.05, 95.0)):
        skewed = _many(SKEWED, base)
        at = f"base {base:.0%}: 51 % instead of 50 % of the leads"
        rows.append(Row(what=f"{at}, caught", measured=share(skewed, "blocked"), unit="%", bar=bar))
        rows.append(Row(what=f"{at}, promoted", measured=share(skewed, "full"), unit="%", bar=0, at_most=True))
    return rows


def _percent(flags: Iterable[bool]) -> float:
    found = list(flags)
    return 100 * sum(found) / len(found)


def _notes() -> tuple[str, ...]:
    asked = RULES.experiment
    error = 196 * float(np.sqrt(0.05 * 0.95 / RUNS))
    return (
        f"{RUNS:,} rollouts a row, seeds fixed; a share of 5 % is known to {error:.1f} points.",
        f"Rules: a lift of {asked.detectable_lift:.0%} to be seen with {asked.power:.0%} power; a look each day.",
        f"Harm of a harmless challenger is to be found in at most {asked.harm_alpha:.0%}, over all looks.",
        f"{DAYS_OF_TEST} days of leads after a canary of {CANARY_DAYS} or more; outcomes {HORIZON_DAYS} days later.",
        "Leads answered count the canary, and those whose outcome is still to come.",
        "The champion's score is a noisy view of each lead's chance; it takes out part of the variance (CUPED).",
        f"Inflated: the sales team can work {_WORKED:.0%} of the leads and takes those marked high first.",
        f"A lead that it does not get to converts {_UNWORKED:.0%} as often.",
        f"Shadow: {QUALITY_RUNS} runs, {_SHADOW_DAYS} days with {_SHADOW_LEADS} matured leads and a look (base 10%).",
    )


def _plot(curves: dict[float, dict[str, list[Played]]]) -> None:
    mpl.use("agg")
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for base, played in curves.items():
        stopped = sorted(p.exposed / p.planned for p in played[WORSE.name] if p.end == "harm")
        axes.step(stopped, [100 * (i + 1) / RUNS for i in range(len(stopped))], where="post", label=f"base {base:.0%}")
    axes.axvline(0.5, color="#9aa4b1", linestyle="--")
    axes.set_xlabel("leads that the challenger answered, of the planned size of its side")
    axes.set_ylabel("% of challengers stopped")
    axes.set_title("A challenger that converts 10 % less", loc="left")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / "rollout.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
