"""The life of a key by the command line, against the keyring that the service uses."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from leadgate.app.cli.keys import app
from leadgate.app.starting import start_project
from leadgate.errors import LeadgateError, NotFoundError, RefusedError
from leadgate.scoring.keys import Keyring, RefusedCallerError, Scope
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.keys import all_keys
from workshop import simulated_file


@dataclass(frozen=True)
class Keys:
    """Runs ``leadgate keys`` in a project of its own."""

    folder: Path
    database: str

    def say(self, *arguments: str) -> str:
        """What is printed; raises what the command raises."""
        result = CliRunner().invoke(app, [*arguments, "--project", str(self.folder)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """What is printed with --json."""
        return json.loads(self.say(*arguments, "--json"))

    def admits(self, token: str, scope: Scope = "score", *, now: datetime | None = None) -> bool:
        """Whether a worker that starts now lets a caller in."""
        with connect(self.database) as connection:
            keyring = Keyring(all_keys(connection))
        try:
            keyring.admit(f"Bearer {token}".encode(), scope, now=now or datetime.now(UTC), seconds=0.0)
        except RefusedCallerError:
            return False
        return True


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a leadgate.yaml."""
    folder = tmp_path_factory.mktemp("keys")
    file = simulated_file(folder, 300)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    return folder


@pytest.fixture
def keys(project: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """The command, on a database of the test's own."""
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    monkeypatch.setenv("LEADGATE_AUTHOR", "anna")
    return Keys(project, database)


def everything_in(database: str) -> str:
    """Every value of every table of ours as text."""
    with psycopg.connect(database) as connection:
        names = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        rows = [
            row[0]
            for name in names
            for row in connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(*name))).fetchall()
        ]
    return "\n".join(rows)


def test_a_key_opens_what_it_was_made_for_until_it_is_revoked(keys: Keys) -> None:
    """Made, used, revoked: the sentence says so, also the second time."""
    made = keys.json("create", "--name", "crm", "--scope", "score", "--scope", "read", "--rate", "100")
    token, key_id = made["token"], made["key"]["key_id"]
    assert keys.admits(token)
    assert keys.admits(token, "read")
    assert not keys.admits(token, "approve")
    assert "is revoked" in keys.say("revoke", "crm")
    assert not keys.admits(token)
    assert "was revoked before" in keys.say("revoke", key_id)


def test_the_key_is_shown_once_and_is_nowhere(keys: Keys) -> None:
    """No listing and no column of any table holds the secret; the table holds its SHA-256 and no other."""
    printed = keys.say("create", "--name", "crm", "--scope", "score")
    (token,) = re.findall(r"^lg_\w+_\S+$", printed, re.MULTILINE)
    secret = token.split("_", 2)[2]
    stored = everything_in(keys.database)
    assert "crm" in stored
    for shape in (secret, secret.encode().hex()):
        assert shape not in stored
    assert sha256(secret.encode()).hexdigest() in stored
    listed = keys.say("list") + keys.say("list", "--json")
    assert secret not in listed
    assert sha256(secret.encode()).hexdigest() not in listed
    assert "sha256" not in listed


def test_a_token_has_the_form_that_was_promised(keys: Keys) -> None:
    """lg, 12 letters or digits of base32, and 256 bits of secret; no two alike."""
    tokens = [keys.json("create", "--name", "crm", "--scope", "score")["token"] for _ in range(5)]
    for token in tokens:
        assert re.fullmatch(r"lg_[a-z2-7]{12}_[A-Za-z0-9_-]{43}", token)
    assert len({token.split("_")[1] for token in tokens}) == len({token.split("_", 2)[2] for token in tokens}) == 5


