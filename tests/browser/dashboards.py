"""A browser, and dashboards in each state: fixtures of the files that say ``pytest_plugins = ("dashboards",)``."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chromium import HOW_TO_GET_IT, chromium, find_chromium
from playwright.sync_api import Browser
from served import Served, served
from states import State, Workbench

Show = Callable[[str], tuple[State, Served]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; of a file of tests, since no other test could run an event loop while it is open."""
    path = find_chromium()
    if path is None:
        pytest.skip(HOW_TO_GET_IT)
    with chromium(path) as browser:
        yield browser


@pytest.fixture(scope="session")
def bench(server: str, template: str, made_workshop: Path, shared: Path) -> Workbench:
    """Makes states."""
    return Workbench(shared, server, template, made_workshop)


@pytest.fixture(scope="session")
def show(bench: Workbench) -> Iterator[Show]:
    """A state by name and its dashboard, for tests that only look."""
    made: dict[str, tuple[State, Served]] = {}
    with ExitStack() as stack:

        def of(name: str) -> tuple[State, Served]:
            if name not in made:
                state = bench.state(name)
                made[name] = state, stack.enter_context(served(state.home))
            return made[name]

        yield of
