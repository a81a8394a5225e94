"""The gates of each stage: pure judgements over declared evidence (quiet).

Two kinds. A *proof* passes only when the evidence shows what is asked for. A *guard* passes when there is enough
evidence and it does not show harm; it could not do more, for a week of a canary cannot prove that nothing got worse.
Both wait without evidence, and fail only when the whole interval is on the wrong side of the threshold.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from leadgate.leads.rollout_rules import Bar, RolloutRules, StageRules
from leadgate.records import Interval
from leadgate.rollout.evidence import Evidence, FeatureHealth, Figure, Quality
from leadgate.rollout.stages import Stage
from leadgate.rollout.trial import (
    deal_size,
    harmed_segments,
    harmless,
    planned_test,
    sales_cycle,
    sample_ratio,
    trial_auc,
)
from leadgate.rollout.verdicts import Answer, Verdict
from leadgate.stats.proportions import wilson

Gate = Callable[[Evidence, RolloutRules], Verdict | None]
"""None where the rules switch it off."""

_FEW_REQUESTS = 1_000
"""Below as many, the system's figures are not judged."""
_RED_LATENCY_MS = 500.0
_RED_ERROR_RATE = 0.05
"""The plan's red: back at once."""
_CHANGED_SCORES = 100
"""Leads from which two versions' scores are compared."""


def stage_rules(stage: Stage, rules: RolloutRules) -> StageRules | None:
    """What leadgate.yaml asks of a stage; None for one that asks nothing."""
    stages: dict[Stage, StageRules] = {
        "shadow": rules.shadow,
        "canary": rules.canary,
        "ab_test": rules.ab_test,
        "full": rules.full,
    }
    return stages.get(stage)


def judge(evidence: Evidence, rules: RolloutRules) -> tuple[Verdict, ...]:
    """What every gate of the present stage says."""
    judged = (gate(evidence, rules) for gate in GATES.get(evidence.state.stage, ()))
    return tuple(verdict for verdict in judged if verdict is not None)


