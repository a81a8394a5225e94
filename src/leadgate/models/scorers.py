"""A version's scorer: the compiled one where its proof holds, the library otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from leadgate.compiled.contributions import CannotExplainError, Explainer
from leadgate.compiled.native import native_sum
from leadgate.compiled.program import Program, from_json
from leadgate.compiled.proof import TOLERANCE, edge_rows
from leadgate.compiled.scorer import Scorer
from leadgate.leads.schema import FeatureValue, LeadSchema
from leadgate.models.card import Card, card_from_json
from leadgate.models.registry import CARD, MODEL, PROGRAM, Registry, Version, read_pipeline, vouched

Row = Sequence[FeatureValue]
"""Raw values in the order of the version's ``schema.used``."""


class RowScorer(Protocol):
    """What serving and comparison need of a version."""

    def score(self, values: Row) -> float:
        """Probability of conversion of one lead."""

    def score_many(self, rows: Sequence[Row]) -> list[float]:
        """Probabilities of many leads, in their order."""


@dataclass(frozen=True, kw_only=True)
class LibraryScorer:
    """Scores through the fitted scikit-learn pipeline: milliseconds a call, whatever the number of leads."""

    pipeline: Any
    schema: LeadSchema

    def score(self, values: Row) -> float:
        """Probability of conversion of one lead."""
        return self.score_many([values])[0]

    def score_many(self, rows: Sequence[Row]) -> list[float]:
        """Probabilities of many leads, in their order."""
        from leadgate.models.pipeline import frame_of, predict  # noqa: PLC0415  # scikit-learn and pandas

        scores: list[float] = predict(self.pipeline, frame_of(self.schema, rows)).tolist()
        return scores


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A version ready to score."""

    version: Version
    card: Card
    scorer: RowScorer
    program: Program | None = None
    """What the compiled scorer is made of; None where the library scores."""

    @cached_property
    def explainer(self) -> Explainer:
        """Takes its scores apart; made at the first use, for most workers never need it. Raises CannotExplainError."""
        if self.program is None or not self.card.compiled:
            raise CannotExplainError(f"the version is served by the library, because {self.card.why_library}")
        return Explainer(self.program)


def _fastest(program: Program, card: Card) -> Scorer:
    """The compiled scorer, its trees summed in C where that agrees with Python on every edge row."""
    scorer = Scorer(program)
    raw = native_sum(program)
    if raw is None:
        return scorer
    native = Scorer(program, raw)
    rows = edge_rows(card.lead, program, [card.example])
    agrees = all(abs(native.score(row) - scorer.score(row)) < TOLERANCE / 10 for row in rows)
    return native if agrees else scorer


def load(registry: Registry, version: Version) -> Scored:
    """Read a version from the registry. Raises RefusedError for a changed file."""
    return scored_of(version, registry.serving_files(version))


def scored_of(version: Version, files: dict[str, bytes]) -> Scored:
    """A version from its files. Raises RefusedError for one that is not the file that was registered."""
    card = card_from_json(vouched(version, CARD, files[CARD]))
    if card.compiled:
        program = from_json(vouched(version, PROGRAM, files[PROGRAM]))
        return Scored(version=version, card=card, scorer=_fastest(program, card), program=program)
    scorer = LibraryScorer(pipeline=read_pipeline(vouched(version, MODEL, files[MODEL])), schema=card.lead)
    return Scored(version=version, card=card, scorer=scorer)
