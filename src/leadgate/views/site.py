"""The dashboard: an ASGI application of its own, in a process of its own; see ``scoring/passing.py``.

One request: 1. who looks (``access.py``, ``sessions.py``); 2. read what the page shows, in a thread; 3. render it. An
act goes to the desk as the command that an operator would type, under the viewer's name.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from leadgate.errors import DatabaseDownError, LeadgateError
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.keys import Keyring, RefusedCallerError
from leadgate.scoring.passing import PEER
from leadgate.scoring.service import BusyError
from leadgate.storage.postgres.keys import all_keys
from leadgate.views import access, sessions
from leadgate.views.acts import ACTS, Act, BadFormError, command_of, typed
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.pages import PAGES, Page
from leadgate.views.rendering import STATIC, make_environment
from leadgate.views.sources import Sources

COOKIE = "leadgate_session"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_YEAR = "public, max-age=31536000, immutable"
_LONGEST_FORM = 64 * 1024

_NO_READ = "Your login does not allow to look at the dashboard; it needs the scope read."

log = logging.getLogger("leadgate.pages")


@dataclass(frozen=True, kw_only=True)
class Doors:
    """How people come in."""

    with_keys: bool
    """Whether they log in with a key of the API."""
    local: bool
    """Whether the service listens on this machine alone: then a request has to name it."""
    secret: bytes
    """Signs the cookies."""
    proxy: access.ProxyRules = field(default_factory=access.ProxyRules)


class _LoginError(Exception):
    """Nobody is known to be looking."""


class _RefusedError(Exception):
    """Somebody may not do this."""

    def __init__(self, sentence: str, status: int = 403) -> None:
        super().__init__(sentence)
        self.status = status


class Site:
    """The application."""

    def __init__(self, sources: Sources, doors: Doors) -> None:
        self._sources = sources
        self._doors = doors
        self._templates = make_environment()
        self._app = Starlette(
            routes=[
                *(Route(page.path, self._shown(page), methods=["GET"], name=page.name) for page in PAGES),
                Route("/ui/login", self._login, methods=["GET", "POST"]),
                Route("/ui/logout", self._logout, methods=["POST"]),
                Route("/ui/act/{name}", self._act, methods=["POST"]),
                Mount("/ui/static", StaticFiles(directory=str(STATIC))),
            ],
            exception_handlers={404: self._nothing, 405: self._nothing},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, _dressed(scope, send))

    def _shown(self, page: Page) -> Callable[[Request], Any]:
        async def show(request: Request) -> Response:
            return await anyio.to_thread.run_sync(self._show, page, request)

        return show

    def _show(self, page: Page, request: Request, said: Mapping[str, str] | None = None, status: int = 200) -> Response:
        """Read and render a page. ``said``: what an act that was refused came to."""
        try:
            viewer, cookie = self._viewer(request)
            if not viewer.may("read"):
                raise _RefusedError(_NO_READ)  # noqa: TRY301  # told below
            ask = Ask(path=page.path, query=dict(request.query_params), viewer=viewer, now=self._sources.clock())
            facts = page.gather(self._sources, ask)
            known = ACTS.get(ask.text("done"))
            said = said or ({"good": known.done} if known else {})
            html = self._render(f"{page.name}.html", page=facts, ask=ask, viewer=viewer, said=said, current=page.name)
        except Exception as error:  # noqa: BLE001  # whatever it is, the viewer gets a page and the log a line
            return self._refused(error, request)
        response = self._answer(html, request, status)
        if cookie is not None:
            self._give(response, request, cookie)
        return response

    async def _act(self, request: Request) -> Response:
        act = ACTS.get(request.path_params["name"])
        if act is None:
            return self._nothing(request, None)
        try:
            form = await _form(request)
            viewer, _ = await anyio.to_thread.run_sync(self._viewer, request)
            self._admit(act, request, viewer, form)
            by = viewer.name or typed(form, "by")
            if not by:
                raise BadFormError("Say who you are: every act is kept with a name.")  # noqa: TRY301  # told below
            command = command_of(act, form)
            ask = self._sources.desk.ask if act.noun == "rollout" else self._sources.desk.alerts
            await ask(act.verb, *command, by=by)
        except (BadFormError, BadRequestError, BusyError, TimeoutError) as error:
            return await self._back(act, request, error)
        except Exception as error:  # noqa: BLE001  # as above
            return self._refused(error, request)
        return RedirectResponse(f"{act.back}?{urlencode({'done': act.name})}", status_code=303)

    async def _back(self, act: Act, request: Request, error: Exception) -> Response:
        """The page again, with the reason why nothing happened."""
        bad = isinstance(error, BadFormError)
        sentence = {BusyError: "Others are acting at this moment; try again.", TimeoutError: "That took too long."}.get(
            type(error), getattr(error, "detail", str(error))
        )
        page = next(page for page in PAGES if page.path == act.back)
        said = {"bad": f"Nothing was changed. {sentence}"}
        return await anyio.to_thread.run_sync(self._show, page, request, said, 422 if bad else 409)

    def _admit(self, act: Act, request: Request, viewer: access.Viewer, form: Mapping[str, str]) -> None:
        """Raise _RefusedError for a form that is not ours, and for somebody who may not."""
        shown = form.get("csrf", "")
        if not access.is_same_origin(request.headers) or not secrets.compare_digest(
            shown.encode(), viewer.csrf.encode()
        ):
            raise _RefusedError("This form is too old, or was not made here; go back, load the page anew, try again.")
        if not viewer.may(act.scope):
            raise _RefusedError(f"Your login does not allow this; it needs the scope {act.scope}.")

    async def _login(self, request: Request) -> Response:
        if not self._doors.with_keys:
            return RedirectResponse("/", status_code=303)
        if request.method == "GET":
            return self._ask_in(request, "")
        try:
            form = await _form(request)
            if not access.is_same_origin(request.headers):
                raise _RefusedError("This form was not made here.")  # noqa: TRY301  # told below
            cookie = await anyio.to_thread.run_sync(self._new_cookie, form.get("key", ""))
        except RefusedCallerError as error:
            log.warning("login refused", extra={"peer": _peer(request), "key_id": error.key_id})
            return self._ask_in(request, error.detail, 403)
        except Exception as error:  # noqa: BLE001  # as above
            return self._refused(error, request)
        response = RedirectResponse(_inside(form.get("next", "/")), status_code=303)
        self._give(response, request, cookie)
        return response

    async def _logout(self, request: Request) -> Response:
        if not access.is_same_origin(request.headers):
            return self._refused(_RefusedError("This form was not made here."), request)
        response = RedirectResponse("/ui/login", status_code=303)
        response.delete_cookie(COOKIE, path="/")
        return response

    def _new_cookie(self, shown: str) -> str:
        """Raises RefusedCallerError for what is no key, or one that may not read."""
        with self._sources.reader.connection() as connection:
            keys = all_keys(connection)
        now = self._sources.clock()
        key = Keyring(keys).admit(b"Bearer " + shown.strip().encode(), "read", now=now, seconds=0.0)
        return sessions.new_cookie(key, nonce=secrets.token_urlsafe(18), now=now, secret=self._doors.secret)

    def _viewer(self, request: Request) -> tuple[access.Viewer, str | None]:
        """Who looks, and a cookie that they are to be given. Raises _LoginError, _RefusedError, DatabaseDownError."""
        doors, now = self._doors, self._sources.clock()
        if doors.local and not doors.with_keys and not access.is_own_name(request.headers.get("host", "")):
            raise _RefusedError("This service is for this machine alone: open it as http://127.0.0.1.", 421)
        person = access.person_of(request.headers, _peer(request), doors.proxy)
        asked = doors.with_keys and person is None
        keys = {}
        if asked:
            with self._sources.reader.connection() as connection:
                keys = {key.key_id: key for key in all_keys(connection)}
        shown = request.cookies.get(COOKIE)
        session = sessions.read_cookie(shown, keys, now=now, secret=doors.secret)
        cookie = None
        if asked and (session is None or session.key is None):
            raise _LoginError
        if session is None:
            cookie = sessions.new_cookie(None, nonce=secrets.token_urlsafe(18), now=now, secret=doors.secret)
            session = sessions.read_cookie(cookie, {}, now=now, secret=doors.secret)
            assert session is not None
        if person is not None:
            return access.Viewer(name=person[0], scopes=person[1], csrf=session.csrf), cookie
        if session.key is not None:
            allowed = frozenset(s for s in access.ALL if s in session.key.scopes)
            return access.Viewer(name=session.key.name, scopes=allowed, csrf=session.csrf, can_leave=True), None
        return access.Viewer(name=None, scopes=access.ALL, csrf=session.csrf), cookie

    def _give(self, response: Response, request: Request, cookie: str) -> None:
        proto = request.headers.get("x-forwarded-proto", request.url.scheme)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(sessions.LASTS.total_seconds()),
            path="/",
            secure=proto == "https",
            httponly=True,
            samesite="strict",
        )

    def _answer(self, html: str, request: Request, status: int = 200) -> Response:
        """The page; to a browser that has it already, only that."""
        tag = f'"{sha256(html.encode()).hexdigest()[:20]}"'
        if status == 200 and request.headers.get("if-none-match") == tag:  # noqa: PLR2004
            return Response(status_code=304, headers={"etag": tag})
        return Response(html, status, {"etag": tag}, media_type="text/html")

    def _ask_in(self, request: Request, wrong: str, status: int = 200) -> Response:
        html = self._render("login.html", wrong=wrong, next=_inside(request.query_params.get("next", "/")))
        return Response(html, status, media_type="text/html")

    def _nothing(self, request: Request, _: Exception | None) -> Response:
        sentence = f"There is no page {request.url.path}; the links above lead to those that there are."
        return self._trouble(sentence, "Not here", 404)

    def _refused(self, error: Exception, request: Request) -> Response:
        """The page of an error."""
        match error:
            case _LoginError():
                where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                asked = urlencode({"next": where if request.method == "GET" else "/"})
                return RedirectResponse(f"/ui/login?{asked}", status_code=303)
            case _RefusedError():
                return self._trouble(str(error), "Not allowed", error.status)
            case NoSuchPageError():
                return self._trouble(str(error), "Not here", 404)
            case DatabaseDownError():
                log.warning("page refused", extra={"route": request.url.path, "cause": str(error)})
                return self._trouble(
                    "The database does not answer, or not in time, so there is nothing to show. Leads are scored all "
                    "the same, and what is scored is kept. This page tries again by itself.",
                    "No figures now",
                    503,
                )
            case LeadgateError():
                return self._trouble(str(error), "Cannot be shown", 409)
            case _:
                log.error("page failed", extra={"route": request.url.path}, exc_info=error)
                return self._trouble("Something went wrong here; the log of the pages says what.", "A fault", 500)

    def _trouble(self, sentence: str, title: str, status: int) -> Response:
        html = self._render("trouble.html", title=title, sentence=sentence, status=status)
        return Response(html, status, media_type="text/html")

    def _render(self, template: str, **facts: Any) -> str:
        known: dict[str, Any] = {
            "pages": PAGES,
            "environment": self._sources.environment,
            "viewer": None,
            "said": {},
            "current": "",
        }
        return self._templates.get_template(template).render(**{**known, **facts})


def _dressed(scope: Scope, send: Send) -> Send:
    """Every answer with the headers that protect a page; a static file may be kept."""

    async def dress(message: Any) -> None:
        if message["type"] == "http.response.start":
            held = {k for k, _ in message["headers"]}
            headers = dict(_HEADERS)
            if scope["path"].startswith("/ui/static/") and message["status"] == 200 and scope["query_string"]:  # noqa: PLR2004
                headers["cache-control"] = _YEAR
            message["headers"] = [
                *message["headers"],
                *((k.encode(), v.encode()) for k, v in headers.items() if k.encode() not in held),
            ]
        await send(message)

    return dress


async def _form(request: Request) -> dict[str, str]:
    """What a form says; the last of several values of a name. Raises BadFormError."""
    body = await request.body()
    if len(body) > _LONGEST_FORM:
        raise BadFormError("The form is too large.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise BadFormError("The form cannot be read.") from None


def _inside(address: str) -> str:
    """The same, where it is a page of ours; else the first one: a login sends nobody elsewhere."""
    inside = address == "/" or address.startswith(("/?", "/ui/"))
    return address if inside and not any(c in address for c in "\\\r\n") else "/"


def _peer(request: Request) -> str:
    """Who called: at the worker's socket, where it came through one."""
    return request.headers.get(PEER.decode()) or (request.client.host if request.client else "")
