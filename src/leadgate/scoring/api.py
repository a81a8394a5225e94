"""The HTTP service: scores leads, takes outcomes, says how it is."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import uuid_utils.compat as uuids
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from leadgate import __version__
from leadgate.errors import DatabaseDownError
from leadgate.models.scorers import Scored
from leadgate.records import Outcome, Prediction
from leadgate.scoring import openapi
from leadgate.scoring.answering import answer, predictions_of
from leadgate.scoring.contract import (
    Answers,
    BadRequestError,
    Contract,
    LeadIn,
    OutcomesOut,
    ScoreOut,
    contract_of,
    decode_outcomes,
)
from leadgate.scoring.log import ServingLog
from leadgate.scoring.metrics import Metrics
from leadgate.scoring.problems import problem

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the routes work with. Synchronous: the routes call it in a thread."""

    scored: Scored
    log: ServingLog
    clock: Callable[[], datetime]
    contract: Contract
    metrics: Metrics = field(default_factory=Metrics)
    variant: str = "champion"

    def score(self, leads: list[LeadIn], request_id: str) -> list[Prediction]:
        """Score leads and write the predictions down; they may be answered once this returns.

        Raises DatabaseDownError, and then nothing was written.
        """
        started = time.perf_counter()
        scores = self.scored.scorer.score_many([lead.values for lead in leads])
        took = (time.perf_counter() - started) * 1000
        predictions = predictions_of(
            leads,
            scores,
            self.scored,
            [uuids.uuid7() for _ in leads],
            variant=self.variant,
            scored_at=self.clock(),
            latency_ms=took,
            request_id=request_id,
        )
        self.log.append(predictions)
        for p in predictions:
            self.metrics.predictions.labels(p.model_version, p.variant, p.priority).inc()
            self.metrics.scores.labels(p.model_version, p.variant).observe(p.predicted_score)
        return predictions


