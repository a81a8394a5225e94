"""A hundred weeks of simulated leads through the whole run, with episodes whose truth is known.

``python benchmarks/weeks.py``; QUICK=1 for a dozen weeks. Thirty leads a day are answered by the route in force,
logged, worked by the team; the CRM reports late. Each midnight the checks run and the triggers are asked as the worker
asks them; collecting, gates and registration are the real ones. Only the clock and the world are simulated, and the
rollout is short: a version that passed every gate is promoted at once. What asked for each training is held against
what happened to the world, and what was learnt against the truth that only the world knows.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import roc_auc_score

from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.retraining import retrain_if_due
from leadgate.app.routing import promote, route_in_force
from leadgate.app.settings import Settings
from leadgate.app.starting import start_project
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.importing import import_leads
from leadgate.leads.snapshots import read_snapshot
from leadgate.models.scorers import load
from leadgate.models.training import train
from leadgate.records import Outcome
from leadgate.simulator.drift import Drift, drifted_truth
from leadgate.simulator.faults import Faults
from leadgate.simulator.leads import simulate_leads
from leadgate.simulator.team import Team
from leadgate.simulator.world import World, WorldState
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.outcomes import last_outcomes, record_outcomes
from leadgate.storage.postgres.ratings import Rating, add_rating
from leadgate.storage.postgres.retrainings import Retraining, last_decisions, retrainings_of, steps_of
from leadgate.storage.postgres.server import start_embedded
from renewal import most_in_30_days
from report import Row, is_quick, report

START = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday."""
DAY, WEEK = timedelta(days=1), timedelta(days=7)
WORLD = World(leads_a_day=30, season=0, team=Team(capacity=250))
"""A team that works every lead, so that what is learnt is the truth."""
IMPORTED = 3_000
FLIPPED = 0.2
TEST_LEADS = 20_000
MATURES = 2
"""Weeks after which the outcome of every lead is known."""
UNHARMED = 0.02
"""AUC that a version may lie below the champion before it, by the truth, where some wrong labels were learnt."""
RULES = {
    "window_days: 60 ": "window_days: 14 ",
    "silence_means: unknown": "silence_means: not_converted",
    "0 2 * * sun": "0 22 1 * *",
    "auc_below: 0.85": "auc_below: 0.77",
    "new_leads: 10000": "new_leads: 1200",
    "challenger_auc: 0.87": "challenger_auc: null",
    "alert_auc: 0.85": "alert_auc: null",
    "rollout: auto": "rollout: ask",
}
"""What this team sets: fast deals, a CRM in which silence is loss, few leads, which its first version ranks with 0.80.

The regular training is on the first of each month: outcomes take two weeks, and a version that is replaced each week is
never judged by its own.
"""

TURNED = Drift(day=0, truth=1.0)
MOVED = Drift(day=0, times={"website_visits": 3.0, "email_opens": 3.0}, comes={"lead_source": ("Podcast", 0.5)})

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Something that happens to the world, or to what is heard of it, and what it may make the triggers ask."""

    name: str
    begins: int
    """The first week of it."""
    ends: int
    """The first week without it."""
    drift: Drift | None = None
    leads_a_day: float | None = None
    rating: float = 9
    outage: bool = False
    """The CRM sends nothing, and never will of what it did not send."""
    flips: bool = False
    """A fifth of the outcomes that are newly reported are wrong; at the end all are corrected."""
    resends: bool = False
    """At the beginning the CRM sends all outcomes once more, a fifth of them wrong; at the end all are corrected."""
    asks: str | None = None
    """The trigger that it has to move; None: it moves none."""
    within: int = 0
    """By this week after its beginning."""
    may: tuple[str, ...] = ()
    """Triggers that it may move as well."""
    echoes: int = 0
    """Weeks after its end in which it may still move them: outcomes come late, and baselines stay."""


LONG = (
    Episode(name="three features drift", begins=10, ends=15, drift=MOVED, asks="drift", within=2, echoes=4),
    Episode(name="the world turns", begins=24, ends=40, drift=TURNED, asks="performance", within=10),
    Episode(name="and stays as it is now", begins=40, ends=100, drift=TURNED),
    Episode(name="ratings are low for eight weeks", begins=42, ends=50, rating=5, asks="rating", within=2, echoes=2),
    Episode(name="seven times as many leads", begins=54, ends=56, leads_a_day=200, asks="volume", within=5, echoes=4),
    Episode(name="the CRM is silent", begins=64, ends=67, outage=True, may=("performance",), echoes=6),
    Episode(
        name="a fifth of the new outcomes are wrong", begins=72, ends=76, flips=True, may=("performance",), echoes=6
    ),
    Episode(
        name="all outcomes are sent anew, a fifth wrong",
        begins=84,
        ends=88,
        resends=True,
        may=("performance",),
        echoes=6,
    ),
)
SHORT = (
    Episode(name="three features drift", begins=1, ends=3, drift=MOVED, asks="drift", within=2, echoes=4),
    Episode(name="the CRM is silent", begins=4, ends=6, outage=True, may=("performance",), echoes=4),
    Episode(
        name="all outcomes are sent anew, a fifth wrong",
        begins=8,
        ends=10,
        resends=True,
        may=("performance",),
        echoes=4,
    ),
)
EPISODES, WEEKS = (SHORT, 12) if is_quick() else (LONG, 100)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A retraining, and what the truth says of its version."""

    about: Retraining
    champion_before: str
    promoted: bool
    gates: tuple[tuple[str, bool | None, str], ...]
    trained_on: str


