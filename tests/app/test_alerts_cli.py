"""leadgate alerts: what a person sees, does, and is told where it cannot be done."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
import uuid_utils
from typer.testing import CliRunner

from commands import Cli
from leadgate.app.alerting import update_alerts
from leadgate.app.cli.root import app
from leadgate.app.settings import Settings
from leadgate.app.wire import CONFIG, Home
from leadgate.errors import LeadgateError
from leadgate.storage.postgres.audit import latest_entries
from leadgate.storage.postgres.checks import CheckResult, add_results

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
YAML = """
name: lead-scoring
lead:
  id: lead_id
  target: converted
  features: {size: {type: numeric}}
alerts:
  channels: [ops]
"""
SECRET = "s3cret-token"

Run = Callable[..., Any]


@pytest.fixture
def party() -> Iterator[tuple[str, list[int]]]:
    """A webhook: its URL, and the statuses that it answers with, the last one for ever."""
    answers = [204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"json://user:{SECRET}@127.0.0.1:{server.server_port}/hook", answers
        server.shutdown()


@pytest.fixture
def home(tmp_path: Path, database: str, party: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch) -> Home:
    """A project with one channel, two red alerts and a yellow one."""
    (tmp_path / CONFIG).write_text(YAML)
    monkeypatch.setenv("LEADGATE_ALERT_OPS", party[0])
    made = Home(tmp_path, Settings(database_url=database, author="Ada")).on(lambda: NOW)
    monkeypatch.setattr("leadgate.app.cli.alerts.open_home", lambda _: made)
    found = {"AUC": "red", "error rate": "red", "conversion": "yellow"}
    say(made, found, NOW - timedelta(minutes=30))
    say(made, found, NOW - timedelta(minutes=15))
    update_alerts(made.on(lambda: NOW - timedelta(minutes=15)))
    return made


def say(home: Home, said: Mapping[str, str], at: datetime) -> None:
    """A run of checks."""
    number = str(uuid_utils.uuid7())
    areas = {"AUC": "model", "error rate": "system", "conversion": "business"}
    nothing = dict.fromkeys(("value", "threshold", "low", "high", "level", "sample", "p_value", "family"))
    with home.connection() as connection:
        rows = [
            CheckResult(
                run_id=number,
                model_name="lead-scoring",
                checked_at=at,
                since=at - timedelta(days=7),
                until=at,
                area=areas[check],
                check_name=check,
                subject="",
                severity=severity,
                sentence=f"{check} is out [really]",
                weight=1.0,
                details={},
                **nothing,
            )
            for check, severity in said.items()
        ]
        add_results(connection, rows)


def ok(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(app, ["alerts", *arguments], env={"COLUMNS": "250"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refusal(*arguments: str) -> str:
    """The sentence of a command that must refuse."""
    with pytest.raises(LeadgateError) as caught:
        CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
    return str(caught.value)


def acts(home: Home) -> list[tuple[str, str]]:
    """Acts and subjects of the audit log, the first first."""
    with home.connection() as connection:
        return [(e.act, e.subject) for e in latest_entries(connection)][::-1]


def test_alerts_are_listed(home: Home) -> None:
    """Number, state, severity, since when, who was told, what was found; JSON has all of it."""
    shown = ok("list")
    for part in ("AUC", "error rate", "conversion", "firing", "2026-06-01 11:45", "is out [really]"):
        assert part in shown
    found = json.loads(ok("list", "--json"))
    assert sorted((a["check"], a["severity"], a["state"]) for a in found) == [
        ("AUC", "red", "firing"),
        ("conversion", "yellow", "firing"),
        ("error rate", "red", "firing"),
    ]
    for minutes in (0, 1):
        say(home, {"AUC": "green"}, NOW - timedelta(minutes=10 - minutes))
    update_alerts(home)
    assert "AUC" not in ok("list")
    assert "resolved" in ok("list", "--all")


def test_an_alert_shows_its_history_and_its_messages(home: Home) -> None:
    """From its fire to its acknowledgement, and what was sent of it."""
    assert "delivered" in ok("deliver")
    assert "Ada" in ok("ack", "1", "2", "--comment", "the new server")
    shown = ok("show", "1")
    for part in ("fire", "told to ops", "acknowledge", "the new server", "delivered"):
        assert part in shown
    found = json.loads(ok("show", "1", "--json"))
    assert [h["event"] for h in found["history"]] == ["fire", "told", "acknowledge"]
    assert ("alert.acknowledge", "alert 1") in acts(home)
    assert "acknowledged" in refusal("ack", "1", "--comment", "again")


def test_silences_are_made_listed_and_ended(home: Home) -> None:
    """With an end, a reason and a name; the list of alerts says which are silent."""
    assert "until 2026-06-01 16:00 UTC" in ok("silence", "error *", "--for", "4h", "--reason", "a move")
    assert "until 2026-06-03 00:00 UTC" in ok(
        "silence", "feature drift", "--subject", "size", "--until", "2026-06-03", "--reason", "known"
    )
    assert "silent until 2026-06-01 16:00" in ok("list")
    listed = ok("silences")
    assert "a move" in listed
    assert "Ada" in listed
    ok("unsilence", "1")
    assert [s["silence_id"] for s in json.loads(ok("silences", "--json"))] == [2]
    assert len(json.loads(ok("silences", "--all", "--json"))) == 2
    assert [act for act in acts(home) if "silence" in act[0]] == [
        ("alert.silence", "silence 1"),
        ("alert.silence", "silence 2"),
        ("alert.unsilence", "silence 1"),
    ]


def test_what_has_not_arrived_is_listed_and_tried_again(home: Home, party: tuple[str, list[int]]) -> None:
    """With the last error, and never with the URL's secret."""
    party[1][:] = [500, 500, 500, 204]
    assert "to be tried again" in ok("deliver")
    shown = ok("list", "--undelivered")
    assert "waiting" in shown
    assert "error=500" in shown
    assert SECRET not in shown
    with psycopg.connect(home.database_url) as connection:
        connection.execute("UPDATE leadgate.alert_messages SET state = 'dead', settled_at = written_at")
    assert "leadgate alerts retry" in ok("list", "--undelivered")
    assert ok("retry").count("delivered") == 3
    assert "has arrived" in ok("list", "--undelivered")
    assert "Nothing waits" in ok("retry")
    assert ("alert.retry", "channel any") in acts(home)


