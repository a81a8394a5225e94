"""The gates of the experiment: what the two sides of a canary or an A/B test say (quiet)."""

from dataclasses import replace

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.records import Interval
from leadgate.rollout.evidence import Evidence, ExperimentEvidence, MarginEvidence
from leadgate.rollout.judging import ENOUGH_LEADS, against, unknown
from leadgate.rollout.verdicts import Answer, Verdict
from leadgate.stats.experiments import Arm, compare_arms
from leadgate.stats.sequential import MIN_CONVERSIONS


def sample_ratio(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the leads are split as they should be. A mismatch blocks every verdict of the experiment."""
    trial = evidence.experiment
    if trial is None:
        return unknown("sample ratio", "the leads of the two sides could not be read")
    total = trial.control.exposed + trial.treatment.exposed
    if not total:
        return unknown("sample ratio", "no lead yet")
    mismatch = _mismatched(trial, rules)
    share = trial.treatment.exposed / total
    sentence = (
        f"{share:.1%} of {total:,} leads with the challenger, {trial.share:.1%} planned (p = {trial.ratio_p:.2g})"
    )
    if mismatch:
        sentence += "; leads get lost on one side, so nothing is concluded from them: find out where"
    return Verdict(
        gate="sample ratio",
        answer="fail" if mismatch else "pass",
        sentence=sentence,
        value=share,
        threshold=trial.share,
        sample=total,
        counts=False,
    )


def reported_outcomes(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the outcomes of both sides are reported alike. Unlike ones block every verdict of the experiment.

    Where silence is not counted as a loss, a side whose losses are told less often looks as if it converted more.
    """
    gate, trial = "reported outcomes", evidence.experiment
    if trial is None:
        return unknown(gate, "the leads of the two sides could not be read")
    sides = [(side.silent, side.silent + side.matured) for side in (trial.control, trial.treatment)]
    shares = [silent / total if total else 0.0 for silent, total in sides]
    uneven = trial.silent_p < rules.experiment.mismatch_p
    sentence = (
        f"{shares[1]:.1%} of the challenger's matured leads and {shares[0]:.1%} of the champion's are without an "
        f"outcome (p = {trial.silent_p:.2g})"
    )
    if uneven:
        sentence += "; the sides are not told alike, so nothing is concluded from them: find out why"
    return Verdict(
        gate=gate,
        answer="fail" if uneven else "pass",
        sentence=sentence,
        value=shares[1] - shares[0],
        threshold=rules.experiment.mismatch_p,
        sample=sum(total for _, total in sides),
        counts=False,
    )


def attention(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether the sales team gives both sides the same attention; the side that gets more converts more.

    Two versions share one sales team. One that merely scores higher marks more leads high and takes the other's time.
    """
    gate, limit, trial = "attention", rules.gates.attention, evidence.experiment
    if limit is None:
        return None
    if trial is None:
        return unknown(gate, "the leads of the two sides could not be read")
    control, treatment = trial.control, trial.treatment
    if min(control.exposed, treatment.exposed) < ENOUGH_LEADS:
        return unknown(gate, f"fewer than {ENOUGH_LEADS} leads on a side")
    counted = [("marked high", control.high, treatment.high), ("contacted", control.contacted, treatment.contacted)]
    told, uneven = [], False
    for what, old, new in counted:
        if what == "contacted" and not old + new:
            continue  # nobody reports contacts
        found = compare_arms(Arm(leads=control.exposed, conversions=old), Arm(leads=treatment.exposed, conversions=new))
        told.append(f"{new / treatment.exposed:.1%} against {old / control.exposed:.1%} {what}")
        apart = found.lift is None or abs(found.lift) > limit
        uneven = uneven or (apart and found.p_value < rules.experiment.mismatch_p)
    sentence = f"of the challenger's leads and the champion's: {', '.join(told)}"
    if uneven:
        sentence += (
            "; one side takes the sales team's attention, so a difference in conversions says little of the ranking: "
            "start another rollout with `priority: quantiles`"
        )
    return Verdict(
        gate=gate,
        answer="fail" if uneven else "pass",
        sentence=sentence,
        threshold=limit,
        sample=control.exposed + treatment.exposed,
        counts=False,
    )


def harmless(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether fewer leads convert with the challenger (guard; valid however often one looks).

    Without outcomes of the challenger's own answers nothing is known of them, and it waits.
    """
    gate, trial, least = "conversions", evidence.experiment, rules.canary.min_matured
    if trial is None:
        return unknown(gate, "the leads of the two sides could not be read")
    if _mismatched(trial, rules):
        return _blocked(gate)
    harm = _harmed(gate, trial, rules)
    if harm:
        return harm
    if trial.harm is None or trial.treatment.matured < least:
        sentence = (
            f"{trial.treatment.matured:,} of at least {least:,} of the challenger's leads have matured, and "
            f"{trial.control.conversions + trial.treatment.conversions:,} of at least {MIN_CONVERSIONS} leads converted"
        )
        return unknown(gate, sentence)
    return Verdict(gate=gate, answer="pass", sentence=f"{_rates(trial)}; no sign of harm", sample=_matured(trial))


def planned_test(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether more leads convert with the challenger: the chi-square test at the planned size, a sequence elsewhere."""
    gate, trial, asked = "conversions", evidence.experiment, rules.experiment
    if trial is None:
        return unknown(gate, "the leads of the two sides could not be read")
    if _mismatched(trial, rules):
        return _blocked(gate)
    harm = _harmed(gate, trial, rules)
    if harm:
        return harm
    if trial.test is None:
        done = _matured(trial) / trial.planned
        sentence = (
            f"{_rates(trial)}; {_matured(trial):,} of {trial.planned:,} matured leads a side ({done:.0%}); "
            f"{_looks(trial)}"
        )
        return Verdict(gate=gate, answer="wait", sentence=sentence, interval=trial.sequence, sample=_matured(trial))
    return _final(gate, trial, asked.alpha, asked.min_lift)


def deal_size(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether deals got smaller (non-inferiority)."""
    trial, margin = evidence.experiment, rules.experiment.deal_size_margin
    if margin is None:
        return None
    said = _margin("deal size", trial.deal_size if trial else None, evidence, rules, margin, "smaller")
    if trial is None or trial.deal_size_ratio is None or trial.deal_size_p is None or said.interval is None:
        return said
    welch = f"; typical deals {trial.deal_size_ratio - 1:+.1%} (Welch on logarithms, p = {trial.deal_size_p:.2g})"
    return replace(said, sentence=said.sentence + welch)


def sales_cycle(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether it takes longer to close (non-inferiority)."""
    trial, margin = evidence.experiment, rules.experiment.days_to_close_margin
    if margin is None:
        return None
    said = _margin("days to close", trial.days_to_close if trial else None, evidence, rules, margin, "longer")
    if trial is None or trial.slower_p is None or said.interval is None:
        return said
    return replace(said, sentence=f"{said.sentence}; pace of conversions: p = {trial.slower_p:.2g} (log-rank)")


def harmed_segments(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether a part of the leads converts less with the challenger (guard)."""
    gate, trial = "segments", evidence.experiment
    if trial is None:
        return unknown(gate, "the leads of the two sides could not be read")
    if _mismatched(trial, rules):
        return _blocked(gate)
    if trial.test is None:
        return Verdict(gate=gate, answer="wait", sentence="judged at the planned size", sample=_matured(trial))
    harmed = [s for s in trial.segments if s.harmed]
    if not harmed:
        sentence = f"none of {len(trial.segments)} is harmed (false discoveries held at 5 %)"
        return Verdict(gate=gate, answer="pass", sentence=sentence, sample=_matured(trial))
    named = "; ".join(f"{s.segment}: {s.lift or 0:+.0%} (adjusted p = {s.p_value:.2g})" for s in harmed)
    return Verdict(gate=gate, answer="fail", sentence=f"harmed: {named}", sample=_matured(trial))


def trial_auc(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The challenger's AUC on the leads of the test."""
    bar, trial, gate = rules.gates.ab_auc, evidence.experiment, "AUC in the test"
    if bar is None:
        return None
    if trial is None or trial.auc is None:
        return unknown(gate, "too few matured leads")
    champion = evidence.paired.champion.auc if evidence.paired else None
    return against(gate, trial.auc, bar, champion, _matured(trial), "{:.3f}")


def sustained(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """Whether leads still convert in stage full as they did on the champion's side of the A/B test (guard).

    The two are of different weeks, so a loss holds the rollout and calls people; by itself it is not red.
    """
    gate, found, least = "sustained conversions", evidence.sustained, rules.full.min_matured
    if found is None:
        return unknown(gate, "the leads of the stage could not be read")
    if found.now.matured < least or found.change is None or found.interval is None:
        return unknown(gate, f"{found.now.matured:,} of at least {least:,} matured leads in stage full")
    margin = rules.experiment.harm_margin
    answer: Answer = "fail" if found.interval.high < -margin else "pass" if found.change >= -margin else "inconclusive"
    sentence = (
        f"{found.now.rate:.2%} now, {found.before.rate:.2%} on the champion's side of the test: {found.change:+.1%} "
        f"({found.interval.low:+.1%} to {found.interval.high:+.1%}), {margin:.0%} less would be too much"
    )
    return Verdict(
        gate=gate,
        answer=answer,
        sentence=sentence,
        value=found.change,
        interval=found.interval,
        threshold=-margin,
        sample=found.now.matured,
    )


def sustained_auc(evidence: Evidence, rules: RolloutRules) -> Verdict | None:
    """The AUC of the scores in stage full."""
    bar, gate = rules.gates.auc, "AUC in stage full"
    if bar is None:
        return None
    found = evidence.sustained
    if found is None or found.auc is None or found.now.matured < rules.full.min_matured:
        return unknown(gate, "too few matured leads")
    champion = evidence.paired.champion.auc if evidence.paired else None
    return against(gate, found.auc, bar, champion, found.now.matured, "{:.3f}")


def _final(gate: str, trial: ExperimentEvidence, alpha: float, min_lift: float) -> Verdict:
    """At the planned size the fixed test decides; what comes after it is for the sequence, which may look again."""
    test = trial.test
    assert test is not None
    lift = test.lift
    won = lift is not None and test.p_value < alpha and lift >= min_lift
    lost = lift is not None and test.p_value < alpha and lift < 0
    later = trial.sequence is not None and trial.sequence.low > 0 and _lift(trial) >= min_lift
    answer: Answer = "pass" if won or (later and not lost) else "fail" if lost else "inconclusive"
    sure = f" ({test.interval.low:+.1%} to {test.interval.high:+.1%})" if test.interval else ""
    size = "?" if lift is None else f"{lift:+.1%}"
    sentence = (
        f"lift {size}{sure} at {test.leads:,} leads a side, p = {test.p_value:.3g}; "
        f"asked: {min_lift:+.0%}, p < {alpha:g}"
    )
    if later and not won:
        sentence += f"; since then the sequence shows a lift: {_looks(trial)}"
    return Verdict(
        gate=gate,
        answer=answer,
        sentence=sentence,
        value=lift,
        interval=test.interval,
        threshold=min_lift,
        sample=test.leads,
        red=lost,
    )


def _harmed(gate: str, trial: ExperimentEvidence, rules: RolloutRules) -> Verdict | None:
    if trial.harm is None or trial.harm < trial.harm_threshold:
        return None
    sentence = (
        f"{_rates(trial)}: fewer leads convert with the challenger; evidence {trial.harm:.1f} of "
        f"{trial.harm_threshold:.1f}, wrong in at most {rules.experiment.harm_alpha:.0%} over all looks"
    )
    return Verdict(
        gate=gate,
        answer="fail",
        sentence=sentence,
        value=trial.difference,
        interval=trial.sequence,
        threshold=0.0,
        sample=_matured(trial),
        red=True,
    )


def _margin(  # noqa: PLR0917  # private
    gate: str, margin: MarginEvidence | None, evidence: Evidence, rules: RolloutRules, limit: float, worse: str
) -> Verdict:
    trial = evidence.experiment
    if trial is None or margin is None:
        return unknown(gate, "the leads of the two sides could not be read")
    if _mismatched(trial, rules):
        return _blocked(gate)
    if margin.verdict == "not enough data" or margin.interval is None or margin.change is None:
        return unknown(gate, f"{margin.leads:,} won leads on the smaller side")
    answers: dict[str, Answer] = {"no worse": "pass", "worse": "fail"}
    sentence = (
        f"{margin.change:+.1%} ({margin.interval.low:+.1%} to {margin.interval.high:+.1%}); "
        f"{limit:.0%} {worse} would be too much"
    )
    return Verdict(
        gate=gate,
        answer=answers.get(margin.verdict, "inconclusive"),
        sentence=sentence,
        value=margin.change,
        interval=margin.interval,
        threshold=limit,
        sample=margin.leads,
    )


def _mismatched(trial: ExperimentEvidence, rules: RolloutRules) -> bool:
    return min(trial.ratio_p, trial.silent_p) < rules.experiment.mismatch_p


def _blocked(gate: str) -> Verdict:
    return Verdict(
        gate=gate,
        answer="inconclusive",
        sentence="nothing is concluded while one side lacks leads or outcomes (sample ratio, reported outcomes)",
    )


def _matured(trial: ExperimentEvidence) -> int:
    return min(trial.control.matured, trial.treatment.matured)


def _lift(trial: ExperimentEvidence) -> float:
    return trial.treatment.rate / trial.control.rate - 1 if trial.control.rate else 0.0


def _rates(trial: ExperimentEvidence) -> str:
    return f"{trial.treatment.rate:.2%} with the challenger, {trial.control.rate:.2%} with the champion"


def _looks(trial: ExperimentEvidence) -> str:
    found: Interval | None = trial.sequence
    if found is None or not trial.control.rate:
        return "too early for an interval"
    rate = trial.control.rate
    return f"lift so far {found.low / rate:+.0%} to {found.high / rate:+.0%}, whenever one looks"
