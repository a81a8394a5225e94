"""The bank's telephone leads with retraining on: a model that renews itself, one left alone, and one renewed by hand.

``python benchmarks/renewal.py [FILE]``; QUICK=1 for a line alone and the months up to 2009-04. Trained on the first
60 % of the leads; those after them are answered day by day by the route in force, logged, and their outcomes reported,
for a call tells its outcome at once. Each morning the checks run and the triggers are asked as the worker asks them;
the run, its gates and the registration are the real ones. Only the clock is simulated, and the rollout is short: a
version that passed every gate is promoted at once, as a person would by ``leadgate models promote``. Shadow, canary and
A/B test of ten leads a day would take longer than the bank's leads last.
"""

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import roc_auc_score

from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock
from leadgate.app.retraining import retrain_if_due
from leadgate.app.routing import promote, route_in_force
from leadgate.app.settings import Settings
from leadgate.app.starting import start_project
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.importing import import_leads
from leadgate.leads.schema import Feature, FeatureValue
from leadgate.models.bundles import fetch
from leadgate.models.pipeline import build_pipeline, frame_of, predict
from leadgate.models.training import train
from leadgate.records import Outcome
from leadgate.scoring.answering import Live
from leadgate.scoring.contract import LeadIn
from leadgate.scoring.watch import Versions, load_live
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.retrainings import Retraining, last_decisions, retrainings_of, steps_of
from leadgate.storage.postgres.server import start_embedded
from replay import BANK, answer, asked
from report import Row, is_quick, report

KINDS = ("logistic_regression",) if is_quick() else ("logistic_regression", "hist_gradient_boosting")
FIRST = 0.6
"""Share of the leads that the first version is trained on."""
LAST_CHUNK = "2009-04" if is_quick() else "2010-09"
"""The months from here on are judged..."""
UNTIL = "2009-04" if is_quick() else "2010-12"
"""...up to this one."""
LOSS, ERROR = 0.03, 0.05
"""AUC that it may lie below a model renewed by hand, and calibration error that it may lie above it."""
ECONOMY = {
    "emp_var_rate": (-10, 10),
    "cons_price_idx": (50, 150),
    "cons_conf_idx": (-100, 100),
    "euribor3m": (-2, 20),
    "nr_employed": (3_000, 8_000),
}
"""What figures of an economy can be. `leadgate init` has seen half a year of them, and proposes narrower ranges: a
retraining of 2009 would stop at the first values beyond them and say so."""
RULES = """
monitoring:
  window_days: 30     # hundreds of leads a month
  matured_days: 29
"""
MORNING = timedelta(hours=6)
DAY = timedelta(days=1)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A retraining and what its gates said."""

    about: Retraining
    trained_on: str
    gates: tuple[tuple[str, bool | None, str], ...]
    """Name, whether it passed, and its sentence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Renewed:
    """The three models on the leads of the last chunk."""

    kind: str
    months: tuple[str, ...]
    """Of each lead."""
    converted: Flags
    alone: Floats
    """Scores of the first version."""
    by_hand: Floats
    """Scores of a model trained at the beginning of each month on all leads before it."""
    answered: Floats
    """Scores that were answered."""
    runs: tuple[Run, ...]
    decisions: tuple[str, ...]
    """Why none was made, by kind, with how often that became the answer."""


def renew(bank: pl.DataFrame, kind: str, folder: Path, url: str) -> Renewed:
    """Play the leads after the first ones through the real path, with triggers asked each morning."""
    first = round(FIRST * bank.height)
    later = bank[first:].filter(pl.col("month_of") <= UNTIL)
    home = _first_version(bank[:first], kind, folder, url)
    route_in_force(home)
    versions = Versions(home.bundles, home.project.name, lambda v: _fetch(home, v))
    alone = load_live(route_in_force(home), versions)
    scores = [score for day, leads in _days(later) for score in _day(home, versions, day, leads)]
    judged = later.with_columns(answered=pl.Series(scores)).filter(pl.col("month_of") >= LAST_CHUNK)
    return Renewed(
        kind=kind,
        months=tuple(judged["month_of"]),
        converted=(judged["converted"] == "1").to_numpy(),
        alone=np.array(alone.champion.score_many(_asked(alone, judged))),
        by_hand=_by_hand(home, bank, judged),
        answered=judged["answered"].to_numpy(),
        runs=_runs(home),
        decisions=_decisions(home),
    )


