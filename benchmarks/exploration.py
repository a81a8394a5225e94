"""Feedback bias in worlds whose truth is known: how far the ordinary AUC is off, and what explored leads make of it.

``python benchmarks/exploration.py``; QUICK=1 for a tenth of the worlds. Sales work nearly all leads of priority high,
half of the medium ones and hardly any low ones, and a lead that is not worked hardly converts. What is not worked is
closed as lost in one kind of world, and never heard of in the other. The true AUC is that of the score for what leads
do that are worked as high, over all leads.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from time import perf_counter

import numpy as np
import numpy.typing as npt

from leadgate.leads.layout import SCORE_EDGES
from leadgate.rollout.exploring import explored_buckets, is_explored
from leadgate.rollout.routing import bucket
from leadgate.simulator.following import Following, Leads, Lived, live, true_probability_if_high
from leadgate.simulator.leads import simulate_leads
from leadgate.simulator.team import Team
from leadgate.stats.binned import BinnedAuc, auc_of_counts
from leadgate.stats.explored import HALF, Part, apart, auc_of_parts, leads_needed
from report import Row, is_quick, report

WORLDS = 100 if is_quick() else 1_000
LEADS, SHARE = 20_000, 0.05
TEAM = Team()
KINDS = {"closed as lost": Following(), "never heard of": Following(silent=True)}
BINS = len(SCORE_EDGES) + 1


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one world shows."""

    ordinary: BinnedAuc
    alone: BinnedAuc
    unbiased: BinnedAuc


@cache
def population() -> Leads:
    """The simulator's leads, with a score that knows their probability but for some noise."""
    rng = np.random.default_rng(7)
    probability = simulate_leads(100_000, rng, datetime(2026, 3, 2, tzinfo=UTC), 30).probability * 0.8
    logit = np.log(probability / (1 - probability)) + rng.normal(scale=0.7, size=len(probability))
    return Leads(probability=probability, score=1 / (1 + np.exp(-logit)))


def truth(following: Following) -> float:
    """The AUC over all leads, were all of them worked as high; expected counts leave no chance in it."""
    leads = population()
    places = np.searchsorted(SCORE_EDGES, leads.score)
    converts = true_probability_if_high(leads, following, TEAM)
    found = auc_of_counts(
        np.bincount(places, weights=converts, minlength=BINS), np.bincount(places, weights=1 - converts, minlength=BINS)
    )
    assert found is not None
    return found.value


def world(following: Following, seed: int, *, leads: int = LEADS) -> Found:
    """Live in a world, and judge it as the checks do."""
    lived = live(population(), following, TEAM, n=leads, share=SHARE, rng=np.random.default_rng([11, seed]))
    high, others = lived.own_high & lived.known, ~lived.own_high & lived.explored & lived.known
    parts = [
        _part(lived, high, int(lived.own_high.sum())),
        _part(lived, others, int((~lived.own_high).sum())),
    ]
    ordinary, alone = (auc_of_counts(*_counts(lived, mask)) for mask in (lived.known, lived.explored & lived.known))
    unbiased = auc_of_parts(parts)
    assert ordinary is not None
    assert alone is not None
    assert unbiased is not None
    return Found(ordinary=ordinary, alone=alone, unbiased=unbiased)


def _part(lived: Lived, known: npt.NDArray[np.bool_], leads: int) -> Part:
    won, lost = _counts(lived, known)
    return Part(leads=leads, won=won, lost=lost)


