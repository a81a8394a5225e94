"""What a rollout decides of challengers whose truth is known: operating characteristics by simulation.

``python benchmarks/rollout.py``; QUICK=1 for a short form. Every simulated rollout is judged each day by Leadgate's own
gates and decisions under the default rules. Shadow quality, latency and the like are taken as good and sign-offs as
given: what is measured is what outcomes decide.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from statistics import median

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import rollout_shadows as shadows
from report import FOLDER, Row, is_quick, report
from rollout_runs import (
    CANARY_DAYS,
    DAYS_OF_TEST,
    HORIZON_DAYS,
    RULES,
    UNWORKED,
    WORKED,
    Played,
    Truth,
    play,
)

RUNS = 70 if is_quick() else 400
SHADOW_RUNS = 16 if is_quick() else 200

EQUAL, WORSE, BETTER = Truth(name="equal"), Truth(name="10 % worse", lift=-0.1), Truth(name="10 % better", lift=0.1)
INFLATED = Truth(name="equal, scores inflated", inflated=1.0)
MATCHED = replace(INFLATED, name="the same, priority by quantiles", matched=True)
SKEWED = Truth(name="equal, 51 % instead of 50 % of the leads", share=0.51)


def main() -> int:
    """Simulate and judge; gives the exit code."""
    rows: list[Row] = []
    curves = {}
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        for base in (0.20,) if is_quick() else (0.05, 0.10, 0.20):
            played = {truth.name: _many(pool, truth, base) for truth in (EQUAL, WORSE, BETTER)}
            rows += _told(_main_rows(base, played))
            curves[base] = played
        rows += _told(_attention_rows(pool))
        if not is_quick():
            rows += _told(_mismatch_rows(pool, 0.10, None))
        rows += _told(_mismatch_rows(pool, 0.05, 95.0))
        rows += _told(_quality_rows(pool))
    if not is_quick():
        _plot(curves)
    return report("rollout", "What a rollout decides, by simulation", rows, _notes())


def _told(rows: list[Row]) -> list[Row]:
    """The same; it takes minutes until the table is whole."""
    for row in rows:
        print(f"{row.what}: {row.measured:,.3g} {row.unit}", file=sys.stderr)
    return rows


def _many(pool: ProcessPoolExecutor, truth: Truth, base: float) -> list[Played]:
    return list(pool.map(partial(play, truth, base), range(RUNS), chunksize=10))


def share(played: Sequence[Played], end: str) -> float:
    """Percent of rollouts that ended so."""
    return 100 * sum(p.end == end for p in played) / len(played)


def _main_rows(base: float, played: dict[str, list[Played]]) -> list[Row]:
    equal, worse, better = (played[truth.name] for truth in (EQUAL, WORSE, BETTER))
    at = f"base {base:.0%}: "
    used = median(p.exposed / p.planned for p in worse)
    return [
        Row(what=at + "planned leads a side", measured=equal[0].planned, unit=""),
        Row(what=at + "equal, promoted", measured=share(equal, "full"), unit="%", bar=5, at_most=True),
        Row(
            what=at + "equal, stopped for harm by daily looks",
            measured=share(equal, "harm"),
            unit="%",
            bar=5,
            at_most=True,
        ),
        Row(what=at + "   by a chi-square test at every look", measured=_percent(p.naive_p for p in equal), unit="%"),
        Row(
            what=at + '   by "more than 10 % worse" at a look', measured=_percent(p.naive_rule for p in equal), unit="%"
        ),
        Row(what=at + "10 % worse, reached full", measured=share(worse, "full"), unit="%", bar=1, at_most=True),
        Row(what=at + "10 % worse, stopped for harm", measured=share(worse, "harm"), unit="%"),
        Row(
            what=at + "   leads it answered before it was stopped, of the plan (median of all)",
            measured=100 * used,
            unit="%",
            bar=50,
            at_most=True,
        ),
        Row(what=at + "10 % better, promoted", measured=share(better, "full"), unit="%", bar=80),
    ]


def _attention_rows(pool: ProcessPoolExecutor) -> list[Row]:
    inflated, matched = (_many(pool, truth, 0.10) for truth in (INFLATED, MATCHED))
    return [
        Row(
            what="inflated scores, priority by scores: promoted",
            measured=share(inflated, "full"),
            unit="%",
            bar=5,
            at_most=True,
        ),
        Row(what="   lift that it would have been promoted for", measured=_median_lift(inflated), unit="%"),
        Row(
            what="   with priority by quantiles: promoted",
            measured=share(matched, "full"),
            unit="%",
            bar=5,
            at_most=True,
        ),
        Row(what="   lift observed then, mean", measured=100 * float(np.mean([p.lift for p in matched])), unit="%"),
    ]


def _quality_rows(pool: ProcessPoolExecutor) -> list[Row]:
    """What the gates of the shadow say of a version that is as good as the champion, and of a worse one."""
    equal, worse = (
        list(pool.map(partial(shadows.watch, noise), range(SHADOW_RUNS))) for noise in (shadows.AS_GOOD, shadows.WORSE)
    )
    sent_back = "sent back by its quality at one of the daily looks"
    return [
        Row(
            what=f"shadow, equally good: {sent_back}",
            measured=_percent(shadow.sent_back for shadow in equal),
            unit="%",
            bar=1,
            at_most=True,
        ),
        Row(what="   passes after two weeks", measured=_percent(shadow.passes for shadow in equal), unit="%"),
        Row(
            what="shadow, AUC lower by 0.05: passes at one of the daily looks",
            measured=_percent(shadow.ever_passed for shadow in worse),
            unit="%",
            bar=1,
            at_most=True,
        ),
        Row(what=f"   {sent_back}", measured=_percent(shadow.sent_back for shadow in worse), unit="%"),
    ]


def _median_lift(played: Sequence[Played]) -> float:
    return 100 * median(p.lift for p in played)


def _mismatch_rows(pool: ProcessPoolExecutor, base: float, bar: float | None) -> list[Row]:
    """Whether leads that get lost on one side are noticed; the larger the plan, the smaller a mismatch it sees."""
    skewed = _many(pool, SKEWED, base)
    at = f"base {base:.0%}: 51 % instead of 50 % of the leads"
    return [
        Row(what=f"{at}, caught", measured=share(skewed, "blocked"), unit="%", bar=bar),
        Row(what=f"{at}, promoted", measured=share(skewed, "full"), unit="%", bar=1, at_most=True),
    ]


def _percent(flags: Iterable[bool]) -> float:
    found = list(flags)
    return 100 * sum(found) / len(found)


def _notes() -> tuple[str, ...]:
    asked = RULES.experiment
    error = 196 * float(np.sqrt(0.05 * 0.95 / RUNS))
    return (
        f"{RUNS:,} rollouts a row, seeds fixed; a share of 5 % is known to {error:.1f} points.",
        f"Rules: a lift of {asked.detectable_lift:.0%} to be seen with {asked.power:.0%} power; a look each day.",
        f"Harm of a harmless challenger is to be found in at most {asked.harm_alpha:.0%}, over all looks.",
        f"{DAYS_OF_TEST} days of leads after a canary of {CANARY_DAYS} or more; outcomes {HORIZON_DAYS} days later.",
        "Leads answered count the canary, and those whose outcome is still to come.",
        "The champion's score is a noisy view of each lead's chance; it takes out part of the variance (CUPED).",
        f"Inflated: the sales team can work {WORKED:.0%} of the leads and takes those marked high first.",
        f"A lead that it does not get to converts {UNWORKED:.0%} as often.",
        f"Shadow: {SHADOW_RUNS} runs, {shadows.DAYS} days with {shadows.LEADS} matured leads and a look (base 10%).",
    )


def _plot(curves: dict[float, dict[str, list[Played]]]) -> None:
    mpl.use("agg")
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for base, played in curves.items():
        stopped = sorted(p.exposed / p.planned for p in played[WORSE.name] if p.end == "harm")
        axes.step(stopped, [100 * (i + 1) / RUNS for i in range(len(stopped))], where="post", label=f"base {base:.0%}")
    axes.axvline(0.5, color="#9aa4b1", linestyle="--")
    axes.set_xlabel("leads that the challenger answered, of the planned size of its side")
    axes.set_ylabel("% of challengers stopped")
    axes.set_title("A challenger that converts 10 % less", loc="left")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / "rollout.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
