"""A real service writes down what it did, for the gates of a rollout: nobody else can tell them."""

import time
from pathlib import Path

import httpx
import psycopg
import pytest

from commands import Cli
from leadgate.app.wire import open_home
from prepared import copy_by_commands


@pytest.fixture
def project(shared: Path, tmp_path: Path) -> Cli:
    """Version 1 is champion, version 2 its shadow."""
    copy_by_commands(shared, tmp_path)
    return Cli(tmp_path)


def test_requests_to_a_real_service_are_measured(project: Cli) -> None:
    """A route change ends a span of each worker while it serves, a stop the last one; health probes do not count."""
    lead = {"lead_id": "L-1", "features": {"company_size": 120.0}}
    home = open_home(project.folder)
    url = home.database_url  # starts the database, which then outlives the service

    def ask(address: httpx.URL, times: int) -> None:
        for _ in range(times):
            with httpx.Client(base_url=address) as fresh:  # a new connection, for either worker
                assert fresh.post("/predict", json=lead).status_code == 200
                assert fresh.get("/health/ready").status_code == 200

    with project.server("--workers", "2") as client:
        ask(client.base_url, 20)
        assert client.post("/predict/batch", json={"leads": [lead] * 3}).status_code == 200
        project.ok("route", "set", "shadow", "--challenger", "2", "--reason", "test")
        while epochs(client) != {"2"}:
            time.sleep(0.1)
        time.sleep(0.3)  # the span of the route before ends within a tenth of a second
        ask(client.base_url, 30)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT service, worker, requests, failures, busy_s, peak_memory_bytes, shadow_asked, shadow_failed,"
            " since < until FROM leadgate.service_measurements ORDER BY until"
        ).fetchall()
    assert len({row[0] for row in rows}) == 1
    assert {row[1] for row in rows} == {"0", "1"}
    assert sum(row[2] for row in rows) == 51
    assert sum(row[3] for row in rows) == 0
    assert all(row[4] > 0 for row in rows)
    assert all(30e6 < row[5] < 300e6 for row in rows)
    assert (sum(row[6] for row in rows), sum(row[7] for row in rows)) == (30, 0)
    assert all(row[8] for row in rows)
    before = [row for row in rows if not row[6]]
    assert sum(row[2] for row in before) == 21, "what was answered on the route before is in spans of its own"


def epochs(client: httpx.Client) -> set[str]:
    """The epochs that workers have in force."""
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("leadgate_route_epoch{")]
    return {line.rsplit(" ", 1)[1].removesuffix(".0") for line in lines}
