"""One embedded PostgreSQL a run; each test that asks for one gets a database of its own, cloned from a template."""

import os

# Two test processes on two cores: threads of the numeric libraries would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
# Where it is set, as in many images, each of the hundreds of processes to come would compile Leadgate anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Tables are as wide on every machine; Rich takes the width when it is first imported.
os.environ["COLUMNS"] = "250"

import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commands import Cli
from leadgate.app.routing import set_route
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.storage.postgres.migrate import migrate
from prepared import (
    copy_by_commands,
    copy_of,
    create_database,
    folder_of_the_run,
    make_workshop,
    once,
    running,
    start_server,
    stop_embedded,
)
from tally import PROPERTY, Tally, closing_lines

BANK = Path(__file__).parents[1].parent / "shared" / "data" / "bank_marketing.csv"
"""Real leads, for those who have them beside the repository."""

FIRST = ("e2e/test_demo.py", "browser/test_acting.py", "e2e/test_real_leads.py")
"""What one of two test processes begins with while the other makes what all share: else it would wait for that."""
LONG = ("browser", "e2e", "faults", "story", "rollout", "app", "simulator")
"""Folders of tests that take long, the longest first."""

settings.register_profile("leadgate", deadline=None)  # how long a case takes is the machine's affair
settings.load_profile("leadgate")

_numbers = count()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of the run share."""
    return folder_of_the_run(tmp_path_factory)


@pytest.fixture(scope="session")
def server(shared: Path) -> str:
    """URL of the run's own PostgreSQL, stopped when the run ends."""
    return start_server(shared)


@pytest.fixture(scope="session")
def template(server: str, shared: Path) -> str:
    """Name of a database that has been migrated once, to be cloned."""
    with once(shared, "template_migrated") as missing:
        if missing:
            create_database(server, "template_migrated")
            migrate(_url(server, "template_migrated"))
    return "template_migrated"


@pytest.fixture
def empty_database(server: str) -> Iterator[str]:
    """URL of a database without any table."""
    yield from _database(server, "template1")


@pytest.fixture
def database(server: str, template: str) -> Iterator[str]:
    """URL of a migrated database that this test has for itself."""
    yield from _database(server, template)


@pytest.fixture
def bank_file() -> Path:
    """The bank's telephone leads."""
    if not BANK.exists():
        pytest.skip("bank_marketing.csv is not beside the repository (UCI Bank Marketing, see docs/real-data.md)")
    return BANK


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    create_database(server, name, template)
    yield _url(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _url(server: str, name: str) -> str:
    """The same server, another database, as a URL."""
    parts = conninfo_to_dict(server)
    host = str(parts["host"])
    assert make_conninfo(server)
    return f"postgresql://postgres@/{name.strip(chr(34))}?host={host}"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The command line in a new folder that the tests of a file share."""
    return Cli(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def made_workshop(server: str, template: str, shared: Path) -> Path:
    """The folder of a project with two versions, and the name of its database; both are to be copied."""
    folder = shared / "template_workshop"
    with once(shared, folder.name) as missing:
        if missing:
            create_database(server, folder.name, template)
            make_workshop(folder, _url(server, folder.name))
    return folder


@pytest.fixture(scope="session")
def workshop(server: str, made_workshop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A project of 3,000 simulated leads with two versions, for tests that only read: 1 champion, 2 challenger."""
    databases = _database(server, made_workshop.name)
    yield copy_of(made_workshop, tmp_path_factory.mktemp("workshop"), next(databases))
    next(databases, None)


@pytest.fixture
def own_workshop(server: str, made_workshop: Path, tmp_path: Path) -> Iterator[Home]:
    """The same for a test that changes it."""
    databases = _database(server, made_workshop.name)
    yield copy_of(made_workshop, tmp_path, next(databases))
    next(databases, None)


@pytest.fixture(scope="module")
def project_by_commands(shared: Path, cli: Cli) -> Iterator[Cli]:
    """The command line in a project as its user has it: version 1 is champion, version 2 its challenger."""
    copy_by_commands(shared, cli.folder)
    with running(cli.folder):
        yield cli


@pytest.fixture(scope="session")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A project on an embedded PostgreSQL of its own, as a user has it: version 1 answers, version 2 is its shadow."""
    folder = tmp_path_factory.mktemp("home")
    copy_by_commands(shared, folder)
    made = Home(folder, Settings(author="tester"))
    set_route(made, stage="shadow", champion="1", challenger="2", share=0, reason="test")
    yield Home(folder, Settings(author="tester"))
    stop_embedded(made.state / "postgres")


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """What a test of faults has tried."""
    tally = Tally()
    record_property(PROPERTY, tally.counts)
    return tally


def pytest_configure(config: pytest.Config) -> None:
    """Let test processes take files in the order below, and not those of many tests first."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no test process waits for the other at the end."""
    items.sort(key=lambda item: _turn(item.path))


def _turn(file: Path) -> tuple[int, int]:
    first = next((i for i, name in enumerate(FIRST) if file.as_posix().endswith(name)), len(FIRST))
    return first, next((i for i, name in enumerate(LONG) if name in file.parts), len(LONG))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Close a run with what its faults came to."""
    reports = [r for rs in terminalreporter.stats.values() for r in rs if getattr(r, "when", None) == "call"]
    lines = closing_lines(value for r in reports for name, value in r.user_properties if name == PROPERTY)
    if lines:
        terminalreporter.section("nothing lost")
        terminalreporter.write("\n".join([*lines[1:], lines[0], ""]))
