"""``leadgate audit``: what was done is told, verified and handed out."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from leadgate.app.cli.root import app
from leadgate.app.routing import follow_route, promote, roll_back, set_route
from leadgate.app.settings import Settings
from leadgate.app.starting import start_project
from leadgate.app.wire import Home
from leadgate.errors import BadFileError, LeadgateError, RefusedError
from leadgate.storage.postgres.audit import append_entry, chain
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from predicted import prediction
from workshop import make_home, simulated_file

NOW = datetime(2026, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)
AWKWARD = 'a,b";\r\n\n\r=1+1 [bold]\t\x1b[31mü\u2028\U0001f600'
PREDICTION = prediction("a", NOW, model_name="lead-scoring")


@dataclass(frozen=True)
class Project:
    """Runs ``leadgate`` in a project of its own."""

    folder: Path
    database: str

    def run(self, *arguments: str) -> Result:
        """Run a command; raises what it raises."""
        return CliRunner().invoke(app, [*arguments, "--project", str(self.folder)], catch_exceptions=False)

    def say(self, *arguments: str) -> str:
        """What is printed by a command that ends well."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """What is printed with --json."""
        return json.loads(self.say(*arguments, "--json"))

    def append(self, number: int, **given: Any) -> None:
        """An entry like any other."""
        known: dict[str, Any] = {"actor": "anna", "act": "route.set", "subject": "model m", "details": {"n": number}}
        with connect(self.database) as connection:
            append_entry(connection, at=NOW + timedelta(hours=number), **{**known, **given})

    def tamper(self, statement: str) -> None:
        """What a superuser can do who switches the triggers off."""
        with psycopg.connect(self.database) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement.encode())

    def acts(self) -> list[tuple[str, str, str]]:
        """Act, subject and actor of each entry, in order; the chain is whole."""
        assert self.json("audit", "verify")["whole"]
        listed = self.json("audit", "list", "--limit", "1000")
        return [(entry["act"], entry["subject"], entry["actor"]) for entry in reversed(listed)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a leadgate.yaml."""
    folder = tmp_path_factory.mktemp("audit")
    file = simulated_file(folder, 300)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    return folder


