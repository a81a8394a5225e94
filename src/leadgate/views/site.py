"""The dashboard: an ASGI application of its own, in a process of its own; see ``scoring/passing.py``.

One request: 1. who looks (``doors.py``); 2. read what the page shows, in a thread; 3. render it. An act goes to the
desk as the command that an operator would type, under the viewer's name.
"""

import logging
from collections.abc import Callable, Mapping
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
from leadgate.scoring.contract import BadRequestError, UnseenEndError
from leadgate.scoring.keys import RefusedCallerError
from leadgate.scoring.service import BusyError
from leadgate.views.access import Viewer, is_same_origin
from leadgate.views.acts import ACTS, Act, BadFormError, command_of, typed
from leadgate.views.asking import Ask, NoSuchPageError
from leadgate.views.doors import COOKIE, Doors, NobodyError, NotAllowedError, give_cookie, peer_of
from leadgate.views.pages import PAGES, Page
from leadgate.views.rendering import STATIC, make_environment
from leadgate.views.sources import Sources

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_YEAR = "public, max-age=31536000, immutable"
_LONGEST_FORM = 64 * 1024
_NOT_NOW = {BusyError: "Others are acting at this moment; try again.", TimeoutError: "That took too long; try again."}

log = logging.getLogger("leadgate.pages")


