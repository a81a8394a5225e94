"""A rollout moved over HTTP: what the command line does, for those whose key allows it."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from commands import Cli


@pytest.fixture(scope="module")
def project(project_by_commands: Cli) -> Cli:
    """Version 1 is champion, version 2 another model."""
    return project_by_commands


def key(cli: Cli, name: str, *scopes: str) -> dict[str, str]:
    """A new key, as headers."""
    made = cli.ok("keys", "create", "--name", name, *(word for scope in scopes for word in ("--scope", scope)))
    found = re.search(r"lg_[\w-]+", made)
    assert found is not None
    return {"Authorization": f"Bearer {found.group()}"}


@pytest.fixture(scope="module")
def keys(project: Cli) -> dict[str, dict[str, str]]:
    """One for each thing that can be done."""
    return {
        "reader": key(project, "reader", "read"),
        "operator": key(project, "operator", "operate"),
        "lead": key(project, "ML lead", "approve"),
    }


@pytest.fixture(scope="module")
def client(project: Cli, keys: dict[str, dict[str, str]]) -> Iterator[httpx.Client]:
    """A service that asks for keys."""
    with project.server("--auth") as client:
        client.timeout = httpx.Timeout(120)
        yield client


def post(client: httpx.Client, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
    """Ask for an act."""
    return client.post(f"/rollouts{path}", json=body, headers=headers)


def forking(project: Cli) -> list[psutil.Process]:
    """The process of the service that forks for commands."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any('"forks":true' in word and str(project.folder) in word for word in process.info["cmdline"] or ())
        and (process.parent() or process).cmdline() != process.cmdline()  # a fork looks the same
    ]


def test_a_rollout_is_led_by_those_whose_keys_allow_it(
    client: httpx.Client, project: Cli, keys: dict[str, dict[str, str]]
) -> None:
    """Start, look, sign off, hold at the gates, go back: each with its scope, and the key's name on every act."""
    reader, operator, lead = keys["reader"], keys["operator"], keys["lead"]
    nothing = client.get("/rollouts/current", headers=reader)
    assert (nothing.status_code, "under way" in nothing.json()["detail"]) == (404, True)
    assert post(client, "", reader, version="2").status_code == 403
    assert post(client, "", lead, version="2").status_code == 403
    assert client.get("/rollouts").status_code == 401

    unknown = post(client, "", operator, version="99")
    assert (unknown.status_code, "99" in unknown.json()["detail"]) == (409, True)
    itself = post(client, "", operator, version="1", comment="-x; $(id)")
    assert (itself.status_code, "cannot challenge itself" in itself.json()["detail"]) == (409, True)

    started = post(client, "", operator, version="2", comment="$(touch /tmp/x) `id` --help")
    assert started.status_code == 200, started.text
    assert started.json()["rollout"]["started_by"] == "operator"
    assert started.json()["steps"][0]["comment"] == "$(touch /tmp/x) `id` --help"
    again = post(client, "", operator, version="2")
    assert (again.status_code, "under way" in again.json()["detail"]) == (409, True)

    status = client.get("/rollouts/current", headers=reader).json()
    assert status["state"]["stage"] == "shadow"
    assert {verdict["gate"] for verdict in status["missing"]} >= {"duration", "AUC", "sign-off"}
    assert client.get("/rollouts/current/evidence", headers=reader).json()["verdicts"]

    assert post(client, "/current/approve", operator, comment="fine").status_code == 403
    disguised = post(client, "/current/approve", lead, comment="fine", by="somebody else")
    assert (disguised.status_code, disguised.json()["errors"][0]["path"]) == (422, "$.by")
    signed = post(client, "/current/approve", lead, comment="looked at it")
    assert [s["approved_by"] for s in signed.json()["sign_offs"]] == ["ML lead"]

    held = post(client, "/current/advance", operator)
    assert (held.status_code, "Not every gate" in held.json()["detail"]) == (409, True)
    judged = post(client, "/current/evaluate", operator)
    assert (judged.status_code, judged.json()["decision"]["act"]) == (200, "hold")

    assert post(client, "/current/rollback", operator).status_code == 422  # without a reason
    back = post(client, "/current/rollback", operator, comment="enough")
    assert (back.status_code, back.json()["state"]["stage"]) == (200, "rolled_back")
    assert client.get("/health/ready").json()["challenger"] is None

    (number,) = [each["rollout"]["rollout_id"] for each in client.get("/rollouts", headers=reader).json()]
    told = client.get(f"/rollouts/{number}", headers=reader).json()
    assert [(s["act"], s["acted_by"]) for s in told["steps"]] == [("start", "operator"), ("roll_back", "operator")]
    (judgement,) = told["judgements"]
    path = f"/rollouts/{number}/evidence/{judgement['evidence_id']}"
    assert client.get(path, headers=reader).json()["evidence"]["state"]["stage"] == "shadow"
    assert client.get("/rollouts/7777", headers=reader).status_code == 404
    assert client.get("/rollouts/x", headers=reader).status_code == 422
    (forks,) = forking(project)
    forks.kill()  # whatever it dies of, nobody who acts notices
    closed = post(client, f"/{number}/postmortem", operator, findings="nothing was wrong")
    assert (closed.status_code, closed.json()[0]["closed_by"]) == (200, "operator")
    assert [process.pid != forks.pid for process in forking(project)] == [True]
    actors = {e["act"]: e["actor"] for e in project.json("audit", "list")}
    assert (actors["rollout.approve"], actors["rollout.roll_back"]) == ("ML lead", "operator")
