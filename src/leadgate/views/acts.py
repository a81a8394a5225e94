"""What people do on the pages, as the commands that an operator would type (quiet)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from leadgate.scoring.keys import Scope


class BadFormError(Exception):
    """A form that cannot be carried out; the sentence says why."""


Noun = Literal["rollout", "alerts"]


@dataclass(frozen=True, kw_only=True)
class Act:
    """One act."""

    name: str
    """In the address: /ui/act/NAME."""
    noun: Noun
    verb: str
    """`leadgate NOUN VERB`."""
    scope: Scope
    back: str
    """The page that shows what came of it."""
    done: str
    """What is said there."""
    needs_reason: bool = True
    reason_as: str = "comment"
    """The command's option for it."""
    flags: tuple[str, ...] = ()
    """Options that it always has."""
    fields: tuple[str, ...] = ()
    """Further fields of the form: options of the command..."""
    argument: str | None = None
    """...and the one that is its argument, last."""


ACTS: Mapping[str, Act] = {
    act.name: act
    for act in (
        Act(
            name="approve",
            noun="rollout",
            verb="approve",
            scope="approve",
            back="/ui/rollout",
            done="The stage is signed off.",
        ),
        Act(
            name="reject",
            noun="rollout",
            verb="reject",
            scope="operate",
            back="/ui/rollout",
            done="The challenger is rejected; the champion answers alone.",
        ),
        Act(
            name="rollback",
            noun="rollout",
            verb="rollback",
            scope="operate",
            back="/ui/rollout",
            done="Rolled back: the old version answers every lead.",
        ),
        Act(
            name="windback",
            noun="rollout",
            verb="rollback",
            scope="operate",
            back="/ui/rollout",
            done="On the way back: the old version answers most leads, and every lead in some days.",
            flags=("--gradual",),
        ),
        Act(
            name="stepback",
            noun="rollout",
            verb="step-back",
            scope="operate",
            back="/ui/rollout",
            done="The challenger is back in the shadow and answers nobody.",
        ),
        Act(
            name="start",
            noun="rollout",
            verb="start",
            scope="operate",
            back="/ui/rollout",
            done="The rollout has begun: the challenger scores every lead in the champion's shadow.",
            argument="version",
        ),
        Act(
            name="evaluate",
            noun="rollout",
            verb="evaluate",
            scope="operate",
            back="/ui/rollout",
            done="Evaluated: what the gates say is below.",
            needs_reason=False,
        ),
        Act(
            name="postmortem",
            noun="rollout",
            verb="postmortem",
            scope="operate",
            back="/ui/rollout",
            done="The post-mortem is closed.",
            reason_as="findings",
            fields=("rollout",),
        ),
        Act(
            name="pause",
            noun="rollout",
            verb="pause",
            scope="operate",
            back="/ui/rollout",
            done="The rollout is paused.",
        ),
        Act(
            name="resume",
            noun="rollout",
            verb="resume",
            scope="operate",
            back="/ui/rollout",
            done="The rollout goes on.",
        ),
        Act(
            name="advance",
            noun="rollout",
            verb="advance",
            scope="operate",
            back="/ui/rollout",
            done="The rollout went to its next stage.",
        ),
        Act(
            name="extend",
            noun="rollout",
            verb="extend",
            scope="operate",
            back="/ui/rollout",
            done="The stage has more time.",
            fields=("days",),
        ),
        Act(
            name="ack",
            noun="alerts",
            verb="ack",
            scope="operate",
            back="/ui/alerts",
            done="The alert is in your care.",
            argument="alert",
        ),
        Act(
            name="silence",
            noun="alerts",
            verb="silence",
            scope="operate",
            back="/ui/alerts",
            done="Nobody is told of these alerts for that time.",
            reason_as="reason",
            fields=("subject", "for"),
            argument="check",
        ),
        Act(
            name="unsilence",
            noun="alerts",
            verb="unsilence",
            scope="operate",
            back="/ui/alerts",
            done="The silence is over.",
            needs_reason=False,
            argument="silence",
        ),
        Act(
            name="retry",
            noun="alerts",
            verb="retry",
            scope="operate",
            back="/ui/alerts",
            done="The messages were tried again; what has still not arrived is listed below.",
            needs_reason=False,
        ),
    )
}

_LONGEST = 2_000
_NUMBERS = ("alert", "silence")
"""Arguments that are numbers."""


def command_of(act: Act, form: Mapping[str, str]) -> list[str]:
    """The options and arguments of the command. Raises BadFormError."""
    reason = typed(form, "reason")
    if act.needs_reason and not reason:
        raise BadFormError("Say why: the reason is kept with the act for good.")
    said = [*act.flags, *([f"--{act.reason_as}={reason}"] if reason else [])]
    said += [f"--{name}={typed(form, name)}" for name in act.fields if typed(form, name)]
    if act.argument is not None:
        value = typed(form, act.argument)
        if not value or (act.argument in _NUMBERS and not (value.isascii() and value.isdigit())):
            raise BadFormError("The form does not say which one is meant; go back to the page and try again.")
        said += ["--", value]
    return said


def typed(form: Mapping[str, str], name: str, otherwise: str = "") -> str:
    """What was typed, without blanks around it. Raises BadFormError for what no record can hold.

    ``otherwise``: what is said where nothing was typed; empty: nothing need be.
    """
    value = form.get(name, "").strip()
    if otherwise and not value:
        raise BadFormError(otherwise)
    if "\0" in value or len(value) > _LONGEST:
        raise BadFormError(f"The field {name!r} may hold {_LONGEST:,} characters, and no NUL.")
    return value
