"""Alerts on a project that answers leads: real checks, a real webhook, a real rollout."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import _database
from leadgate.alerts.states import Heard, Reading, advance
from leadgate.alerts.updating import alert_of, row_of
from leadgate.app.alerting import deliver_alerts, listed, update_alerts
from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.rollouts import start, told
from leadgate.app.routing import set_route
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.leads.alert_rules import AlertRules
from leadgate.rollout.controller import alive
from leadgate.rollout.moving import Person, carry_out
from leadgate.simulator.world import World
from leadgate.storage.postgres.alerts import AlertRow, add_alert, change_alert, open_alerts
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.routes import present_route
from prepared import copy_of

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Takes everything; gives the URL of a channel to it, and what came."""
    came: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            came.append(msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/hook", came
        server.shutdown()


@pytest.fixture(scope="module")
def played(server: str, made_workshop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two versions, of which the first has answered leads for two days."""
    databases = _database(server, made_workshop.name)
    home = copy_of(made_workshop, tmp_path_factory.mktemp("alerting"), next(databases)).on(SimulatedClock(START))
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="test")
    play(home, World(leads_a_day=150), 2, each_day=lambda _: None, rng=np.random.default_rng(1))
    yield home
    next(databases, None)


@pytest.fixture
def home(played: Home, server: str, webhook: tuple[str, list[dict[str, Any]]]) -> Iterator[Home]:
    """The same, for one test; a channel for everything."""
    source = str(conninfo_to_dict(played.database_url)["dbname"])
    with psycopg.connect(server, autocommit=True) as connection:  # a template has no other connections
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [source])
    databases = _database(server, source)
    settings = Settings(database_url=next(databases), author="tester", alert_channels={"ops": webhook[0]})
    home = Home(played.folder, settings).on(SimulatedClock(played.clock()))
    rule(home, channels=["ops"])
    yield home
    next(databases, None)


def rule(home: Home, **rules: Any) -> None:
    """Other rules of alerts."""
    changed = AlertRules.model_validate({**home.project.alerts.model_dump(), **rules})
    home.__dict__["project"] = home.project.model_copy(update={"alerts": changed})


def later(home: Home, **span: float) -> None:
    """Time passes."""
    assert isinstance(home.clock, SimulatedClock)
    home.clock.now += timedelta(**span)


def answer(home: Home, *, failures: int) -> None:
    """A quarter of an hour in which so many of a thousand requests fail."""
    later(home, minutes=15)
    with home.connection() as connection:
        bad = Measurement(
            model_name=home.project.name,
            service="s",
            worker="0",
            since=home.clock() - timedelta(minutes=15),
            until=home.clock(),
            requests=1_000,
            failures=failures,
            busy_s=1.0,
            peak_memory_bytes=10**8,
            latencies={},
        )
        add_measurement(connection, bad)


def answer_with(home: Home, *acts: str) -> None:
    """Send version 2 on its way, by hand past the gates, which are not what is tested here."""
    start(home, "2", "try it")
    for act in acts:
        later(home, hours=1)
        with home.connection() as connection, connection.transaction():
            history = alive(connection, home.project.name)
            person = Person(name="Ada", at=home.clock(), comment="by hand")
            carry_out(connection, history, act, person, history.state)  # type: ignore[arg-type]


def champion_of(home: Home) -> tuple[str, str | None]:
    """Who answers."""
    with home.connection() as connection:
        route = present_route(connection, home.project.name)
    assert route is not None
    return route.champion, route.challenger


def test_a_red_check_reaches_the_webhook(home: Home, webhook: tuple[str, list[dict[str, Any]]]) -> None:
    """Requests fail, the check sees it, the alert fires, the party is told: and again when it is over."""
    answer(home, failures=300)
    run_checks(home)
    update_alerts(home)
    deliver_alerts(home)
    (body,) = [body for body in webhook[1] if "error rate" in body["title"]]
    assert body["title"] == "lead-scoring: red: error rate"
    assert "300 of " in body["message"]
    assert [item.alert.check for item in listed(home) if item.alert.cause == "service"] == ["error rate"]
    for _ in range(2):
        later(home, hours=25)
        answer(home, failures=0)
        run_checks(home)
        update_alerts(home)
    deliver_alerts(home)
    assert any(body["title"].endswith("resolved: error rate") for body in webhook[1])


@pytest.mark.parametrize("acts", (("advance",), ("advance", "advance"), ("advance", "advance", "advance")))
def test_red_takes_the_challenger_back_once(
    home: Home, webhook: tuple[str, list[dict[str, Any]]], acts: tuple[str, ...]
) -> None:
    """In canary, A/B test and full; four at once move once; people are told, and the comment names the finding."""
    answer_with(home, *acts)
    answer(home, failures=300)
    run_checks(home)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: update_alerts(home).rolled_back, range(4)))
    (why,) = [reason for reason in done if reason is not None]
    assert why.startswith("red: error rate: 300 of ")
    assert champion_of(home) == ("1", None)
    rollout = told(home)
    assert [(s.act, s.acted_by, s.comment) for s in rollout.steps][len(acts) + 1 :] == [
        ("roll_back", "rollout controller", why)
    ]
    assert [p.cause for p in rollout.post_mortems] == [why]
    deliver_alerts(home)
    titles = [body["title"] for body in webhook[1]]
    assert sum(title.startswith("lead-scoring: red: error rate") for title in titles) == 1
    assert titles.count("lead-scoring: rollout roll back (rollout 1)") == 1
    assert update_alerts(home).rolled_back is None


def test_red_leaves_a_challenger_that_is_not_the_cause(home: Home) -> None:
    """A shadow answers nobody, and what was out before it answered is not its doing."""
    answer_with(home)
    answer(home, failures=300)
    run_checks(home)
    assert update_alerts(home).rolled_back is None
    later(home, hours=1)
    with home.connection() as connection, connection.transaction():
        history = alive(connection, home.project.name)
        carry_out(connection, history, "advance", Person(name="Ada", at=home.clock(), comment="go"), history.state)
    answer(home, failures=300)
    run_checks(home)
    assert update_alerts(home).rolled_back is None
    assert champion_of(home) == ("1", "2")


def test_what_eases_while_it_answers_is_not_its_doing(home: Home) -> None:
    """Two red alerts of the service from before the canary that get better in it: no reason to take it back."""
    answer_with(home)
    for check in ("error rate", "latency p99"):
        open_alert(home, check, "")
    later(home, hours=1)
    with home.connection() as connection, connection.transaction():
        history = alive(connection, home.project.name)
        carry_out(connection, history, "advance", Person(name="Ada", at=home.clock(), comment="go"), history.state)
    later(home, hours=1)
    with home.connection() as connection:
        for alert in map(alert_of, open_alerts(connection, home.project.name)):
            better = Heard(
                area=alert.area,
                check=alert.check,
                subject="",
                readings=(Reading(length=604_800.0, said=("yellow", "yellow")),),
                sentence="better",
            )
            eased = advance(alert, better, "ease", alert.cause, home.project.alerts, home.clock())
            change_alert(connection, row_of(eased, home.project.name))
    assert update_alerts(home).rolled_back is None
    assert champion_of(home) == ("1", "2")


def test_red_leaves_it_where_people_want_to_decide(home: Home) -> None:
    """`rollback_on_red: false`."""
    rule(home, rollback_on_red=False)
    answer_with(home, "advance")
    answer(home, failures=300)
    run_checks(home)
    assert update_alerts(home).rolled_back is None
    assert champion_of(home) == ("1", "2")


def open_alert(home: Home, check: str, subject: str, severity: str = "red") -> None:
    """An alert as a run of checks would have left it."""
    now = home.clock()
    row = AlertRow(
        alert_id=0,
        model_name=home.project.name,
        area="scores",
        check_name=check,
        subject=subject,
        cause="scores",
        state="firing",
        severity=severity,
        severity_since=now,
        sentence="moved",
        opened_at=now,
        raised_by=[604_800.0],
        told_severity=None,
        told_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
    )
    with home.connection() as connection:
        add_alert(connection, row)


@pytest.mark.parametrize(
    ("acts", "alerts", "back"),
    (
        (("advance",), [("score drift", "challenger", "red")], True),
        (("advance",), [("score drift", "challenger", "yellow")], False),
        (("advance",), [("score drift", "challenger", "yellow"), ("AUC", "challenger", "yellow")], True),
        (("advance",), [("score drift", "champion", "red")], False),
        (("advance",), [("score drift", "champion", "red"), ("score drift", "challenger", "red")], False),
        (("advance",), [("feature drift", "company_size", "red")], False),
        (("advance",) * 3, [("score drift", "champion", "red")], True),
    ),
)
def test_only_what_it_can_be_the_cause_of_counts(
    home: Home, acts: tuple[str, ...], alerts: list[tuple[str, str, str]], back: bool
) -> None:
    """Its own arm's figures, not what the champion shows too, nor the leads'; in stage full it is the champion."""
    answer_with(home, *acts)
    later(home, hours=1)
    for check, subject, severity in alerts:
        open_alert(home, check, subject, severity)
    assert (update_alerts(home).rolled_back is not None) == back
