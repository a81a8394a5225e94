"""A rollout as its rows tell it (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.stages import Stage, State, start_state
from leadgate.storage.postgres.rollouts import Rollout, SignOff, Step


@dataclass(frozen=True, kw_only=True)
class History:
    """A rollout with everything that happened in it."""

    rollout: Rollout
    rules: RolloutRules
    steps: tuple[Step, ...]
    sign_offs: tuple[SignOff, ...]

    @property
    def state(self) -> State:
        """Where it is."""
        return state_after(self.steps[-1]) if self.steps else start_state(self.rollout.started_at)

    @property
    def first_epoch(self) -> int:
        """The first route that it put in force; 0 before it did."""
        return min((step.route_epoch for step in self.steps if step.route_epoch), default=0)

    @property
    def stage_epochs(self) -> tuple[int, ...]:
        """The routes that it put in force since its stage began."""
        since = self.state.since
        return tuple(step.route_epoch for step in self.steps if step.route_epoch and step.stage_since == since)

    def epochs_of(self, stage: Stage) -> tuple[int, ...]:
        """The routes that it put in force for a stage, whenever that was."""
        return tuple(step.route_epoch for step in self.steps if step.route_epoch and step.stage == stage)

    @property
    def last_epoch(self) -> int:
        """The last route that it put in force; 0 before it did."""
        return max((step.route_epoch for step in self.steps if step.route_epoch), default=0)

    @property
    def leads_per_arm(self) -> int | None:
        """The planned size of the experiment; None where none could be planned."""
        design = self.rollout.design
        return int(design["leads_per_arm"]) if design else None


def history_of(rollout: Rollout, steps: Sequence[Step], sign_offs: Sequence[SignOff]) -> History:
    """Put the rows together."""
    return History(
        rollout=rollout,
        rules=RolloutRules.model_validate(rollout.rules),
        steps=tuple(steps),
        sign_offs=tuple(sign_offs),
    )


def state_after(step: Step) -> State:
    """The state that a step left behind."""
    assert step.stage in get_args(Stage)
    return State(
        stage=cast("Stage", step.stage),
        since=step.stage_since,
        paused_at=step.paused_at,
        extra_days=step.extra_days,
        paused_days=step.paused_days,
        extensions=step.extensions,
        finished=step.finished,
    )


def step_of(
    rollout_id: int,
    number: int,
    state: State,
    *,
    act: str,
    at: datetime,
    by: str,
    comment: str,
    evidence_id: int | None,
    route_epoch: int | None,
) -> Step:
    """The row of an act."""
    return Step(
        rollout_id=rollout_id,
        step=number,
        act=act,
        stage=state.stage,
        paused_at=state.paused_at,
        stage_since=state.since,
        extra_days=state.extra_days,
        paused_days=state.paused_days,
        extensions=state.extensions,
        finished=state.finished,
        acted_at=at,
        acted_by=by,
        comment=comment,
        evidence_id=evidence_id,
        route_epoch=route_epoch,
    )
