"""The gates of the scores and of the data: spread, agreement, missing values, categories (quiet)."""

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.evidence import Evidence, FeatureHealth
from leadgate.rollout.judging import ENOUGH_LEADS, unknown
from leadgate.rollout.verdicts import Answer, Verdict
from leadgate.stats.proportions import wilson


def spread(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the challenger spreads its scores as the champion does (guard)."""
    limit, scores = rules.gates.quartile_shift, evidence.scores
    if limit is None:
        return None
    if scores is None or scores.leads < ENOUGH_LEADS:
        return unknown("prediction spread", f"fewer than {ENOUGH_LEADS} leads have both scores")
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
    if scores is None or scores.leads < ENOUGH_LEADS or scores.agreement is None:
        return unknown("score agreement", f"fewer than {ENOUGH_LEADS} leads have both scores")
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
    known = [f for f in evidence.data or () if f.leads_before >= ENOUGH_LEADS and f.leads >= ENOUGH_LEADS]
    if not known:
        return unknown("missing values", f"fewer than {ENOUGH_LEADS} leads in the stage, or before the rollout")
    worst = max(known, key=_rise)
    sure = wilson(worst.missing, worst.leads).low > wilson(worst.missing_before, worst.leads_before).high + limit
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
    if not evidence.data or max(f.leads for f in evidence.data) < ENOUGH_LEADS:
        return unknown("unexpected categories", f"fewer than {ENOUGH_LEADS} leads in the stage")
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


def _rise(feature: FeatureHealth) -> float:
    return feature.missing / feature.leads - feature.missing_before / feature.leads_before
