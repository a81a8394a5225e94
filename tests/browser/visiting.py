"""Somebody looks at a page, and everything that goes wrong on it is noted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, ViewportSize

WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
_PATIENCE_MS = 15_000
_AXE = Axe()
_UNFOLD = """
for (const each of document.querySelectorAll("details:not(.figures), figure:first-of-type details")) each.open = true
"""


@dataclass
class Visit:
    """A page in a browser window of its own, without cookies."""

    page: Page
    base: str
    """Where the dashboard is."""
    wrong: list[str] = field(default_factory=list)
    """Errors and warnings of the console, errors of scripts, dialogs, requests that leave the machine."""

    def open(self, path: str) -> None:
        """Go to a page and wait until its scripts have run."""
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.ok, f"{path} is answered with {answer.status}: {self.page.locator('main').inner_text()}"

    def barriers(self) -> list[str]:
        """What axe-core finds serious or critical, with everything unfolded that can be.

        Of the tables behind charts, which are all made alike and are long, the first.
        """
        self.page.evaluate(_UNFOLD)
        found = _AXE.run(self.page).response["violations"]
        return [_told(violation) for violation in found if violation["impact"] in ("serious", "critical")]

    def overhang(self) -> int:
        """Pixels by which the page is wider than its window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide

    def watch(self) -> None:
        """Begin to note."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._sent)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text} ({message.location.get('url')})")

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _sent(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and where.hostname != "127.0.0.1":
            self.wrong.append(f"leaves the machine: {request.url}")


@contextmanager
def visit(browser: Browser, base: str, **settings: Any) -> Iterator[Visit]:
    """A new window; ``settings`` are Playwright's of a context, such as timezone_id."""
    context = browser.new_context(**{"viewport": WIDE, "color_scheme": "light", **settings})
    context.set_default_timeout(_PATIENCE_MS)
    made = Visit(page=context.new_page(), base=base)
    made.watch()
    try:
        yield made
    finally:
        context.close()


def _told(violation: dict[str, Any]) -> str:
    where = "; ".join(f"{' '.join(map(str, node['target']))}: {node['html'][:120]}" for node in violation["nodes"][:4])
    return f"{violation['id']} ({violation['impact']}): {violation['help']}: {where}"
