"""leadgate check, on a world that is played against the real code."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from leadgate.app.checking import explain_move, run_checks
from leadgate.app.cli.root import app
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.profiling import show
from leadgate.app.routing import set_route
from leadgate.app.wire import CONFIG, Home
from leadgate.errors import RefusedError
from leadgate.leads.layout import SCORE_EDGES
from leadgate.monitoring.findings import CheckRun
from leadgate.monitoring.watch import last_run
from leadgate.outcomes.matching import match
from leadgate.simulator.drift import Drift
from leadgate.simulator.world import LostOutcomes, World
from leadgate.storage.postgres.checks import matured_scores
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.predictions import scored_leads
from workshop import make_home, train_version

START = datetime(2026, 6, 1, tzinfo=UTC)
WORLD = World(leads_a_day=150, lost_outcomes=LostOutcomes(share=0.2), drift=Drift(day=28, engagement=25.0))


@pytest.fixture(scope="module")
def weeks() -> dict[int, CheckRun]:
    """What was found at the end of each week."""
    return {}


@pytest.fixture(scope="module")
def home(server: str, template: str, tmp_path_factory: pytest.TempPathFactory, weeks: dict[int, CheckRun]) -> Home:
    """Five weeks; leads become more engaged in the last one, and the CRM never reports on a fifth of them."""
    from conftest import _database  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("checks")
    home = make_home(folder, next(_database(server, template)), leads=4_000)
    config = folder / CONFIG
    config.write_text(config.read_text().replace("window_days: 60", "window_days: 14"))
    home = Home(folder, home.settings).on(SimulatedClock(START))
    train_version(home)
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="test")

    def each_day(now: datetime) -> None:
        if (now - START).days % 7 == 0:
            weeks[(now - START).days // 7] = run_checks(home)

    play(home, WORLD, 35, each_day=each_day, rng=np.random.default_rng(1))
    return home


def severities(run: CheckRun) -> dict[tuple[str, str], str]:
    """By check and subject."""
    return {(f.check, f.subject): f.severity for f in run.findings}


def test_the_week_of_the_change_is_told_and_no_other(home: Home, weeks: dict[int, CheckRun]) -> None:
    """Engagement is green for four weeks, alarms in the fifth, and the scores with it."""
    assert home.project.outcomes.window_days == 14
    drifts = [severities(weeks[week])["feature drift", "engagement_score"] for week in range(1, 6)]
    assert drifts == ["green"] * 4 + ["red"]
    assert severities(weeks[5])["score drift", "champion"] in ("yellow", "red")
    others = {s for (check, _), s in severities(weeks[4]).items() if check in ("feature drift", "missing values")}
    assert others == {"green"}


def test_matured_leads_are_those_that_performance_counts(home: Home) -> None:
    """The database counts by bins what ``leadgate performance`` counts by rows."""
    now, rules = START + timedelta(days=35), home.project.outcomes
    with home.connection() as connection:
        for silence in (False, True):
            bins = matured_scores(
                connection,
                "lead-scoring",
                since=START + timedelta(days=2),
                until=now - timedelta(days=14),
                now=now,
                window=timedelta(days=14),
                silence_is_loss=silence,
            )
            scored = scored_leads(
                connection, model_name="lead-scoring", since=START + timedelta(days=2), until=now, segment=None
            )
            means = "not_converted" if silence else "unknown"
            rows = match(
                scored, last_outcomes(connection, until=now), rules.model_copy(update={"silence_means": means}), now
            ).leads
            assert sum(b.leads for b in bins) == rows.height > 1_000
            assert sum(b.leads for b in bins if b.won) == rows["converted"].sum()
            assert sum(b.deals[0] * b.deals[1] for b in bins if b.won) == pytest.approx(rows["deal_size"].sum())
            places = np.searchsorted(SCORE_EDGES, rows["predicted_score"].to_numpy())
            counted = np.zeros(10_000, dtype=int)
            for found in bins:
                counted[found.bin] += found.leads
            assert counted.tolist() == np.bincount(places, minlength=10_000).tolist()


def test_what_was_found_is_written_down(home: Home, weeks: dict[int, CheckRun]) -> None:
    """Those who come later read the same findings."""
    with home.connection() as connection:
        found = last_run(connection, "lead-scoring", since=START)
    assert found == weeks[5]


def test_the_exit_code_is_the_severity(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule or a pipeline can act on it; JSON has every finding."""
    monkeypatch.setattr("leadgate.app.cli.check.open_home", lambda _: home)
    shown = CliRunner().invoke(app, ["check", "show", "--json"])
    assert shown.exit_code == 20
    told = json.loads(shown.stdout)
    assert told["severity"] == "red"
    assert {"check", "subject", "severity", "sentence", "value", "threshold", "interval", "sample"} <= told["findings"][
        0
    ].keys()
    for arguments in (["check", "show"], ["check", "run", "--all"]):
        ran = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert ran.exit_code == 20
        assert "engagement_score" in ran.stdout
    moved = CliRunner().invoke(app, ["check", "moved"], env={"COLUMNS": "200"})
    assert moved.exit_code == 0
    assert "engagement_score" in moved.stdout


