"""The routes by which others report what became of leads, and what leads did: outcomes, contacts, events."""

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from leadgate.records import Contact, Outcome
from leadgate.scoring import openapi
from leadgate.scoring.contract import in_utc
from leadgate.scoring.reported import (
    ContactsOut,
    EventsOut,
    OutcomesOut,
    decode_contacts,
    decode_events,
    decode_outcomes,
)
from leadgate.scoring.service import Service, encode

SETTLE_S = 2.0
"""How long a question about a lead waits for predictions that are on their way into the log."""


def add_deliveries(app: FastAPI, service: Service) -> None:
    """Add the routes to the application."""
    _add_outcomes(app, service)
    _add_contacts(app, service)
    _add_events(app, service)


def _add_outcomes(app: FastAPI, service: Service) -> None:
    @app.post(
        "/outcomes",
        summary="Report what became of leads",
        tags=["outcomes"],
        openapi_extra=openapi.request_body("OutcomeIn", "list"),
        responses=openapi.responses("OutcomesOut", 400, 408, 413, 422, 503),
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
                outcome_at=in_utc(o.outcome_at) or now,
                source="api",
            )
            for o in decode_outcomes(await request.body())
        ]
        await service.spool.settle(SETTLE_S)  # a lead that was scored a moment ago is no unknown lead
        recorded = await run_in_threadpool(service.log.record, reported, now)
        service.metrics.outcomes.add((), recorded.added)
        return as_json(
            encode(
                OutcomesOut(
                    received=recorded.received,
                    added=recorded.added,
                    repeated=recorded.repeated,
                    unknown_leads=list(recorded.unknown_leads),
                )
            )
        )


def _add_contacts(app: FastAPI, service: Service) -> None:
    @app.post(
        "/contacts",
        summary="Report that the sales team was in touch with leads",
        tags=["outcomes"],
        openapi_extra=openapi.request_body("ContactIn", "list"),
        responses=openapi.responses("ContactsOut", 400, 408, 413, 422, 503),
        response_class=Response,
    )
    async def contacts(request: Request) -> Response:
        """Take one contact or a list of up to 1,000. A rollout sees by them whether both versions get the attention."""
        now = service.clock()
        reported = [
            Contact(
                lead_id=given.lead_id, contacted_at=in_utc(given.contacted_at, "$.contacted_at") or now, source="api"
            )
            for given in decode_contacts(await request.body())
        ]
        added = await run_in_threadpool(service.log.record_contacts, reported, now)
        return as_json(encode(ContactsOut(received=len(reported), added=added)))


def _add_events(app: FastAPI, service: Service) -> None:
    @app.post(
        "/events",
        summary="Report what leads did",
        tags=["outcomes"],
        openapi_extra=openapi.request_body("EventIn", "list"),
        responses=openapi.responses("EventsOut", 400, 408, 413, 422, 503),
        response_class=Response,
    )
    async def events(request: Request) -> Response:
        """Take one event or a list of up to 1,000, of leads that are scored already or not yet.

        Features of `features.py` are made of them: those that happened before a score, and had arrived by then. The
        same event again (lead, kind, time and value) adds nothing.
        """
        now = service.clock()
        given = decode_events(await request.body(), now)
        added = await run_in_threadpool(service.log.record_events, given, now)
        return as_json(encode(EventsOut(received=len(given), added=added)))


def as_json(content: bytes) -> Response:
    """An answer of JSON."""
    return Response(content, media_type="application/json")
