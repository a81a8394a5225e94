"""From verdicts to the next act (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.evidence import Evidence
from leadgate.rollout.gates import stage_rules
from leadgate.rollout.stages import Act, State, acts_of
from leadgate.rollout.verdicts import Verdict

_SEVERAL = 2
"""The plan's red: as many figures out at once."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from the evidence."""

    act: Act | Literal["hold"]
    reason: str
    overdue: bool = False
    """Whether people should be told that the stage takes longer than planned."""


def decide(evidence: Evidence, verdicts: Sequence[Verdict], rules: RolloutRules) -> Decision:
    """The act that a rollout's evidence asks for.

    Red goes back whatever else is said, paused or not. Nothing goes forward but by the pass of every gate.
    """
    state = evidence.state
    red = _red(verdicts)
    if red and "roll_back" in acts_of(state):
        return Decision(act="roll_back", reason=_joined(red))
    if state.stage == "rolling_back":
        return _wind_down(evidence, rules)
    if state.paused_at is not None:
        return Decision(act="hold", reason="paused")
    missing = [verdict for verdict in verdicts if verdict.answer != "pass"]
    if verdicts and not missing:
        return _forward(state, rules)
    if evidence.experiment is not None and evidence.experiment.test is not None:
        return _undecided(evidence, missing, rules)
    return Decision(act="hold", reason=_joined(missing), overdue=is_overdue(evidence, rules))


def is_overdue(evidence: Evidence, rules: RolloutRules) -> bool:
    """Whether the stage has lasted longer than planned, its extensions included."""
    asked = stage_rules(evidence.state.stage, rules)
    return asked is not None and evidence.state.days(evidence.as_of) > asked.max_days + evidence.state.extra_days


def _red(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What sends the challenger back: one red verdict, or several failures at once."""
    failed = [verdict for verdict in verdicts if verdict.answer == "fail" and verdict.counts]
    red = [verdict for verdict in failed if verdict.red]
    return failed if red or len(failed) >= _SEVERAL else []


def _forward(state: State, rules: RolloutRules) -> Decision:
    if state.stage == "full":
        return Decision(act="finish", reason="every gate passes: the watch is over")
    if state.stage == "ab_test" and rules.experiment.aa:
        return Decision(act="roll_back", reason="the A/A test is over; both sides are the same model")
    return Decision(act="advance", reason="every gate passes")


def _undecided(evidence: Evidence, missing: Sequence[Verdict], rules: RolloutRules) -> Decision:
    """After the planned size: a few more weeks where the evidence is unclear, then back.

    A draw is no reason to change a model. What waits for people, or for leads that get lost, is not the challenger's.
    """
    state, overdue = evidence.state, is_overdue(evidence, rules)
    unclear = [verdict for verdict in missing if verdict.answer == "inconclusive"]
    blocked = any(verdict.answer == "fail" and not verdict.counts for verdict in missing)
    if not overdue or not unclear or blocked:
        return Decision(act="hold", reason=_joined(missing), overdue=overdue)
    if state.extensions < rules.max_extensions:
        return Decision(act="extend", reason=f"inconclusive, {rules.extension_days:g} more days: {_joined(unclear)}")
    return Decision(act="roll_back", reason=f"not shown in the time there was: {_joined(unclear)}")


def _wind_down(evidence: Evidence, rules: RolloutRules) -> Decision:
    days, asked = evidence.state.days(evidence.as_of), rules.gradual_rollback.days
    if days >= asked:
        return Decision(act="finish", reason=f"{days:.1f} days of {asked:g} on the way back")
    return Decision(act="hold", reason=f"{days:.1f} days of {asked:g} on the way back")


def _joined(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(f"{verdict.gate}: {verdict.sentence}" for verdict in verdicts)