def test_a_test_says_of_each_channel_whether_it_was_taken(home: Home, party: tuple[str, list[int]]) -> None:
    """Without secrets; exit code 1 where one was not."""
    shown = ok("test")
    assert "yes" in shown
    assert "json://127.0.0.1:" in shown
    assert "/hook" not in shown
    party[1][:] = [403]
    done = CliRunner().invoke(app, ["alerts", "test", "ops"], env={"COLUMNS": "250"})
    assert done.exit_code == 1
    assert "403" in done.stdout
    assert SECRET not in shown + done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        (("show", "99"), "There is no alert 99; `leadgate alerts list --all`"),
        (("ack", "99", "--comment", "x"), "There is no alert 99"),
        (("ack", "1", "--comment", " "), "a comment that is not empty"),
        (("silence", "AUC", "--until", "2026-05-31", "--reason", "x"), "is over"),
        (("silence", "AUC", "--for", "0h", "--reason", "x"), "is over"),
        (("silence", "AUC", "--for", "soon", "--reason", "x"), "90m, 4h, 2d or 1w"),
        (("silence", "AUC", "--for", "9999999999w", "--reason", "x"), "90m, 4h, 2d or 1w"),
        (("silence", "AUC", "--reason", "x"), "--until TIME or --for SPAN"),
        (("silence", "AUC", "--for", "1h", "--until", "2026-07-01", "--reason", "x"), "--until TIME or --for SPAN"),
        (("silence", "AUC", "--for", "1h", "--reason", ""), "a reason that is not empty"),
        (("unsilence", "99"), "No silence 99 holds"),
        (("test", "pager"), "There is no channel 'pager'; leadgate.yaml has: ops"),
        (("retry", "--channel", "pager"), "There is no channel 'pager'"),
    ),
)
def test_what_cannot_be_done_says_why(home: Home, arguments: tuple[str, ...], said: str) -> None:
    """A sentence for the person who has to act, and nothing has changed."""
    before = acts(home)
    assert said in refusal(*arguments)
    assert acts(home) == before


def test_without_a_channel_the_sentence_says_how(home: Home, tmp_path: Path) -> None:
    """Where to name one, and where its URL goes."""
    (tmp_path / CONFIG).write_text(YAML.replace("[ops]", "[]"))
    home.__dict__.pop("project", None)
    said = refusal("test")
    assert "alerts: channels: [ops]" in said
    assert "LEADGATE_ALERT_OPS=slack://" in said


def test_a_real_command_refuses_in_one_sentence(home: Home, tmp_path: Path, database: str) -> None:
    """Exit code 2, no traceback; a route to a channel that is none is told with its line."""
    cli, env = Cli(tmp_path), {"LEADGATE_DATABASE_URL": database}
    assert cli.refusal("alerts", "show", "99", env=env).startswith("leadgate: There is no alert 99")
    (tmp_path / CONFIG).write_text(YAML + "  routes: {red: [opps]}\n")
    assert "routes.red names 'opps', which is no channel (channels: ops)" in cli.refusal("alerts", "list", env=env)
