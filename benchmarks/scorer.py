"""One lead in process: the compiled scorer against the fitted pipeline with a frame of one row.

``python benchmarks/scorer.py``; QUICK=1 for a short form. Leads are generated here, so no file is needed.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from leadgate.compiled.compiler import compile_pipeline
from leadgate.compiled.native import native_sum
from leadgate.compiled.proof import edge_rows, prove
from leadgate.compiled.scorer import Scorer
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import Feature, FeatureType, FeatureValue, LeadSchema
from leadgate.models.pipeline import build_pipeline, frame_of, predict
from report import Row, is_quick, report

Lead = tuple[FeatureValue, ...]

BARS: dict[ModelKind, float] = {"logistic_regression": 2_000, "hist_gradient_boosting": 200, "lightgbm": 200}
"""How many times faster; about half of what was measured, so that a busy machine does not fail them."""

NUMBERS, CATEGORIES = 9, 9
LEADS = 8_000

SCHEMA = LeadSchema(
    id="lead_id",
    target="converted",
    features=(
        *(Feature(name=f"number_{i}", type=FeatureType.NUMERIC) for i in range(NUMBERS)),
        *(Feature(name=f"category_{i}", type=FeatureType.CATEGORICAL) for i in range(CATEGORIES)),
        Feature(name="flag", type=FeatureType.BOOLEAN),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Medians over the rounds."""

    compiled: float
    """Seconds for one lead."""
    library: float
    """Seconds for one lead."""
    ratio: float
    """Of the two within a round, so that a slow moment of the machine meets both."""


def make_leads(count: int) -> tuple[list[Lead], Any]:
    """Leads of 19 features, one value in twenty missing, and whether they convert."""
    rng = np.random.default_rng(20_26)
    numbers = rng.normal(size=(count, NUMBERS))
    categories = rng.integers(0, 8, size=(count, CATEGORIES))
    flags = rng.random(count) < 0.5
    missing = rng.random((count, NUMBERS + CATEGORIES)) < 0.05
    effect = numbers[:, 0] * numbers[:, 1] + numbers[:, 2] + (categories[:, 0] == 3) + flags * numbers[:, 3]
    converted = effect + rng.normal(size=count) > 0.8
    leads: list[Lead] = []
    for k in range(count):
        values: list[FeatureValue] = [*(float(x) for x in numbers[k]), *(f"category {c}" for c in categories[k])]
        held = [None if gone else value for value, gone in zip(values, missing[k], strict=True)]
        leads.append((*held, bool(flags[k])))
    return leads, converted


def seconds_each(score: Callable[[Lead], Any], leads: Sequence[Lead]) -> float:
    """Mean time of one call, each with another lead."""
    start = perf_counter()
    for lead in leads:
        score(lead)
    return (perf_counter() - start) / len(leads)


def measure(pipeline: Any, scorer: Scorer, leads: Sequence[Lead], rounds: int) -> Timing:
    """Time both in alternating rounds; the library makes its one-row frame each time, as serving would have to."""

    def library(lead: Lead) -> float:
        return float(predict(pipeline, frame_of(SCHEMA, [lead]))[0])

    pairs = []
    for turn in range(rounds + 1):
        few, many = leads[turn * 10 : turn * 10 + 10], leads[:2_000]
        if turn % 2:
            pair = (seconds_each(scorer.score, many), seconds_each(library, few))
        else:
            pair = (seconds_each(library, few), seconds_each(scorer.score, many))[::-1]
        pairs.append(pair)
    pairs = pairs[1:]  # the first round warms caches
    return Timing(
        compiled=median(fast for fast, _ in pairs),
        library=median(slow for _, slow in pairs),
        ratio=median(slow / fast for fast, slow in pairs),
    )


def rows_of(kind: ModelKind, leads: list[Lead], converted: Any, rounds: int) -> list[Row]:
    """The figures of one kind of model, with its proof: a fast wrong score would be no feat."""
    pipeline = build_pipeline(SCHEMA, ModelRules(kind=kind)).fit(frame_of(SCHEMA, leads), converted)
    program = compile_pipeline(pipeline, SCHEMA)
    start = perf_counter()
    scorer = Scorer(program, native_sum(program))
    loading = perf_counter() - start
    proof = prove(
        program, lambda rows: predict(pipeline, frame_of(SCHEMA, rows)), leads, edge_rows(SCHEMA, program, leads)
    )
    timing = measure(pipeline, scorer, leads, rounds)
    name = kind.replace("_", " ")
    return [
        Row(what=f"{name}: compiled, one lead", measured=timing.compiled * 1e6, unit="µs"),
        Row(what=f"{name}: library, one lead", measured=timing.library * 1e6, unit="µs"),
        Row(what=f"{name}: library / compiled", measured=timing.ratio, unit="x", bar=BARS[kind]),
        Row(what=f"{name}: largest difference", measured=proof.max_difference, unit="", bar=1e-9, at_most=True),
        Row(what=f"{name}: loading", measured=loading * 1e3, unit="ms"),
    ]


def main() -> int:
    """Measure all kinds; gives the exit code."""
    rounds = 7 if is_quick() else 41
    leads, converted = make_leads(LEADS)
    rows = []
    # With two OpenMP threads and another busy process the library waits for the scheduler at every barrier: in a trial
    # its median went from 4 to 8 ms, and single calls to 100 ms and more. One thread is its best case for one row.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflows of the extreme rows, on their way to being clipped
        for kind in BARS:
            rows += rows_of(kind, leads, converted, rounds)
    notes = [
        f"{LEADS:,} generated leads, {len(SCHEMA.used)} features (9 numeric, 9 categorical, 1 flag), defaults.",
        f"Medians of {rounds} alternating rounds, both sides held to one thread; the ratio is taken within each round.",
        "The largest difference is over all leads and the edge rows of the proof.",
    ]
    return report("scorer", "Scoring one lead in process: compiled against the library", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
