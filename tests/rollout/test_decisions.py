"""From evidence to the next act."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known import NOW, RULES, figure, good, quality, side, trial
from leadgate.leads.rollout_rules import Bar, ExperimentRules, GateRules, LiveStage, RolloutRules
from leadgate.records import Interval
from leadgate.rollout.decisions import decide
from leadgate.rollout.evidence import (
    Approval,
    Evidence,
    FeatureHealth,
    MarginEvidence,
    PlannedTest,
    decode,
    encode,
)
from leadgate.rollout.gates import judge
from leadgate.rollout.stages import State, move
from leadgate.rollout.verdicts import Answer, Verdict

STAGES = get_args(LiveStage)
PROMOTED = {"shadow": "advance", "canary": "advance", "ab_test": "advance", "full": "finish"}


def decision(evidence: Evidence, rules: RolloutRules = RULES) -> str:
    """The act that follows."""
    return decide(evidence, judge(evidence, rules), rules).act


def answer(evidence: Evidence, gate: str, rules: RolloutRules = RULES) -> Answer:
    """What a gate says."""
    return next(verdict.answer for verdict in judge(evidence, rules) if verdict.gate == gate)


@pytest.mark.parametrize("stage", STAGES)
def test_good_evidence_carries_a_challenger_to_the_next_stage(stage: LiveStage) -> None:
    """With every gate passing it goes on."""
    assert decision(good(stage)) == PROMOTED[stage]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "part", ("scored", "system", "paired", "scores", "data", "ratings", "experiment", "sustained", "approvals")
)
def test_missing_evidence_never_promotes(stage: LiveStage, part: str) -> None:
    """Whatever part is not there: where a gate of the stage needs it, the challenger waits."""
    nothing: Any = () if part == "approvals" else None
    spoilt = replace(good(stage), **{part: nothing})
    needed = {
        "shadow": {"scored", "system", "paired", "scores", "data", "approvals"},
        "canary": {"scored", "system", "paired", "experiment", "data"},
        "ab_test": {"scored", "system", "paired", "experiment", "data", "ratings", "approvals"},
        "full": {"scored", "system", "sustained", "data"},
    }[stage]
    assert decision(spoilt) == ("hold" if part in needed else PROMOTED[stage])


@given(st.sampled_from(STAGES), st.data())
def test_nothing_goes_forward_but_by_the_pass_of_every_gate(stage: LiveStage, data: st.DataObject) -> None:
    """Whatever the gates say: forward means that all of them passed."""
    evidence = good(stage)
    verdicts = [
        Verdict(
            gate=v.gate, answer=data.draw(st.sampled_from(get_args(Answer))), sentence="", red=data.draw(st.booleans())
        )
        for v in judge(evidence, RULES)
    ]
    act = decide(evidence, verdicts, RULES).act
    assert (act == PROMOTED[stage]) == all(v.answer == "pass" for v in verdicts)


@given(st.sampled_from(STAGES), st.data())
def test_red_evidence_goes_back_in_one_evaluation(stage: LiveStage, data: st.DataObject) -> None:
    """One red failure, or two of any kind, end in rolled_back, paused or not and whatever else is said."""
    evidence = good(stage)
    if data.draw(st.booleans()):
        evidence = replace(evidence, state=replace(evidence.state, paused_at=NOW))
    gates = [v.gate for v in judge(evidence, RULES)]
    failing = data.draw(st.lists(st.sampled_from(gates), min_size=1, max_size=4, unique=True))
    red = len(failing) == 1
    verdicts = [
        Verdict(
            gate=gate,
            answer="fail" if gate in failing else data.draw(st.sampled_from((*get_args(Answer)[:1], "wait"))),
            sentence="",
            red=red and gate in failing,
        )
        for gate in gates
    ]
    act = decide(evidence, verdicts, RULES).act
    assert act == "roll_back"
    assert move(evidence.state, act, NOW).stage == "rolled_back"


@pytest.mark.parametrize("stage", STAGES)
def test_evidence_survives_being_written_down(stage: LiveStage) -> None:
    """What is read back a year later gives the same verdicts and the same decision."""
    evidence = good(stage)
    again = decode(encode(evidence))
    assert again == evidence
    assert judge(again, RULES) == judge(evidence, RULES)


def test_a_pause_stops_promotion() -> None:
    """Even with every gate passing."""
    evidence = good("shadow")
    assert decision(replace(evidence, state=replace(evidence.state, paused_at=NOW))) == "hold"


def test_an_approval_of_an_earlier_visit_does_not_count() -> None:
    """A challenger that went back to the shadow needs a new sign-off."""
    evidence = good("shadow")
    later = replace(evidence.state, since=evidence.state.since + timedelta(days=1))
    assert decision(replace(evidence, state=later)) == "hold"


@pytest.mark.parametrize(
    ("value", "half", "said"),
    ((0.86, 0.02, "pass"), (0.84, 0.02, "inconclusive"), (0.82, 0.02, "fail"), (0.85, 0.0, "pass")),
)
def test_a_figure_fails_only_with_its_whole_interval(value: float, half: float, said: Answer) -> None:
    """AUC of at least 0.85: 0.84 give or take 0.02 is neither here nor there."""
    evidence = good("shadow")
    assert evidence.paired is not None
    own = replace(evidence.paired.challenger, auc=figure(value, half))
    assert answer(replace(evidence, paired=replace(evidence.paired, challenger=own)), "AUC") == said


def test_a_bar_may_follow_the_champion() -> None:
    """98 % of a champion with 0.80 is 0.784; the plan's 0.85 is for another company's leads."""
    rules = RolloutRules(gates=GateRules(auc=Bar(at_least=0.98, of="champion")))
    evidence = good("shadow")
    assert evidence.paired is not None
    for auc, said in ((0.79, "pass"), (0.75, "fail")):
        paired = replace(evidence.paired, champion=quality(0.80), challenger=quality(auc))
        assert answer(replace(evidence, paired=paired), "AUC", rules) == said


def test_a_gate_can_be_switched_off() -> None:
    """A team without deal sizes switches the gate off rather than never promoting anything."""
    rules = RolloutRules(experiment=ExperimentRules(deal_size_margin=None))
    assert "deal size" not in {v.gate for v in judge(good("ab_test"), rules)}
    assert len(judge(good("ab_test"), rules)) == len(judge(good("ab_test"), RULES)) - 1


def test_errors_above_five_percent_are_red() -> None:
    """The plan's red: back at once. One in a hundred only holds it."""
    evidence = good("canary")
    assert evidence.system is not None
    for failures, act in ((50_000, "roll_back"), (5_000, "hold")):
        assert decision(replace(evidence, system=replace(evidence.system, failures=failures))) == act


