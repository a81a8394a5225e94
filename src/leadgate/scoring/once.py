"""Answers a repeated request with the answer that was given, and logs it once.

Requests that come with a key go past the spool: answer and predictions are written to PostgreSQL in one transaction,
since the next worker that gets the same key has to find both. Such a request is therefore refused while the database is
down; its caller can repeat it safely, which is what the key is for.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from json import loads
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from leadgate.records import Prediction
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.service import Service
from leadgate.storage.postgres.idempotency import KnownAnswer

KEPT = timedelta(days=1)
"""How long an answer is repeated."""

Score = Callable[[], Awaitable[tuple[list[Prediction], bytes]]]
"""Scores, writing nothing; gives the records and the answer's body."""


async def answer_once(
    service: Service, caller: str, key: str, body: bytes, score: Score, *, explain: bool = False
) -> bytes:
    """The answer's body: the one that was given under this key in the last day, else a new one.

    A repeated answer has the reasons that were given with it. One that came without them cannot be had with them under
    the same key, nor the other way round: ``explain`` is a part of the request, as its body is.

    Raises BadRequestError (422) when the key came with another request, DatabaseDownError.
    """
    digest = await run_in_threadpool(digest_of, body)
    if explain:
        digest = sha256(digest + b"explain").digest()
    now = service.clock()
    since = now - KEPT
    known = await run_in_threadpool(service.log.find_answer, caller, key, since)
    if known is None:
        predictions, content = await score()
        made = KnownAnswer(request_sha256=digest, answer=content)
        known = await run_in_threadpool(service.log.answer_once, caller, key, made, predictions, at=now, since=since)
        if known is made:
            service.count(predictions)
    if known.request_sha256 != digest:
        raise BadRequestError(
            f"The key {key!r} came with another request within the last day; a new request needs a new key.",
            "idempotency-key",
        )
    return known.answer


def digest_of(body: bytes) -> bytes:
    """SHA-256 of what a body of JSON says, however it is written: order of names, blanks, escapes, 7 or 7.0, null.

    It is the body that counts, not what the route's versions read of it: those may change between two repetitions.
    """
    try:
        said = loads(body, parse_int=float, object_hook=_without_nulls)
        return sha256(msgspec.json.encode(said, order="sorted")).digest()
    except (ValueError, RecursionError):  # nested too deep, in a field that no version uses
        return sha256(body).digest()


def _without_nulls(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
