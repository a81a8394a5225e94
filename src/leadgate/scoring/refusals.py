"""What a caller is told who is refused, and what the operator's log says of it."""

import logging
from dataclasses import dataclass
from typing import Any

import uuid_utils

from leadgate.errors import DatabaseDownError
from leadgate.scoring.contract import BadRequestError, UnseenEndError
from leadgate.scoring.keys import RefusedCallerError
from leadgate.scoring.problems import problem_body
from leadgate.scoring.service import BusyError
from leadgate.scoring.spool import SpoolFullError

log = logging.getLogger("leadgate.scoring")

_LONGEST_ID = 128


class CrowdedError(Exception):
    """More connections are open than a worker takes."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A problem, ready to be sent."""

    status: int
    request_id: str
    body: bytes
    headers: list[tuple[bytes, bytes]]
    """Beside the content's type and length and the request id."""


@dataclass(frozen=True, kw_only=True)
class _Reason:
    status: int
    detail: str
    path: str | None = None
    retry_after: int | None = None
    key_id: str | None = None
    cause: str | None = None
    """For the operator only."""


def refusal_of(error: Exception, *, route: str, request_id: str | None, scope: Any) -> Refusal:
    """The problem of an error, written to the log too. The log never has the caller's secret or the lead."""
    reason = _reason(error)
    request_id = request_id or str(uuid_utils.uuid7())
    facts = {
        "status": reason.status,
        "route": route,
        "detail": reason.detail,
        "request_id": request_id,
        "key_id": reason.key_id,
        "peer": (scope.get("client") or ("?",))[0],
        "cause": reason.cause,
    }
    if reason.status == 500:  # noqa: PLR2004
        log.error("request failed", extra=facts, exc_info=error)
    else:
        log.warning("request refused", extra=facts)
    headers = []
    if reason.retry_after is not None:
        headers.append((b"retry-after", b"%d" % reason.retry_after))
    if reason.status == 401:  # noqa: PLR2004
        headers.append((b"www-authenticate", b"Bearer"))
    if reason.status in (408, 413):  # the rest of the request is not read
        headers.append((b"connection", b"close"))
    body = problem_body(reason.status, reason.detail, path=reason.path, request_id=request_id)
    return Refusal(status=reason.status, request_id=request_id, body=body, headers=headers)


_NOT_NOW: dict[type[Exception], tuple[str, int]] = {
    CrowdedError: ("Too many connections are open; try again.", 1),
    BusyError: ("Too many requests wait for a score at this moment; try again.", 1),
    TimeoutError: ("The score took too long; try again.", 1),
    SpoolFullError: ("The prediction cannot be written down now, so it is not answered; try again.", 5),
    # The sentence for operators names the server; a caller needs only to know that nothing was done.
    DatabaseDownError: ("The database does not answer, so nothing was scored or recorded; try again.", 5),
}
"""What passes: the detail, and the seconds after which to try again."""


def _reason(error: Exception) -> _Reason:
    if isinstance(error, BadRequestError):
        return _Reason(status=error.status, detail=error.detail, path=error.path)
    if isinstance(error, RefusedCallerError):
        return _Reason(status=error.status, detail=error.detail, key_id=error.key_id, retry_after=error.retry_after)
    if isinstance(error, UnseenEndError):  # no 503: clients repeat what got one by themselves
        return _Reason(status=500, detail=str(error))
    for kind, (detail, seconds) in _NOT_NOW.items():
        if isinstance(error, kind):
            return _Reason(status=503, detail=detail, retry_after=seconds, cause=str(error) or None)
    return _Reason(status=500, detail="Something went wrong here; the operator finds it in the log by the request id.")


def request_id_of(value: bytes) -> str | None:
    """A caller's own id where it is one that a log can hold."""
    if 0 < len(value) <= _LONGEST_ID and value.isascii():
        text = value.decode()
        if text.isprintable():
            return text
    return None
