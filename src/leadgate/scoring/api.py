"""The HTTP service: scores leads, takes outcomes, says how it is.

``/predict`` is answered by ``predict.py`` before FastAPI sees it; the route here only describes it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from leadgate import __version__
from leadgate.records import Prediction
from leadgate.scoring import openapi
from leadgate.scoring.alerted import add_alerts
from leadgate.scoring.answering import answer
from leadgate.scoring.contract import (
    Answers,
    BadRequestError,
    ExplainedAnswers,
    ScoreOut,
)
from leadgate.scoring.delivered import SETTLE_S, add_deliveries, as_json
from leadgate.scoring.desk import Desk
from leadgate.scoring.diagnosed import add_diagnosis
from leadgate.scoring.explaining import asks_for_reasons, explained_answers
from leadgate.scoring.featured import add_features
from leadgate.scoring.once import answer_once
from leadgate.scoring.passing import is_page
from leadgate.scoring.predict import ROUTE, Predict
from leadgate.scoring.rollouts import BODIES, add_rollouts
from leadgate.scoring.service import Service, encode
from leadgate.scoring.watched import Watched

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


class App:
    """The ASGI application of a worker."""

    def __init__(
        self,
        service: Service,
        lifespan: Lifespan | None = None,
        desk: Desk | None = None,
        pages: ASGIApp | None = None,
    ) -> None:
        """``lifespan`` runs around the service's life, in the event loop; without a desk nothing is operated.

        ``pages``: answers what is asked of the dashboard, and decides by itself who may look.
        """
        self._predict = Predict(service)
        self._pages = pages
        self._others: ASGIApp = Watched(_create(service, lifespan, desk), service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == ROUTE and scope["method"] == "POST":
            await self._predict(scope, receive, send)
        elif self._pages is not None and scope["type"] == "http" and is_page(scope["path"]):
            await self._pages(scope, receive, send)
        else:
            await self._others(scope, receive, send)


def _create(service: Service, lifespan: Lifespan | None, desk: Desk | None) -> FastAPI:
    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
            return
        async with lifespan():
            yield

    app = FastAPIOffline(
        title="Leadgate",
        version=__version__,
        summary=f"Scores leads with {service.live.route.model_name}",
        lifespan=live,
        redoc_url=None,
    )
    app.openapi = lambda: _describe(app, service)  # type: ignore[method-assign]  # FastAPI's documented way
    _add_scoring(app, service)
    add_features(app, service)
    add_deliveries(app, service)
    _add_health(app, service)
    if desk is not None:
        add_rollouts(app, desk)
        add_diagnosis(app, desk)
        add_alerts(app, desk)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        # Raised on, so that all refusals are told and logged in one place.
        del request
        raise error

    return app


def _add_scoring(app: FastAPI, service: Service) -> None:
    @app.post(
        ROUTE,
        summary="Score one lead",
        tags=["scoring"],
        openapi_extra={**openapi.request_body("Lead"), **openapi.EXPLAIN},
        responses=openapi.responses_either("Answer", "ExplainedAnswer", 400, 408, 413, 422, 503),
        response_class=Response,
    )
    async def predict() -> None:
        """Score one lead. A feature that is left out or null is missing; an unknown name is refused.

        An `Idempotency-Key` header, or an `event_id` in the body, that comes again within a day with the same content
        gets the same answer; with another content it is refused. Where a request has both, the header is the key.

        With `explain=true` the answer says why: the features that raise and lower the score most, in figures and in
        words. The reasons come after the score, so such an answer takes some milliseconds longer.
        """

    @app.post(
        "/predict/batch",
        summary="Score up to 1,000 leads",
        tags=["scoring"],
        openapi_extra={**openapi.request_body("LeadBatch"), **openapi.EXPLAIN},
        responses=openapi.responses_either("Answers", "ExplainedAnswers", 400, 408, 413, 422, 503),
        response_class=Response,
    )
    async def predict_batch(request: Request) -> Response:
        """Score up to 1,000 leads; all are scored and logged, or none.

        With `explain=true` each answer says why; where time runs out, the last of them say that it did.
        """
        explain = asks_for_reasons(request.scope["query_string"])
        body = await request.body()
        live = service.live
        asked_for = live.contract.decode_batch(body)

        async def score() -> tuple[list[Prediction], bytes]:
            leads = await service.prepare(live, asked_for)
            scored = await service.score_batch(live, leads, request.state.request_id)
            predictions = [p for p, _ in scored]
            if explain:
                asked = [(lead, p, arm) for lead, (p, arm) in zip(leads, scored, strict=True)]
                return predictions, encode(ExplainedAnswers(predictions=await explained_answers(service, asked)))
            return predictions, encode(Answers(predictions=[answer(p, arm) for p, arm in scored]))

        key = request.state.idempotency_key
        if key is not None:
            return as_json(await answer_once(service, request.state.caller, key, body, score, explain=explain))
        predictions, content = await score()
        await service.spool.append(predictions)
        service.count(predictions)
        return as_json(content)

    @app.get(
        "/leads/{lead_id:path}/score",  # an id may hold slashes
        summary="The last score of a lead",
        tags=["scoring"],
        responses=openapi.responses("ScoreOut", 404, 422, 503),
        response_class=Response,
    )
    async def lead_score(lead_id: str) -> Response:
        """Give the score that was last answered for a lead."""
        if "\0" in lead_id:
            raise BadRequestError("An id may not hold the character NUL.", "lead_id")
        await service.spool.settle(SETTLE_S)
        latest = await run_in_threadpool(service.log.latest, lead_id)
        if latest is None:
            raise BadRequestError(f"Lead {lead_id!r} was never scored.", status=404)
        return as_json(
            encode(
                ScoreOut(
                    prediction_id=str(latest.prediction_id),
                    lead_id=latest.lead_id,
                    predicted_score=latest.predicted_score,
                    priority=latest.priority,
                    model_version=latest.model_version,
                    variant=latest.variant,
                    explored=latest.explored,
                    scored_at=latest.scored_at,
                )
            )
        )


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/health/live", summary="Is the process alive?", tags=["health"])
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get(
        "/health/ready",
        summary="Can it score now?",
        tags=["health"],
        responses=openapi.problems_of(503),
    )
    async def ready() -> dict[str, Any]:
        """Whether predictions can be scored and written down. The database may be away for a while: the spool waits."""
        if service.spool.full:
            raise BadRequestError("The spool cannot take predictions now.", status=503)
        now, route = service.live, service.live.route
        return {
            "status": "ready",
            "model_name": route.model_name,
            "model_version": route.champion,
            "scorer": "compiled" if now.champion.compiled else "library",
            "stage": route.stage,
            "challenger": route.challenger,
            "route_epoch": route.epoch,
            "worker": service.metrics.worker,
            "database": "answers" if await run_in_threadpool(service.log.alive) else "does not answer",
            "time": service.clock().isoformat(),
        }

    @app.get("/metrics", summary="For Prometheus", tags=["health"], response_class=Response)
    async def metrics() -> Response:
        content = await run_in_threadpool(service.metrics.exposition)
        return Response(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _describe(app: FastAPI, service: Service) -> dict[str, Any]:
    live = service.live
    if app.openapi_schema is None or app.openapi_schema["info"]["x-route-epoch"] != live.route.epoch:
        described = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        described["info"]["x-route-epoch"] = live.route.epoch
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(openapi.components(live.contract, live.example, *BODIES))
        openapi.add_refusals(described, with_keys=service.keyring is not None)
        app.openapi_schema = msgspec.to_builtins(described)
    return app.openapi_schema
