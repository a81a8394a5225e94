"""Known shifts of simulated leads: how often they are told, how soon, and how often nothing is told as something.

``python benchmarks/shifts.py``; QUICK=1 for 20 runs a row instead of 200. A run is a stream of 300 leads a day. A week
is stable, then the shift begins; the checks judge the last seven days at the end of each day. Only the checks that
are made for the shift count as its detection, and they judge exactly as ``leadgate check run`` does, with the evidence
of all others beside them.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from statistics import median

import numpy as np
import polars as pl

from leadgate.leads.baselines import Baseline, Quality
from leadgate.leads.layout import SCORE_EDGES, layout_of
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profiles import Profile, count_in, total
from leadgate.leads.schema import Feature, FeatureType, FeatureValue
from leadgate.leads.summing import profile_columns
from leadgate.monitoring import data, scores
from leadgate.monitoring.business import conversion
from leadgate.monitoring.evidence import with_evidence
from leadgate.monitoring.findings import Finding
from leadgate.monitoring.model import Matured, quality
from leadgate.simulator.leads import simulate_leads
from report import Row, is_quick, report

RUNS = 20 if is_quick() else 200
A_DAY, WINDOW, DAYS = 300, 7, 14
RULES = MonitoringRules()
START = datetime(2026, 3, 2, tzinfo=UTC)
NUMERIC = ("company_size", "engagement_score", "website_visits", "email_opens")
CATEGORICAL = ("industry", "region", "lead_source", "job_title")
FEATURES = (
    *(Feature(name=name, type=FeatureType.NUMERIC) for name in NUMERIC),
    *(Feature(name=name, type=FeatureType.CATEGORICAL) for name in CATEGORICAL),
    Feature(name="has_budget", type=FeatureType.BOOLEAN),
)
SWAP = {"Website form": "Partner", "Partner": "Website form"}

Change = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]
Leads = tuple[pl.DataFrame, np.ndarray, np.ndarray]
"""Features, scores, and whether each lead converted."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A change of the world, and who has to tell it."""

    name: str
    change: Change | None = None
    odds: float = 1.0
    """By which the odds of conversion are multiplied."""
    told_by: tuple[tuple[str, str], ...] = ()
    """Check and subject."""


