"""leadgate diagnose, on worlds that are played against the real code."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from click import Context
from psycopg import sql
from typer.main import get_command
from typer.testing import CliRunner

from leadgate.app.cli.root import app
from leadgate.app.diagnosing import diagnose
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.routing import set_route
from leadgate.app.wire import CONFIG, Home
from leadgate.errors import RefusedError
from leadgate.monitoring.causes import CAUSES, Cause
from leadgate.monitoring.watch import gather
from leadgate.simulator.disguise import Disguise
from leadgate.simulator.drift import Drift
from leadgate.simulator.faults import Faults, Slowness
from leadgate.simulator.team import Team
from leadgate.simulator.world import World, WorldState
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from prepared import create_database
from workshop import make_home, train_version

START = datetime(2026, 6, 1, tzinfo=UTC)
TEAM = Team(capacity=200, weekend=0.5, gain=1.0, floor=0.9, fresh_days=3.0)
WORLD = World(leads_a_day=150, season=0.0, team=TEAM)
HEALTHY_DAYS = 36


@pytest.fixture(scope="module")
def healthy(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, WorldState]:
    """Five healthy weeks, and the world at their end."""
    from conftest import _database  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("diagnosis")
    home = make_home(folder, next(_database(server, template)), leads=6_000)
    config = folder / CONFIG
    text = config.read_text().replace("window_days: 60", "window_days: 10")
    config.write_text(text.replace("matured_days: 28", "matured_days: 10"))
    home = Home(folder, home.settings).on(SimulatedClock(START))
    train_version(home)
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="test")
    played = play(home, WORLD, HEALTHY_DAYS, each_day=lambda _: None, rng=np.random.default_rng(1))
    return home, played.state


@pytest.fixture
def copy(server: str, healthy: tuple[Home, WorldState]) -> Iterator[Home]:
    """A copy of the healthy weeks' database, with a clock at their end."""
    home, state = healthy
    url = str(home.settings.database_url)
    source, name = url.split("/")[3].partition("?")[0], f"diagnosis_{np.random.default_rng().integers(10**9)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [source])
        create_database(server, name, source)
        settings = home.settings.model_copy(update={"database_url": url.replace(f"/{source}?", f"/{name}?")})
        yield Home(home.folder, settings).on(SimulatedClock(state.midnight))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def go_on(copy: Home, state: WorldState, days: int, world: World = WORLD, faults: Faults | None = None) -> None:
    """Let some more days pass."""
    rng = np.random.default_rng(2)
    play(copy, world, days, each_day=lambda _: None, rng=rng, faults=faults, begun=state)


def told(home: Home, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, Any]:
    """The exit code, and what --json prints."""
    monkeypatch.setattr("leadgate.app.cli.diagnose.open_home", lambda _: home)
    ran = CliRunner().invoke(app, ["diagnose", "--json", *arguments])
    return ran.exit_code, json.loads(ran.stdout)


