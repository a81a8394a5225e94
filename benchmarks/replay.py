"""The bank's telephone leads replayed month by month through the real path: which checks alarm, and when.

``python benchmarks/replay.py [FILE]``; QUICK=1 for the months up to 2009-05. The champion is trained on May to July
2008 and left alone. Each later lead is answered by the route in force and its compiled scorer, logged and summed up as
the drainer does; its outcome is reported half a day later; at the end of each month the checks run. Only the clock is
simulated.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock
from leadgate.app.routing import route_in_force
from leadgate.app.settings import Settings
from leadgate.app.starting import start_project
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.importing import import_leads
from leadgate.leads.schema import Feature, FeatureType
from leadgate.models.bundles import fetch
from leadgate.models.training import train
from leadgate.monitoring.findings import CheckRun, Finding
from leadgate.records import Outcome
from leadgate.scoring.answering import Live, Request, record
from leadgate.scoring.contract import LeadIn
from leadgate.scoring.folding import log_predictions
from leadgate.scoring.watch import Versions, load_live
from leadgate.simulator.ids import uuid7_at
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.outcomes import record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.server import start_embedded
from report import FOLDER, Row, is_quick, report

BANK = Path(__file__).parents[1].parent / "shared" / "data" / "bank_marketing.csv"
TRAINED_UNTIL = "2008-08"
MACRO = ("emp_var_rate", "cons_price_idx", "cons_conf_idx", "euribor3m", "nr_employed")
RULES = """
monitoring:
  window_days: 30     # a month is judged at its end
  matured_days: 29
"""
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Month:
    """What happened in a month, and what the checks said at its end."""

    name: str
    leads: int
    rate: float
    """Share that converted."""
    mean_score: float
    auc: float | None
    """Of the month's leads, by scikit-learn on rows; None for one class."""
    run: CheckRun
    moved: Mapping[str, float] = field(default_factory=dict)
    """By feature: how far its rows are from the training leads' rows, KS or JS by scipy, as a multiple of the limit."""

    def finding(self, check: str, subject: str = "champion") -> Finding:
        """A finding of the run."""
        return next(f for f in self.run.findings if (f.check, f.subject) == (check, subject))

    def alarmed(self, check: str) -> list[str]:
        """Subjects about which a check alarmed."""
        return [f.subject for f in self.run.findings if f.check == check and f.severity in ("yellow", "red")]

    @property
    def false(self) -> list[str]:
        """Features that alarmed as drifted and whose rows have not moved by KS, JS or spread."""
        return [name for name in self.alarmed("feature drift") if self.moved[name] < 1]

    @property
    def missed(self) -> list[str]:
        """Features whose rows moved by KS or JS, in a month with enough leads, and that did not alarm."""
        judged = [f.subject for f in self.run.findings if f.check == "feature drift" and f.severity == "green"]
        return [name for name in judged if self.moved[name] >= 1.02]


def replay(file: Path, folder: Path, url: str, last: str) -> list[Month]:
    """Train on the first months, and play those after them up to ``last`` (such as 2009-05)."""
    bank = pl.read_csv(file, infer_schema=False).with_columns(at=pl.col("created_at").str.to_datetime(time_zone="UTC"))
    bank = bank.with_columns(month_of=pl.col("at").dt.strftime("%Y-%m"))
    home = _champion(bank.filter(pl.col("month_of") < TRAINED_UNTIL), folder, url)
    versions = Versions(home.bundles, home.project.name, lambda v: _fetch(home, v))
    later = bank.filter((pl.col("month_of") >= TRAINED_UNTIL) & (pl.col("month_of") <= last)).sort("at")
    training = bank.filter(pl.col("month_of") < TRAINED_UNTIL)
    return [_month(home, versions, training, name, leads) for name, leads in _months(later)]


def _champion(training: pl.DataFrame, folder: Path, url: str) -> Home:
    file = folder / "bank.csv"
    training.drop("at", "month_of").write_csv(file)
    start_project(folder, file, name="bank", id_column=None, target=None, timestamp=None, force=True)
    config = folder / CONFIG
    config.write_text(config.read_text().replace("window_days: 60", "window_days: 1") + RULES)
    start = datetime(2008, 8, 1, tzinfo=UTC)
    home = Home(folder, Settings(database_url=url, author="replay")).on(SimulatedClock(start))
    with home.connection() as connection:
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=start)
    train(
        home.registry,
        home.snapshots_uri,
        home.project,
        folder=folder,
        snapshot_version=None,
        author="replay",
        now=start,
    )
    route_in_force(home)
    return home


def _fetch(home: Home, version: str) -> None:
    fetch(home.registry, version, home.bundles)


