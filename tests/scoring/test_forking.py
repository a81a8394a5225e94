"""Commands of a desk come from a fork of one warm process, and keep what new processes promised."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

import leadgate
from labour import patiently, project
from leadgate.app import forking as forks
from leadgate.errors import DatabaseDownError
from leadgate.scoring.commands import run_forked
from leadgate.scoring.contract import BadRequestError, UnseenEndError
from leadgate.scoring.desk import Desk
from leadgate.scoring.forking import Asked

SHIFT = timedelta(days=-30)
FORKS = """
import os, sys
from leadgate.scoring.forking import fork_for_callers
from leadgate.scoring.server import bind_privately

with bind_privately(sys.argv[1]) as listener:
    asked = fork_for_callers(listener, sys.argv[2:])
if asked is not None:
    exec(asked.arguments[0])
"""
"""Forks for callers, whose command is Python."""


@contextmanager
def forking(*command: str, path: Path, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that forks; killed in the end."""
    process = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env}
    )
    try:
        patiently(lambda: process.poll() is not None or path.exists())
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stderr):
            assert stream is not None
            stream.close()


@dataclass
class Warm:
    """A project whose desk has a process that forks, as `leadgate serve` starts it."""

    desk: Desk
    process: "subprocess.Popen[bytes]"
    database: str

    def silence(self, check: str = "AUC", **how: str) -> bytes:
        """An act, by the night shift."""
        asked = self.desk.alerts("silence", check, "--for=2h", "--reason=we know", by="night shift", **how)  # type: ignore[arg-type]  # of strings
        return asyncio.run(asked)

    def rows(self) -> list[tuple[object, ...]]:
        """What it has left."""
        with psycopg.connect(self.database) as connection:
            return connection.execute(
                "SELECT check_pattern, silenced_by, since FROM leadgate.alert_silences ORDER BY silence_id"
            ).fetchall()

    @property
    def forks(self) -> list[psutil.Process]:
        """Processes that mind a command, and commands."""
        return psutil.Process(self.process.pid).children(recursive=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Acts come as far as their row, and wait until the block ends."""
        with psycopg.connect(self.database) as connection:
            connection.execute("LOCK TABLE leadgate.alert_silences IN EXCLUSIVE MODE")
            yield

    async def waits(self) -> None:
        """Until an act has come that far."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            query = (
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'leadgate.alert_silences'::regclass"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            async with asyncio.timeout(60):
                while connection.execute(query).fetchone() == (0,):  # noqa: ASYNC110  # of another process
                    await asyncio.sleep(0.02)


@pytest.fixture
def warm(database: str, tmp_path: Path, socket_path: Path) -> Iterator[Warm]:
    """A project of a database of its own, thirty days ago."""
    home = project(tmp_path, database)
    plan = {"project": str(home.folder), "clock_shift_days": 0, "ready": -1, "spool": "", "desk": str(socket_path)}
    command = ("-m", "leadgate.app.children", json.dumps({**plan, "forks": True}))
    env = {"LEADGATE_DATABASE_URL": database, "LEADGATE_CLOCK_SHIFT_DAYS": str(SHIFT.days)}
    with forking(*command, path=socket_path, **env) as process:
        nowhere = (sys.executable, "-c", "raise SystemExit('called anew')")
        desk = Desk(project=str(home.folder), database_alive=lambda: True, command=nowhere, forks_at=str(socket_path))
        yield Warm(desk, process, database)


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one: about a hundred characters are allowed."""
    return tmp_path_factory.mktemp("s") / "desk"


def test_an_act_has_its_caller_its_clock_and_its_sentence(warm: Warm) -> None:
    """Cold and warm: under the caller's name, in the service's environment, and what is refused says why.

    With the status that was asked for; a database that is away is told apart.
    """
    for check in ("AUC", "coverage"):
        assert json.loads(warm.silence(check))["check"] == check
    assert [row[:2] for row in warm.rows()] == [("AUC", "night shift"), ("coverage", "night shift")]
    for *_, since in warm.rows():
        assert isinstance(since, datetime)
        assert abs(datetime.now(UTC) + SHIFT - since) < timedelta(minutes=5)
    assert len(json.loads(asyncio.run(warm.desk.alerts("silences")))) == 2
    with pytest.raises(BadRequestError, match="no alert 77") as refused:
        asyncio.run(warm.desk.alerts("ack", "77", "--comment=x", by="night shift", if_refused=404))
    assert refused.value.status == 404
    warm.desk.database_alive = lambda: False
    with pytest.raises(DatabaseDownError):
        asyncio.run(warm.desk.ask("approve", "--comment=x"))
    patiently(lambda: not warm.forks)


def test_whoever_dies_an_act_happens_once_or_not_at_all(warm: Warm) -> None:
    """Its caller, who minds it, the process that forked it: each while the act waits for the database."""

    async def begun() -> asyncio.Task[bytes]:
        act = asyncio.create_task(warm.desk.alerts("silence", "AUC", "--for=2h", "--reason=x"))
        await warm.waits()
        return act

    async def run() -> None:
        with warm.held():
            act = await begun()
            act.cancel()
            with suppress(asyncio.CancelledError):
                await act
            assert [p for p in warm.forks if p.status() != psutil.STATUS_ZOMBIE] == []  # it has ended by now
        assert warm.rows() == []

        with warm.held():
            act = await begun()
            psutil.Process(warm.process.pid).children()[0].kill()
            with pytest.raises(UnseenEndError):
                await act  # and it is not asked for again, for it may have happened
        patiently(lambda: len(warm.rows()) == 1)  # as it has here

        with warm.held():
            act = await begun()
            warm.process.kill()
            warm.process.wait()
        assert json.loads(await act)["check"] == "AUC"
        assert len(warm.rows()) == 2
        with pytest.raises(RuntimeError, match="called anew"):  # nobody is there any more
            await warm.desk.alerts("list")

    asyncio.run(run())


def answer(path: Path, source: str) -> str | None:
    """What a fork says that is to run some Python; None where nobody forks."""
    done = asyncio.run(run_forked(str(path), [source], None))
    if done is None:
        return None
    assert done.code == 0, done.complaint
    return done.said.decode()


def test_a_fork_has_nothing_but_its_streams(socket_path: Path) -> None:
    """No socket of the service, none of another caller, no pipe of the supervisor; standard input is empty."""
    source = (
        "import stat; files = [f for f in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{f}')];"
        "print(sorted(files), repr(sys.stdin.read()), [stat.S_ISSOCK(os.stat(int(f)).st_mode) for f in files])"
    )
    with forking("-c", FORKS, str(socket_path), "json", path=socket_path), socket.socket(socket.AF_UNIX) as other:
        patiently(lambda: other.connect_ex(str(socket_path)) == 0)  # it has bound, and is yet to listen
        assert answer(socket_path, source) == "['0', '1', '2'] '' [False, False, False]\n"


def test_only_its_user_reaches_it_and_it_ends_with_its_parent(socket_path: Path) -> None:
    """Who reaches it acts as the service's user, to which the file system is closed for others."""
    with forking("-c", FORKS, str(socket_path), path=socket_path) as process:
        assert socket_path.stat().st_mode & 0o777 == 0o600
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
    assert answer(socket_path, "print(1)") is None


@pytest.mark.parametrize(
    ("source", "says"),
    (
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()", b"a thread"),
        ("raise ImportError('it is broken')", b"it is broken"),
    ),
    ids=("a thread", "an error"),
)
def test_a_module_that_is_not_fit_to_be_forked_ends_it(
    source: str, says: bytes, tmp_path: Path, socket_path: Path
) -> None:
    """A lock that a thread held would never be free in a fork; without the process commands are called anew."""
    (tmp_path / "unfit.py").write_text(source)
    path = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    with forking("-c", FORKS, str(socket_path), "unfit", path=socket_path, **path) as process:
        assert answer(socket_path, "print(1)") == "1\n"  # before anything is imported
        patiently(lambda: answer(socket_path, "print(2)") is None)
        assert process.stderr is not None
        assert says in process.stderr.read()


def test_forks_draw_other_numbers(socket_path: Path) -> None:
    """Ids, salts and file names of two commands must differ, though their memory began as the same."""
    source = "import random, secrets, tempfile, uuid_utils; print(random.random(), secrets.token_hex(8),"
    source += "next(tempfile._get_candidate_names()), uuid_utils.uuid7())"
    with forking("-c", FORKS, str(socket_path), "tempfile", "random", "uuid_utils", path=socket_path):
        said = [answer(socket_path, source) for _ in range(3)]
    columns = zip(*(words.split() for words in said if words), strict=True)
    assert [len(set(column)) for column in columns] == [3, 3, 3, 3]


def test_after_an_upgrade_a_command_is_all_of_the_new_leadgate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory is the old one, and what it imports later would be of the new one."""
    package, called = tmp_path / "__init__.py", []

    def become(_: str, command: list[str]) -> None:
        called.append((command[1:], os.environ["LEADGATE_AUTHOR"]))
        sys.exit(0)

    monkeypatch.setenv("LEADGATE_AUTHOR", "whoever runs the service")
    monkeypatch.setattr(leadgate, "__file__", str(package))
    monkeypatch.setattr(os, "execv", become)
    package.touch()
    in_memory = forks._installed()
    (tmp_path / "new").touch()
    (tmp_path / "new").rename(package)
    with pytest.raises(SystemExit):
        forks._become(Asked(arguments=("rollout", "status"), by="ana"), in_memory)
    assert called == [(["-m", "leadgate", "rollout", "status"], "ana")]
