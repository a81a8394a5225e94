"""Each page in each state, in a real browser."""

import pytest
from dashboards import Show
from playwright.sync_api import Browser
from visiting import PHONE, visit

from leadgate.views.pages import PAGES

pytest_plugins = ("dashboards",)

STATES = ("empty", "healthy", "drifting", "rolled back")
BETWEEN = (("fresh", "/"), ("fresh", "/ui/models"), ("testing", "/"), ("testing", "/ui/rollout"))
"""Before the first lead, and in an A/B test: where that makes a difference."""


@pytest.mark.parametrize(("state", "path"), (*((state, page.path) for state in STATES for page in PAGES), *BETWEEN))
def test_a_page_can_be_used_by_everybody(browser: Browser, show: Show, state: str, path: str) -> None:
    """On a desk in light and on a phone in the dark: it has its heading, keeps nobody out, and nothing goes wrong.

    Nothing wrong: no error in the console (which is where a breach of the content security policy is told), none of a
    script, no request to another machine. Keeps nobody out: axe-core finds nothing serious.
    """
    _, dashboard = show(state)
    with visit(browser, dashboard.base) as visitor:
        visitor.open(path)
        assert visitor.page.locator("h1").count() == 1
        assert visitor.page.locator("h1").inner_text().strip()
        found = {"desk": visitor.barriers()}
        visitor.page.emulate_media(color_scheme="dark")
        visitor.page.set_viewport_size(PHONE)
        found["phone"] = visitor.barriers()
        assert found == {"desk": [], "phone": []}
        assert visitor.overhang() == 0
        assert visitor.wrong == []
