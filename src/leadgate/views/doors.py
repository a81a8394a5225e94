"""How people come in: whom a request comes from, logins, cookies."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from leadgate.records import ApiKey
from leadgate.scoring.keys import Keyring, Scope
from leadgate.scoring.passing import PEER
from leadgate.storage.postgres.keys import all_keys
from leadgate.views import access, sessions
from leadgate.views.sources import Reader

COOKIE = "leadgate_session"


class NobodyError(Exception):
    """Nobody is known to be looking: a login is asked for."""


class NotAllowedError(Exception):
    """Somebody may not do this."""

    def __init__(self, sentence: str, status: int = 403) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Doors:
    """The rules of a deployment, and the keys."""

    reader: Reader
    clock: Callable[[], datetime]
    with_keys: bool
    """Whether people log in with a key of the API."""
    local: bool
    """Whether the service listens on this machine alone: then a request has to name it."""
    secret: bytes
    """Signs the cookies."""
    proxy: access.ProxyRules = field(default_factory=access.ProxyRules)

    def viewer(self, request: Request) -> tuple[access.Viewer, str | None]:
        """Who looks, and a cookie that they are to be given where they have none.

        Raises NobodyError, NotAllowedError, DatabaseDownError.
        """
        if self.local and not self.with_keys and not access.is_own_name(request.headers.get("host", "")):
            raise NotAllowedError("This service is for this machine alone: open it as http://127.0.0.1.", 421)
        if self.proxy.header is not None and len(request.headers.getlist(self.proxy.header)) > 1:
            raise NotAllowedError("More than one person is named, and only one can be looking.")
        person = access.person_of(request.headers, peer_of(request), self.proxy)
        if person is None and self.proxy.header is not None and not self.with_keys:
            raise NotAllowedError("The login proxy names nobody; come in through it, and log in there.")
        asked = self.with_keys and person is None
        keys = {key.key_id: key for key in self._keys()} if asked else {}
        now = self.clock()
        session = sessions.read_cookie(request.cookies.get(COOKIE), keys, now=now, secret=self.secret)
        if asked and (session is None or session.key is None):
            raise NobodyError
        cookie = None
        if session is None:
            cookie = sessions.new_cookie(None, nonce=secrets.token_urlsafe(18), now=now, secret=self.secret)
            session = sessions.read_cookie(cookie, {}, now=now, secret=self.secret)
            assert session is not None
        return _viewer(session, person), cookie

    def log_in(self, shown: str) -> str:
        """A cookie for a key that was typed. Raises RefusedCallerError for what is none, or may not read."""
        now = self.clock()
        key = Keyring(self._keys()).admit(b"Bearer " + shown.strip().encode(), "read", now=now, seconds=0.0)
        return sessions.new_cookie(key, nonce=secrets.token_urlsafe(18), now=now, secret=self.secret)

    def require_own_form(self, request: Request, csrf: str, viewer: access.Viewer) -> None:
        """Raise NotAllowedError for a form that was not made here for this viewer."""
        if not access.is_same_origin(request.headers) or not secrets.compare_digest(
            csrf.encode(), viewer.csrf.encode()
        ):
            raise NotAllowedError("This form is too old, or was not made here; go back, load the page anew, try again.")

    def _keys(self) -> list[ApiKey]:
        with self.reader.connection() as connection:
            return all_keys(connection)


def _viewer(session: sessions.Session, person: tuple[str, frozenset[Scope]] | None) -> access.Viewer:
    if person is not None:
        return access.Viewer(name=person[0], scopes=person[1], csrf=session.csrf)
    if session.key is None:
        return access.Viewer(name=None, scopes=access.ALL, csrf=session.csrf)
    allowed = frozenset(scope for scope in access.ALL if scope in session.key.scopes)
    return access.Viewer(name=session.key.name, scopes=allowed, csrf=session.csrf, can_leave=True)


def give_cookie(response: Response, request: Request, cookie: str) -> None:
    """Let the browser keep it: for scripts out of reach, and for no request that another site begins."""
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(sessions.LASTS.total_seconds()),
        path="/",
        secure=request.headers.get("x-forwarded-proto", request.url.scheme) == "https",
        httponly=True,
        samesite="strict",
    )


def peer_of(request: Request) -> str:
    """Who called: at the worker's socket, where it came through one."""
    return request.headers.get(PEER.decode()) or (request.client.host if request.client else "")
