"""The gates of quality: what matured outcomes say of the two versions' scores (quiet)."""

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

from leadgate.leads.rollout_rules import Bar, RolloutRules
from leadgate.rollout.evidence import Evidence, Figure, PairedEvidence, Quality
from leadgate.rollout.judging import against, unknown
from leadgate.rollout.verdicts import Answer, Verdict
from leadgate.stats.proportions import Z95

Z999 = NormalDist().inv_cdf(0.9995)
_SMALL_ERROR = 0.01
"""A calibration error may grow by this, whatever it was."""


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
    """The challenger's AUC against the champion's on the same leads (proof of no loss beyond the margin).

    Looked at daily, 95 % intervals would send back an equal challenger in a few percent of the rollouts; so it is red
    only where the loss is beyond what a 99.9 % interval allows.
    """
    margin, gate = rules.gates.auc_loss, "AUC against the champion"
    if margin is None:
        return None
    waiting = _immature(gate, evidence, rules)
    paired = evidence.paired
    if waiting or paired is None or paired.auc_difference is None:
        return waiting or unknown(gate, "the matured leads are of one class")
    difference, interval = paired.auc_difference.value, paired.auc_difference.interval
    assert interval is not None
    answer: Answer = "fail" if interval.high < -margin else "pass" if interval.low >= -margin else "inconclusive"
    sentence = f"{difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}); a loss of {margin:g} is tolerated"
    return Verdict(
        gate=gate,
        answer=answer,
        sentence=sentence,
        value=difference,
        interval=interval,
        threshold=-margin,
        sample=paired.leads,
        red=_surely_below(paired.auc_difference, -margin),
    )


def degradation(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether a figure is much worse than the champion's on the same leads (guard).

    The ranking as a whole, the leads that the sales team can work (as many by either version), and the calibration.
    Precision at a fixed score would blame a version for calling more leads, which its recall would praise.
    """
    share, gate = rules.gates.degradation, "no figure much worse"
    if share is None:
        return None
    waiting = _immature(gate, evidence, rules)
    if waiting or evidence.paired is None:
        # A short canary has few matured leads of its own; those of the stages before count too.
        return waiting or unknown(gate, "no matured leads yet")
    paired = evidence.paired
    pairs = _pairs(paired, share)
    worse = [name for name, figure, limit in pairs if figure.interval is not None and figure.interval.high < limit]
    unclear = [name for name, figure, limit in pairs if figure.value < limit]
    answer: Answer = "fail" if worse else "inconclusive" if unclear else "pass"
    named = ", ".join(worse or unclear)
    sentence = {
        "fail": f"{named} more than {share:.0%} worse than the champion's",
        "inconclusive": f"{named} more than {share:.0%} worse, by a difference that chance could make",
        "pass": f"none of {', '.join(name for name, _, _ in pairs)} is {share:.0%} worse",
    }[answer]
    red = any(_surely_below(figure, limit) for _, figure, limit in pairs)
    return Verdict(gate=gate, answer=answer, sentence=sentence, threshold=share, sample=paired.leads, red=red)


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


def _pairs(paired: PairedEvidence, share: float) -> list[tuple[str, Figure, float]]:
    """Name, figure and the limit below which it is too low."""
    old, new = paired.champion, paired.challenger
    found = [("precision of the top leads", new.top_precision, (1 - share) * old.top_precision.value)]
    if old.auc is not None and new.auc is not None:
        found.insert(0, ("AUC", new.auc, (1 - share) * old.auc.value))
    # An error is the worse the larger it is; a tenth of a small one is nothing.
    tolerated = max(share * old.calibration_error.value, _SMALL_ERROR)
    return [*found, ("calibration", _negative(paired.calibration_difference), -tolerated)]


def _negative(figure: Figure) -> Figure:
    interval = figure.interval
    turned = None if interval is None else replace(interval, low=-interval.high, high=-interval.low)
    return Figure(value=-figure.value, interval=turned)


def _surely_below(figure: Figure, limit: float) -> bool:
    """Whether a 99.9 % interval lies below, by the normal distribution of the 95 % one."""
    if figure.interval is None:
        return False
    error = (figure.interval.high - figure.value) / Z95
    return figure.value + Z999 * error < limit