def _first_version(leads: pl.DataFrame, kind: str, folder: Path, url: str) -> Home:
    file = folder / "bank.csv"
    leads.drop("at", "month_of").write_csv(file)
    start_project(folder, file, name="bank", id_column=None, target=None, timestamp=None, force=True)
    config = folder / CONFIG
    config.write_text(_ruled(config.read_text(), kind))
    start: datetime = leads["at"][-1] + DAY
    home = Home(folder, Settings(database_url=url, author="renewal")).on(SimulatedClock(start))
    assert "duration" not in {feature.name for feature in home.project.lead.used}
    with home.connection() as connection:
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=start)
    train(
        home.registry,
        home.snapshots_uri,
        home.project,
        folder=folder,
        snapshot_version=None,
        author="renewal",
        now=start,
    )
    return home


def _ruled(text: str, kind: str) -> str:
    """What this team sets: nobody ranks its leads with 0.85, a call tells its outcome at once, promotion is by hand."""
    for was, is_now in (
        ("kind: logistic_regression", f"kind: {kind}"),
        ("window_days: 60", "window_days: 1"),
        ("challenger_auc: 0.87", "challenger_auc: null"),
        ("alert_auc: 0.85", "alert_auc: null"),
        ("rollout: auto", "rollout: ask"),
    ):
        assert was in text, was
        text = text.replace(was, is_now)
    for name, (low, high) in ECONOMY.items():
        text, found = re.subn(rf"(\b{name}: .*range: )\[.*?\]", rf"\g<1>[{low}, {high}]", text)
        assert found == 1, name
    return text + RULES


def _days(leads: pl.DataFrame) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """Every day on which leads came."""
    for (day,), part in leads.group_by(pl.col("at").dt.truncate("1d"), maintain_order=True):
        assert isinstance(day, datetime)
        yield day, part


def _day(home: Home, versions: Versions, day: datetime, leads: pl.DataFrame) -> list[float]:
    """The leads of a day are answered; on the morning after it their outcomes are reported, and what is due is done."""
    clock = home.clock
    assert isinstance(clock, SimulatedClock)
    clock.now = day
    live = load_live(route_in_force(home), versions)
    scores = answer(home, live, leads, np.random.default_rng(day.toordinal()))
    clock.now = day + DAY + MORNING
    with home.connection() as connection:
        record_outcomes(connection, _outcomes(leads), clock.now)
    run_checks(home)
    if retrain_if_due(home).startswith("retraining"):
        _promote_what_passed(home)
    return scores


def _promote_what_passed(home: Home) -> None:
    """What a person does who has no months for a rollout. A version that a gate holds back waits, and nobody comes."""
    with home.connection() as connection:
        run = retrainings_of(connection, home.project.name, most=1)[0]
        judged = steps_of(connection, run.retraining_id).get("judged")
    if run.version is not None and judged is not None and judged.details["fate"] == "challenger":
        promote(home, run.version, "champion")


def _outcomes(leads: pl.DataFrame) -> list[Outcome]:
    return [
        Outcome(
            lead_id=lead_id,
            converted=converted == "1",
            deal_size=None,
            days_to_close=None,
            outcome_at=at + timedelta(minutes=10),
            source="renewal",
        )
        for lead_id, converted, at in leads.select("lead_id", "converted", "at").iter_rows()
    ]


def _asked(live: Live, leads: pl.DataFrame) -> list[LeadIn]:
    return asked(live.contract.features, leads)


def _by_hand(home: Home, bank: pl.DataFrame, judged: pl.DataFrame) -> Floats:
    """Each month a model of all leads before it: the same pipeline, and nothing else of Leadgate."""
    schema = home.project.lead
    scores = []
    for (month,), leads in judged.group_by("month_of", maintain_order=True):
        before = bank.filter(pl.col("month_of") < month)
        pipeline = build_pipeline(schema, home.project.model)
        pipeline.fit(frame_of(schema, _rows(before, schema.used)), (before["converted"] == "1").to_numpy())
        scores.append(predict(pipeline, frame_of(schema, _rows(leads, schema.used))))
    return np.concatenate(scores)


def _rows(leads: pl.DataFrame, features: Sequence[Feature]) -> list[tuple[FeatureValue, ...]]:
    return [lead.values for lead in asked(features, leads)]


def _fetch(home: Home, version: str) -> None:
    fetch(home.registry, version, home.bundles)