def create_app(scored: Scored, log: ServingLog, clock: Callable[[], datetime]) -> FastAPI:
    """The service for one model version. Opens the log when it starts and closes it when it stops."""
    service = Service(scored=scored, log=log, clock=clock, contract=contract_of(scored.card.lead))
    service.metrics.model.info({"name": scored.card.model_name, "version": scored.version.version})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(log.open)
        yield
        await run_in_threadpool(log.close)

    app = FastAPIOffline(
        title="Leadgate",
        version=__version__,
        summary=f"Scores leads with {scored.card.model_name} version {scored.version.version}",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.openapi = lambda: _describe(app, service)  # type: ignore[method-assign]  # FastAPI's documented way
    _add_scoring(app, service)
    _add_outcomes(app, service)
    _add_health(app, service)
    _add_refusals(app)
    app.middleware("http")(_observed(service))
    return app


def _add_scoring(app: FastAPI, service: Service) -> None:
    bands = service.scored.card.bands

    @app.post(
        "/predict",
        summary="Score one lead",
        tags=["scoring"],
        openapi_extra=openapi.request_body("Lead"),
        responses=openapi.responses("Answer", 400, 422, 503),
        response_class=Response,
    )
    async def predict(request: Request) -> Response:
        """Score one lead. A feature that is left out or null is missing; an unknown name is refused."""
        lead = service.contract.decode_lead(await request.body())
        predictions = await run_in_threadpool(service.score, [lead], request.state.request_id)
        return _json(answer(predictions[0], bands))

    @app.post(
        "/predict/batch",
        summary="Score up to 1,000 leads",
        tags=["scoring"],
        openapi_extra=openapi.request_body("LeadBatch"),
        responses=openapi.responses("Answers", 400, 422, 503),
        response_class=Response,
    )
    async def predict_batch(request: Request) -> Response:
        """Score up to 1,000 leads; all are scored and logged, or none."""
        leads = service.contract.decode_batch(await request.body())
        predictions = await run_in_threadpool(service.score, leads, request.state.request_id)
        return _json(Answers(predictions=[answer(p, bands) for p in predictions]))

    @app.get(
        "/leads/{lead_id:path}/score",  # an id may hold slashes
        summary="The last score of a lead",
        tags=["scoring"],
        responses=openapi.responses("ScoreOut", 404, 422, 503),
        response_class=Response,
    )
    async def lead_score(lead_id: str, request: Request) -> Response:
        """Give the score that was last answered for a lead."""
        if "\0" in lead_id:
            raise BadRequestError("An id may not hold the character NUL.", "lead_id")
        latest = await run_in_threadpool(service.log.latest, lead_id)
        if latest is None:
            detail = f"Lead {lead_id!r} was never scored."
            return problem(404, detail, request_id=request.state.request_id)
        return _json(
            ScoreOut(
                prediction_id=str(latest.prediction_id),
                lead_id=latest.lead_id,
                predicted_score=latest.predicted_score,
                priority=latest.priority,
                model_version=latest.model_version,
                variant=latest.variant,
                scored_at=latest.scored_at,
            )
        )


def _add_outcomes(app: FastAPI, service: Service) -> None:
    @app.post(
        "/outcomes",
        summary="Report what became of leads",
        tags=["outcomes"],
        openapi_extra=openapi.request_body("OutcomeIn", "list"),
        responses=openapi.responses("OutcomesOut", 400, 422, 503),
        response_class=Response,
    )
    async def outcomes(request: Request) -> Response:
        """Take one outcome or a list of up to 1,000. A correction is another outcome of the same lead."""
        now = service.clock()
        reported = [
            Outcome(
                lead_id=o.lead_id,
                converted=o.converted,
                deal_size=o.deal_size,
                days_to_close=o.days_to_close,
                outcome_at=o.outcome_at or now,
                source="api",
            )
            for o in decode_outcomes(await request.body())
        ]
        recorded = await run_in_threadpool(service.log.record, reported, now)
        service.metrics.outcomes.inc(recorded.added)
        return _json(
            OutcomesOut(
                received=recorded.received,
                added=recorded.added,
                repeated=recorded.repeated,
                unknown_leads=list(recorded.unknown_leads),
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
        responses={503: {"description": "The database does not answer", "content": {"application/problem+json": {}}}},
    )
    async def ready(request: Request) -> Any:
        if not await run_in_threadpool(service.log.alive):
            return problem(503, "The database does not answer.", request_id=request.state.request_id)
        card = service.scored.card
        return {
            "status": "ready",
            "model_name": card.model_name,
            "model_version": service.scored.version.version,
            "scorer": "compiled" if card.compiled else "library",
            "time": service.clock().isoformat(),
        }

    @app.get("/metrics", summary="For Prometheus", tags=["health"], response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(BadRequestError)
    async def bad_request(request: Request, error: BadRequestError) -> Response:
        status = 400 if error.path is None else 422
        return problem(status, error.detail, path=error.path, request_id=request.state.request_id)

    @app.exception_handler(DatabaseDownError)
    async def database_down(request: Request, error: DatabaseDownError) -> Response:
        # The sentence for operators names the server; a caller needs only to know that nothing was done.
        del error
        detail = "The database does not answer, so nothing was scored or recorded; try again."
        return problem(503, detail, request_id=request.state.request_id, headers={"Retry-After": "5"})

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}."
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, detail, request_id=_request_id(request), headers=headers)


def _observed(service: Service) -> Callable[[Request, Handler], Awaitable[Response]]:
    async def observe(request: Request, call_next: Handler) -> Response:
        started = time.perf_counter()
        request.state.request_id = _request_id(request)
        response = await call_next(request)
        response.headers["X-Request-ID"] = request.state.request_id
        route = getattr(request.scope.get("route"), "path_format", "(none)")
        service.metrics.requests.labels(route, response.status_code).observe(time.perf_counter() - started)
        return response

    return observe


def _request_id(request: Request) -> str:
    """The caller's own id where it is one that a log can hold, else a new one."""
    given = request.headers.get("x-request-id", "")
    if 0 < len(given) <= 128 and given.isascii() and given.isprintable():  # noqa: PLR2004
        return given
    return str(uuids.uuid7())


def _json(message: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(message), media_type="application/json")


def _describe(app: FastAPI, service: Service) -> dict[str, Any]:
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(openapi.components(service.contract, service.scored.card.example))
        app.openapi_schema = described
    return app.openapi_schema