def test_nothing_is_named_in_healthy_weeks(healthy: tuple[Home, WorldState], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0, every step looked at, no cause, what could not be checked; JSON and the table say the same."""
    home, _ = healthy
    code, found = told(home, monkeypatch)
    assert (code, found["cause"], found["severity"]) == (0, None, "unknown")
    assert "sales rating" in {unchecked["check"] for unchecked in found["unchecked"]}  # nobody gave one
    assert [step["name"] for step in found["steps"]] == [
        *("system", "model", "drift", "data quality", "business", "integration", "latency"),
    ]
    states = {step["name"]: (step["state"], step["missing"]) for step in found["steps"]}
    assert states.pop("integration") == ("partly", ["sales rating", "usage"])  # nobody said how many are counted on
    assert set(map(str, states.values())) == {"('fine', [])"}
    shown = CliRunner().invoke(app, ["diagnose"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Not known: sales rating, usage" in shown.stdout
    assert "Nothing speaks for a root cause" in shown.stdout


def test_a_service_that_died_yesterday_is_named(
    healthy: tuple[Home, WorldState], copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red, with its evidence, what to do and the command; a person reads the same."""
    _, state = healthy
    go_on(copy, state, 2, faults=Faults(begins=state.midnight + timedelta(hours=20), silent="service"))
    code, found = told(copy, monkeypatch)
    assert code == 20
    assert (found["cause"]["name"], found["cause"]["confidence"]) == ("dead service", "almost certain")
    assert found["cause"]["command"] == "leadgate serve"
    evidence = found["cause"]["speaks_for"][0]["findings"][0]
    assert (evidence["check"], evidence["value"], evidence["threshold"]) == ("uptime", 0.0, 0.999)
    shown = CliRunner().invoke(app, ["diagnose"], env={"COLUMNS": "200"})
    assert shown.exit_code == 20
    for said in ("The service is down (almost certain)", "With: leadgate serve", "the last lead was scored 28.0 h ago"):
        assert said in shown.stdout


def test_drift_is_named_and_the_window_can_be_chosen(
    healthy: tuple[Home, WorldState], copy: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leads become more engaged. Over the weeks before, which hardly saw it, it is not what stands out."""
    _, state = healthy
    go_on(copy, state, 8, replace(WORLD, drift=Drift(day=state.day, engagement=20.0)))
    code, found = told(copy, monkeypatch)
    assert code == 20
    assert found["cause"]["name"] == "data drift"
    assert found["cause"]["command"] == "leadgate profile show --feature engagement_score"
    assert found["steps"][2]["state"] == "out"
    since = state.midnight + timedelta(days=1)
    _, chosen = told(copy, monkeypatch, f"--since={since:%Y-%m-%dT%H:%M:%S}")
    assert chosen["since"] == f"{since:%Y-%m-%dT%H:%M:%S}Z"
    assert chosen["cause"]["name"] == "data drift"


def test_slow_answers_are_taken_apart(healthy: tuple[Home, WorldState], copy: Home) -> None:
    """Only then the tree of a latency spike is walked; workers are idle, so it lies outside."""
    _, state = healthy
    go_on(copy, state, 1, faults=Faults(begins=state.midnight, slow=Slowness(extra_ms=700)))
    found = diagnose(copy)
    assert found.cause is not None
    assert found.cause.name == "slow surroundings"
    assert {f.check for f in found.steps[6].findings} >= {"batch size", "model latency", "worker load", "waiting"}


def test_a_slow_version_is_named_however_short_the_window_is(healthy: tuple[Home, WorldState], copy: Home) -> None:
    """It answers for two days; whoever asks about the last ten hours still learns that it is new, and slow."""
    _, state = healthy
    train_version(copy)
    set_route(copy, stage="full", champion="2", challenger=None, share=0, reason="test")
    slow = Disguise(version="2", slow_ms=700)
    play(copy, WORLD, 2, each_day=lambda _: None, rng=np.random.default_rng(2), challenger=slow, begun=state)
    for hours in (10, 47, 24 * 7):
        found = diagnose(copy, copy.clock() - timedelta(hours=hours))
        assert found.cause is not None
        assert found.cause.name == "slow version", hours


def test_a_promotion_inside_the_window_accuses_nobody(healthy: tuple[Home, WorldState], copy: Home) -> None:
    """A version answers since yesterday: contacts of the week are held against the leads of the week, as logged."""
    _, state = healthy
    train_version(copy)
    set_route(copy, stage="full", champion="2", challenger=None, share=0, reason="test")
    go_on(copy, state, 1)
    now = copy.clock()
    since = now - timedelta(days=copy.project.monitoring.window_days)
    with copy.connection() as connection:
        seen = gather(connection, copy.project, now)
        logged = connection.execute(
            "SELECT priority, count(*) FROM leadgate.prediction_logs WHERE scored_at >= %s GROUP BY 1", [since]
        ).fetchall()
    assert dict(seen.bands) == dict(logged)
    found = {f.check: f for step in diagnose(copy).steps for f in step.findings}
    assert found["contact order"].severity == "green"
    assert found["high priority"].severity == "green"


def test_an_outage_that_is_over_is_not_taken_for_one(healthy: tuple[Home, WorldState], copy: Home) -> None:
    """No report from noon to the evening of the day before; then the service ran again."""
    _, state = healthy
    go_on(copy, state, 1)
    with copy.connection() as connection:
        reports = "UPDATE leadgate.service_measurements SET until = %s WHERE until = %s"
        connection.execute(reports, [copy.clock() - timedelta(hours=12), copy.clock()])
        began = copy.clock() - timedelta(hours=6)
        add_measurement(
            connection,
            Measurement(
                model_name=copy.project.name,
                service="again",
                worker="0",
                since=began,
                until=copy.clock(),
                requests=0,
                failures=0,
                busy_s=0,
                peak_memory_bytes=1,
                latencies={},
            ),
        )
    found = diagnose(copy)
    assert found.cause is not None
    assert found.cause.name == "past outage"
    assert (found.severity, [c.name for c in found.others]) == ("yellow", [])


def test_before_there_is_anything_to_judge(tmp_path: Path, database: str) -> None:
    """No version: the sentence says what to do. A version without a single score: silence is not health."""
    home = make_home(tmp_path, database, leads=2_000)
    with pytest.raises(RefusedError, match="leadgate train"):
        diagnose(home)
    train_version(home)
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="test")
    found = diagnose(home)
    assert found.cause is None
    assert 'not "all is well"' in found.sentence
    assert {step.state for step in found.steps} == {"unknown"}
    assert len(found.unchecked) > 10


def test_a_time_that_is_none_is_refused(healthy: tuple[Home, WorldState]) -> None:
    """The future, the present, and ages ago."""
    home, state = healthy
    for since in (state.midnight, state.midnight + timedelta(days=1)):
        with pytest.raises(RefusedError, match="is not in the past"):
            diagnose(home, since)
    with pytest.raises(RefusedError, match="more than 366 days ago"):
        diagnose(home, state.midnight - timedelta(days=400))


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_what_is_advised_can_be_typed(cause: Cause) -> None:
    """Each command is there, with its options; nobody is sent after one that is not."""
    words = shlex.split(cause.command.format(feature="visits", since="2026-06-01"))[1:]
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, cause.command
        command = command.commands[words.pop(0)]
    command.make_parser(Context(command)).parse_args(words)
