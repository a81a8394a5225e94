"""Why a lead has its score: the features that move it, in figures and in words (quiet).

A reason says what the model takes from a value, not what brings customers: see ``docs/reasons.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from leadgate.compiled.contributions import CannotExplainError, Contributions, Explainer
from leadgate.leads.schema import FeatureValue
from leadgate.models.scorers import Row, Scored
from leadgate.models.wording import Direction, Moved, is_slight, name_of, sentence_of

MOST = 3
"""Reasons for and against that are told, unless somebody asks for more."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What one feature does to the score of one lead."""

    feature: str
    """The column."""
    name: str
    """The same for people, such as ``Company size``."""
    value: FeatureValue
    """The lead's; None for missing."""
    log_odds: float
    """The exact contribution to the model's sum, in log-odds before calibration."""
    effect: float
    """The score less the score that the lead would have if this feature counted as at the average training lead: a
    difference of probabilities, 0.14 for 14 points."""
    direction: Direction
    """What it does to the score."""
    sentence: str
    slight: bool
    """Whether it is too little to be told, unless somebody asks for everything."""


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """The reasons of one score by one version."""

    version: str
    score: float | None
    """As the version gives it; None without reasons."""
    average: float | None
    """The score of a lead that no feature moves: what the base says, through the calibration; None without reasons."""
    base: float | None
    """In log-odds before calibration: with every reason's ``log_odds`` it adds up to the model's sum; None without."""
    reasons: tuple[Reason, ...]
    """Every feature that moves the score, the one that moves it most first."""
    why_none: str | None
    """Why there are no reasons, a sentence; None where there are."""

    def raising(self, most: int = MOST) -> tuple[Reason, ...]:
        """Those that speak for the lead most."""
        return self._told("raises")[:most]

    def lowering(self, most: int = MOST) -> tuple[Reason, ...]:
        """Those that speak against it most."""
        return self._told("lowers")[:most]

    def top(self, each: int = MOST) -> tuple[Reason, ...]:
        """Both together, the one that moves the score most first."""
        chosen = {reason.feature for reason in (*self.raising(each), *self.lowering(each))}
        return tuple(reason for reason in self.reasons if reason.feature in chosen)

    def _told(self, direction: Direction) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.direction == direction and not reason.slight)


def reasons_of(scored: Scored, features: Mapping[str, FeatureValue]) -> Reasons:
    """Why a version gives a lead its score; ``features`` as the prediction log has them, by name.

    A feature that is not there is missing; those that the version does not use are left out. Ask the version that gave
    the score: another one has other reasons.
    """
    return reasons_of_row(scored, [features.get(feature.name) for feature in scored.card.lead.used])


def reasons_of_row(scored: Scored, values: Row) -> Reasons:
    """The same for raw values in the order of the version's features."""
    version = scored.version.version
    try:
        explainer = scored.explainer
    except CannotExplainError as error:
        return no_reasons(version, f"There are no reasons for a score of version {version}: {error}.")
    found = explainer.contributions(values)
    names = [feature.name for feature in scored.card.lead.used]
    moving = sorted((i for i, moved in enumerate(found.of) if moved), key=lambda i: (-abs(found.of[i]), names[i]))
    return Reasons(
        version=version,
        score=explainer.probability(found.total),
        average=explainer.probability(found.base),
        base=found.base,
        reasons=tuple(_reason(explainer, found, i, names[i], values[i]) for i in moving),
        why_none=None,
    )


def no_reasons(version: str, why: str) -> Reasons:
    """None, and the sentence that says why."""
    return Reasons(version=version, score=None, average=None, base=None, reasons=(), why_none=why)


def _reason(explainer: Explainer, found: Contributions, i: int, feature: str, value: FeatureValue) -> Reason:
    moved = found.of[i]
    score, without = explainer.probability(found.total), explainer.probability(found.total - moved)
    direction: Direction = "raises" if (moved > 0) == explainer.rises else "lowers"
    told = Moved(
        feature=feature,
        value=value,
        median=explainer.medians[i],
        is_new=explainer.is_new(i, value),
        direction=direction,
        score=score,
        without=without,
    )
    return Reason(
        feature=feature,
        name=name_of(feature),
        value=value,
        log_odds=moved,
        effect=score - without,
        direction=direction,
        sentence=sentence_of(told),
        slight=is_slight(told),
    )
