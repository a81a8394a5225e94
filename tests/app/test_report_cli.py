"""leadgate report, on a world that is played against the real code."""

import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest
from scipy.stats import wasserstein_distance
from typer.testing import CliRunner, Result

from leadgate.app.checking import run_checks
from leadgate.app.cli.root import app
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.reporting import drift_findings, drift_rows
from leadgate.app.routing import set_route
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.snapshots import read_snapshot
from leadgate.simulator.drift import Drift
from leadgate.simulator.world import World
from workshop import make_home, train_version

START = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 14
WORLD = World(leads_a_day=150, drift=Drift(day=7, engagement=25.0))

needs_evidently = pytest.mark.skipif(
    find_spec("evidently") is None and "LEADGATE_EVIDENTLY" not in os.environ,
    reason="Evidently is not here, for it needs an older pandas; `make test-evidently` tries it in its own environment",
)


@pytest.fixture(scope="module")
def home(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two weeks; leads are more engaged in the second."""
    from conftest import _database  # noqa: PLC0415

    home = make_home(tmp_path_factory.mktemp("report"), next(_database(server, template)), leads=4_000)
    home = home.on(SimulatedClock(START))
    train_version(home)
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="test")
    play(home, WORLD, DAYS, each_day=lambda _: None, rng=np.random.default_rng(1))
    return home


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    """The command line, in a folder of its own."""
    monkeypatch.setattr("leadgate.app.cli.report.open_home", lambda _: home)
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    """Runs ``leadgate report drift``."""

    def __call__(self, *arguments: str) -> Result:
        """With arguments."""
        return CliRunner().invoke(app, ["report", "drift", *arguments], env={"COLUMNS": "200"})


def test_our_own_report_says_what_the_checks_say(home: Home, run: Run) -> None:
    """The same findings as a run of checks, of which nothing is written down."""
    found = json.loads(run("--json").stdout)
    with psycopg.connect(home.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM leadgate.check_results").fetchone()
    assert row == (0,)
    expected = [f for f in run_checks(home).findings if f.check == "feature drift"]
    assert [(f["subject"], f["severity"], f["value"]) for f in found["findings"]] == [
        (f.subject, f.severity, f.value) for f in expected
    ]
    assert found["findings"][0]["subject"] == "engagement_score"
    assert "engagement_score" in run().stdout


def test_the_window_can_be_named(home: Home) -> None:
    """Two weeks have twice as many leads as one, and half the drift."""
    week, both = (drift_findings(home, since=START + timedelta(days=days)) for days in (7, 0))
    drift = [next(f for f in found.findings if f.subject == "engagement_score") for found in (week, both)]
    assert drift[0].sample is not None
    assert drift[1].sample is not None
    assert drift[1].sample > 1.7 * drift[0].sample
    assert drift[0].value is not None
    assert drift[1].value is not None
    assert drift[1].value < drift[0].value


def test_the_rows_are_those_of_the_log_and_of_the_training(home: Home) -> None:
    """Whoever rereads them gets each scored lead once, and the champion's own snapshot."""
    rows = drift_rows(home, since=START + timedelta(days=7), most=100_000)
    with psycopg.connect(home.database_url) as connection:
        logged = connection.execute(
            "SELECT features FROM leadgate.prediction_logs WHERE scored_at >= %s", [START + timedelta(days=7)]
        ).fetchall()
    assert rows.answered == rows.current.height == len(logged) > 700
    for name in rows.current.columns:
        given = sorted(str(lead[0][name]) for lead in logged if lead[0].get(name) is not None)
        values = rows.current[name].drop_nulls()
        read = [str(value) for value in values] if values.dtype != pl.Float64 else None
        if read is None:
            assert sorted(values) == sorted(float(value) for value in given)
        else:
            assert sorted(read) == given
    _, leads = read_snapshot(home.snapshots_uri, home.project.lead, rows.snapshot_version)
    assert rows.training.equals(leads.select(rows.training.columns))


def test_of_too_many_leads_an_even_share_is_read(home: Home) -> None:
    """The same ones each time, from the whole window."""
    some, again = (drift_rows(home, since=START, most=300) for _ in range(2))
    assert some.current.equals(again.current)
    assert 220 < some.current.height < 380  # 300 on average, with a deviation of 16
    assert some.answered > 1_500
    everyone = drift_rows(home, since=START, most=100_000).current
    sample, whole = (frame["engagement_score"].to_numpy() for frame in (some.current, everyone))
    assert np.nanmean(sample) == pytest.approx(np.nanmean(whole), abs=0.25 * np.nanstd(whole))


@pytest.mark.skipif(find_spec("evidently") is not None, reason="Evidently is here")
def test_without_evidently_the_sentence_says_how_to_get_it(run: Run) -> None:
    """It is an extra; nothing else is missing."""
    done = run("--with", "evidently")
    assert isinstance(done.exception, RefusedError)
    assert "pip install 'leadgate[evidently]'" in str(done.exception)


def test_an_evidently_that_does_not_fit_is_refused_with_the_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pandas 3 its import fails: a sentence, not a traceback."""
    monkeypatch.setitem(sys.modules, "evidently", None)
    done = run("--with", "evidently")
    assert isinstance(done.exception, RefusedError)
    assert "does not fit" in str(done.exception)


def test_a_window_without_leads_and_an_unknown_tool_are_refused(home: Home, run: Run) -> None:
    """With sentences that say what to do."""
    with pytest.raises(RefusedError, match="earlier --since"):
        drift_rows(home, since=START + timedelta(days=DAYS), most=1_000)
    with pytest.raises(RefusedError, match="not in the past"):
        drift_findings(home, since=START + timedelta(days=DAYS + 1))
    assert "leadgate, evidently" in str(run("--with", "nannyml").exception)


@needs_evidently
def test_evidently_writes_a_page_that_needs_no_network(home: Home, run: Run, tmp_path: Path) -> None:
    """Every script, style and font is in the page; each feature is in it, and so is the one that moved."""
    done = run("--with", "evidently", "--out", "page.html", "--json")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "page.html").read_text()
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=", page)
    assert not re.findall(r"(?:@import|url\()\s*['\"]?https?:", page)
    told = json.loads(done.stdout)
    verdicts = {verdict["feature"]: verdict for verdict in told["verdicts"]}
    assert set(verdicts) == {feature.name for feature in home.project.lead.used}
    assert all(f"{name}" in page for name in verdicts)
    assert verdicts["engagement_score"]["value"] > verdicts["engagement_score"]["threshold"]
    assert told["drifted"] >= 1
    assert told["leads"] == told["answered"] > 700
    assert f"{told['drifted']} of {len(verdicts)} features drifted" in run("--with", "evidently").stdout
    assert (tmp_path / "drift.html").exists()


@needs_evidently
def test_evidently_was_given_the_right_rows(home: Home, run: Run) -> None:
    """Its distance of a numeric feature is scipy's, from the log's own rows and the snapshot's."""
    verdicts = json.loads(run("--with", "evidently", "--json").stdout)["verdicts"]
    with psycopg.connect(home.database_url) as connection:
        logged = connection.execute(
            "SELECT features -> 'engagement_score' FROM leadgate.prediction_logs WHERE scored_at >= %s",
            [START + timedelta(days=7)],
        ).fetchall()
    now = np.array([float(row[0]) for row in logged if row[0] is not None])
    _, leads = read_snapshot(home.snapshots_uri, home.project.lead)
    then = leads["engagement_score"].drop_nulls().to_numpy()
    found = next(verdict for verdict in verdicts if verdict["feature"] == "engagement_score")
    assert "Wasserstein" in found["method"]
    assert found["value"] == pytest.approx(wasserstein_distance(then, now) / then.std(), rel=1e-3)


@needs_evidently
def test_a_file_that_cannot_be_written_is_named(run: Run) -> None:
    """Before anything slow is done."""
    assert "no folder" in str(run("--with", "evidently", "--out", "nowhere/page.html").exception)
