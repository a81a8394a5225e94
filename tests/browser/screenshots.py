"""Makes the pictures of the guide and of the README from the demo's data: ``make screenshots``.

The demo is played in a folder of its own, goes on (see ``afterwards.py``), and is served by ``leadgate serve``; its
pages are then looked at in a Chromium.
"""

import argparse
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from afterwards import Afterwards
from chromium import HOW_TO_GET_IT, chromium, find_chromium
from PIL import Image
from playwright.sync_api import Browser, Page

from commands import Cli
from leadgate.app.demo import play
from leadgate.app.wire import open_home

_LARGEST = 200_000
"""Bytes of a picture."""
_PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture."""

    name: str
    path: str
    of: str | None = None
    """CSS of the part that is shown; None: the page from its top."""
    theme: str = "light"
    width: int = 1280
    height: int = 1000
    """Pixels at most; of a part: all of it."""


HEALTHY = (
    Shot(name="overview-healthy", path="/", height=1600),
    Shot(name="answer-1-service", path="/", of="#card-system"),
    Shot(name="answer-2-model", path="/", of="#card-model"),
    Shot(name="answer-4-shares", path="/ui/rollout", of="#answering"),
    Shot(name="answer-5-gates", path="/ui/rollout", of="#gates"),
    Shot(name="answer-6-worth", path="/ui/rollout", of="#worth"),
    Shot(name="answer-6-worth-known", path="/ui/rollout?rollout=1", of="#worth"),
    Shot(name="rollout", path="/ui/rollout", height=1300),
    Shot(name="rollout-phone", path="/ui/rollout", width=390, height=844),
    Shot(name="models", path="/ui/models"),
)
DRIFTING = (
    Shot(name="overview-drifting", path="/", theme="dark", height=1600),
    Shot(name="answer-3-drift", path="/", of=".stack"),
    Shot(name="drift", path="/ui/drift", height=1200),
    Shot(name="alerts", path="/ui/alerts"),
    Shot(name="lead", path="/ui/leads?lead={lead}", height=1300),
    Shot(name="audit", path="/ui/audit", theme="dark", height=800),
)


def main() -> None:
    """Play, serve, look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the demo; made anew unless --as-it-is")
    parser.add_argument("images", type=Path, help="where the pictures go")
    parser.add_argument("--as-it-is", action="store_true", help="the folder holds a demo that has just been played")
    asked = parser.parse_args()
    path = find_chromium()
    if path is None:
        sys.exit(HOW_TO_GET_IT)
    os.environ["LEADGATE_AUTHOR"] = "Ana (machine learning)"
    if not asked.as_it_is:
        play(asked.folder, 12_000, again=True)
    asked.images.mkdir(parents=True, exist_ok=True)
    after = Afterwards(open_home(asked.folder))
    after.train_anew()
    after.go_well()
    _take(after, path, HEALTHY, asked.images)
    after.drift()
    _take(after, path, DRIFTING, asked.images)


def _take(after: Afterwards, chromium_path: str, shots: tuple[Shot, ...], images: Path) -> None:
    """Serve the project at its time with a worker beside it, and take pictures of its pages."""
    after.check()
    shift = (after.now - datetime.now(UTC)) / timedelta(days=1)
    lead = _some_lead(after)
    settings = {"LEADGATE_CLOCK_SHIFT_DAYS": f"{shift:f}", "LEADGATE_ENVIRONMENT": "production"}
    cli = Cli(after.home.folder)
    with _worker(cli.folder, settings), cli.server(**settings) as client, chromium(chromium_path) as browser:
        _wait_for_registry(client)
        for shot in shots:
            with _page(browser, shot) as page:
                where = f"{str(client.base_url).rstrip('/')}{shot.path.format(lead=lead)}"
                answer = page.goto(where, wait_until="networkidle")
                if answer is None or not answer.ok:
                    sys.exit(f"{shot.path} cannot be shown: {page.locator('main').inner_text()}")
                _write(images / f"{shot.name}.png", _picture(page, shot))


@contextmanager
def _worker(folder: Path, settings: dict[str, str]) -> Iterator[None]:
    """A real ``leadgate worker``."""
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "leadgate", "worker"], cwd=folder, env={**os.environ, **settings}, stderr=log
        )
    yield
    process.terminate()
    process.wait(60)


def _wait_for_registry(client: httpx.Client) -> None:
    """Its first answer takes seconds, and pages do not wait for it."""
    deadline = time.monotonic() + _PATIENCE_S
    while "The registry has not answered yet" in client.get("/ui/models").text and time.monotonic() < deadline:
        time.sleep(0.5)


@contextmanager
def _page(browser: Browser, shot: Shot) -> Iterator[Page]:
    scheme = "dark" if shot.theme == "dark" else "light"
    size = {"width": shot.width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, locale="en-GB", timezone_id="Europe/Berlin")  # type: ignore[arg-type]  # it is that dictionary
    yield context.new_page()
    context.close()


def _picture(page: Page, shot: Shot) -> bytes:
    if shot.of is not None:
        return page.locator(shot.of).screenshot()
    height = min(shot.height, page.evaluate("document.documentElement.scrollHeight"))
    return page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": shot.width, "height": height})


def _write(file: Path, picture: bytes) -> None:
    """A page has few colours: a palette makes a third of it."""
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    size = file.stat().st_size
    sys.stdout.write(f"{file}: {size / 1000:.0f} kB\n")
    if size > _LARGEST:
        sys.exit(f"{file} has {size:,} bytes; {_LARGEST:,} are allowed. Show less of the page.")


def _some_lead(after: Afterwards) -> str:
    """One of the last whose score somebody may ask about."""
    with after.home.connection() as connection:
        row = connection.execute(
            "SELECT lead_id FROM leadgate.prediction_logs WHERE scored_at > %s AND priority = 'high' "
            "ORDER BY abs(predicted_score - 0.83) LIMIT 1",
            [after.now - timedelta(days=1)],
        ).fetchone()
    assert row is not None
    return str(row[0])


if __name__ == "__main__":
    main()