@dataclass
class Story:
    """A project that lives through episodes."""

    home: Home
    episodes: Sequence[Episode]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    state: WorldState | None = None
    runs: list[Run] = field(default_factory=list)
    asked_every: timedelta = DAY
    """Between two midnights at which checks run and triggers are asked."""
    true_outcomes: dict[str, bool] = field(default_factory=dict)
    """Of what the CRM has reported wrongly since, as it was."""

    def live(self, weeks: int) -> "Story":
        """Let weeks pass."""
        for week in range(weeks):
            present = [e for e in self.episodes if e.begins <= week < e.ends]
            self._turn(week, present)
            played = play(
                self.home,
                _world(present),
                7,
                each_day=lambda now, present=present: self._midnight(now, present),  # type: ignore[misc]
                rng=self.rng,
                faults=self._faults(present),
                begun=self.state,
            )
            self.state = played.state
        return self

    def _turn(self, week: int, present: Sequence[Episode]) -> None:
        """What happens at the beginning of a week: outcomes sent anew, or corrected."""
        if any(e.ends == week and (e.flips or e.resends) for e in self.episodes):
            self._send(dict(self.true_outcomes))
            self.true_outcomes.clear()
        if any(e.resends and e.begins == week for e in present):
            self._flip(self._known())

    def _midnight(self, now: datetime, present: Sequence[Episode]) -> None:
        with self.home.connection() as connection:
            for person in ("Ana", "Ben"):
                rating = min((e.rating for e in present), default=9.0) + float(self.rng.normal(0, 0.5))
                add_rating(connection, _rating(self.home.project.name, person, min(10.0, rating), now))
        if any(e.flips for e in present):
            self._flip({n: w for n, w in self._known(since=now - DAY).items() if n not in self.true_outcomes})
        if (now - START) % self.asked_every:
            return
        run_checks(self.home)
        before = route_in_force(self.home).champion
        if retrain_if_due(self.home).startswith("retraining"):
            self.runs.append(self._after(before))

    def _after(self, before: str) -> Run:
        """What became of the run that has ended; a version that passed every gate is promoted."""
        with self.home.connection() as connection:
            about = retrainings_of(connection, self.home.project.name, most=1)[0]
            judged = steps_of(connection, about.retraining_id).get("judged")
        passed = about.version is not None and judged is not None and judged.details["fate"] == "challenger"
        if passed:
            assert about.version is not None
            promote(self.home, about.version, "champion")
        gates = [] if judged is None else judged.details["gates"]
        return Run(
            about=about,
            champion_before=before,
            promoted=passed,
            gates=tuple((gate["name"], gate["passed"], gate["sentence"]) for gate in gates),
            trained_on="" if judged is None else judged.details["trained_on"],
        )

    def _faults(self, present: Sequence[Episode]) -> Faults | None:
        return Faults(begins=START, unreported=1.0) if any(e.outage for e in present) else None

    def _known(self, since: datetime | None = None) -> dict[str, bool]:
        """What the CRM has reported, or has reported since a time."""
        with self.home.connection() as connection:
            found = last_outcomes(connection, until=self.home.clock())
        if since is not None:
            found = found.filter(pl.col("outcome_at") > since)
        return dict(found.select("lead_id", "converted").iter_rows())

    def _flip(self, known: Mapping[str, bool]) -> None:
        """Report a fifth of these the other way round."""
        names = [name for name in sorted(known) if self.rng.random() < FLIPPED]
        self.true_outcomes |= {name: known[name] for name in names}
        self._send({name: not known[name] for name in names})

    def _send(self, outcomes: Mapping[str, bool]) -> None:
        with self.home.connection() as connection:
            there = last_outcomes(connection, until=self.home.clock())
            at = dict(there.select("lead_id", "outcome_at").iter_rows())
            record_outcomes(
                connection,
                [
                    Outcome(
                        lead_id=name,
                        converted=won,
                        deal_size=None,
                        days_to_close=None,
                        outcome_at=at[name],
                        source="simulated CRM",
                    )
                    for name, won in outcomes.items()
                ],
                self.home.clock(),
            )
            connection.commit()

    def week_of(self, at: datetime) -> int:
        """The week of the story in which a time lies; a midnight belongs to the day before it."""
        return (at - DAY / 2 - START) // WEEK

    def expected(self, week: int) -> set[str]:
        """Triggers that may ask in a week, by what happens in it."""
        found = {"scheduled"}
        for e in self.episodes:
            if e.begins <= week < e.ends + e.echoes:
                found |= {*e.may, *([e.asks] if e.asks else [])}
        return found

    def during(self, what: str) -> list[Run]:
        """Runs that began while the episodes of a kind lasted."""
        spans = [(e.begins, e.ends) for e in self.episodes if getattr(e, what)]
        return [r for r in self.runs if any(a <= self.week_of(r.about.started_at) < b for a, b in spans)]


