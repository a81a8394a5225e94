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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a Chromium nothing is made for these tests; a skip from here is told once for all of them."""
    if isinstance(item, pytest.Function) and "browser" in item.fixturenames and find_chromium() is None:
        pytest.skip(HOW_TO_GET_IT)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """An installed Chromium."""
    path = find_chromium()
    assert path is not None  # or the test is skipped
    return path


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A browser; of a file of tests, since no other test could run an event loop while it is open."""
    with chromium(chromium_path) as browser:
        yield browser


@pytest.fixture(scope="session")
def bench(shared: Path, server: str, template: str, made_workshop: Path) -> Workbench:
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
