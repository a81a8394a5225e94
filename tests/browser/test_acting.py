"""People act on the pages: from the click to the row in the database."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from served import served
from states import Workbench
from visiting import visit

from leadgate.app.rollouts import evaluate, every_rollout
from leadgate.app.wire import Home
from leadgate.chain import check
from leadgate.records import Route
from leadgate.storage.postgres.audit import chain, latest_entries
from leadgate.storage.postgres.rollouts import sign_offs_of
from leadgate.storage.postgres.routes import present_route

pytest_plugins = ("dashboards",)

ACT_MS = 90_000
"""The longest that an act, which is a command in a process of its own, may take on a machine that is busy."""


@pytest.fixture
def home(bench: Workbench) -> Home:
    """A rollout whose shadow waits for a sign-off; this test's own."""
    return bench.state("waiting").home


@pytest.fixture
def page(browser: Browser, home: Home) -> Iterator[Page]:
    """Its page."""
    with served(home) as dashboard, visit(browser, dashboard.base) as visitor:
        visitor.open("/ui/rollout")
        yield visitor.page
        assert visitor.wrong == []


def route_of(home: Home) -> Route:
    """Who answers now."""
    with home.connection() as connection:
        route = present_route(connection, home.project.name)
    assert route is not None
    return route


def last_entry(home: Home) -> tuple[str, str, str]:
    """Who did what last by the audit log, and the words of it; the log's chain has to be whole."""
    with home.connection() as connection:
        assert check(chain(connection)).broken is None
        entry = latest_entries(connection, most=1)[0]
    return entry.actor, entry.act, str(entry.details)


def act(page: Page, name: str, person: str, reason: str) -> None:
    """What a person does: unfold the act, say who they are and why, confirm."""
    form = page.locator(f"#act-{name}")
    expect(form.locator("form")).to_be_hidden()
    form.locator("summary").click()
    form.get_by_label("Your name").fill(person)
    form.locator("textarea").fill(reason)
    form.locator("button").click(timeout=ACT_MS)
    page.wait_for_url("**/ui/rollout?done=*", timeout=ACT_MS)


def test_a_challenger_is_signed_off_and_taken_back(home: Home, page: Page) -> None:
    """Both steps of each act; the route follows, and the records name the person and the reason.

    The sign-off lets the next evaluation send the challenger on; the way back needs nobody else.
    """
    rollout = every_rollout(home)[0].rollout.rollout_id
    act(page, "approve", "Ada Lovelace", "the shadow ranks as well as the champion")
    expect(page.get_by_role("status").first).to_contain_text("signed off")
    with home.connection() as connection:
        assert sign_offs_of(connection, rollout)[-1].approved_by == "Ada Lovelace"
    actor, what, words = last_entry(home)
    assert (actor, what) == ("Ada Lovelace", "rollout.approve")
    assert "ranks as well" in words
    assert route_of(home).stage == "shadow"

    evaluate(home)  # as the worker does
    assert (route_of(home).stage, route_of(home).challenger) == ("canary", "2")
    page.reload()
    expect(page.locator("body")).to_contain_text("Canary")

    act(page, "rollback", "Grace Hopper", "a customer complained")
    expect(page.get_by_role("status").first).to_contain_text("Rolled back")
    after = route_of(home)
    assert (after.stage, after.champion, after.challenger, after.changed_by) == ("full", "1", None, "Grace Hopper")
    actor, what, words = last_entry(home)
    assert (actor, what) == ("Grace Hopper", "rollout.roll_back")
    assert "a customer complained" in words
    assert every_rollout(home)[0].state.stage == "rolled_back"
    assert page.locator("#act-rollback").count() == 0


def test_an_act_needs_a_name_and_a_reason(home: Home, page: Page) -> None:
    """The browser sends nothing without them; the next person on this machine finds the name filled in, no reason."""
    form = page.locator("#act-approve")
    form.locator("summary").click()
    form.get_by_label("Your name").fill("Ada")
    form.locator("button").click()
    assert page.url.endswith("/ui/rollout")
    assert form.locator("textarea").evaluate("each => each.validity.valueMissing")
    assert last_entry(home)[0] != "Ada"


def test_an_act_is_reached_and_left_by_keyboard(page: Page) -> None:
    """The first tab stop skips the navigation; Enter unfolds an act and folds it again, and the focus stays."""
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    summary = page.locator("#act-approve summary")
    for _ in range(60):
        page.keyboard.press("Tab")
        if summary.evaluate("each => each === document.activeElement"):
            break
    else:
        pytest.fail("no tab stop leads to the act")
    form = page.locator("#act-approve form")
    page.keyboard.press("Enter")
    expect(form).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "by"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(form).to_be_hidden()
    assert summary.evaluate("each => each === document.activeElement")


def focused(page: Page) -> str:
    """Text of what has the focus."""
    text: str = page.evaluate("document.activeElement.textContent")
    return text.strip()
