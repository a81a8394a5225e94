"""Alerts over HTTP: what the command line does, for those whose key allows it."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from commands import Cli
from leadgate.app.wire import Home


def key(cli: Cli, env: dict[str, str], name: str, *scopes: str) -> dict[str, str]:
    """A new key, as headers."""
    words = [word for scope in scopes for word in ("--scope", scope)]
    found = re.search(r"lg_[\w-]+", cli.ok("keys", "create", "--name", name, *words, env=env))
    assert found is not None
    return {"Authorization": f"Bearer {found.group()}"}


def go_red(database: str) -> None:
    """A check that is out."""
    now = datetime.now(UTC)
    with psycopg.connect(database) as connection:
        connection.execute(
            """
            INSERT INTO leadgate.check_results
                (run_id, model_name, checked_at, window_since, window_until, area, check_name, subject, severity,
                 sentence, weight, details)
            VALUES (gen_random_uuid(), 'lead-scoring', %(now)s, %(since)s, %(now)s, 'model', 'AUC', 'champion', 'red',
                    'it fell', 1, '{}')
            """,
            {"now": now, "since": now - timedelta(days=7)},
        )


def test_an_alert_is_seen_and_taken_into_care_by_those_whose_keys_allow_it(own_workshop: Home) -> None:
    """A reader sees it and may not acknowledge; an operator does, in the key's name; twice is refused."""
    cli, database = Cli(own_workshop.folder), str(own_workshop.settings.database_url)
    env = {"LEADGATE_DATABASE_URL": database}
    go_red(database)
    assert "fire: red, AUC of champion" in cli.ok("alerts", "update", env=env)
    reader, operator = key(cli, env, "reader", "read"), key(cli, env, "night shift", "operate")
    with cli.server("--auth", **env) as client:
        client.timeout = httpx.Timeout(120)
        (alert,) = client.get("/alerts", headers=reader).json()
        path = f"/alerts/{alert['alert_id']}/ack"
        assert (alert["check"], alert["state"]) == ("AUC", "firing")
        assert client.get("/alerts").status_code == 401
        assert client.post(path, json={"comment": "mine"}, headers=reader).status_code == 403
        assert client.post(path, json={}, headers=operator).status_code == 422
        (taken,) = client.post(path, json={"comment": "I look at it"}, headers=operator).json()
        assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "night shift")
        assert client.post(path, json={"comment": "again"}, headers=operator).status_code == 409
        unknown = client.post("/alerts/77/ack", json={"comment": "x"}, headers=operator)
        assert (unknown.status_code, "no alert 77" in unknown.text) == (404, True)
        assert client.get("/alerts", params={"all": "maybe"}, headers=reader).status_code == 422