def duration(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the stage has lasted as long as it has to."""
    asked = stage_rules(evidence.state.stage, rules)
    if asked is None:
        return None
    days = evidence.state.days(evidence.as_of)
    answer: Answer = "pass" if days >= asked.min_days else "wait"
    sentence = f"{days:.1f} days of at least {asked.min_days:g}"
    return Verdict(gate="duration", answer=answer, sentence=sentence, value=days, threshold=asked.min_days)


def traffic(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the challenger saw enough leads."""
    asked = stage_rules(evidence.state.stage, rules)
    if asked is None:
        return None
    least = 0 if evidence.state.stage == "ab_test" else asked.min_leads
    if evidence.scored is None:
        return _unknown("traffic", "the prediction log could not be read")
    answer: Answer = "pass" if evidence.scored >= max(least, 1) else "wait"
    sentence = f"{evidence.scored:,} leads with the challenger of at least {max(least, 1):,}"
    return Verdict(gate="traffic", answer=answer, sentence=sentence, value=evidence.scored, threshold=least)


def p95(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The latency that 95 % of the requests stay under."""
    value = evidence.system.p95_ms if evidence.system else None
    return _latency("latency p95", value, rules.gates.p95_ms, evidence)


def p99(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The latency that 99 % of the requests stay under; of the challenger's own where that is known."""
    system = evidence.system
    values = [v for v in (system.p99_ms, system.challenger_p99_ms) if v is not None] if system else []
    return _latency("latency p99", max(values, default=None), rules.gates.p99_ms, evidence)


def errors(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The share of requests that were answered with an error of ours."""
    system, bar = evidence.system, rules.gates.error_rate
    if bar is None:
        return None
    if system is None or system.requests < _FEW_REQUESTS:
        return _few_requests("error rate", evidence)
    rate, interval = system.failures / system.requests, wilson(system.failures, system.requests)
    verdict = _against("error rate", Figure(value=rate, interval=interval), bar, None, system.requests, "{:.3%}")
    red = interval.low > _RED_ERROR_RATE
    return _coloured(verdict, red=red)


def memory(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The largest memory of a worker."""
    system, bar = evidence.system, rules.gates.memory_mb
    if bar is None:
        return None
    if system is None or system.requests < _FEW_REQUESTS:
        return _few_requests("memory", evidence)
    return _against("memory", Figure(value=system.memory_mb, interval=None), bar, None, system.requests, "{:,.0f} MB")


def throughput(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """What the workers could answer, from what their answers cost (the service demand law)."""
    system, bar = evidence.system, rules.gates.throughput
    if bar is None:
        return None
    if system is None or system.capacity is None:
        return _few_requests("throughput", evidence)
    figure = Figure(value=system.capacity, interval=None)
    return _against("throughput", figure, bar, None, system.requests, "{:,.0f} requests/s")


def auc(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The challenger's AUC on matured leads."""
    return _quality("AUC", rules.gates.auc, evidence, rules, lambda q: q.auc)


def precision(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Of the leads that the challenger calls "will convert", the share that did."""
    return _quality("precision", rules.gates.precision, evidence, rules, lambda q: q.precision)


def recall(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Of the leads that converted, the share that the challenger called so."""
    return _quality("recall", rules.gates.recall, evidence, rules, lambda q: q.recall)


def calibration(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """How far the challenger's probabilities are from what happened."""
    return _quality("calibration error", rules.gates.calibration_error, evidence, rules, lambda q: q.calibration_error)


def auc_against_champion(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The challenger's AUC against the champion's on the same leads (proof of no loss beyond the margin)."""
    margin, gate = rules.gates.auc_loss, "AUC against the champion"
    if margin is None:
        return None
    waiting = _immature(gate, evidence, rules)
    paired = evidence.paired
    if waiting or paired is None or paired.auc_difference is None:
        return waiting or _unknown(gate, "the matured leads are of one class")
    difference, interval = paired.auc_difference.value, paired.auc_difference.interval
    assert interval is not None
    answer: Answer = "fail" if interval.high < -margin else "pass" if difference >= -margin else "inconclusive"
    sentence = f"{difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}); a loss of {margin:g} is tolerated"
    return Verdict(
        gate=gate,
        answer=answer,
        sentence=sentence,
        value=difference,
        interval=interval,
        threshold=-margin,
        sample=paired.leads,
        red=answer == "fail",
    )


def degradation(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether a figure is much worse than the champion's on the same leads (guard)."""
    share, gate = rules.gates.degradation, "no figure much worse"
    if share is None:
        return None
    waiting = _immature(gate, evidence, rules)
    if waiting or evidence.paired is None:
        # A short canary has few matured leads of its own; those of the stages before count too.
        return waiting or _unknown(gate, "no matured leads yet")
    paired = evidence.paired
    pairs = _pairs(paired.champion, paired.challenger)
    worse, unclear = [], []
    for name, old, new in pairs:
        limit = (1 - share) * old.value
        if new.interval is not None and new.interval.high < limit:
            worse.append(name)
        elif new.value < limit:
            unclear.append(name)
    answer: Answer = "fail" if worse else "inconclusive" if unclear else "pass"
    named = ", ".join(worse or unclear)
    sentence = {
        "fail": f"{named} more than {share:.0%} worse than the champion's",
        "inconclusive": f"{named} more than {share:.0%} worse, by a difference that chance could make",
        "pass": f"none of {', '.join(n for n, _, _ in pairs)} is {share:.0%} worse",
    }[answer]
    return Verdict(
        gate=gate, answer=answer, sentence=sentence, threshold=share, sample=paired.leads, red=answer == "fail"
    )


def spread(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the challenger spreads its scores as the champion does (guard)."""
    limit, scores = rules.gates.quartile_shift, evidence.scores
    if limit is None:
        return None
    if scores is None or scores.leads < _CHANGED_SCORES:
        return _unknown("prediction spread", f"fewer than {_CHANGED_SCORES} leads have both scores")
    pairs = list(zip(scores.champion_quartiles, scores.challenger_quartiles, strict=True))
    shift = max(abs(new - old) for old, new in pairs)
    answer: Answer = "pass" if shift <= limit else "fail"
    moved = ", ".join(f"{old:.3f} to {new:.3f}" for old, new in pairs)
    return Verdict(
        gate="prediction spread",
        answer=answer,
        sentence=f"quartiles move by at most {shift:.3f} ({moved}); {limit:g} is allowed",
        value=shift,
        threshold=limit,
        sample=scores.leads,
    )


def agreement(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the two versions rank the leads alike (guard)."""
    least, scores = rules.gates.agreement, evidence.scores
    if least is None:
        return None
    if scores is None or scores.leads < _CHANGED_SCORES or scores.agreement is None:
        return _unknown("score agreement", f"fewer than {_CHANGED_SCORES} leads have both scores")
    answer: Answer = "pass" if scores.agreement >= least else "fail"
    sentence = (
        f"rank correlation {scores.agreement:.3f} of at least {least:g}; {scores.overlap:.0%} of the top "
        f"{scores.capacity:.0%} in common, {scores.churn:.0%} of the high ones no longer high"
    )
    return Verdict(
        gate="score agreement",
        answer=answer,
        sentence=sentence,
        value=scores.agreement,
        threshold=least,
        sample=scores.leads,
    )


def missing_values(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether values are missing more often than before the rollout (guard)."""
    limit = rules.gates.missing_rise
    if limit is None:
        return None
    known = [f for f in evidence.data or () if f.leads_before >= _CHANGED_SCORES and f.leads >= _CHANGED_SCORES]
    if not known:
        return _unknown("missing values", f"fewer than {_CHANGED_SCORES} leads in the stage, or before the rollout")
    worst = max(known, key=_rise)
    sure = wilson(worst.missing, worst.leads).low > worst.missing_before / worst.leads_before + limit
    answer: Answer = "fail" if sure else "pass" if _rise(worst) <= limit else "inconclusive"
    sentence = (
        f"{worst.feature}: {worst.missing / worst.leads:.1%} missing, {worst.missing_before / worst.leads_before:.1%} "
        f"before the rollout; a rise of {limit:.1%} is allowed"
    )
    return Verdict(
        gate="missing values",
        answer=answer,
        sentence=sentence,
        value=_rise(worst),
        threshold=limit,
        sample=worst.leads,
    )


def categories(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether leads come with categories that nobody declared (guard)."""
    limit = rules.gates.unknown_categories
    if limit is None:
        return None
    if not evidence.data or max(f.leads for f in evidence.data) < _CHANGED_SCORES:
        return _unknown("unexpected categories", f"fewer than {_CHANGED_SCORES} leads in the stage")
    worst = max(evidence.data, key=lambda f: f.unknown / max(f.leads, 1))
    share = worst.unknown / max(worst.leads, 1)
    sure = wilson(worst.unknown, worst.leads).low > limit
    answer: Answer = "fail" if sure else "pass" if share <= limit else "inconclusive"
    sentence = f"{worst.feature}: {share:.2%} of the leads, {limit:.2%} is allowed" if worst.unknown else "none"
    return Verdict(
        gate="unexpected categories",
        answer=answer,
        sentence=sentence,
        value=share,
        threshold=limit,
        sample=worst.leads,
    )


def rating(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """What sales people say of the scores (proof)."""
    least, few = rules.gates.rating, rules.gates.min_ratings
    if least is None:
        return None
    ratings = evidence.ratings
    if ratings is None or ratings.mean is None or ratings.ratings < few:
        have = ratings.ratings if ratings else 0
        return _unknown("sales rating", f"{have} of at least {few} ratings; give some with `leadgate ratings add`")
    answer: Answer = "pass" if ratings.mean >= least else "inconclusive"
    sentence = f"{ratings.mean:.1f} of at least {least:g}, the mean of {ratings.ratings}"
    return Verdict(
        gate="sales rating",
        answer=answer,
        sentence=sentence,
        value=ratings.mean,
        threshold=least,
        sample=ratings.ratings,
    )


def sign_off(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether a person lets the challenger go on."""
    state = evidence.state
    if state.stage not in rules.sign_off:
        return None
    given = [a for a in evidence.approvals if a.stage == state.stage and a.stage_since == state.since]
    if not given:
        return Verdict(gate="sign-off", answer="wait", sentence="nobody approved yet (`leadgate rollout approve`)")
    return Verdict(gate="sign-off", answer="pass", sentence=f"approved by {given[-1].approved_by}")


_SYSTEM: tuple[Gate, ...] = (p95, p99, errors, memory)
_DATA: tuple[Gate, ...] = (missing_values, categories)

GATES: dict[Stage, tuple[Gate, ...]] = {
    "shadow": (
        duration,
        traffic,
        *_SYSTEM,
        throughput,
        auc,
        precision,
        recall,
        calibration,
        auc_against_champion,
        degradation,
        spread,
        agreement,
        *_DATA,
        sign_off,
    ),
    "canary": (duration, traffic, *_SYSTEM, degradation, sample_ratio, harmless, *_DATA),
    "ab_test": (
        duration,
        traffic,
        *_SYSTEM,
        degradation,
        sample_ratio,
        planned_test,
        deal_size,
        sales_cycle,
        harmed_segments,
        trial_auc,
        rating,
        *_DATA,
        sign_off,
    ),
    "full": (duration, traffic, *_SYSTEM, *_DATA),
}


def _quality(
    gate: str, bar: Bar | None, evidence: Evidence, rules: RolloutRules, of: Callable[[Quality], Figure | None]
) -> Verdict | None:
    if bar is None:
        return None
    waiting = _immature(gate, evidence, rules)
    if waiting or evidence.paired is None:
        return waiting or _unknown(gate, "no matured leads yet")
    figure = of(evidence.paired.challenger)
    if figure is None:
        return _unknown(gate, "the matured leads do not give one")
    return _against(gate, figure, bar, of(evidence.paired.champion), evidence.paired.leads, "{:.3f}")


def _immature(gate: str, evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Why quality cannot be judged yet."""
    paired, asked = evidence.paired, rules.shadow
    leads, won = (paired.leads, paired.conversions) if paired else (0, 0)
    if leads >= asked.min_matured and won >= asked.min_conversions:
        return None
    sentence = (
        f"{leads:,} matured leads with {won:,} conversions; "
        f"{asked.min_matured:,} with {asked.min_conversions:,} are needed"
    )
    return Verdict(gate=gate, answer="wait", sentence=sentence, sample=leads, threshold=asked.min_matured)


def _latency(gate: str, value: float | None, bar: Bar | None, evidence: Evidence) -> Verdict | None:
    if bar is None:
        return None
    system = evidence.system
    if system is None or value is None or system.requests < _FEW_REQUESTS:
        return _few_requests(gate, evidence)
    verdict = _against(gate, Figure(value=value, interval=None), bar, None, system.requests, "{:,.1f} ms")
    return _coloured(verdict, red=value > _RED_LATENCY_MS)


def _against(  # noqa: PLR0917  # private, and six lines of keywords at each call would hide the gates
    gate: str, figure: Figure, bar: Bar, champion: Figure | None, sample: int, form: str
) -> Verdict:
    """A figure against a bar: the interval has to be wholly on the wrong side to fail it."""
    limit = bar.at_least if bar.at_least is not None else bar.at_most
    assert limit is not None
    if bar.of == "champion":
        if champion is None:
            return _unknown(gate, "the champion's figure is not known")
        limit *= champion.value
    interval = figure.interval or Interval(low=figure.value, high=figure.value)
    upward = bar.at_least is not None
    good = figure.value >= limit if upward else figure.value <= limit
    hopeless = interval.high < limit if upward else interval.low > limit
    answer: Answer = "pass" if good else "fail" if hopeless else "inconclusive"
    sure = f" ({form.format(interval.low)} to {form.format(interval.high)})" if figure.interval else ""
    sentence = f"{form.format(figure.value)}{sure}, {'at least' if upward else 'at most'} {form.format(limit)}"
    return Verdict(
        gate=gate,
        answer=answer,
        sentence=sentence,
        value=figure.value,
        interval=figure.interval,
        threshold=limit,
        sample=sample,
    )


def _coloured(verdict: Verdict, *, red: bool) -> Verdict:
    if not red:
        return verdict
    return replace(verdict, red=verdict.answer == "fail")


def _few_requests(gate: str, evidence: Evidence) -> Verdict:
    have = evidence.system.requests if evidence.system else 0
    return _unknown(gate, f"{have:,} of at least {_FEW_REQUESTS:,} measured requests")


def _unknown(gate: str, why: str) -> Verdict:
    return Verdict(gate=gate, answer="wait", sentence=f"not enough evidence: {why}")


def _pairs(champion: Quality, challenger: Quality) -> Sequence[tuple[str, Figure, Figure]]:
    named = (
        ("AUC", champion.auc, challenger.auc),
        ("precision", champion.precision, challenger.precision),
        ("recall", champion.recall, challenger.recall),
    )
    return [(name, old, new) for name, old, new in named if old is not None and new is not None]


def _rise(feature: FeatureHealth) -> float:
    return feature.missing / feature.leads - feature.missing_before / feature.leads_before