def _moved(name: str, by: float, times: float = 1.0) -> Change:
    """Move a column by ``by`` deviations, and stretch it around its mean."""

    def change(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        del rng
        mean, deviation = _scale(name)
        return frame.with_columns((pl.col(name).cast(pl.Float64) - mean) * times + mean + by * deviation)

    return change


@cache
def _scale(name: str) -> tuple[float, float]:
    column = _training()[0][name].cast(pl.Float64).drop_nulls()
    return float(column.mean()), float(column.std())  # type: ignore[arg-type]


def _holes(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    gone = pl.Series(rng.random(frame.height) < 0.05)
    return frame.with_columns(website_visits=pl.when(~gone).then("website_visits"))


SHIFTS = (
    Shift(
        name="mean of a feature + 0.5 deviations",
        change=_moved("engagement_score", 0.5),
        told_by=(("feature drift", "engagement_score"),),
    ),
    Shift(
        name="deviation of a feature doubled",
        change=_moved("engagement_score", 0.0, 2.0),
        told_by=(("feature drift", "engagement_score"), ("range", "engagement_score")),
    ),
    Shift(
        name="two categories swapped (22 and 6 %)",
        change=lambda frame, _: frame.with_columns(pl.col("lead_source").replace(SWAP)),
        told_by=(("feature drift", "lead_source"),),
    ),
    Shift(name="missing values 0 to 5 %", change=_holes, told_by=(("missing values", "website_visits"),)),
    Shift(
        name="a unit error, x 1000",
        change=lambda frame, _: frame.with_columns(pl.col("company_size") * 1000.0),
        told_by=(("feature drift", "company_size"), ("range", "company_size")),
    ),
    Shift(
        name="labels: half the odds of conversion",
        odds=0.5,
        told_by=(("conversion", ""), ("calibration", "champion")),
    ),
)


@cache
def _training() -> Leads:
    return _draw(12_000, np.random.default_rng(1))


def _draw(n: int, rng: np.random.Generator, shift: Shift | None = None) -> Leads:
    drawn = simulate_leads(n, rng, START, 1)
    # Nobody lacks a number of visits before the shift: the row asks for 0 to 5 %.
    frame = drawn.frame.with_columns(pl.col("website_visits").fill_null(0))
    score = np.asarray(drawn.probability)
    odds = score / (1 - score) * (shift.odds if shift else 1.0)
    if shift is not None and shift.change is not None:
        frame = shift.change(frame, rng)
    return frame, score, rng.random(n) < odds / (1 + odds)


@cache
def baseline() -> Baseline:
    """Of 12,000 leads whose scores are their true probabilities."""
    frame, score, converted = _training()
    columns = _columns(frame)
    layout = layout_of(FEATURES, columns, ["region", "lead_source"])
    return Baseline(
        layout=layout,
        profile=profile_columns(layout, columns, scores=score, bands=_bands(score)),
        won=count_in(score[converted], SCORE_EDGES),
        lost=count_in(score[~converted], SCORE_EDGES),
        importance={},
        quality=Quality(
            leads=len(score),
            base_rate=float(converted.mean()),
            auc=None,
            auc_low=None,
            auc_high=None,
            precision=None,
            recall=None,
            calibration_error=0.0,
            decision=0.5,
            high=0.7,
            medium=0.4,
        ),
        snapshot_version=0,
    )


def _columns(frame: pl.DataFrame) -> dict[str, list[FeatureValue]]:
    return {
        f.name: frame[f.name].cast(pl.Float64).to_list() if f.type is FeatureType.NUMERIC else frame[f.name].to_list()
        for f in FEATURES
    }


def _bands(score: np.ndarray) -> dict[str, int]:
    high, medium = int((score > 0.7).sum()), int((score > 0.4).sum())
    return {"high": high, "medium": medium - high, "low": len(score) - medium}


def judged(profile: Profile, matured: Matured) -> tuple[Finding, ...]:
    """What a run of checks finds of features, scores, model and conversion."""
    then = baseline()
    found = [
        *data.feature_drift(then, profile, RULES),
        *data.missing_values(then, profile, RULES),
        *data.new_categories(then, profile, RULES),
        *data.ranges(then, profile, RULES),
        scores.score_drift(then, profile, RULES, "champion"),
        scores.score_entropy(then, profile, RULES, "champion"),
        scores.score_bands(then, profile, RULES, "champion"),
        *scores.segment_scores(then, profile, RULES),
        *quality(then, matured, RULES, "champion"),
        conversion(then, matured, RULES),
    ]
    return with_evidence(found, RULES.false_discovery)


def _day(rng: np.random.Generator, shift: Shift | None) -> tuple[Profile, Matured]:
    frame, score, converted = _draw(int(rng.poisson(A_DAY)), rng, shift)
    made = profile_columns(baseline().layout, _columns(frame), scores=score, bands=_bands(score))
    return made, Matured(won=count_in(score[converted], SCORE_EDGES), lost=count_in(score[~converted], SCORE_EDGES))


def _window(days: list[tuple[Profile, Matured]]) -> tuple[Finding, ...]:
    last = days[-WINDOW:]
    profile = total(baseline().layout, [day for day, _ in last])
    assert profile is not None
    won = sum((m.won for _, m in last), start=np.zeros(len(SCORE_EDGES) + 1, dtype=np.int64))
    lost = sum((m.lost for _, m in last), start=np.zeros(len(SCORE_EDGES) + 1, dtype=np.int64))
    return judged(profile, Matured(won=won, lost=lost))


def delay(number: int, seed: int) -> int | None:
    """Days until a shift was told; None within two weeks not."""
    rng, shift = np.random.default_rng([seed, number]), SHIFTS[number]
    days = [_day(rng, None) for _ in range(WINDOW)]
    for day in range(1, DAYS + 1):
        days.append(_day(rng, shift))
        if any(f.severity in ("yellow", "red") and (f.check, f.subject) in shift.told_by for f in _window(days)):
            return day
    return None


def stable(seed: int) -> tuple[int, int, int, int]:
    """A stable week: features and those that alarm falsely as drifted; all findings and those that alarm."""
    rng = np.random.default_rng([seed, 99])
    found = _window([_day(rng, None) for _ in range(WINDOW)])
    drift = [f for f in found if f.check == "feature drift"]
    alarms = [f for f in found if f.severity in ("yellow", "red")]
    return len(drift), sum(f in alarms for f in drift), len(found), len(alarms)


def main() -> int:
    """Run all rows."""
    with ProcessPoolExecutor(2) as pool:
        quiet = np.array(list(pool.map(stable, range(RUNS), chunksize=5))).sum(axis=0)
        rows = [_false("stable weeks: false alarms per feature-week", quiet[1] / quiet[0], 0.01)]
        rows.append(_false("stable weeks: false alarms per finding, of every kind", quiet[3] / quiet[2], 0.01))
        for number, shift in enumerate(SHIFTS):
            delays = list(pool.map(delay, [number] * RUNS, range(RUNS), chunksize=5))
            found = [d for d in delays if d is not None]
            rows.append(Row(what=f"{shift.name}: told within 14 days", measured=len(found) / RUNS, unit="", bar=0.95))
            rows.append(
                Row(
                    what=f"{shift.name}: median delay",
                    measured=float(median(found)) if found else float("nan"),
                    unit="days",
                )
            )
    notes = [
        f"{RUNS} runs a row of {A_DAY} leads a day, judged at the end of each day over the last {WINDOW} days;",
        "9 features. The week before the shift is in the window, so a small shift is told when it fills most of it.",
        "Labels are judged when outcomes are known: their delay is in days of matured leads.",
    ]
    return report("shifts", "Known shifts: how often and how soon they are told", rows, notes)


def _false(what: str, measured: float, bar: float) -> Row:
    return Row(what=what, measured=float(measured), unit="", bar=bar, at_most=True)


if __name__ == "__main__":
    sys.exit(main())