@pytest.fixture
def project(folder: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The command, on a database of the test's own."""
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    monkeypatch.setenv("LEADGATE_AUTHOR", "otto")
    monkeypatch.setenv("COLUMNS", "200")
    return Project(folder, database)


def digests_by_hand(rows: list[dict[str, Any]]) -> list[str]:
    """What the help of `audit export` says, done by somebody who does not have this program."""
    made = []
    for row in rows:
        names = ("happened_at", "actor", "act", "subject", "details", "previous_sha256")
        array = ["leadgate.audit.1", int(row["entry"]), *(row[name] for name in names)]
        made.append(sha256(json.dumps(array, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest())
    return made


def test_a_log_is_listed_with_the_newest_first(project: Project) -> None:
    """Who, when, what, on what; and found by each of them."""
    project.append(1)
    project.append(2, act="key.create", subject="key abc", actor="otto")
    entries = project.json("audit", "list")
    assert [(e["entry"], e["actor"], e["act"], e["subject"], e["details"]) for e in entries] == [
        (2, "otto", "key.create", "key abc", {"n": 2}),
        (1, "anna", "route.set", "model m", {"n": 1}),
    ]
    for asked in (
        ("--act", "key"),
        ("--actor", "otto"),
        ("--subject", "key abc"),
        ("--since", "2026-06-01T14:30:15.123456"),
        ("--since", "2026-06-01T16:30:15.123456+02:00"),
        ("--limit", "1"),
    ):
        assert [e["entry"] for e in project.json("audit", "list", *asked)] == [2], asked
    assert [e["entry"] for e in project.json("audit", "list", "--until", "2026-06-01T14:30:15.123456")] == [1]
    told = project.say("audit", "list")
    assert "2026-06-01 14:30:15" in told
    assert "key abc" in told
    assert "No such entry" in project.say("audit", "list", "--act", "rout")


def test_what_an_entry_says_does_nothing_to_a_terminal(project: Project) -> None:
    """Brackets are no markup, and control characters are not passed on."""
    project.append(1, subject=AWKWARD)
    told = project.say("audit", "list")
    assert "[bold]" in told
    assert "\x1b" not in told


def test_a_whole_log_is_verified_and_its_head_is_told(project: Project) -> None:
    """Exit code 0, also for an empty log; the head that is printed is found later, when entries have followed."""
    assert "no entry yet" in project.say("audit", "verify")
    project.append(1)
    head = project.json("audit", "verify")["head"]
    assert head["entry"] == 1
    assert head["sha256"] in project.say("audit", "verify")
    project.append(2)
    found = project.json("audit", "verify", "--head", head["sha256"].upper())
    assert (found["whole"], found["entries"], found["noted"], found["head"]["entry"]) == (True, 2, 1, 2)
    assert "one of entry 1" in project.say("audit", "verify", "--head", head["sha256"])


@pytest.mark.parametrize(
    ("statement", "said"),
    (
        ("UPDATE leadgate.audit_log SET details = '{}' WHERE entry = 2", "Entry 2 was changed"),
        ("DELETE FROM leadgate.audit_log WHERE entry = 2", "Entry 2 is missing"),
        ("DELETE FROM leadgate.audit_log WHERE entry = 3", "its end was cut off"),
    ),
)
def test_a_log_that_is_not_whole_ends_with_1_and_a_sentence(project: Project, statement: str, said: str) -> None:
    """So that a script notices, and a person knows where to look."""
    for number in range(1, 4):
        project.append(number)
    head = project.json("audit", "verify")["head"]["sha256"]
    project.tamper(statement)
    result = project.run("audit", "verify", "--head", head)
    assert result.exit_code == 1
    assert said in result.stderr
    shown = project.run("audit", "verify", "--head", head, "--json")
    assert shown.exit_code == 1
    broken = json.loads(shown.stdout)
    assert (broken["whole"], said in broken["broken"]["sentence"]) == (False, True)


def test_a_trigger_that_is_switched_off_is_noted(project: Project) -> None:
    """The log is whole still, so the exit code is 0; but somebody should ask."""
    project.append(1)
    assert "note:" not in project.run("audit", "verify").stderr
    project.tamper("ALTER TABLE leadgate.audit_log DISABLE TRIGGER ALL")
    result = project.run("audit", "verify")
    assert result.exit_code == 0
    assert "switched off on audit_log" in result.stderr


@pytest.mark.parametrize("suffix", ("jsonl", "csv"))
def test_an_export_is_verified_without_the_database_and_by_anybody(
    project: Project, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `verify --file` where no database is, and with a JSON and a SHA-256 of one's own, as --help says."""
    for number in range(1, 5):
        project.append(number, subject=AWKWARD, details={"text": AWKWARD})
    file = tmp_path / f"log.{suffix}"
    written = project.json("audit", "export", str(file))
    assert (written["entries"], written["head"]) == (4, project.json("audit", "verify")["head"])
    with file.open(encoding="utf-8", newline="") as lines:
        rows: list[dict[str, Any]] = (
            list(csv.DictReader(lines)) if suffix == "csv" else [json.loads(line) for line in lines]
        )
    assert [row["sha256"] for row in rows] == digests_by_hand(rows)
    assert [row["previous_sha256"] for row in rows] == ["0" * 64, *(row["sha256"] for row in rows[:-1])]
    assert json.loads(rows[0]["details"]) == {"text": AWKWARD}
    monkeypatch.setenv("LEADGATE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    head = written["head"]["sha256"]
    assert project.json("audit", "verify", "--file", str(file), "--head", head)["noted"] == 4
    text = file.read_bytes().decode()
    for spoilt, said in (
        (text.replace("anna", "otto", 1), "Entry 1 was changed"),
        ("".join(text.splitlines(keepends=True)[:-1]) if suffix == "jsonl" else None, "noted"),
    ):
        if spoilt is not None:
            bad = tmp_path / f"bad.{suffix}"
            bad.write_bytes(spoilt.encode())
            result = project.run("audit", "verify", "--file", str(bad), "--head", head)
            assert (result.exit_code, said in result.stderr) == (1, True)


def test_a_stretch_is_exported_and_verified_in_itself(project: Project, tmp_path: Path) -> None:
    """It begins where it begins; what is missing inside it shows."""
    for number in range(1, 7):
        project.append(number)
    file = tmp_path / "stretch.jsonl"
    project.say("audit", "export", str(file), "--since", "2026-06-01T14:00", "--until", "2026-06-01T17:00Z")
    found = project.json("audit", "verify", "--file", str(file))
    assert (found["first"], found["head"]["entry"], found["protection"]) == (2, 4, None)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text(lines[0] + lines[2], encoding="utf-8")
    assert project.run("audit", "verify", "--file", str(file)).exit_code == 1


def _write(text: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        file.write_bytes(text.encode("latin-1"))

    return make


@pytest.mark.parametrize(
    ("name", "make", "said"),
    (
        ("log.txt", _write(""), "neither .jsonl nor .csv"),
        ("log.jsonl", lambda file: None, "cannot be read"),
        ("log.jsonl", _write(""), "holds no entry"),
        ("log.jsonl", _write("{}\n"), "line 1"),
        ("log.jsonl", _write('{"entry": "1"}\n'), "line 1"),
        ("log.jsonl", _write("\xfc\n"), "line 1"),
        ("log.csv", _write("entry,actor\n1,anna\n"), "line 2"),
        ("log.csv", _write("\xfc\n\xfc\n"), "UTF-8"),
        ("log.csv", _write('"entry"\n"1" x\n'), "line"),
    ),
)
def test_a_file_that_is_no_export_is_refused(
    project: Project, tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    """In a sentence that names the line."""
    make(tmp_path / name)
    with pytest.raises(BadFileError) as caught:
        project.run("audit", "verify", "--file", str(tmp_path / name))
    assert said in str(caught.value) or (said == "line 1" and "UTF-8" in str(caught.value))


def test_what_makes_no_sense_is_refused_in_a_sentence(project: Project, tmp_path: Path) -> None:
    """And nothing is written, nor left lying about."""
    there = tmp_path / "there.csv"
    there.write_text("kept", encoding="utf-8")
    refusals: tuple[tuple[tuple[str, ...], type[LeadgateError], str], ...] = (
        (("verify", "--head", "abc"), RefusedError, "64 characters"),
        (("list", "--since", "soon"), RefusedError, "--since"),
        (("list", "--until", "99999999999d"), RefusedError, "--until"),
        (("export", str(tmp_path / "log.xlsx")), BadFileError, "neither"),
        (("export", str(there)), RefusedError, "there already"),
        (("export", str(tmp_path / "empty.csv")), RefusedError, "no entry"),
    )
    for arguments, error, said in refusals:
        with pytest.raises(error, match=said):
            project.run("audit", *arguments)
    assert there.read_text(encoding="utf-8") == "kept"
    assert [file.name for file in tmp_path.iterdir()] == ["there.csv"]


# --- the acts that leave an entry


def test_keys_are_written_down_without_their_secret(project: Project) -> None:
    """Made and revoked, each once; a revocation that changes nothing is no act."""
    made = project.json("keys", "create", "--name", "crm", "--scope", "score")
    key, secret = made["key"]["key_id"], made["token"].split("_", 2)[2]
    project.say("keys", "revoke", "crm")
    project.say("keys", "revoke", "crm")
    assert project.acts() == [("key.create", f"key {key}", "otto"), ("key.revoke", f"key {key}", "otto")]
    with connect(project.database) as connection:
        stored = " ".join(entry.details for entry in chain(connection))
    assert "crm" in stored
    assert secret not in stored
    assert sha256(secret.encode()).hexdigest() not in stored


def test_an_act_whose_record_fails_has_not_happened(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key without its entry."""

    def fail(*given: Any, **named: Any) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("leadgate.storage.postgres.audit.append_entry", fail)
        with pytest.raises(ZeroDivisionError):
            project.run("keys", "create", "--name", "crm", "--scope", "score")
    assert project.json("keys", "list") == []
    assert project.acts() == []


def test_imports_are_written_down_once(project: Project, tmp_path: Path) -> None:
    """A file that brings nothing new is no act."""
    leads = project.folder / "leads.csv"
    outcomes = tmp_path / "won.csv"
    outcomes.write_text("lead_id,converted,outcome_at\n1,yes,2026-05-01\n2,no,2026-05-02\n", encoding="utf-8")
    for _ in range(2):
        project.say("data", "import", str(leads))
        project.say("outcomes", "import", str(outcomes))
    assert project.acts() == [("leads.import", "snapshot 0", "otto"), ("outcomes.import", "file won.csv", "otto")]
    last = project.json("audit", "list", "--act", "outcomes")[0]
    assert last["details"] == {"added": 2, "received": 2, "repeated": 0, "unknown_leads": 2}


def test_a_day_that_leaves_the_log_is_written_down(project: Project) -> None:
    """With what went where; a plan is no act, and neither is a run that finds nothing."""
    with connect(project.database) as connection, connection.transaction():
        ensure_partitions(connection, [NOW.date()])
        copy_predictions(connection, [PREDICTION])
    retain = ("logs", "retain", "--days", "3")
    project.say(*retain)
    project.say(*retain, "--yes")
    project.say(*retain, "--yes")
    assert project.acts() == [("log.retain", "day 2026-06-01", "otto")]
    (entry,) = project.json("audit", "list")
    assert entry["details"]["rows"] == 1
    assert entry["details"]["archive"].endswith("prediction_logs")


def test_training_and_routes_are_written_down(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered, put on the route, rolled back, promoted by hand; the aliases in the registry too."""
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    monkeypatch.setenv("LEADGATE_AUTHOR", "otto")
    made = make_home(tmp_path, database, leads=800)
    project = Project(tmp_path, database)
    for kind in ("logistic_regression", "hist_gradient_boosting"):
        project.say("train", "--model", kind)
    home = Home(made.folder, Settings())
    set_route(home, stage="canary", champion=None, challenger="2", share=0.1, reason="try it")
    route = roll_back(home, to=None, reason="enough")
    assert [v.aliases for v in follow_route(home, route)] == [("champion",), ("challenger",)]
    promote(home, "2", "champion")
    promote(home, "2", "champion")
    about = "model lead-scoring"
    assert project.acts() == [
        ("model.register", "lead-scoring version 1", "otto"),
        ("model.register", "lead-scoring version 2", "otto"),
        ("route.first", about, "otto"),
        ("route.set", about, "otto"),
        ("route.roll_back", about, "otto"),
        ("model.promote", about, "otto"),
        ("route.set", about, "otto"),
    ]
    entries = project.json("audit", "list", "--act", "route")
    assert [(e["details"]["epoch"], e["details"]["reason"]) for e in entries[:3]] == [
        (4, "promoted by hand"),
        (3, "enough"),
        (2, "try it"),
    ]
    (aliases,) = project.json("audit", "list", "--act", "model.promote")
    assert aliases["details"]["before"] == {"champion": "1", "challenger": "2"}
    assert aliases["details"]["after"] == {"champion": "2", "challenger": None}
    route = roll_back(home, to=None, reason="back again")
    assert [v.aliases for v in follow_route(home, route)] == [("champion",), ()]
    assert project.acts()[-2:] == [("route.roll_back", about, "otto"), ("model.follow_route", about, "otto")]
