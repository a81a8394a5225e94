"""A diagnosis over HTTP: what the command line says, for those whose key may read."""

import re
from collections.abc import Iterator

import httpx
import pytest

from commands import Cli


@pytest.fixture(scope="module")
def project(project_by_commands: Cli) -> Cli:
    """Two versions, which nobody has asked yet."""
    return project_by_commands


def key(cli: Cli, scope: str) -> dict[str, str]:
    """A new key, as headers."""
    found = re.search(r"lg_[\w-]+", cli.ok("keys", "create", "--name", f"who may {scope}", "--scope", scope))
    assert found is not None
    return {"Authorization": f"Bearer {found.group()}"}


@pytest.fixture(scope="module")
def keys(project: Cli) -> dict[str, dict[str, str]]:
    """One who may read, one who may only score."""
    return {scope: key(project, scope) for scope in ("read", "score")}


@pytest.fixture(scope="module")
def client(project: Cli, keys: dict[str, dict[str, str]]) -> Iterator[httpx.Client]:
    """A service that asks for keys."""
    with project.server("--auth") as client:
        client.timeout = httpx.Timeout(120)
        yield client


def test_a_diagnosis_is_given_to_those_who_may_read(
    client: httpx.Client, project: Cli, keys: dict[str, dict[str, str]]
) -> None:
    """The same that the command prints; a key that may only score is turned away, as is nobody's."""
    reader, scorer = keys["read"], keys["score"]
    assert client.get("/diagnosis").status_code == 401
    assert client.get("/diagnosis", headers=scorer).status_code == 403
    answer = client.get("/diagnosis", headers=reader)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said.keys() == project.json("diagnose").keys()
    assert said["cause"] is None
    assert 'not "all is well"' in said["sentence"]
    assert len(said["steps"]) == 7


@pytest.mark.parametrize(
    ("since", "status", "says"),
    (
        ("yesterday", 422, "since is a time"),
        ("2026-13-01", 422, "since is a time"),
        ("", 422, "since is a time"),
        ("0001-01-01T00:00:00+23:00", 422, "beyond the calendar"),
        ("2999-01-01T00:00:00Z", 409, "not in the past"),
        ("1999-01-01T00:00:00Z", 409, "more than 366 days ago"),
        ("0999-01-01T00:00:00", 409, "more than 366 days ago"),
    ),
)
def test_a_time_that_makes_no_sense_is_refused(
    client: httpx.Client, keys: dict[str, dict[str, str]], since: str, status: int, says: str
) -> None:
    """With the sentence that says why."""
    answer = client.get("/diagnosis", params={"since": since}, headers=keys["read"])
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def test_the_command_refuses_the_same(project: Cli) -> None:
    """Exit code 2 and a sentence, never a traceback."""
    assert "not in the past" in project.refusal("diagnose", "--since", "2999-01-01")
    assert "Traceback" not in project.run("diagnose", "--since", "yesterday").stderr
