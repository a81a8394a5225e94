"""Who comes in, and what stays text."""

import secrets
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import quote

import pytest
from dashboards import Show
from playwright.sync_api import Browser, expect
from served import Served, served
from states import HOSTILE, HOSTILE_LEAD, SALES, Workbench
from visiting import visit

from leadgate.app.wire import Home
from leadgate.records import ApiKey
from leadgate.scoring.keys import Scope, token_of
from leadgate.storage.postgres.keys import add_key, revoke_key
from leadgate.views.pages import PAGES

pytest_plugins = ("dashboards",)


@pytest.fixture
def home(bench: Workbench) -> Home:
    """A rollout that waits for a sign-off; this test's own."""
    return bench.state("waiting").home


@pytest.fixture
def dashboard(home: Home) -> Iterator[Served]:
    """Its dashboard, which asks for a key."""
    with served(home, with_keys=True) as made:
        yield made


def new_key(home: Home, name: str, *scopes: Scope) -> tuple[str, str]:
    """The number and the text of a key."""
    number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        key_id=number,
        name=name,
        scopes=scopes,
        secret_sha256=sha256(secret.encode()).digest(),
        requests_per_second=None,
        created_at=home.clock(),
        created_by="tester",
        expires_at=None,
        revoked_at=None,
    )
    with home.connection() as connection:
        add_key(connection, key)
    return number, token_of(number, secret)


def test_a_key_opens_the_dashboard_until_it_is_revoked(browser: Browser, home: Home, dashboard: Served) -> None:
    """No page without one; a wrong one says so; a right one leads to the page that was asked for; the way out works."""
    number, key = new_key(home, "ana", "read")
    with visit(browser, dashboard.base) as visitor:
        page = visitor.page
        for each in PAGES:
            page.goto(dashboard.base + each.path)
            expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
            assert page.locator("nav").count() == 0
        page.goto(f"{dashboard.base}/ui/rollout")
        page.get_by_label("API key").fill("lg_" + "a" * 12 + "_" + "b" * 43)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert").filter(visible=True)).to_be_visible()
        assert visitor.barriers() == []
        page.goto(f"{dashboard.base}/ui/rollout")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/ui/rollout")
        expect(page.locator(".viewer")).to_have_text("ana")
        assert page.evaluate("document.cookie") == ""  # no script can read it
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{dashboard.base}/")
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator(".viewer")).to_have_text("ana")
        with home.connection() as connection:
            revoke_key(connection, number, "tester", home.clock())
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_key_that_may_only_look_is_offered_no_act(browser: Browser, home: Home, dashboard: Served) -> None:
    """It is said which scope an act needs; with that scope nobody is asked for a name: the key's counts."""
    keys = {name: new_key(home, name, *scopes)[1] for name, scopes in _SCOPES.items()}
    seen = {}
    for name, key in keys.items():
        with visit(browser, dashboard.base) as visitor:
            visitor.page.goto(f"{dashboard.base}/ui/login?next=/ui/rollout")
            visitor.page.get_by_label("API key").fill(key)
            visitor.page.get_by_role("button", name="Log in").click()
            visitor.page.wait_for_url("**/ui/rollout")
            acts = visitor.page.locator("details.act").evaluate_all("all => all.map(each => each.id)")
            seen[name] = "act-approve" in acts, "act-rollback" in acts
            assert visitor.page.locator("input[name=by]").count() == 0
            assert visitor.wrong == []
    assert seen == {"looks": (False, False), "operates": (False, True), "approves": (True, False)}


_SCOPES: dict[str, tuple[Scope, ...]] = {
    "looks": ("read",),
    "operates": ("read", "operate"),
    "approves": ("read", "approve"),
}


TYPED = {
    "rolled back": (
        ("/ui/rollout", f"{SALES} {HOSTILE}"),
        ("/ui/audit", f"{SALES} {HOSTILE}"),
        (f"/ui/leads?lead={quote(HOSTILE_LEAD)}", HOSTILE_LEAD),
        (f"/ui/leads?lead={quote(HOSTILE)}", HOSTILE),  # no such lead
    ),
    "drifting": (("/ui/alerts", HOSTILE), ("/ui/alerts?alert=1", f"I ask the marketing team {HOSTILE}")),
}
"""Where a page shows what somebody typed."""


@pytest.mark.parametrize("state", tuple(TYPED))
def test_a_script_that_somebody_typed_stays_text(browser: Browser, show: Show, state: str) -> None:
    """In a lead's id, its industry, a name, a comment, an address: it is read, and nothing of it runs or loads."""
    _, dashboard = show(state)
    with visit(browser, dashboard.base) as visitor:
        for path, said in TYPED[state]:
            visitor.open(path)
            expect(visitor.page.locator("main")).to_contain_text(said)
        for path in (*(page.path for page in PAGES), *(path for path, _ in TYPED[state])):
            visitor.open(path)
            assert visitor.page.evaluate("window.taken") is None
            assert visitor.page.locator("img[src=x], script:not([src]):not([type='application/json'])").count() == 0
        assert visitor.wrong == []