def test_the_move_is_explained(home: Home) -> None:
    """The same leads are scored higher: it is not the mix."""
    found = explain_move(home)
    assert found.shift > 0.05
    assert all(abs(part.within) > abs(part.mix) for part in found.parts[:5])


def test_before_a_version_answers_there_is_nothing_to_check(tmp_path: Path, database: str) -> None:
    """The sentence says what to do."""
    with pytest.raises(RefusedError, match="leadgate train"):
        run_checks(make_home(tmp_path, database, leads=2_000))


def test_the_worker_checks_three_windows_and_show_keeps_them_apart(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A week as leadgate.yaml says, a day and four weeks; each says what it can see."""
    from leadgate.app.working import work  # noqa: PLC0415

    runs = work(home, once=True)
    assert {run.job: run.result for run in runs if run.result != "ok"} == {"prediction_log": "refused"}
    told = {run.job: str(run.sentence) for run in runs}
    assert all(
        "red" in told[job] and "alerts changed" in told[job] for job in ("checks", "daily_checks", "weekly_checks")
    )
    monkeypatch.setattr("leadgate.app.cli.check.open_home", lambda _: home)
    drift, spans, drifts = ("feature drift", "engagement_score"), {}, {}
    for days in ([], ["--days", "1"], ["--days", "28"]):
        shown = json.loads(CliRunner().invoke(app, ["check", "show", "--json", *days]).stdout)
        spans[tuple(days)] = datetime.fromisoformat(shown["until"]) - datetime.fromisoformat(shown["since"])
        drifts[tuple(days)] = next(f["severity"] for f in shown["findings"] if (f["check"], f["subject"]) == drift)
    assert (drifts[()], drifts["--days", "1"]) == ("red", "unknown")  # a day has too few leads to say
    assert list(spans.values()) == [timedelta(days=7), timedelta(days=1), timedelta(days=28)]
    monkeypatch.setattr("leadgate.app.cli.jobs.open_home", lambda _: home)
    listed = json.loads(CliRunner().invoke(app, ["jobs", "list", "--json"]).stdout)
    assert {job["name"]: job["last"]["result"] for job in listed["jobs"]} == {run.job: run.result for run in runs}


def test_a_baseline_of_another_release_hides_nothing_but_what_rests_on_it(home: Home) -> None:
    """Nothing is said of features and scores, and the service is judged as before; a traceback would judge nothing."""
    with home.connection() as connection:
        connection.execute("UPDATE leadgate.profile_baselines SET payload = 'of the year 2030'")
    found = severities(run_checks(home))
    assert found["baseline", "champion"] == "unknown"
    assert found["freshness", ""] == "green"
    assert not [subject for check, subject in found if check == "feature drift"]
    with pytest.raises(RefusedError, match="cannot read the version's baseline"):
        show(home, version="1", since=None, feature=None)