def test_a_canary_without_outcomes_of_its_own_waits() -> None:
    """No matured lead, or too few conversions to see harm by: nothing is known, and nothing goes forward."""
    for changes in (
        {"control": side(0, 0), "treatment": side(0, 0), "harm": None},
        {"treatment": side(RULES.canary.min_matured - 1, 5)},
        {"harm": None},
    ):
        evidence = replace(good("canary"), experiment=trial(test=None, **changes))
        assert answer(evidence, "conversions") == "wait"
        assert decision(evidence) == "hold"


def test_outcomes_that_are_told_of_one_side_only_decide_nothing() -> None:
    """Losses of one side that are not reported look like a lift: 2,000 silent leads against 500, p far below 0.001."""
    quiet = replace(side(), silent=2_000)
    uneven = trial(treatment=quiet, silent_p=1e-9)
    for stage in ("canary", "ab_test"):
        evidence = replace(good(stage), experiment=uneven)
        assert answer(evidence, "reported outcomes") == "fail"
        assert answer(evidence, "conversions") == "inconclusive"
        assert decision(evidence) == "hold"


def test_a_side_that_takes_the_teams_attention_is_not_promoted() -> None:
    """Three in ten marked high against two in ten: its lift may be the team's work. Contacts count in the same way."""
    for spoilt in (replace(side(), high=7_500), replace(side(), contacted=9_000)):
        evidence = replace(good("ab_test"), experiment=trial(treatment=spoilt))
        assert answer(evidence, "attention") == "fail"
        assert decision(evidence) == "hold"
    uncounted = trial(control=replace(side(), contacted=0), treatment=replace(side(), contacted=0))
    assert answer(replace(good("ab_test"), experiment=uncounted), "attention") == "pass"