def _months(leads: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for (name,), part in leads.group_by("month_of", maintain_order=True):
        yield str(name), part


def _month(home: Home, versions: Versions, training: pl.DataFrame, name: str, leads: pl.DataFrame) -> Month:
    rng = np.random.default_rng(int(name.replace("-", "")))
    clock = home.clock
    assert isinstance(clock, SimulatedClock)
    live = load_live(route_in_force(home), versions)
    scores: list[float] = []
    for _, day in leads.group_by(pl.col("at").dt.date(), maintain_order=True):
        scores += _day(home, live, day, rng)
    first = leads["at"].dt.month_start().dt.truncate("1d")[0]
    clock.now = (first + timedelta(days=32)).replace(day=1)
    converted = leads["converted"].to_numpy() == "1"
    return Month(
        name=name,
        leads=leads.height,
        rate=float(converted.mean()),
        mean_score=float(np.mean(scores)),
        auc=float(roc_auc_score(converted, scores)) if 0 < converted.sum() < len(converted) else None,
        run=run_checks(home),
        moved=_distances(home, training, leads),
    )


def _day(home: Home, live: Live, leads: pl.DataFrame, rng: np.random.Generator) -> list[float]:
    """Answer, log and report the leads of a day; gives their scores."""
    scores = answer(home, live, leads, rng)
    outcomes = [
        Outcome(
            lead_id=lead_id,
            converted=converted == "1",
            deal_size=None,
            days_to_close=None,
            outcome_at=at + DAY / 2,
            source="replay",
        )
        for lead_id, converted, at in leads.select("lead_id", "converted", "at").iter_rows()
    ]
    with home.connection() as connection:
        record_outcomes(connection, outcomes, max(leads["at"]) + DAY / 2)
    return scores


def answer(home: Home, live: Live, leads: pl.DataFrame, rng: np.random.Generator) -> list[float]:
    """Answer leads and log them as the drainer does; gives their scores."""
    requests = asked(live.contract.features, leads)
    scores = live.champion.score_many(requests)
    predictions = []
    for lead, score, at in zip(requests, scores, leads["at"], strict=True):
        prediction_id = uuid7_at(at, rng)
        request = Request(at, float(np.exp(rng.normal(-1, 0.4))), prediction_id, 1)
        predictions.append(record(live, live.champion, lead, score, None, prediction_id, request))
    with home.connection() as connection:
        ensure_partitions(connection, {p.scored_at.date() for p in predictions})
        log_predictions(connection, predictions)
    return scores


def asked(features: Sequence[Feature], leads: pl.DataFrame) -> list[LeadIn]:
    """Leads as the service decodes them, with the values of these features."""
    columns = [_values(leads[feature.name], feature.type) for feature in features]
    return [LeadIn(i, values) for i, values in zip(leads["lead_id"], zip(*columns, strict=True), strict=True)]


def _values(column: pl.Series, kind: FeatureType) -> list[float | str | bool | None]:
    if kind is FeatureType.NUMERIC:
        return [float(value) for value in column]
    if kind is FeatureType.BOOLEAN:
        return [value in ("1", "yes", "true") for value in column]
    return column.to_list()


def _distances(home: Home, training: pl.DataFrame, month: pl.DataFrame) -> dict[str, float]:
    """By feature, the distance of the month's rows from the training rows as a multiple of its limit, by scipy."""
    drift = home.project.monitoring.drift
    found = {}
    for feature in home.project.lead.used:
        a, b = training[feature.name], month[feature.name]
        if feature.type is FeatureType.NUMERIC:
            x, y = a.cast(pl.Float64).to_numpy(), b.cast(pl.Float64).to_numpy()
            widths = [np.subtract(*np.quantile(side, (0.75, 0.25), method="inverted_cdf")) for side in (x, y)]
            spread = max(widths) / min(widths) if min(widths) > 0 else 1.0
            tenths = np.unique([-np.inf, *np.quantile(x, np.arange(1, 10) / 10), np.inf])
            js = jensenshannon(np.histogram(x, tenths)[0], np.histogram(y, tenths)[0]) ** 2
            ks = ks_2samp(x, y, method="asymp").statistic
            found[feature.name] = max(ks / drift.ks.yellow, js / drift.js.yellow, spread / drift.spread.yellow)
        else:
            counts = a.value_counts().join(b.value_counts(), on=feature.name, how="full", coalesce=True).fill_null(0)
            then, now = (counts[side].to_numpy() / counts[side].sum() for side in ("count", "count_right"))
            change = np.abs(then - now).max() / drift.category_change.yellow
            found[feature.name] = max(jensenshannon(then, now) ** 2 / drift.js.yellow, change)
    return found


def _plot(months: list[Month]) -> None:
    mpl.use("agg")
    figure, (above, middle, below) = plt.subplots(3, 1, figsize=(10, 9), sharex=True)
    names = [month.name for month in months]
    above.plot(names, [m.rate for m in months], "o-", label="converted")
    above.plot(names, [m.mean_score for m in months], "s--", label="mean score")
    above.set_ylabel("share")
    middle.plot(names, [m.auc for m in months], "o-", label="AUC, known later")
    middle.plot(names, [m.finding("estimated AUC").value for m in months], "s--", label="AUC, estimated before")
    middle.set_ylabel("AUC")
    checks = ["feature drift", "range", "score drift", "calibration", "AUC", "conversion"]
    colours = {"red": "tab:red", "yellow": "gold", "green": "tab:green", "unknown": "lightgrey"}
    for row, check in enumerate(checks):
        for month in months:
            found = [f for f in month.run.findings if f.check == check]
            worst = max(found, key=lambda f: ("unknown", "green", "yellow", "red").index(f.severity))
            below.scatter(month.name, row, color=colours[worst.severity], s=90, edgecolors="grey")
    below.set_yticks(range(len(checks)), checks)
    below.tick_params(axis="x", rotation=70)
    for axes in (above, middle):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(FOLDER / "replay.png", dpi=110)


def _table(months: list[Month]) -> list[str]:
    head = "| month | leads | converted | mean score | AUC later | AUC estimated | cal. error | conversion "
    head += "| calibration | AUC | macro features that alarm | others that alarm |"
    lines = [head, "| --- |" + " ---: |" * 6 + " --- |" * 5]
    for m in months:
        drifted = m.alarmed("feature drift")
        macro = [name for name in drifted if name in MACRO]
        estimated, error = m.finding("estimated AUC").value, m.finding("calibration").value
        lines.append(
            f"| {m.name} | {m.leads:,} | {m.rate:.1%} | {m.mean_score:.1%} | {_figure(m.auc)} | {_figure(estimated)} | "
            f"{_figure(error)} | {m.finding('conversion', '').severity} | {m.finding('calibration').severity} | "
            f"{m.finding('AUC').severity} | {', '.join(macro) or '-'} | "
            f"{', '.join(name for name in drifted if name not in MACRO) or '-'} |"
        )
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rows(months: list[Month]) -> list[Row]:
    """The bars: alarms in the month of the move, and hardly any other."""
    by_name = {month.name: month for month in months}
    enough = [m for m in months if m.leads >= 200]
    outcomes = [m for m in enough if m.name < "2009"]
    moved = by_name["2009-03"]
    return [
        Row(
            what="features whose rows moved (scipy) and that did not alarm, all months",
            measured=sum(len(m.missed) for m in enough),
            unit="",
            bar=0,
            at_most=True,
        ),
        Row(
            what="features that alarmed and whose rows had not moved, in the worst month",
            measured=max(len(m.false) for m in months),
            unit="",
            bar=1,
            at_most=True,
        ),
        Row(
            what="macro features that alarm in 2008-11, of 5",
            measured=sum(name in MACRO for name in by_name["2008-11"].alarmed("feature drift")),
            unit="",
            bar=5,
        ),
        Row(
            what="conversion and calibration alarms before 2009-03, in the worst month",
            measured=max(
                sum(m.finding(*what).severity in ("yellow", "red") for what in (("conversion", ""), ("calibration",)))
                for m in outcomes
            ),
            unit="",
            bar=1,
            at_most=True,
        ),
        Row(
            what="conversion alarms in 2009-03, the month in which it rises from 5 to 45 %",
            measured=float(moved.finding("conversion", "").severity == "red"),
            unit="",
            bar=1,
        ),
        Row(
            what="calibration alarms in 2009-03",
            measured=float(moved.finding("calibration").severity == "red"),
            unit="",
            bar=1,
        ),
        Row(
            what="months from 2009-03 on with enough leads in which calibration is green",
            measured=sum(m.finding("calibration").severity == "green" for m in enough if m.name >= "2009-03"),
            unit="",
        ),
    ]


def main() -> int:
    """Replay, print the table, write it and the plot."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else BANK
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        url = start_embedded(Path(name) / "postgres")
        migrate(url)
        months = replay(file, folder, url, "2009-05" if is_quick() else "2010-12")
    if not is_quick():
        _plot(months)
    notes = [
        *_table(months),
        "",
        "Months with fewer than 100 leads, or 200 matured ones, are unknown: there is not enough to judge.",
        "The estimate stands beside its truth in every month; checks withdraw it once outcomes contradict the scores.",
        "" if is_quick() else "\n![The replay](replay.png)",
    ]
    return report("replay", "The bank's leads, month by month: champion of May to July 2008", _rows(months), notes)


if __name__ == "__main__":
    sys.exit(main())
