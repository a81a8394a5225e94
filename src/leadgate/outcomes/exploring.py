"""What explored leads tell of the scores: figures that do not hang on who was worked (quiet).

See docs/feedback-bias.md and, for the same of a version as the checks see it, monitoring/feedback.py.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from leadgate.leads.layout import SCORE_EDGES
from leadgate.outcomes.matching import Matched
from leadgate.records import Interval
from leadgate.stats.binned import BinnedAuc, auc_of_counts
from leadgate.stats.explored import HALF, Counts, Part, apart, auc_of_parts, leads_needed

_CHANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An AUC with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many leads."""

    leads: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """The AUC that following the scores gives, and the one that they have."""

    explored: int
    """Matured leads with a known outcome that were drawn at random to have priority high..."""
    conversions: int
    """...and those of them that converted."""
    ordinary: Figure | None
    """On all matured leads; None where one class has no lead."""
    unbiased: Figure | None
    """On all leads that had priority high, each explored one of low score standing for those that were not drawn. None
    with too few explored leads, as what follows from it: a handful would seem to be sure of what they cannot know."""
    explored_alone: Figure | None
    """On the explored leads alone: less sure, and right also where sales work all of them otherwise than the others.
    None where one class has no lead."""
    difference: float | None
    """The ordinary AUC less the unbiased one."""
    differs: bool
    """Whether they differ beyond chance (1 %)."""
    needed: int | None
    """Explored leads for an interval of plus and minus 0.03 from them alone."""
    contacted: tuple[Share, Share] | None = None
    """Of the matured explored leads with a score that is high, and of the others, with an outcome or without, those
    that sales were in touch with; None where no contact of any is known."""
    worked_alike: bool | None = None
    """Whether these shares differ by no more than chance (1 %): else the unbiased figures lean, too."""


def feedback_of(matched: Matched, least: int, contacted: frozenset[str] = frozenset()) -> Feedback | None:
    """What explored leads tell; None without any.

    The frames of ``matched`` have own_high (whether the lead's score gives it priority high) and explored. ``least``:
    so many explored leads have to be won, and so many lost, before the figures are compared.
    ``contacted``: ids of explored leads that sales were in touch with.
    """
    drawn = matched.leads.filter("explored")
    if drawn.is_empty():
        return None
    high = int(matched.matured["own_high"].sum())
    worked_high, others = matched.leads.filter("own_high"), drawn.filter(~pl.col("own_high"))
    parts = _part(high, worked_high), _part(matched.matured.height - high, others)
    ordinary, alone = (auc_of_counts(*_counts(leads)) for leads in (matched.leads, drawn))
    won = int(drawn["converted"].sum())
    enough = min(won, drawn.height - won) >= least
    unbiased = auc_of_parts(parts) if enough else None
    bias = apart(ordinary, unbiased) if ordinary and unbiased else None
    # Of all that have matured: whom nobody worked may be never heard of.
    shares = _contacted(matched.matured.filter("explored"), contacted) if contacted else None
    return Feedback(
        explored=drawn.height,
        conversions=won,
        ordinary=_figure(ordinary),
        unbiased=_figure(unbiased),
        explored_alone=_figure(alone),
        difference=bias.difference if bias else None,
        differs=bias is not None and bias.sure,
        needed=leads_needed(alone, drawn.height, HALF) if alone and enough else None,
        contacted=shares,
        worked_alike=None if shares is None else _alike(*shares),
    )


def _part(leads: int, known: pl.DataFrame) -> Part:
    won, lost = _counts(known)
    return Part(leads=leads, won=won, lost=lost)


def _counts(leads: pl.DataFrame) -> tuple[Counts, Counts]:
    """Won and lost leads by bin of the score."""
    places = np.searchsorted(SCORE_EDGES, leads["predicted_score"].to_numpy())
    won = leads["converted"].to_numpy().astype(bool)
    of_won, of_lost = (np.bincount(places[mask], minlength=len(SCORE_EDGES) + 1) for mask in (won, ~won))
    return of_won, of_lost


def _figure(found: BinnedAuc | None) -> Figure | None:
    return None if found is None else Figure(value=found.value, interval=found.interval)


def _contacted(drawn: pl.DataFrame, contacted: frozenset[str]) -> tuple[Share, Share]:
    sides = (drawn.filter("own_high"), drawn.filter(~pl.col("own_high")))
    high, others = (Share(leads=int(side["lead_id"].is_in(list(contacted)).sum()), of=side.height) for side in sides)
    return high, others


def _alike(a: Share, b: Share) -> bool:
    """Fisher's exact test: the leads may be few."""
    from scipy.stats import fisher_exact  # noqa: PLC0415  # serving never needs it

    table = [[side.leads, side.of - side.leads] for side in (a, b)]
    return float(fisher_exact(np.array(table)).pvalue) >= _CHANCE
