"""POST /predict, from the socket to the spool: a plain ASGI endpoint, for it is called thousands of times a second.

One request: 1. read the head and ask for the key; 2. read the body and decode it by the route's contract; 3. score it,
and its shadow; 4. write the prediction to the spool (``spool.py``; ``drainer.py`` moves it to PostgreSQL); 5. answer.
"""

import logging
from time import perf_counter
from typing import Any

from starlette.types import Receive, Scope, Send

from leadgate.records import Prediction
from leadgate.scoring.answering import Arm, answer
from leadgate.scoring.contract import BadRequestError, LeadIn
from leadgate.scoring.explaining import asks_for_reasons, explained_answers
from leadgate.scoring.once import answer_once
from leadgate.scoring.refusals import Refusal, refusal_of, request_id_of
from leadgate.scoring.service import Service, encode

ROUTE = "/predict"
ADMITTED = "leadgate.admitted"
"""In the scope of a request that was admitted at the socket: its key, which is not charged again."""

log = logging.getLogger("leadgate.scoring")


class DisconnectedError(Exception):
    """The caller went away before the request was whole."""


class Predict:
    """The endpoint of one worker."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it with a problem."""
        started = perf_counter()
        service = self._service
        request_id = key = None
        explain = False
        try:
            authorization, request_id, key, length = read_head(scope["headers"])
            caller = scope[ADMITTED] if ADMITTED in scope else service.admit(authorization, "score", started)
            explain = asks_for_reasons(scope["query_string"])
            body = await read_body(receive, length, service.limits.body_bytes)
            live = service.live
            lead = live.contract.decode_lead(body)
            key = key or lead.event_id
            if key is None:
                (lead,) = await service.prepare(live, (lead,))
            if key is None and not explain:
                prediction, arm = await service.score_one(live, lead, request_id)
                await service.spool.append((prediction,))
                content = encode(answer(prediction, arm))
                request_id = prediction.request_id
                self._count(prediction, arm, perf_counter() - started)
            elif key is None:
                prediction, arm = await service.score_one(live, lead, request_id)
                await service.spool.append((prediction,))
                service.count([prediction])
                content = await self._content(lead, prediction, arm, explain=True)
                request_id = prediction.request_id
            else:
                request_id = request_id or key

                async def score() -> tuple[list[Prediction], bytes]:
                    (whole,) = await service.prepare(live, (lead,))
                    prediction, arm = await service.score_one(live, whole, request_id)
                    return [prediction], await self._content(whole, prediction, arm, explain=explain)

                name = caller.key_id if caller else ""
                content = await answer_once(service, name, key, body, score, explain=explain)
            status, headers = 200, _headers(b"application/json", content, request_id)
        except DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets a problem and the log a line
            refusal = refusal_of(error, route=ROUTE, request_id=request_id, scope=scope)
            service.metrics.refusals.add((str(refusal.status),))
            status, headers, content = refusal.status, problem_headers(refusal), refusal.body
        # The others are counted by their prediction. What reasons take is no part of what a prediction takes.
        if status != 200 or key is not None or explain:  # noqa: PLR2004
            service.metrics.request_seconds.observe((ROUTE, str(status)), perf_counter() - started)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _content(self, lead: LeadIn, prediction: Prediction, arm: Arm, *, explain: bool) -> bytes:
        if not explain:
            return encode(answer(prediction, arm))
        (explained,) = await explained_answers(self._service, [(lead, prediction, arm)])
        return encode(explained)

    def _count(self, p: Prediction, arm: Arm, seconds: float) -> None:
        metrics, labels = self._service.metrics, (arm.version, arm.variant)
        metrics.prediction_seconds.observe(labels, seconds)
        metrics.scores.observe(labels, p.predicted_score)
        metrics.predictions.add((arm.version, arm.variant, p.priority))


async def read_body(receive: Receive, length: int | None, most: int) -> bytes:
    """The whole body. Raises BadRequestError for one of more than ``most`` bytes, DisconnectedError."""
    if length is not None and length > most:
        raise BadRequestError(too_large(most), status=413)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > most:
            raise BadRequestError(too_large(most), status=413)
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise BadRequestError(too_large(most), status=413)
    return b"".join(parts)


def too_large(most: int) -> str:
    """The sentence for a body over the limit."""
    return f"The body is larger than {most:,} bytes; send fewer leads at once."


def read_head(headers: Any) -> tuple[bytes | None, str | None, str | None, int | None]:
    """The caller's key, request id, idempotency key and the body's length, where there are such headers."""
    authorization = request_id = key = length = None
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"authorization":
            authorization = value
        elif name == b"x-request-id":
            request_id = request_id_of(value)
        elif name == b"idempotency-key":
            key = request_id_of(value)
            if key is None:
                raise BadRequestError("An Idempotency-Key is 1 to 128 printable ASCII characters.", "idempotency-key")
    return authorization, request_id, key, length


def _headers(kind: bytes, content: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(content)),
        (b"x-request-id", request_id.encode()),
    ]


def problem_headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """The headers of a refusal."""
    return [*_headers(b"application/problem+json", refusal.body, refusal.request_id), *refusal.headers]
