"""A sales team that follows the scores, and what that makes of the outcomes (quiet).

Every lead has the probability to convert that it would have if sales worked it; whether they do hangs on its priority,
and that on its score, unless it is explored. So the AUC that the scores really have is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from leadgate.simulator.team import PRIORITIES, Team

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Leads:
    """Leads to draw from."""

    probability: Values
    """To convert, were they worked at once and nobody did anything about it, shape (n,)."""
    score: Values
    """What a model says of them, shape (n,)."""


@dataclass(frozen=True, kw_only=True)
class Following:
    """How sales follow priorities."""

    worked: Mapping[str, float] = field(default_factory=lambda: {"high": 0.95, "medium": 0.5, "low": 0.05})
    """By priority, the share of the leads that is worked."""
    explored_of_low_score: float | None = None
    """That of explored leads whose score is not high; None: as of any other lead of their priority."""
    silent: bool = False
    """Whether nothing is heard of leads that nobody worked; else they are closed as lost, unless they convert alone."""
    high: float = 0.2
    """Share of the leads whose score gives them priority high..."""
    medium: float = 0.3
    """...and medium."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lived:
    """What became of leads, shape (n,) each."""

    score: Values
    own_high: Flags
    """Whether the score gives priority high."""
    explored: Flags
    known: Flags
    """Whether the CRM told what became of the lead."""
    converted: Flags


def live(leads: Leads, following: Following, team: Team, *, n: int, share: float, rng: np.random.Generator) -> Lived:
    """Draw ``n`` leads, of which ``share`` are explored, and let sales work them."""
    drawn = rng.integers(0, len(leads.score), n)
    score = leads.score[drawn]
    own = _priorities(leads, following, score)
    explored = rng.random(n) < share
    chance = np.array([following.worked[name] for name in PRIORITIES])[np.where(explored, 0, own)]
    if following.explored_of_low_score is not None:
        chance = np.where(explored & (own > 0), following.explored_of_low_score, chance)
    worked = rng.random(n) < chance
    factor = np.where(worked, team.gain, team.floor)
    return Lived(
        score=score,
        own_high=own == 0,
        explored=explored,
        known=worked if following.silent else np.ones(n, dtype=bool),
        converted=rng.random(n) < leads.probability[drawn] * factor,
    )


def true_probability_if_high(leads: Leads, following: Following, team: Team) -> Values:
    """The probability that each lead converts, given that it has priority high and that its outcome is known."""
    worked = 1.0 if following.silent else following.worked["high"]
    factor = worked * team.gain + (1 - worked) * team.floor
    return np.minimum(1.0, leads.probability * factor)


def _priorities(leads: Leads, following: Following, score: Values) -> npt.NDArray[np.int64]:
    """Of each score the place of its priority: 0 high, 1 medium, 2 low."""
    high, medium = np.quantile(leads.score, [1 - following.high, 1 - following.high - following.medium])
    return np.where(score > high, 0, np.where(score > medium, 1, 2))
