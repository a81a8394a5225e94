"""The Chromium that the pages are tried in: one that is installed; Playwright brings none here."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
HOW_TO_GET_IT = (
    "no Chromium: install one (apt-get install chromium) or name one (CHROMIUM=/path/to/chrome), and the pages are "
    "tried in it too"
)
_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # It would ask its maker for news; nothing here may leave the machine.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Path of a Chromium; CHROMIUM names it where there are several. None without one."""
    named = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in ((named,) if named else (*NAMES, _MAC)))
    return next((path for path in found if path), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A browser without a window.

    While it is open, this thread can run no event loop of its own.
    """
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    flags = [*_FLAGS, *(["--no-sandbox"] if root else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(Path(path)), args=flags)
        yield browser
        browser.close()
