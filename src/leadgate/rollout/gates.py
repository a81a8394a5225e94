"""The gates of each stage: pure judgements over declared evidence (quiet).

Two kinds. A *proof* passes only when the evidence shows what is asked for. A *guard* passes when there is enough
evidence and it does not show harm; it could not do more, for a week of a canary cannot prove that nothing got worse.
Both wait without evidence, and fail only when the whole interval is on the wrong side of the threshold.
"""

from collections.abc import Callable

from leadgate.leads.rollout_rules import RolloutRules, StageRules
from leadgate.rollout.evidence import Evidence
from leadgate.rollout.health import agreement, categories, missing_values, spread
from leadgate.rollout.judging import unknown
from leadgate.rollout.people import rating, sign_off
from leadgate.rollout.quality import auc, auc_against_champion, calibration, degradation, precision, recall
from leadgate.rollout.stages import Stage
from leadgate.rollout.system import errors, memory, p95, p99, shadow_failures, throughput
from leadgate.rollout.trial import (
    attention,
    deal_size,
    harmed_segments,
    harmless,
    planned_test,
    reported_outcomes,
    sales_cycle,
    sample_ratio,
    sustained,
    sustained_auc,
    trial_auc,
)
from leadgate.rollout.verdicts import Answer, Verdict

Gate = Callable[[Evidence, RolloutRules], Verdict | None]
"""None where the rules switch it off."""


def judge(evidence: Evidence, rules: RolloutRules) -> tuple[Verdict, ...]:
    """What every gate of the present stage says."""
    judged = (gate(evidence, rules) for gate in GATES.get(evidence.state.stage, ()))
    return tuple(verdict for verdict in judged if verdict is not None)


def stage_rules(stage: Stage, rules: RolloutRules) -> StageRules | None:
    """What leadgate.yaml asks of a stage; None for one that asks nothing."""
    stages: dict[Stage, StageRules] = {
        "shadow": rules.shadow,
        "canary": rules.canary,
        "ab_test": rules.ab_test,
        "full": rules.full,
    }
    return stages.get(stage)


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
        return unknown("traffic", "the prediction log could not be read")
    answer: Answer = "pass" if evidence.scored >= max(least, 1) else "wait"
    sentence = f"{evidence.scored:,} leads with the challenger of at least {max(least, 1):,}"
    return Verdict(gate="traffic", answer=answer, sentence=sentence, value=evidence.scored, threshold=least)


_SYSTEM: tuple[Gate, ...] = (p95, p99, errors, memory)
_DATA: tuple[Gate, ...] = (missing_values, categories)

GATES: dict[Stage, tuple[Gate, ...]] = {
    "shadow": (
        duration,
        traffic,
        *_SYSTEM,
        throughput,
        shadow_failures,
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
    "canary": (
        duration,
        traffic,
        *_SYSTEM,
        degradation,
        sample_ratio,
        reported_outcomes,
        attention,
        harmless,
        *_DATA,
        sign_off,
    ),
    "ab_test": (
        duration,
        traffic,
        *_SYSTEM,
        degradation,
        sample_ratio,
        reported_outcomes,
        attention,
        planned_test,
        deal_size,
        sales_cycle,
        harmed_segments,
        trial_auc,
        rating,
        *_DATA,
        sign_off,
    ),
    "full": (duration, traffic, *_SYSTEM, sustained, sustained_auc, *_DATA, sign_off),
    "rolling_back": (*_SYSTEM, *_DATA),
}
