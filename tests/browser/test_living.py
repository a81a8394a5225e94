"""A page that stays open follows what happens."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from dashboards import Show
from playwright.sync_api import Browser, expect
from served import Served, served
from states import State, Workbench
from visiting import Visit, visit

from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock

pytest_plugins = ("dashboards",)

TURN_MS = 11_000
"""More than pages wait before they ask again."""


@pytest.fixture
def own(bench: Workbench) -> Iterator[tuple[State, Served]]:
    """A healthy project that this test may change, and its dashboard."""
    state = bench.state("healthy")
    with served(state.home) as dashboard:
        yield state, dashboard


@pytest.fixture
def visitor(browser: Browser, own: tuple[State, Served]) -> Iterator[Visit]:
    """Somebody who looks at the overview, whose clock can be put forward."""
    with visit(browser, own[1].base) as visitor:
        visitor.page.clock.install()
        visitor.open("/")
        visitor.page.evaluate("window.still = 'here'")
        yield visitor


def test_what_the_checks_find_appears_by_itself(own: tuple[State, Served], visitor: Visit) -> None:
    """A run of checks after two days without a lead: the page says so without being loaded anew, and announces it."""
    (state, _), page = own, visitor.page
    standing = page.locator("#standing")
    expect(standing).to_contain_text("The scores can be trusted today")
    _later(state, timedelta(days=2))
    run_checks(state.home)
    page.clock.fast_forward(TURN_MS)
    expect(standing).to_contain_text("Do not rely on the scores")
    expect(standing).to_contain_text("freshness")
    expect(page.locator("#updated")).to_contain_text("Updated")
    assert page.evaluate("window.still") == "here"
    assert visitor.wrong == []


def test_checks_that_no_longer_run_are_told_of(own: tuple[State, Served], visitor: Visit) -> None:
    """Figures of yesterday are not shown as today's."""
    (state, _), page = own, visitor.page
    _later(state, timedelta(days=1))
    page.clock.fast_forward(TURN_MS)
    expect(page.locator("#standing")).to_contain_text("Nobody knows at present")
    expect(page.locator("#standing")).to_contain_text("too old")


def test_a_server_that_goes_away_is_told_of_until_it_is_back(own: tuple[State, Served], visitor: Visit) -> None:
    """The page keeps what it shows, says that it may be out of date, and recovers by itself."""
    (_, dashboard), page = own, visitor.page
    expect(page.locator("#lost")).to_be_hidden()
    dashboard.stop()
    page.clock.fast_forward(TURN_MS)
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#lost")).to_contain_text("may be out of date")
    expect(page.locator("#standing")).to_contain_text("The scores can be trusted today")
    dashboard.start()
    page.clock.fast_forward(TURN_MS)
    expect(page.locator("#lost")).to_be_hidden()
    assert page.evaluate("window.still") == "here"
    assert all("ERR_CONNECTION_REFUSED" in each for each in visitor.wrong)


@pytest.mark.parametrize(
    ("zone", "said"), (("America/New_York", "Jun 16, 2026, 8:00 PM"), ("UTC", "Jun 17, 2026, 12:00 AM"))
)
def test_times_are_the_viewer_s(browser: Browser, show: Show, zone: str, said: str) -> None:
    """The last check ran at midnight UTC, which is eight in the evening in New York; both can be seen."""
    _, dashboard = show("healthy")
    with visit(browser, dashboard.base, timezone_id=zone, locale="en-US") as visitor:
        visitor.open("/")
        moment = visitor.page.locator("#standing time")
        expect(moment).to_have_text(said.replace(" PM", "\u202fPM").replace(" AM", "\u202fAM"))
        expect(moment).to_have_attribute("title", "2026-06-17 00:00 UTC")


def test_a_theme_that_was_chosen_holds_on_every_page(browser: Browser, show: Show) -> None:
    """Over the system's own, and after a reload, without a flash of the other: it is set before anything is painted."""
    _, dashboard = show("healthy")
    with visit(browser, dashboard.base, color_scheme="light") as visitor:
        visitor.open("/")
        light = _background(visitor)
        visitor.page.get_by_role("button", name="Dark").click()
        dark = _background(visitor)
        visitor.open("/ui/rollout")
        assert light != dark == _background(visitor)
        expect(visitor.page.get_by_role("button", name="Light")).to_be_visible()


def _background(visitor: Visit) -> str:
    colour: str = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def _later(state: State, span: timedelta) -> None:
    clock = state.home.clock
    assert isinstance(clock, SimulatedClock)
    clock.now += span