def _world(present: Sequence[Episode]) -> World:
    a_day = next((e.leads_a_day for e in present if e.leads_a_day), WORLD.leads_a_day)
    return replace(WORLD, leads_a_day=a_day, drift=next((e.drift for e in present if e.drift), None))


def _rating(model: str, person: str, value: float, now: datetime) -> Rating:
    return Rating(
        model_name=model,
        rated_at=now - timedelta(hours=1),
        rated_by=person,
        rating=value,
        model_version=None,
        comment="",
        recorded_at=now,
    )


def first_version(folder: Path, url: str) -> Home:
    """A project whose version 1 was trained on leads of the weeks before."""
    rng = np.random.default_rng(1)
    file = folder / "leads.csv"
    frame = simulate_leads(IMPORTED, rng, START - 100 * DAY, 99).frame
    frame.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(file)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    config = folder / CONFIG
    config.write_text(ruled(config.read_text()))
    home = Home(folder, Settings(database_url=url, author="weeks")).on(SimulatedClock(START))
    with home.connection() as connection:
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=START)
    train(
        home.registry, home.snapshots_uri, home.project, folder=folder, snapshot_version=None, author="weeks", now=START
    )
    return home


def ruled(text: str) -> str:
    """leadgate.yaml with what this team sets."""
    for was, is_now in RULES.items():
        assert was in text, was
        text = text.replace(was, is_now)
    return text


def true_aucs(story: Story, versions: Sequence[str], drift: Drift | None) -> dict[str, float]:
    """AUC of versions on new leads of a world, by outcomes that only the world knows."""
    drawn = simulate_leads(
        TEST_LEADS, np.random.default_rng(99), START, 1, truth=lambda c: drifted_truth(drift or Drift(day=0), c)
    )
    found = {}
    for version in dict.fromkeys(versions):
        scored = load(story.home.registry, story.home.registry.find(version))
        rows = drawn.frame.select(f.name for f in scored.card.lead.used).rows()
        found[version] = float(roc_auc_score(drawn.frame["converted"], scored.scorer.score_many(rows)))
    return found


def learnt_from_silence(story: Story) -> int:
    """Leads of the last snapshot that were scored, have an outcome there, and of which the CRM never sent any."""
    _, leads = read_snapshot(story.home.snapshots_uri, story.home.project.lead)
    scored = leads.filter(pl.col("created_at") >= START, pl.col("converted").is_not_null())
    with story.home.connection() as connection:
        told = last_outcomes(connection, until=story.home.clock())
    return scored.filter(~pl.col("lead_id").is_in(told["lead_id"].to_list())).height


def rows_of(story: Story, weeks: int) -> list[Row]:
    """The bars: no storm, every reason right, nothing learnt from silence or from wrong labels, and better for it."""
    runs, started = story.runs, [run.about.started_at for run in story.runs]
    wrong = [r for r in runs if r.about.trigger not in story.expected(story.week_of(r.about.started_at))]
    champion = route_in_force(story.home).champion
    ended = next((e.drift for e in story.episodes if e.drift and e.begins < weeks <= e.ends), None)
    at_end = true_aucs(story, ["1", champion], ended)
    rows = [
        _most("retrainings in the worst 30 days", most_in_30_days(started), 6),
        Row(what=f"retrainings in {weeks} weeks", measured=len(runs), unit=""),
        Row(what="versions that became champion", measured=sum(r.promoted for r in runs), unit="", bar=1),
        _most("trainings for a reason that the world did not give", len(wrong), 0),
        *(_asked(story, e) for e in story.episodes if e.asks),
        _most("shortest time between two trainings for the same emergency, below a week", _too_soon(runs), 0),
        _most("trainings begun later than two days into a silence", len(_in_silence(story)), 0),
        Row(what="times that the triggers waited for the CRM", measured=_waited(story), unit="", bar=1),
        _most("leads learnt of whose outcome the CRM never sent any", learnt_from_silence(story), 0),
        _most("champions learnt from a snapshot with a fifth of its outcomes turned", _champions(story, "resends"), 0),
        Row(
            what="trainings stopped by a gate meanwhile",
            measured=sum(not r.promoted for r in story.during("resends")),
            unit="",
            bar=1,
        ),
        Row(what="AUC by the truth at the end, left alone", measured=at_end["1"], unit=""),
        Row(
            what="AUC by the truth at the end, with retraining on", measured=at_end[champion], unit="", bar=at_end["1"]
        ),
    ]
    last = max((e.ends for e in story.episodes if e.resends), default=0)
    if last + 2 < weeks:
        after = sum(r.promoted for r in runs if story.week_of(r.about.started_at) >= last)
        rows.insert(-2, Row(what="champions after the outcomes were corrected", measured=after, unit="", bar=1))
    if any(e.flips for e in story.episodes):
        harm = _most("AUC by the truth that a champion lost by a few weeks of wrong outcomes", _harm(story), UNHARMED)
        rows.insert(-2, harm)
    return rows