def _runs(home: Home) -> tuple[Run, ...]:
    with home.connection() as connection:
        found = []
        for about in reversed(retrainings_of(connection, home.project.name, most=1_000)):
            judged = steps_of(connection, about.retraining_id).get("judged")
            gates = judged.details["gates"] if judged else []
            told = tuple((gate["name"], gate["passed"], gate["sentence"]) for gate in gates)
            found.append(Run(about=about, trained_on=judged.details["trained_on"] if judged else "", gates=told))
    return tuple(found)


def _decisions(home: Home) -> tuple[str, ...]:
    with home.connection() as connection:
        found = last_decisions(connection, home.project.name, most=10_000)
    counts = Counter(f"{d.act}: {d.trigger}, {d.why_not}" for d in found if d.act in ("wait", "review"))
    return tuple(f"{what} ({n} x)" for what, n in counts.most_common())


def calibration_error(converted: Flags, scores: Floats) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [(bins == b).mean() * abs(converted[bins == b].mean() - scores[bins == b].mean()) for b in np.unique(bins)]
    return float(np.sum(gaps))


def _figures(found: Renewed, scores: Floats) -> tuple[float, float]:
    return float(roc_auc_score(found.converted, scores)), calibration_error(found.converted, scores)


def most_in_30_days(times: Sequence[datetime]) -> int:
    """Of these times, the most that lie within 30 days."""
    return max((sum(at - timedelta(days=30) < other <= at for other in times) for at in times), default=0)


def rows_of(found: Renewed) -> list[Row]:
    """The bars: as good as by hand within a margin, better than left alone, and no storm."""
    alone, by_hand, answered = (_figures(found, s) for s in (found.alone, found.by_hand, found.answered))
    kind, started = found.kind, [run.about.started_at for run in found.runs]
    promoted = [run for run in found.runs if run.about.result != "stopped" and "passed every gate" in _end(run)]
    return [
        Row(what=f"{kind}: AUC left alone", measured=alone[0], unit=""),
        Row(what=f"{kind}: AUC retrained by hand every month", measured=by_hand[0], unit=""),
        Row(
            what=f"{kind}: AUC with retraining on", measured=answered[0], unit="", bar=max(by_hand[0] - LOSS, alone[0])
        ),
        Row(what=f"{kind}: calibration error left alone", measured=alone[1], unit=""),
        Row(what=f"{kind}: calibration error retrained by hand every month", measured=by_hand[1], unit=""),
        Row(
            what=f"{kind}: calibration error with retraining on",
            measured=answered[1],
            unit="",
            bar=min(by_hand[1] + ERROR, alone[1]),
            at_most=True,
        ),
        Row(what=f"{kind}: retrainings", measured=len(started), unit=""),
        Row(what=f"{kind}: of these, versions that became champion", measured=len(promoted), unit="", bar=1),
        Row(what=f"{kind}: most in 30 days", measured=most_in_30_days(started), unit="", bar=6, at_most=True),
    ]


def _end(run: Run) -> str:
    return run.about.sentence or ""


def _notes(found: Renewed) -> list[str]:
    lines = [
        "",
        f"| {found.kind}: began | trigger | why | trained on | became | gates that did not pass |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for run in found.runs:
        about = run.about
        held = "; ".join(f"{name}: {sentence}" for name, passed, sentence in run.gates if passed is not True)
        became = f"champion, version {about.version}" if "passed every gate" in _end(run) else str(about.result)
        lines.append(
            f"| {about.started_at:%Y-%m-%d %H:%M} | {about.trigger} | {about.reason} | {run.trained_on} | {became} | "
            f"{held or (_end(run) if about.result == 'stopped' else '-')} |"
        )
    return [*lines, "", "What asked and did not run: " + ("; ".join(found.decisions) or "nothing") + "."]


def read_bank(file: Path) -> pl.DataFrame:
    """The leads in their order, with their time and month."""
    bank = pl.read_csv(file, infer_schema=False).with_columns(at=pl.col("created_at").str.to_datetime(time_zone="UTC"))
    return bank.with_columns(month_of=pl.col("at").dt.strftime("%Y-%m")).sort("at", maintain_order=True)


def main() -> int:
    """Play each kind, print the table and write it."""
    bank = read_bank(Path(sys.argv[1]) if len(sys.argv) > 1 else BANK)
    rows, notes = [], []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "project"
            folder.mkdir()
            url = start_embedded(Path(name) / "postgres")
            migrate(url)
            found = renew(bank, kind, folder, url)
        rows += rows_of(found)
        notes += _notes(found)
        print("\n".join(_notes(found)), flush=True)
    return report("renewal", "The bank's leads with retraining on", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
