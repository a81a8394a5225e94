"""The process of the pages: wires them to a project and listens at a socket in the file system."""

import os
import secrets
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import uvicorn

from leadgate.app.children import fetch
from leadgate.app.settings import Settings, read_settings
from leadgate.app.wire import CONFIG, FEATURES, Home, read_project
from leadgate.leads.project import Project
from leadgate.scoring.desk import Desk
from leadgate.scoring.parent import tell_ready
from leadgate.scoring.plan import ChildPlan, PagesPlan
from leadgate.scoring.server import bind_privately
from leadgate.views.access import ProxyRules
from leadgate.views.doors import Doors
from leadgate.views.site import Site
from leadgate.views.sources import Reader, Sources

_IDLE_S = 60
"""Longer than a worker keeps a connection that it does not use: else it would send into one that is being closed."""


def show_pages(child: ChildPlan, plan: PagesPlan, url: str, clock: Callable[[], datetime]) -> None:
    """Answer what workers pass on, until SIGTERM."""
    home = Home(Path(child.project), read_settings().model_copy(update={"database_url": url}), clock)
    reader = Reader(url)
    site = Site(
        sources_of(home, reader, child.desk), doors_of(home, reader, with_keys=plan.with_keys, local=plan.local)
    )
    config = uvicorn.Config(
        site,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
    )
    with closing(reader), bind_privately(plan.socket) as listener:
        tell_ready(child.ready)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def sources_of(home: Home, reader: Reader, desk: str | None = None) -> Sources:
    """What the pages of a project read; ``desk``: path of the socket at which a process forks for commands."""
    return Sources(
        reader=reader,
        project=_Watched(home.folder).project,
        registry=lambda: home.registry,
        bundles=home.bundles,
        fetch=partial(fetch, home.folder),
        desk=Desk(project=str(home.folder), database_alive=partial(_answers, reader), forks_at=desk),
        clock=home.clock,
        environment=home.settings.environment,
    )


def doors_of(home: Home, reader: Reader, *, with_keys: bool, local: bool) -> Doors:
    """How people come in."""
    settings = home.settings
    header = settings.proxy_user_header
    return Doors(
        reader=reader,
        clock=home.clock,
        with_keys=with_keys,
        local=local,
        secret=_secret(settings, home.state),
        proxy=ProxyRules(
            header=header.lower() if header else None,
            scopes={name: tuple(scopes) for name, scopes in settings.proxy_scopes.items()},
            trusted=tuple(settings.trusted_proxies),
        ),
    )


class _Watched:
    """leadgate.yaml and features.py, read anew when one of them has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: tuple[list[tuple[int, int]], Project] | None = None

    def project(self) -> Project:
        files = (self._folder / CONFIG, self._folder / FEATURES)
        found = [file.stat() for file in files if file.exists()]
        state = [(each.st_mtime_ns, each.st_size) for each in found]
        if self._known is None or self._known[0] != state:
            self._known = (state, read_project(self._folder))
        return self._known[1]


def _secret(settings: Settings, state: Path) -> bytes:
    """What cookies are signed with: the setting, or a file that is made once."""
    if settings.session_secret is not None:
        return settings.session_secret.encode()
    file = state / "session.key"
    with suppress(FileExistsError):
        made = file.with_name(f"session.key.{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(made, file)  # whole, or not at all; the first of several wins
        made.unlink()
    return file.read_bytes()


def _answers(reader: Reader) -> bool:
    try:
        with reader.connection():
            return True
    except Exception:  # noqa: BLE001  # whatever it is, it does not answer
        return False
