"""The routes under ``/rollouts``: what ``leadgate rollout`` does, for callers whose key allows it.

To look asks for the scope ``read``, to move ``operate``, to sign off ``approve``. Where callers show a key, its name is
who acts: nobody signs off as somebody else.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Request, Response

from leadgate.scoring import openapi
from leadgate.scoring.contract import BadRequestError, decode_as
from leadgate.scoring.desk import Desk
from leadgate.scoring.keys import Scope

Why = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]

UNDER = "/rollouts"
_NOW = f"{UNDER}/current"


class Act(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act that speaks for itself."""

    comment: Why | None = None
    by: Name | None = None
    """Who acts, where callers show no key; with a key, its name is who acts."""


class Reasoned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act that needs a reason."""

    comment: Why
    """Why; kept with the act for good."""
    by: Name | None = None
    """Who acts, where callers show no key; with a key, its name is who acts."""


class Start(Act, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send a version into the champion's shadow."""

    version: Name
    """Its number or an alias."""
    allow_library: bool = False
    """Also a version that is not compiled, and slow."""


class Extend(Act, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give the stage more time."""

    days: Annotated[float, msgspec.Meta(ge=0.1, le=365)] | None = None
    """How long; `rollout.extension_days` when left out."""


class RollBack(Reasoned, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Go back to the old version."""

    gradual: bool = False
    """From stage full: in steps, not at once."""


class PostMortemIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people found."""

    findings: Why
    by: Name | None = None
    """Who found it, where callers show no key."""


BODIES = (Act, Reasoned, Start, Extend, RollBack, PostMortemIn)
"""The message types, for the OpenAPI page."""


def scope_of(method: str, path: str) -> Scope:
    """What a key must allow for a route under ``/rollouts``."""
    if method in ("GET", "HEAD"):
        return "read"
    return "approve" if path == f"{_NOW}/approve" else "operate"


def add_rollouts(app: FastAPI, desk: Desk) -> None:
    """Add the routes to the application."""
    _add_looks(app, desk)
    _add_start(app, desk)
    for name, kind, summary in _ACTS:
        _add_act(app, desk, name, kind, summary)


def _add_looks(app: FastAPI, desk: Desk) -> None:
    def look(path: str, summary: str, arguments: Callable[[Request], list[str]]) -> None:
        @app.get(
            path,
            summary=summary,
            tags=["rollouts"],
            responses=openapi.responses("Told", 404, 422, 503),
            response_class=Response,
            name=path,
            openapi_extra=numbers_in(path),
        )
        async def looked(request: Request) -> Response:
            return _json(await desk.ask(*arguments(request), if_refused=404))

    look(UNDER, "Every rollout of the model, the last first", lambda _: ["list"])
    look(f"{UNDER}/plan", "What an A/B test can see, before it starts", lambda _: ["plan"])
    look(_NOW, "Where the rollout is and what is missing", lambda _: ["status"])
    look(f"{_NOW}/evidence", "Every gate of the stage with its numbers", lambda _: ["evidence"])
    look(f"{UNDER}/{{rollout_id}}", "All that happened in a rollout", lambda r: ["history", *_which(r)])
    look(
        f"{UNDER}/{{rollout_id}}/evidence/{{evidence_id}}",
        "What an act rested on, whole",
        lambda r: ["history", *_which(r), f"--evidence={number_of(r, 'evidence_id')}"],
    )


def _add_start(app: FastAPI, desk: Desk) -> None:
    @app.post(
        UNDER,
        summary="Send a version into the champion's shadow",
        tags=["rollouts"],
        openapi_extra=openapi.request_body("Start"),
        responses=openapi.responses("Told", 400, 409, 422, 503),
        response_class=Response,
    )
    async def start(request: Request) -> Response:
        given = decode_as(Start, await request.body())
        library = ["--allow-library"] if given.allow_library else []
        said = ["start", *library, *_comment(given.comment), "--", given.version]
        return _json(await desk.ask(*said, by=actor_of(request, given.by)))

    @app.post(
        f"{UNDER}/{{rollout_id}}/postmortem",
        summary="Close the post-mortem of a rollout that was rolled back",
        tags=["rollouts"],
        openapi_extra={**openapi.request_body("PostMortemIn"), **numbers_in(f"{UNDER}/{{rollout_id}}")},
        responses=openapi.responses("Told", 400, 409, 422, 503),
        response_class=Response,
    )
    async def postmortem(request: Request) -> Response:
        which, given = _which(request), decode_as(PostMortemIn, await request.body())
        said = ["postmortem", *which, f"--findings={given.findings}"]
        return _json(await desk.ask(*said, by=actor_of(request, given.by)))


_ACTS: tuple[tuple[str, type[Act] | type[Reasoned], str], ...] = (
    ("evaluate", Act, "Judge the rollout and do what follows; it moves once, however often this is asked"),
    ("approve", Reasoned, "Sign the present stage off (a key needs the scope approve)"),
    ("advance", Act, "Go to the next stage, if every gate passes"),
    ("extend", Extend, "Give the stage more time"),
    ("pause", Act, "Let nothing go forward; what is red still comes back"),
    ("resume", Act, "End a pause"),
    ("step-back", Reasoned, "From the canary back into the shadow"),
    ("reject", Reasoned, "Say no: the champion answers alone"),
    ("rollback", RollBack, "Go back to the old version, within a second"),
)


def _add_act(app: FastAPI, desk: Desk, name: str, kind: type[Act] | type[Reasoned], summary: str) -> None:
    @app.post(
        f"{_NOW}/{name}",
        summary=summary,
        tags=["rollouts"],
        openapi_extra=openapi.request_body(kind.__name__),
        responses=openapi.responses("Told", 400, 409, 422, 503),
        response_class=Response,
        name=name,
    )
    async def act(request: Request) -> Response:
        given = decode_as(kind, await request.body())
        said = [name]
        if name != "evaluate":  # its comment is what it finds
            said += _comment(given.comment)
        if isinstance(given, Extend) and given.days is not None:
            said.append(f"--days={given.days}")
        if isinstance(given, RollBack) and given.gradual:
            said.append("--gradual")
        return _json(await desk.ask(*said, by=actor_of(request, given.by)))


def _comment(comment: str | None) -> list[str]:
    return [] if comment is None else [f"--comment={comment}"]


def actor_of(request: Request, by: str | None) -> str | None:
    """Who acts. Raises BadRequestError for a caller with a key who says to be somebody."""
    name: str | None = request.state.caller_name
    if name is not None and by is not None:
        raise BadRequestError(f"The key's name ({name}) is who acts; leave this out.", "$.by")
    return name or by


def _which(request: Request) -> list[str]:
    return [f"--rollout={number_of(request, 'rollout_id')}"]


def number_of(request: Request, name: str) -> int:
    """A whole number of the path. Raises BadRequestError."""
    text = request.path_params[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004  # digits that a bigint holds
        raise BadRequestError(f"The {name.replace('_', ' ')} is a whole number.", name)
    return int(text)


def numbers_in(path: str) -> dict[str, Any]:
    """The whole numbers of a path, for the OpenAPI page."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    schema = {"type": "integer", "minimum": 1, "maximum": 10**15 - 1}
    found = [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]
    return {"parameters": found} if found else {}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
