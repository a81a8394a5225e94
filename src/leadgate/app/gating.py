"""Holds a registered version against the gates, before it may challenge the champion."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadgate.app.wire import Home
from leadgate.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from leadgate.models.card import Card
    from leadgate.models.evaluation import Comparison
    from leadgate.models.registry import Version
    from leadgate.models.renewal import Gate

_PAUSE_S = 5.0
"""Between two questions to the registry."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A registered version, its figures and what the gates say of it."""

    version: "Version"
    card: "Card"
    champion: str | None
    """The version that it was held against; None where there is no other champion."""
    comparison: "Comparison | None"
    """On the leads that both held out."""
    gates: "tuple[Gate, ...]"

    @property
    def passed(self) -> bool:
        """Whether every gate passes; one that cannot be judged does not."""
        return all(gate.passed is True for gate in self.gates)


def judge_version(
    home: Home, which: str, *, wait_s: float = 0, sleep: Callable[[float], None] = time.sleep
) -> Judgement:
    """Hold a registered version against the gates of leadgate.yaml's section retraining.

    1. Wait up to ``wait_s`` seconds for the version and its figures. 2. Compare it with the champion on the leads that
    both held out. 3. Judge. Raises NotFoundError for a version that did not come.
    """
    from leadgate.models.comparing import compare_versions  # noqa: PLC0415  # SciPy
    from leadgate.models.renewal import judge_registered  # noqa: PLC0415

    version, card = _awaited(home, which, wait_s, sleep)
    champion = home.registry.champion()
    other = champion if champion and champion.version != version.version else None
    comparison = compare_versions(home.registry, other, version) if other else None
    gates = judge_registered(home.project.retraining.gates, card, home.project, comparison)
    return Judgement(
        version=version, card=card, champion=other.version if other else None, comparison=comparison, gates=gates
    )


def promote_judged(home: Home, which: str) -> str:
    """Make a version the challenger if every gate passes; the first one of a model becomes its champion.

    Gives the sentence to say. Raises RefusedError with what a gate says, and for a version that a retraining made: that
    one was judged by more gates than these.
    """
    from leadgate.app.routing import promote  # noqa: PLC0415

    found = judge_version(home, which)
    number, aliases = found.version.version, found.version.aliases
    if aliases:
        return f"Version {number} is the {aliases[0]} already; nothing changed."
    if "retraining" in found.version.tags:
        raise RefusedError(
            f"Version {number} was made by a retraining, which has judged it already and left it to a person; "
            f"`leadgate triggers history` says why. Promote it with `leadgate models promote {number} --as challenger`."
        )
    failed = [f"{gate.name}: {gate.sentence}" for gate in found.gates if gate.passed is not True]
    if failed:
        raise RefusedError(f"Version {number} stays where it is. Gate {'; gate '.join(failed)}.")
    if home.registry.champion():
        return promote(home, number, "challenger")
    return f"{promote(home, number, 'champion')} A first version has nobody to challenge."


def _awaited(home: Home, which: str, wait_s: float, sleep: Callable[[float], None]) -> "tuple[Version, Card]":
    """A version with its card, asked for again until it is there or the time is over."""
    waited = 0.0
    while True:
        try:
            version = home.registry.find(which)
            return version, home.registry.card(version)
        except NotFoundError as error:
            if waited >= wait_s:
                after = f" It did not come within {wait_s:g} seconds." if wait_s else ""
                raise NotFoundError(f"{error}{after}") from error
        pause = min(_PAUSE_S, wait_s - waited)
        sleep(pause)
        waited += pause