def test_the_list_tells_who_may_do_what(keys: Keys) -> None:
    """Also who made a key, when it ends, and that it has ended."""
    keys.say("create", "--name", "crm", "--scope", "score", "--rate", "12.5", "--expires", "90d")
    keys.say("create", "--name", "old", "--scope", "read")
    keys.say("revoke", "old")
    crm, old = keys.json("list")
    assert (crm["name"], crm["scopes"], crm["requests_per_second"], crm["created_by"]) == (
        "crm",
        ["score"],
        12.5,
        "anna",
    )
    lasts = datetime.fromisoformat(crm["expires_at"]) - datetime.fromisoformat(crm["created_at"])
    assert lasts == timedelta(days=90)
    assert crm["revoked_at"] is None
    assert old["revoked_at"] is not None
    assert "in force" in keys.say("list")


def test_a_key_can_be_made_to_end(keys: Keys) -> None:
    """At the time that was given, in UTC where no zone was named."""
    token = keys.json("create", "--name", "crm", "--scope", "score", "--expires", "2099-01-31T12:00")["token"]
    end = datetime(2099, 1, 31, 12, tzinfo=UTC)
    assert keys.admits(token, now=end - timedelta(microseconds=1))
    assert not keys.admits(token, now=end)


def test_a_name_that_two_keys_have_is_not_enough(keys: Keys) -> None:
    """Nothing is revoked, and the ids are named; with one of them revoked the name is enough again."""
    first, second = (keys.json("create", "--name", "crm", "--scope", "score") for _ in range(2))
    with pytest.raises(RefusedError) as caught:
        keys.say("revoke", "crm")
    assert first["key"]["key_id"] in str(caught.value)
    assert second["key"]["key_id"] in str(caught.value)
    assert keys.admits(first["token"])
    assert keys.admits(second["token"])
    keys.say("revoke", first["key"]["key_id"])
    keys.say("revoke", "crm")
    assert not keys.admits(second["token"])


def test_a_key_that_leaked_can_be_revoked_by_itself(keys: Keys) -> None:
    """Who finds a key in a log need not look up its id; and no error repeats it."""
    token = keys.json("create", "--name", "crm", "--scope", "score")["token"]
    secret = token.split("_", 2)[2].lstrip("-")  # one in 64 begins with it, which alone would be an option
    assert secret not in keys.say("revoke", token)
    assert not keys.admits(token)
    for shown in (f"lg_aaaaaaaaaaaa_{secret}", secret, f"Bearer {token}"):
        with pytest.raises(NotFoundError) as caught:
            keys.say("revoke", shown)
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    (
        (
            ("create", "--name", "x", "--scope", "everything"),
            RefusedError,
            "score, events, outcomes, read, operate, approve",
        ),
        (("create", "--name", "x", "--scope", "score", "--rate", "0"), RefusedError, "above 0"),
        (("create", "--name", "x", "--scope", "score", "--rate", "nan"), RefusedError, "above 0"),
        (("create", "--name", "x", "--scope", "score", "--expires", "soon"), RefusedError, "90d"),
        (("create", "--name", "x", "--scope", "score", "--expires", "99999999999d"), RefusedError, "90d"),
        (("create", "--name", "x", "--scope", "score", "--expires", "2001-01-01"), RefusedError, "past"),
        (("create", "--name", "x", "--scope", "score", "--expires", "0d"), RefusedError, "past"),
        (("create", "--name", " ", "--scope", "score"), RefusedError, "printable"),
        (("create", "--name", "a\x1b[31m", "--scope", "score"), RefusedError, "printable"),
        (("revoke", "nobody"), NotFoundError, "leadgate keys list"),
    ),
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    keys: Keys, arguments: tuple[str, ...], error: type[LeadgateError], said: str
) -> None:
    """And nothing is kept."""
    with pytest.raises(error) as caught:
        keys.say(*arguments)
    assert said in str(caught.value)
    assert keys.json("list") == []


def test_a_key_needs_a_scope(keys: Keys) -> None:
    """A key that allows nothing is a mistake."""
    result = CliRunner().invoke(app, ["create", "--name", "x", "--project", str(keys.folder)])
    assert result.exit_code == 2


def test_a_name_is_printed_as_it_is(keys: Keys) -> None:
    """Square brackets are no markup."""
    assert "[bold]crm" in keys.say("create", "--name", "[bold]crm", "--scope", "score")
