"""What people can do with a rollout now (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadgate.rollout.history import History
from leadgate.rollout.stages import acts_of
from leadgate.scoring.keys import Scope
from leadgate.views.acts import ACTS
from leadgate.views.wording import number, plain, share


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An act that the state allows."""

    name: str
    """Of views/acts.py."""
    label: str
    sentence: str
    """What it does, before it is done."""
    danger: bool = False
    asks_days: bool = False

    @property
    def scope(self) -> Scope:
        """What its login needs."""
        return ACTS[self.name].scope

    @property
    def reason(self) -> str:
        """The label of the reason; empty where none is asked for."""
        return "Why" if ACTS[self.name].needs_reason else ""


@dataclass(frozen=True, kw_only=True)
class Offers:
    """What can be done, and what cannot."""

    acts: Sequence[Offer]
    sign_off: str
    """Of the present stage, in a sentence."""


_NAMES: Mapping[str, str] = {
    "advance": "advance",
    "extend": "extend",
    "pause": "pause",
    "resume": "resume",
    "step_back": "stepback",
    "reject": "reject",
    "roll_back": "rollback",
    "roll_back_gradually": "windback",
}
"""Acts of rollout/stages.py that people do, by their names here, in the order shown."""


def offers_of(history: History) -> Offers:
    """What the state allows: nothing once the rollout is over."""
    state = history.state
    possible = acts_of(state)
    acts = [Offer(name="evaluate", label="Evaluate now", sentence=_EVALUATE)] if state.alive else []
    if state.alive and state.stage in history.rules.sign_off:
        acts.append(Offer(name="approve", label="Approve", sentence=_approval(history)))
    made = _offers(history)
    acts += [made[_NAMES[name]] for name in _NAMES if name in possible]
    return Offers(acts=acts, sign_off=sign_off_of(history))


def sign_off_of(history: History) -> str:
    """Whether somebody has to sign the present stage off, and who did."""
    state = history.state
    if not state.alive:
        return ""
    if state.stage not in history.rules.sign_off:
        return f"Stage {plain(state.stage)} needs no sign-off."
    given = [s.approved_by for s in history.sign_offs if s.stage_since == state.since]
    if given:
        return f"Stage {plain(state.stage)} is signed off by {', '.join(given)}."
    own = history.rules.approve_own_model
    but = "" if own else f" {history.rollout.challenger_author}, who trained it, may not."
    return f"Stage {plain(state.stage)} waits for a person's sign-off.{but}"


_EVALUATE = (
    "Reads the evidence anew, judges every gate and does what follows: hold, go on, or roll back. The worker does the "
    "same on its schedule. It may take a minute."
)


def _approval(history: History) -> str:
    stage = plain(history.state.stage)
    return (
        f"Signs stage {stage} off for version {history.rollout.challenger}. The rollout still goes on only when every "
        "other gate passes."
    )


def _offers(history: History) -> dict[str, Offer]:
    """Every act by its name, with what it does to these versions."""
    old, new = history.rollout.champion, history.rollout.challenger
    alone = f"Version {old} answers every lead, in every worker within a second"
    gradual = history.rules.gradual_rollback
    offers = (
        Offer(
            name="advance",
            label="Advance",
            sentence="Goes to the next stage now, if every gate passes; nobody can push a challenger past them.",
        ),
        Offer(
            name="extend",
            label="Extend",
            sentence="Gives the stage more time before it counts as overdue.",
            asks_days=True,
        ),
        Offer(
            name="pause", label="Pause", sentence="Nothing goes forward until somebody resumes; red still goes back."
        ),
        Offer(name="resume", label="Resume", sentence="The rollout goes on; the days of the pause do not count."),
        Offer(
            name="stepback",
            label="Step back",
            sentence=f"Version {new} goes back into the shadow: it answers nobody and can be looked at in peace.",
        ),
        Offer(
            name="reject",
            label="Reject",
            sentence=f"{alone}; version {new} is archived. The rollout is over.",
            danger=True,
        ),
        Offer(
            name="rollback",
            label="Roll back",
            sentence=f"{alone}. The rollout is over, and a post-mortem is opened.",
            danger=True,
        ),
        Offer(
            name="windback",
            label="Roll back gradually",
            sentence=(
                f"Version {old} answers all but {share(gradual.share)} of the leads, version {new} keeps those for "
                f"{number(gradual.days, 2)} days; then the rollout is over. A post-mortem is opened."
            ),
            danger=True,
        ),
    )
    return {offer.name: offer for offer in offers}