class Site:
    """The application."""

    def __init__(self, sources: Sources, doors: Doors) -> None:
        self._sources = sources
        self._doors = doors
        self._templates = make_environment()
        self._app = Starlette(
            routes=[
                *(Route(page.path, self._shown(page), methods=["GET"], name=page.name) for page in PAGES),
                Route("/ui/login", self._log_in, methods=["GET", "POST"]),
                Route("/ui/logout", self._log_out, methods=["POST"]),
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
            return await self._show(page, request)

        return show

    async def _show(
        self, page: Page, request: Request, said: Mapping[str, str] | None = None, status: int = 200
    ) -> Response:
        """Read and render a page. ``said``: what an act that was refused came to."""
        try:
            viewer, cookie = await anyio.to_thread.run_sync(self._doors.viewer, request)
            _require(viewer, "read", "Your login does not allow to look at the dashboard; it needs the scope read.")
            query, now = dict(request.query_params), self._sources.clock()
            ask = Ask(path=page.path, query=query, viewer=viewer, now=now)
            consulted = await page.consult(self._sources.desk, ask) if page.consult and _is_ours(request) else None
            html = await anyio.to_thread.run_sync(self._page, page, ask, consulted, said)
        except Exception as error:  # noqa: BLE001  # whatever it is, the viewer gets a page and the log a line
            return self._refused(error, request)
        response = _answer(html, request, status)
        if cookie is not None:
            give_cookie(response, request, cookie)
        return response

    def _page(self, page: Page, ask: Ask, consulted: bytes | None, said: Mapping[str, str] | None) -> str:
        facts = page.gather(self._sources, ask) if consulted is None else page.told(self._sources, ask, consulted)
        known = ACTS.get(ask.text("done"))
        said = said or ({"good": known.done} if known and known.back == page.path else {})
        return self._render(f"{page.name}.html", page=facts, ask=ask, viewer=ask.viewer, said=said, current=page.name)

    async def _act(self, request: Request) -> Response:
        act = ACTS.get(request.path_params["name"])
        if act is None:
            return self._nothing(request, None)
        try:
            form = await _form(request)
            viewer, _ = await anyio.to_thread.run_sync(self._doors.viewer, request)
            self._doors.require_own_form(request, form.get("csrf", ""), viewer)
            _require(viewer, act.scope, f"Your login does not allow this; it needs the scope {act.scope}.")
            command = command_of(act, form)
            by = viewer.name or typed(form, "by", "Say who you are: every act is kept with a name.")
            ask = self._sources.desk.ask if act.noun == "rollout" else self._sources.desk.alerts
            await ask(act.verb, *command, by=by)
        except (BadFormError, BadRequestError, BusyError, TimeoutError, UnseenEndError) as error:
            return await self._back(act, request, error)
        except Exception as error:  # noqa: BLE001  # as above
            return self._refused(error, request)
        return RedirectResponse(f"{act.back}?{urlencode({'done': act.name})}", status_code=303)

    async def _back(self, act: Act, request: Request, error: Exception) -> Response:
        """The page again, with the reason why nothing happened, or why nobody knows."""
        sentence = _NOT_NOW.get(type(error)) or getattr(error, "detail", str(error))
        page = next(page for page in PAGES if page.path == act.back)
        if isinstance(error, UnseenEndError):
            log.error("an act has ended unseen", extra={"act": act.name})
            return await self._show(page, request, {"bad": str(error)}, 500)
        status = 422 if isinstance(error, BadFormError) else 409
        return await self._show(page, request, {"bad": f"Nothing was changed. {sentence}"}, status)

    async def _log_in(self, request: Request) -> Response:
        if not self._doors.with_keys:
            return RedirectResponse("/", status_code=303)
        if request.method == "GET":
            return self._ask_in(request.query_params.get("next", "/"))
        try:
            form = await _form(request)
            _require_same_origin(request)
            cookie = await anyio.to_thread.run_sync(self._doors.log_in, form.get("key", ""))
        except RefusedCallerError as error:
            log.warning("login refused", extra={"peer": peer_of(request), "key_id": error.key_id})
            return self._ask_in(form.get("next", "/"), error.detail, 403)
        except Exception as error:  # noqa: BLE001  # as above
            return self._refused(error, request)
        response = RedirectResponse(_inside(form.get("next", "/")), status_code=303)
        give_cookie(response, request, cookie)
        return response

    async def _log_out(self, request: Request) -> Response:
        try:
            _require_same_origin(request)
        except NotAllowedError as error:
            return self._refused(error, request)
        response = RedirectResponse("/ui/login", status_code=303)
        response.delete_cookie(COOKIE, path="/")
        return response

    def _ask_in(self, after: str, wrong: str = "", status: int = 200) -> Response:
        html = self._render("login.html", wrong=wrong, next=_inside(after))
        return Response(html, status, media_type="text/html")

    def _nothing(self, request: Request, _: Exception | None) -> Response:
        return self._trouble(f"There is no page {request.url.path}; the overview leads to those there are.", 404)

    def _refused(self, error: Exception, request: Request) -> Response:
        """The page of an error."""
        if isinstance(error, NobodyError):
            where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            after = urlencode({"next": where if request.method == "GET" else "/"})
            return RedirectResponse(f"/ui/login?{after}", status_code=303)
        sentence, status = _told(error)
        if status >= 500:  # noqa: PLR2004
            log.error(
                "page failed", extra={"route": request.url.path, "cause": str(error)}, exc_info=_bug(error, status)
            )
        return self._trouble(sentence, status)

    def _trouble(self, sentence: str, status: int) -> Response:
        html = self._render("trouble.html", title=_TITLES.get(status, "Not now"), sentence=sentence, status=status)
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


_NO_DATABASE = (
    "The database does not answer, or not in time, so there is nothing to show. Leads are scored all the same, and "
    "what is scored is kept. This page tries again by itself."
)
_TITLES = {403: "Not allowed", 404: "Not here", 409: "Not as things stand", 421: "Not by this name", 500: "A fault"}


def _told(error: Exception) -> tuple[str, int]:
    """What somebody is told of an error, and the status."""
    told: dict[type[Exception], tuple[str, int]] = {
        **{kind: (sentence, 503) for kind, sentence in _NOT_NOW.items()},
        NotAllowedError: (str(error), getattr(error, "status", 403)),
        NoSuchPageError: (str(error), 404),
        BadRequestError: (getattr(error, "detail", ""), getattr(error, "status", 409)),
        DatabaseDownError: (_NO_DATABASE, 503),
        LeadgateError: (str(error), 409),
    }
    fault = ("Something went wrong here; the log of the pages says what.", 500)
    return next((answer for kind, answer in told.items() if isinstance(error, kind)), fault)


def _bug(error: Exception, status: int) -> Exception | None:
    """The error itself, where its traceback helps to mend it."""
    return error if status == 500 else None  # noqa: PLR2004


def _require(viewer: Viewer, scope: Any, sentence: str) -> None:
    if not viewer.may(scope):
        raise NotAllowedError(sentence)


def _is_ours(request: Request) -> bool:
    """Whether a person or a page of ours asks: what takes minutes is not done for a page from elsewhere."""
    return is_same_origin(request.headers)


def _require_same_origin(request: Request) -> None:
    if not is_same_origin(request.headers):
        raise NotAllowedError("This form was not made here.")


def _answer(html: str, request: Request, status: int) -> Response:
    """The page; to a browser that has it already, only that."""
    tag = f'"{sha256(html.encode()).hexdigest()[:20]}"'
    if status == 200 and request.headers.get("if-none-match") == tag:  # noqa: PLR2004
        return Response(status_code=304, headers={"etag": tag})
    return Response(html, status, {"etag": tag}, media_type="text/html")


def _dressed(scope: Scope, send: Send) -> Send:
    """Every answer with the headers that protect a page; a static file may be kept."""

    async def dress(message: Any) -> None:
        if message["type"] == "http.response.start":
            held = {k for k, _ in message["headers"]}
            headers = dict(_HEADERS)
            if scope["path"].startswith("/ui/static/") and scope["query_string"] and message["status"] == 200:  # noqa: PLR2004
                headers["cache-control"] = _YEAR
            more = ((k.encode(), v.encode()) for k, v in headers.items())
            message["headers"] = [*message["headers"], *(pair for pair in more if pair[0] not in held)]
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