def _counts(lived: Lived, mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    places = np.searchsorted(SCORE_EDGES, lived.score[mask])
    won = lived.converted[mask]
    return np.bincount(places[won], minlength=BINS), np.bincount(places[~won], minlength=BINS)


def coverage(found: Sequence[BinnedAuc], true: float) -> float:
    """The share of the intervals that hold the truth."""
    return float(np.mean([auc.interval.low <= true <= auc.interval.high for auc in found]))


def half_width(found: Sequence[BinnedAuc]) -> float:
    """The mean half-width of the intervals."""
    return float(np.mean([(auc.interval.high - auc.interval.low) / 2 for auc in found]))


def rows_of(kind: str, following: Following) -> list[Row]:
    """What worlds of one kind show."""
    true = truth(following)
    worlds = [world(following, seed) for seed in range(WORLDS)]
    ordinary, alone, unbiased = ([getattr(w, name) for w in worlds] for name in ("ordinary", "alone", "unbiased"))
    off = float(np.mean([auc.value for auc in ordinary])) - true
    told = float(np.mean([(b := apart(w.ordinary, w.unbiased)).sure and b.difference * off > 0 for w in worlds]))
    slack = 0.05 if is_quick() else 0.02
    return [
        Row(what=f"{kind}: true AUC", measured=true, unit=""),
        Row(what=f"{kind}: ordinary AUC is off by", measured=off, unit=""),
        Row(what=f"{kind}: ordinary interval holds the truth", measured=coverage(ordinary, true), unit=""),
        *(
            row
            for name, found in (("explored alone", alone), ("weighted", unbiased))
            for row in (
                Row(
                    what=f"{kind}: {name}, off by",
                    measured=abs(float(np.mean([auc.value for auc in found])) - true),
                    unit="",
                    bar=0.005,
                    at_most=True,
                ),
                Row(
                    what=f"{kind}: {name}, interval's coverage is off 95 % by",
                    measured=abs(coverage(found, true) - 0.95),
                    unit="",
                    bar=slack,
                    at_most=True,
                ),
                Row(what=f"{kind}: {name}, half-width", measured=half_width(found), unit=""),
            )
        ),
        Row(what=f"{kind}: told as feedback bias, of worlds", measured=told, unit="", bar=0.95),
    ]


def unbiased_worlds() -> Row:
    """Where sales work all leads alike there is nothing to tell."""
    alike = Following(worked=dict.fromkeys(("high", "medium", "low"), 0.7))
    found = [world(alike, seed) for seed in range(WORLDS)]
    told = float(np.mean([apart(w.ordinary, w.unbiased).sure for w in found]))
    return Row(
        what="sales work all leads alike: told as feedback bias",
        measured=told,
        unit="",
        bar=0.05 if is_quick() else 0.02,
        at_most=True,
    )


def misused() -> list[Row]:
    """Sales sort by score, so that explored leads of low score come last, and half of them are not reached."""
    following = Following(explored_of_low_score=0.45)
    true = truth(following)
    worlds = [world(following, seed) for seed in range(WORLDS // 4)]
    off = [float(np.mean([getattr(w, name).value for w in worlds])) - true for name in ("alone", "unbiased")]
    told = "half of the explored leads of low score are not worked"
    return [
        Row(what=f"{told}: explored alone, off by", measured=off[0], unit=""),
        Row(what=f"{told}: weighted, off by", measured=off[1], unit=""),
    ]


def planned() -> list[Row]:
    """The number of leads that is said to give plus and minus 0.03, tried."""
    following, few = KINDS["closed as lost"], WORLDS // 4
    first = [world(following, seed).alone for seed in range(few)]
    needed = round(float(np.mean([leads_needed(auc, round(LEADS * SHARE), HALF) for auc in first])))
    tried = [world(following, few + seed, leads=round(needed / SHARE)).alone for seed in range(few)]
    what = "half-width of as many, away from 0.03"
    return [
        Row(what="explored leads that are said to give ±0.03", measured=needed, unit=""),
        Row(what=what, measured=abs(half_width(tried) - HALF), unit="", bar=0.002, at_most=True),
    ]


def drawn() -> list[Row]:
    """The hash draws the share that was asked for, and says nothing of a lead's side in a rollout."""
    ids = [f"lead-{i}" for i in range(200_000)]
    buckets = explored_buckets(0.02)
    started = perf_counter()
    explored = np.array([is_explored(buckets, lead) for lead in ids])
    each = (perf_counter() - started) / len(ids) * 1e6
    challenged = np.array([bucket("some-salt", lead) < 5_000 for lead in ids])
    sides = [float(explored[mask].mean()) for mask in (challenged, ~challenged)]
    return [
        Row(
            what="share of leads drawn where 2 % are asked for, away from it",
            measured=abs(float(explored.mean()) - 0.02),
            unit="",
            bar=0.0015,
            at_most=True,
        ),
        Row(
            what="share drawn on one side of a rollout, less that on the other",
            measured=abs(sides[0] - sides[1]),
            unit="",
            bar=0.0025,
            at_most=True,
        ),
        Row(what="time of the draw, of a lead", measured=each, unit="µs"),
    ]


def main() -> int:
    """Run all rows."""
    rows = [row for kind, following in KINDS.items() for row in rows_of(kind, following)]
    rows += [unbiased_worlds(), *planned(), *misused(), *drawn()]
    notes = [
        f"{WORLDS:,} worlds a row of {LEADS:,} matured leads, of which {SHARE:.0%} are explored: {LEADS * SHARE:,.0f}.",
        "Weighted: explored leads of low score stand for all of low score, beside all leads of high score.",
        "Sales work 95 % of high, 50 % of medium, 5 % of low; work takes a probability times 1.2, neglect times 0.1.",
    ]
    return report("exploration", "Feedback bias: what explored leads make of it", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
