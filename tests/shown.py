"""The dashboard in the test's own process, on a database of the test's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from leadgate.app.settings import Settings
from leadgate.app.showing import sources_of
from leadgate.app.wire import Home
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.desk import Desk
from leadgate.storage.postgres.keys import all_keys
from leadgate.views.access import ProxyRules
from leadgate.views.doors import COOKIE, Doors
from leadgate.views.sessions import read_cookie
from leadgate.views.site import Site
from leadgate.views.sources import Reader, Sources

SECRET = b"signs the cookies of these tests"
PROJECT = """
lead:
  id: lead_id
  target: converted
  features:
    industry: {type: categorical}
    company_size: {type: numeric}
"""


@dataclass
class NotedDesk(Desk):
    """A desk that notes what it is asked for and does nothing of it."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    refusal: str | None = None

    async def ask(self, verb: str, *arguments: str, by: str | None = None, if_refused: int = 409) -> bytes:
        """Note an act of a rollout."""
        return self._note("rollout", verb, arguments, by, if_refused)

    async def alerts(self, verb: str, *arguments: str, by: str | None = None, if_refused: int = 409) -> bytes:
        """Note an act on alerts."""
        return self._note("alerts", verb, arguments, by, if_refused)

    def _note(self, noun: str, verb: str, arguments: tuple[str, ...], by: str | None, status: int) -> bytes:
        if self.refusal is not None:
            raise BadRequestError(self.refusal, status=status)
        self.asked.append((noun, verb, *arguments, f"by={by}"))
        return b"{}"


@dataclass
class Shown:
    """A dashboard."""

    client: TestClient
    desk: NotedDesk
    sources: Sources

    def csrf(self, **headers: str) -> str:
        """What the forms of this viewer show: it is the same on every page."""
        self.client.get("/", headers=headers)
        with self.sources.reader.connection() as connection:
            keys = {key.key_id: key for key in all_keys(connection)}
        cookie = self.client.cookies.get(COOKIE)
        session = read_cookie(cookie, keys, now=self.sources.clock(), secret=SECRET)
        assert session is not None
        return session.csrf

    def page(self, path: str = "/", status: int = 200, **headers: str) -> "Page":
        """Ask for a page."""
        answer = self.client.get(path, headers=headers, follow_redirects=False)
        assert answer.status_code == status, answer.text
        return Page(answer.text)


class Page(HTMLParser):
    """A page as its reader sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._hidden = 0
        self.feed(html)

    @property
    def text(self) -> str:
        """All text, blanks made one."""
        return " ".join(" ".join(self._texts).split())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        """Those of each element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._texts.append(data)


@contextmanager
def shown(
    folder: Path,
    database: str,
    now: datetime,
    *,
    project: str = PROJECT,
    with_keys: bool = False,
    local: bool = True,
    proxy: ProxyRules | None = None,
    host: str = "127.0.0.1:8000",
    clock: Callable[[], datetime] | None = None,
) -> Iterator[Shown]:
    """The dashboard of a project whose time stands still at ``now``; its desk only notes."""
    file = folder / "leadgate.yaml"
    if not file.exists():
        file.write_text(project)
    home = Home(folder, Settings(database_url=database, author="tester"), clock or (lambda: now))
    reader = Reader(database)
    desk = NotedDesk(project=str(folder), database_alive=lambda: True)
    sources = _with(sources_of(home, reader), desk=desk)
    doors = Doors(
        reader=reader,
        clock=home.clock,
        with_keys=with_keys,
        local=local,
        secret=SECRET,
        proxy=proxy or ProxyRules(),
    )
    with TestClient(Site(sources, doors), base_url=f"http://{host}", client=("127.0.0.1", 50_000)) as client:
        try:
            yield Shown(client, desk, sources)
        finally:
            reader.close()


def _with(sources: Sources, **changes: Any) -> Sources:
    return Sources(**{**vars(sources), **changes})
