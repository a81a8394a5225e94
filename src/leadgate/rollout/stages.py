"""The stages of a rollout and the moves between them, as one table (quiet).

The diagram in docs/rollout.md is drawn from the table by ``diagram``; a test holds it there.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from leadgate.errors import RefusedError

Stage = Literal["draft", "shadow", "canary", "ab_test", "full", "rolling_back", "rolled_back", "rejected"]
Act = Literal[
    "start",
    "advance",
    "finish",
    "extend",
    "pause",
    "resume",
    "reject",
    "step_back",
    "roll_back",
    "roll_back_gradually",
]

MOVES: dict[tuple[Stage, Act], Stage] = {
    ("draft", "start"): "shadow",
    ("draft", "reject"): "rejected",
    ("shadow", "advance"): "canary",
    ("shadow", "extend"): "shadow",
    ("shadow", "pause"): "shadow",
    ("shadow", "resume"): "shadow",
    ("shadow", "reject"): "rejected",
    ("shadow", "roll_back"): "rolled_back",
    ("canary", "advance"): "ab_test",
    ("canary", "extend"): "canary",
    ("canary", "pause"): "canary",
    ("canary", "resume"): "canary",
    ("canary", "step_back"): "shadow",
    ("canary", "reject"): "rolled_back",
    ("canary", "roll_back"): "rolled_back",
    ("ab_test", "advance"): "full",
    ("ab_test", "extend"): "ab_test",
    ("ab_test", "pause"): "ab_test",
    ("ab_test", "resume"): "ab_test",
    ("ab_test", "reject"): "rolled_back",
    ("ab_test", "roll_back"): "rolled_back",
    ("full", "extend"): "full",
    ("full", "finish"): "full",
    ("full", "roll_back"): "rolled_back",
    ("full", "roll_back_gradually"): "rolling_back",
    ("rolling_back", "finish"): "rolled_back",
    ("rolling_back", "roll_back"): "rolled_back",
}
"""Everything that may happen; what is not here cannot."""

OVER: frozenset[Stage] = frozenset({"rolled_back", "rejected"})
"""Stages in which nothing can happen any more."""

ANSWERING: frozenset[Stage] = frozenset({"canary", "ab_test", "full", "rolling_back"})
"""Stages in which the challenger answers leads."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a rollout is."""

    stage: Stage
    since: datetime
    """UTC, when the stage began."""
    paused_at: datetime | None = None
    extra_days: float = 0.0
    """By which the stage was extended."""
    paused_days: float = 0.0
    """Of pauses that are over."""
    extensions: int = 0
    """How often the stage was extended by itself; people may extend it as they like."""
    finished: bool = False
    """In stage full: whether the watch is over, and with it the rollout."""

    @property
    def alive(self) -> bool:
        """Whether anything can still happen."""
        return self.stage not in OVER and not self.finished

    def days(self, now: datetime) -> float:
        """Days that the stage has lasted, pauses left out."""
        end = self.paused_at or now
        return max(0.0, (end - self.since) / timedelta(days=1) - self.paused_days)


class IllegalMoveError(RefusedError):
    """The table has no such move; nothing has changed."""


def start_state(now: datetime) -> State:
    """A rollout before anything happened."""
    return State(stage="draft", since=now)


def acts_of(state: State) -> tuple[Act, ...]:
    """What may happen now."""
    if not state.alive:
        return ()
    paused = state.paused_at is not None
    possible = (act for stage, act in MOVES if stage == state.stage)
    return tuple(act for act in possible if act not in _hidden(paused=paused))


def move(state: State, act: Act, now: datetime, *, days: float = 0.0, by_itself: bool = False) -> State:
    """The state after an act; ``days`` is for an extension, made by the controller or not. Raises IllegalMoveError."""
    if act not in acts_of(state):
        raise IllegalMoveError(_why_not(state, act))
    stage = MOVES[state.stage, act]
    if act == "extend":
        return replace(state, extra_days=state.extra_days + days, extensions=state.extensions + by_itself)
    if act == "pause":
        return replace(state, paused_at=now)
    if act == "resume":
        return _resumed(state, now)
    if act == "finish" and stage == "full":
        return replace(state, finished=True)
    return State(stage=stage, since=now)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> draft"]
    for stage in get_args(Stage):
        targets: dict[Stage, list[str]] = {}
        for (source, act), target in MOVES.items():
            if source == stage and (source != target or act == "finish"):
                targets.setdefault(target, []).append(act.replace("_", " "))
        lines += [f"    {stage} --> {target}: {', '.join(acts)}" for target, acts in targets.items() if target != stage]
        own = [act.replace("_", " ") for (source, act), target in MOVES.items() if source == stage == target]
        lines += [f"    {stage} --> {stage}: {', '.join(act for act in own if act != 'finish')}"] if own else []
    lines += ["    full --> [*]: finish", *(f"    {stage} --> [*]" for stage in sorted(OVER))]
    return "\n".join(lines)


def _resumed(state: State, now: datetime) -> State:
    assert state.paused_at is not None
    paused = (now - state.paused_at) / timedelta(days=1)
    return replace(state, paused_at=None, paused_days=state.paused_days + paused)


def _hidden(*, paused: bool) -> frozenset[Act]:
    """Acts that wait: nothing moves forward in a pause, and only a pause can be left."""
    return frozenset({"advance", "finish", "pause", "extend"}) if paused else frozenset({"resume"})


def _why_not(state: State, act: Act) -> str:
    name = act.replace("_", " ")
    if not state.alive:
        return (
            f"The rollout is over (stage {state.stage}); it cannot {name}. Start another with `leadgate rollout start`."
        )
    where = f"stage {state.stage}{', paused' if state.paused_at else ''}"
    possible = ", ".join(name.replace("_", " ") for name in acts_of(state))
    return f"A rollout in {where} cannot {name}; it can: {possible}."
