"""Commands for callers over HTTP wait for each other, but none that acts for one that only looks."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from leadgate.app import diagnosing
from leadgate.app.wire import Home
from leadgate.scoring import desk as desks
from leadgate.scoring.contract import UnseenEndError
from leadgate.scoring.desk import Desk
from leadgate.scoring.refusals import refusal_of
from leadgate.scoring.service import BusyError

COMMAND = """
import pathlib, sys, time, uuid
folder, (noun, *rest) = pathlib.Path(sys.argv[1]), sys.argv[2:]
(folder / f"{noun}-{uuid.uuid4().hex}").write_text(" ".join(rest))
while noun == "diagnose" or rest[:1] == ["evidence"]:
    if (folder / "go").exists():
        break
    time.sleep(0.02)
print(noun, *rest)
"""
"""Leaves a file when it is called; a diagnosis and a look at evidence take until there is a file `go`."""


class Called:
    """A desk whose command can be kept from its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = (sys.executable, "-c", COMMAND, str(folder))
        self.desk = Desk(project="x", database_alive=lambda: True, command=command)

    def calls(self, noun: str) -> int:
        """How often a command was started."""
        return len(list(self.folder.glob(f"{noun}-*")))

    async def started(self, noun: str, times: int = 1) -> None:
        """Wait until it was."""
        async with asyncio.timeout(30):
            while self.calls(noun) < times:  # noqa: ASYNC110  # a file of another process sets no event
                await asyncio.sleep(0.01)

    def let_go(self) -> None:
        """Let everything come to its end."""
        (self.folder / "go").touch()


async def _eight_diagnoses(called: Called) -> None:
    asked = [asyncio.create_task(called.desk.diagnose(f"--since=2026-05-0{day}T00:00:00")) for day in range(1, 9)]
    await called.started("diagnose")
    try:
        async with asyncio.timeout(60):
            assert b"approve" in await called.desk.ask("approve", "--comment=x")
            assert b"ack" in await called.desk.alerts("ack", "1")
            assert b"list" in await called.desk.alerts("list")
            assert b"rollback" in await called.desk.ask("rollback", "--comment=x")
    finally:
        called.let_go()
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, BusyError) for one in found] == [False] * 3 + [True] * 5


async def _eight_looks(called: Called) -> None:
    asked = [asyncio.create_task(called.desk.ask("evidence")) for _ in range(8)]
    await called.started("rollout")
    try:
        async with asyncio.timeout(60):
            assert b"approve" in await called.desk.ask("approve", "--comment=x")
    finally:
        called.let_go()
        assert all(b"evidence" in said for said in await asyncio.gather(*asked))


async def _the_same_question(called: Called) -> None:
    first = asyncio.create_task(called.desk.diagnose("--since=2026-05-01T00:00:00"))
    await called.started("diagnose")
    second = asyncio.create_task(called.desk.diagnose("--since=2026-05-01T00:00:00"))
    third = asyncio.create_task(called.desk.diagnose("--since=2026-05-01T00:00:00"))
    await asyncio.sleep(0)
    first.cancel()  # whoever asked first goes away
    called.let_go()
    assert await second == await third
    assert b"--since=2026-05-01" in await second
    assert called.calls("diagnose") == 1
    await called.desk.diagnose("--since=2026-05-01T00:00:00")
    assert called.calls("diagnose") == 2


@pytest.mark.parametrize("what", (_eight_diagnoses, _eight_looks))
def test_nobody_who_only_reads_keeps_out_who_acts(what: Callable[[Called], Awaitable[None]], tmp_path: Path) -> None:
    """A key that may only read could otherwise keep an approval out for as long as it likes to ask."""

    async def run() -> None:
        await what(Called(tmp_path))

    asyncio.run(run())


def test_who_asks_the_same_shares_a_diagnosis(tmp_path: Path) -> None:
    """A page that ten people have open costs one diagnosis; afterwards it is found out anew."""
    asyncio.run(_the_same_question(Called(tmp_path)))


def test_an_act_whose_end_nobody_saw_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have happened: `extend` twice gives twice the days. So no 503, which clients repeat by themselves."""

    def desk(source: str) -> Desk:
        return Desk(project="x", database_alive=lambda: True, command=(sys.executable, "-c", source))

    with pytest.raises(UnseenEndError):
        asyncio.run(desk("import os; os.kill(os.getpid(), 9)").ask("extend"))
    monkeypatch.setattr(desks, "_LONGEST_S", 0.2)
    endless = desk("import time; time.sleep(60)")
    with pytest.raises(UnseenEndError) as unseen:
        asyncio.run(endless.ask("extend"))
    with pytest.raises(TimeoutError):
        asyncio.run(endless.ask("status"))
    told = refusal_of(unseen.value, route="/rollouts/current/extend", request_id=None, scope={})
    assert (told.status, told.headers) == (500, [])
    assert b"it may have happened or not" in told.body


def test_a_diagnosis_that_was_given_up_does_not_go_on_in_the_database(
    workshop: Home, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL does not notice that a command was ended: its statements end by themselves, before callers give up."""

    def slow(connection: psycopg.Connection[object], *_: object) -> None:
        connection.execute("SELECT pg_sleep(60)")

    settings = workshop.settings.model_copy(update={"database_url": database})
    monkeypatch.setattr(diagnosing, "require_baselines", lambda _: None)
    monkeypatch.setattr(diagnosing, "gather", slow)
    assert diagnosing._STATEMENT_S < desks._LONGEST_S
    monkeypatch.setattr(diagnosing, "_STATEMENT_S", 0.1)
    with pytest.raises(psycopg.errors.QueryCanceled):
        diagnosing.diagnose(Home(workshop.folder, settings))