def test_a_challenger_that_fails_its_own_leads_does_not_hide_among_the_champions() -> None:
    """Of a tenth of the leads half fail: 5 % of all, and red. The same in the last hour after a clean fortnight."""
    evidence = good("canary")
    assert evidence.system is not None
    own = replace(evidence.system, failures=24_000, challenger_answers=50_000, challenger_failures=24_000)
    assert decision(replace(evidence, system=own)) == "roll_back"
    assert evidence.recent is not None
    for failures, act in ((200, "roll_back"), (5, PROMOTED["canary"])):
        now = replace(evidence.recent, requests=700, failures=failures)
        assert decision(replace(evidence, recent=now)) == act
    slow = replace(evidence.recent, p99_ms=900.0)
    assert decision(replace(evidence, recent=slow)) == "roll_back"


def test_leads_that_the_challenger_cannot_score_keep_it_in_the_shadow() -> None:
    """One in a hundred fails: it would have been an error. One in ten sends it back."""
    evidence = good("shadow")
    assert evidence.system is not None
    for failed, act in ((4_900, "hold"), (49_000, "roll_back")):
        assert decision(replace(evidence, system=replace(evidence.system, shadow_failed=failed))) == act


def test_red_evidence_ends_a_gradual_rollback_at_once() -> None:
    """Nine leads in ten are not enough when the tenth fails."""
    evidence = replace(good("full"), state=State(stage="rolling_back", since=NOW - timedelta(days=1)), sustained=None)
    assert evidence.system is not None
    assert decision(evidence) == "hold"
    burning = replace(evidence.system, challenger_failures=100_000)
    assert decision(replace(evidence, system=burning)) == "roll_back"


def test_a_conversion_rate_that_falls_in_stage_full_holds_the_end_of_the_watch() -> None:
    """A fifth fewer than the champion's side had, surely: people are called. Too few matured leads: wait."""
    evidence = good("full")
    assert evidence.sustained is not None
    fallen = replace(evidence.sustained, change=-0.2, interval=Interval(low=-0.28, high=-0.12))
    assert answer(replace(evidence, sustained=fallen), "sustained conversions") == "fail"
    assert decision(replace(evidence, sustained=fallen)) == "hold"
    young = replace(evidence.sustained, now=side(299, 30))
    assert answer(replace(evidence, sustained=young), "sustained conversions") == "wait"


def test_no_loss_against_the_champion_is_proven_by_the_interval() -> None:
    """A loss of 0.01, give or take 0.03, may be one of 0.04: that is no proof that at most 0.02 is lost."""
    evidence = good("shadow")
    assert evidence.paired is not None
    for half, said in ((0.03, "inconclusive"), (0.005, "pass")):
        paired = replace(evidence.paired, auc_difference=figure(-0.01, half))
        assert answer(replace(evidence, paired=paired), "AUC against the champion") == said


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_asks_for_a_sign_off_waits_for_it(stage: LiveStage) -> None:
    """Any stage may ask for one."""
    rules = RolloutRules(sign_off=STAGES)
    signed = Approval(stage=stage, stage_since=good(stage).state.since, approved_by="A", approved_at=NOW, comment="x")
    assert decision(replace(good(stage), approvals=()), rules) == "hold"
    assert decision(replace(good(stage), approvals=(signed,)), rules) == PROMOTED[stage]


def test_a_winner_whose_deals_stay_unclear_is_not_kept_for_ever() -> None:
    """After the extensions what was not shown sends it back, whatever it was that was not shown."""
    unclear = MarginEvidence(change=-0.05, interval=Interval(low=-0.2, high=0.1), verdict="unclear", leads=40)
    evidence = replace(good("ab_test", days=29), experiment=trial(deal_size=unclear))
    assert decision(evidence) == "extend"
    used = replace(evidence.state, extensions=RULES.max_extensions)
    assert decision(replace(evidence, state=used)) == "roll_back"


def test_a_latency_above_half_a_second_is_red() -> None:
    """And one above 200 ms only holds it."""
    evidence = good("canary")
    assert evidence.system is not None
    for p99, act in ((600.0, "roll_back"), (300.0, "hold")):
        assert decision(replace(evidence, system=replace(evidence.system, p99_ms=p99))) == act


def test_a_slow_challenger_does_not_hide_behind_a_fast_champion() -> None:
    """Its own answers count where it gives some."""
    evidence = good("canary")
    assert evidence.system is not None
    assert answer(replace(evidence, system=replace(evidence.system, challenger_p99_ms=250.0)), "latency p99") == "fail"


