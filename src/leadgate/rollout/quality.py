"""The gates of quality: what matured outcomes say of the two versions' scores (quiet)."""

from collections.abc import Callable, Sequence

from leadgate.leads.rollout_rules import Bar, RolloutRules
from leadgate.rollout.evidence import Evidence, Figure, Quality
from leadgate.rollout.judging import against, unknown
from leadgate.rollout.verdicts import Answer, Verdict


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
        return waiting or unknown(gate, "the matured leads are of one class")
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
    """Whether a figure is much worse than the champion's on the same leads (guard).

    The ranking as a whole, and the leads that the sales team can work: as many by either version. Precision at a fixed
    score would blame a version for calling more leads, which its recall would praise.
    """
    share, gate = rules.gates.degradation, "no figure much worse"
    if share is None:
        return None
    waiting = _immature(gate, evidence, rules)
    if waiting or evidence.paired is None:
        # A short canary has few matured leads of its own; those of the stages before count too.
        return waiting or unknown(gate, "no matured leads yet")
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


def _quality(
    gate: str, bar: Bar | None, evidence: Evidence, rules: RolloutRules, of: Callable[[Quality], Figure | None]
) -> Verdict | None:
    if bar is None:
        return None
    waiting = _immature(gate, evidence, rules)
    if waiting or evidence.paired is None:
        return waiting or unknown(gate, "no matured leads yet")
    figure = of(evidence.paired.challenger)
    if figure is None:
        return unknown(gate, "the matured leads do not give one")
    return against(gate, figure, bar, of(evidence.paired.champion), evidence.paired.leads, "{:.3f}")


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


def _pairs(champion: Quality, challenger: Quality) -> Sequence[tuple[str, Figure, Figure]]:
    named = (
        ("AUC", champion.auc, challenger.auc),
        ("precision of the top leads", champion.top_precision, challenger.top_precision),
    )
    return [(name, old, new) for name, old, new in named if old is not None and new is not None]