def _most(what: str, measured: float, bar: float) -> Row:
    return Row(what=what, measured=measured, unit="", bar=bar, at_most=True)


def _asked(story: Story, e: Episode) -> Row:
    """How long it took until a training began for what happened."""
    found = [r for r in story.runs if r.about.trigger == e.asks and r.about.started_at > START + e.begins * WEEK]
    days = (found[0].about.started_at - START - e.begins * WEEK) / DAY if found else float("nan")
    return Row(what=f"{e.name}: {e.asks} asks after", measured=days, unit="days", bar=7 * e.within, at_most=True)


def _too_soon(runs: Sequence[Run]) -> int:
    by_trigger: dict[str, list[datetime]] = {}
    for r in runs:
        by_trigger.setdefault(r.about.trigger, []).append(r.about.started_at)
    week = WEEK - DAY / 2
    return sum(b - a < week for times in by_trigger.values() for a, b in pairwise(times))


def _in_silence(story: Story) -> list[Run]:
    spans = [(START + e.begins * WEEK + 2 * DAY, START + e.ends * WEEK) for e in story.episodes if e.outage]
    return [r for r in story.runs if any(a < r.about.started_at <= b for a, b in spans)]


def _waited(story: Story) -> int:
    with story.home.connection() as connection:
        found = last_decisions(connection, story.home.project.name, most=10_000)
    return sum(decision.why_not == "no deliveries" for decision in found)


def _champions(story: Story, what: str) -> int:
    return sum(r.promoted for r in story.during(what))


def _harm(story: Story) -> float:
    """By the truth, how far the worst champion of the weeks lies below the one before them."""
    e = next(e for e in story.episodes if e.flips)
    promoted = [r for r in story.during("flips") if r.promoted]
    if not promoted:
        return 0.0
    drift = next((d.drift for d in story.episodes if d.drift and d.begins <= e.begins < d.ends), None)
    versions = [str(r.about.version) for r in promoted]
    found = true_aucs(story, [promoted[0].champion_before, *versions], drift)
    return max(0.0, found[promoted[0].champion_before] - min(found[v] for v in versions))


def notes_of(story: Story) -> list[str]:
    """Episodes, and every training with its reason and what became of it."""
    lines = ["", "| weeks | what happens | has to ask | may ask |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {e.begins} to {e.ends - 1} | {e.name} | {e.asks or '-'} | {', '.join(e.may) or '-'} |"
        for e in story.episodes
    ]
    lines += ["", "| week | trigger | why | trained on | became |", "| ---: | --- | --- | --- | --- |"]
    for r in story.runs:
        became = f"champion, version {r.about.version}" if r.promoted else f"{r.about.result}: {r.about.sentence}"
        week = story.week_of(r.about.started_at)
        lines.append(f"| {week} | {r.about.trigger} | {r.about.reason} | {r.trained_on} | {became} |")
    return [
        *lines,
        "",
        "Thirty leads a day; the regular training is on the first of each month. Weeks are counted from 0.",
        "Outcomes of the silent weeks never come. Wrong outcomes are corrected when their weeks are over.",
        "The truth is that of 20,000 new leads of the world as it is at the end.",
    ]


def play_story(folder: Path, url: str, episodes: Sequence[Episode], weeks: int) -> Story:
    """Live through weeks with retraining on."""
    home = first_version(folder, url)
    route_in_force(home)
    return Story(home=home, episodes=episodes).live(weeks)


def main() -> int:
    """Play the weeks, print the table and write it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        folder.mkdir()
        url = start_embedded(Path(name) / "postgres")
        migrate(url)
        story = play_story(folder, url, EPISODES, WEEKS)
        rows, notes = rows_of(story, WEEKS), notes_of(story)
    return report("weeks", f"{WEEKS} simulated weeks with retraining on", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