def test_a_challenger_below_the_champion_on_the_same_leads_comes_back() -> None:
    """DeLong's interval wholly below the margin is red: 0.05 less, give or take 0.01."""
    evidence = good("shadow")
    assert evidence.paired is not None
    worse = replace(evidence.paired, auc_difference=figure(-0.05))
    assert decision(replace(evidence, paired=worse)) == "roll_back"
    unsure = replace(evidence.paired, auc_difference=figure(-0.05, 0.04))
    assert decision(replace(evidence, paired=unsure)) == "hold"


def test_harm_comes_back_before_the_planned_size() -> None:
    """Evidence over the threshold is enough at any look."""
    evidence = replace(good("ab_test"), experiment=trial(test=None, harm=3.1))
    assert decision(evidence) == "roll_back"
    assert decision(replace(evidence, experiment=trial(test=None, harm=2.9))) == "hold"


def test_a_sample_ratio_mismatch_blocks_every_verdict_and_harms_nobody() -> None:
    """Neither a lift nor a harm is concluded from leads that were lost on one side."""
    for harm in (-20.0, 50.0):
        evidence = replace(good("ab_test"), experiment=trial(ratio_p=1e-6, harm=harm))
        assert decision(evidence) == "hold"
        assert answer(evidence, "conversions") == "inconclusive"


def test_a_lift_that_is_real_but_too_small_is_not_promoted() -> None:
    """The plan asks for +5 %: a proven +3 % is no win."""
    small = PlannedTest(
        control_conversions=2_400,
        treatment_conversions=2_472,
        leads=24_000,
        p_value=0.01,
        lift=0.03,
        interval=Interval(low=0.01, high=0.05),
    )
    evidence = replace(good("ab_test"), experiment=trial(test=small, sequence=Interval(low=-0.002, high=0.008)))
    assert answer(evidence, "conversions") == "inconclusive"


def test_a_draw_is_extended_and_then_comes_back() -> None:
    """Two extensions by itself; after them a draw is no reason to change a model."""
    draw = PlannedTest(
        control_conversions=2_400,
        treatment_conversions=2_410,
        leads=24_000,
        p_value=0.88,
        lift=0.004,
        interval=Interval(low=-0.05, high=0.06),
    )
    evidence = replace(good("ab_test", days=29), experiment=trial(test=draw, sequence=Interval(low=-0.01, high=0.011)))
    assert decision(evidence) == "extend"
    state = evidence.state
    for days in (36.5, 43.5):
        state = move(state, "extend", NOW, days=RULES.extension_days, by_itself=True)
        moved = replace(evidence, state=replace(state, since=NOW - timedelta(days=days)))
        assert decision(moved) == ("extend" if state.extensions < 2 else "roll_back")
    assert decision(replace(evidence, state=State(stage="ab_test", since=NOW - timedelta(days=20)))) == "hold"


def test_an_a_a_test_never_promotes() -> None:
    """Both sides are the same model, so a "win" is chance."""
    rules = RolloutRules(experiment=ExperimentRules(aa=True))
    assert decision(good("ab_test"), rules) == "roll_back"


def test_smaller_deals_hold_a_winner() -> None:
    """More contracts, each smaller, may be worth less."""
    worse = MarginEvidence(change=-0.2, interval=Interval(low=-0.25, high=-0.15), verdict="worse", leads=2_000)
    assert decision(replace(good("ab_test"), experiment=trial(deal_size=worse))) == "hold"
    unclear = MarginEvidence(change=None, interval=None, verdict="not enough data", leads=4)
    assert answer(replace(good("ab_test"), experiment=trial(deal_size=unclear)), "deal size") == "wait"


def test_a_natural_gap_in_the_data_is_no_fault_of_the_rollout() -> None:
    """A feature that always missed 8 % may miss 8 %; one that starts to miss 8 % may not."""
    for before, said in ((720, "pass"), (0, "fail")):
        health = FeatureHealth(
            feature="budget", leads=9_000, missing=720, unknown=0, leads_before=9_000, missing_before=before
        )
        assert answer(replace(good("shadow"), data=(health,)), "missing values") == said


def test_equal_sides_are_judged_by_their_rates() -> None:
    """A side without leads gives no rate and no crash."""
    empty = trial(control=side(0, 0), treatment=side(0, 0), test=None, sequence=None, harm=None, difference=None)
    assert answer(replace(good("ab_test"), experiment=empty), "conversions") == "wait"
