"""Nothing that was answered is lost: a real service under load whose processes, database and disk are taken away.

Short by default; LEADGATE_SOAK=minutes runs the same for that long, with as many more faults.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import psycopg
import pytest

from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.storage.postgres.migrate import migrate
from leadgate.storage.postgres.server import revive_embedded, start_embedded
from rig import (
    Callers,
    Service,
    Tally,
    account,
    another_drainer,
    answers,
    left_in,
    postgres,
    rounds,
    serving,
    signal_postgres,
    wait_until,
)
from workshop import make_home, simulated_file, train_version

AWKWARD = ("tab\there", "\\N", "\\.", 'quote"', "new\nline", "Å\u2028😀", "x" * 200)
"""Lead ids that a log in text could trip over."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A project on its own embedded PostgreSQL: version 1 answers, version 2 is its shadow."""
    folder = tmp_path_factory.mktemp("hurt")
    url = start_embedded(folder / ".leadgate" / "postgres")
    migrate(url)
    made = make_home(folder, url, leads=2_000)
    for kind in ("logistic_regression", "hist_gradient_boosting"):
        train_version(made, kind)
    from leadgate.app.routing import set_route

    set_route(made, stage="shadow", champion="1", challenger="2", share=0, reason="test")
    yield Home(folder, Settings(author="tester"))
    _back_again(made)
