"""Describes the routes to the OpenAPI page from the message types themselves (quiet)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leadgate.leads.schema import FeatureValue
from leadgate.scoring.contract import (
    Answer,
    Answers,
    Contract,
    ExplainedAnswer,
    ExplainedAnswers,
    ScoreOut,
)
from leadgate.scoring.making import FeaturesOut
from leadgate.scoring.reported import ContactIn, ContactsOut, EventIn, EventsOut, OutcomeIn, OutcomesOut

_REF = "#/components/schemas/{name}"

_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "Problem details, RFC 9457",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

_TOLD = {
    "title": "Told",
    "description": "What the command of the same name prints with --json",
    "type": ["object", "array", "null"],
}

EXPLAIN: dict[str, Any] = {
    "parameters": [
        {
            "name": "explain",
            "in": "query",
            "required": False,
            "description": "Whether to say why: the features that raise and lower the score most",
            "schema": {"type": "boolean", "default": False},
        }
    ]
}
"""The parameter that asks for reasons."""

_PROBLEM_TEXTS = {
    400: "The body is not JSON",
    401: "No valid key in the Authorization header",
    403: "The key does not allow this",
    404: "There is no such thing",
    408: "The request did not arrive in time",
    409: "The state of the rollout forbids it; nothing has changed",
    413: "The body is too large",
    422: "A field is missing, unknown or of the wrong type; `errors` names it",
    429: "The key's rate is used up; Retry-After says when to come again",
    500: "Something went wrong; the operator finds it by the request id",
    503: "Not now; nothing was scored or recorded. Retry-After says when to come again",
}


def components(
    contract: Contract, example: Mapping[str, FeatureValue], *others: type[msgspec.Struct]
) -> dict[str, Any]:
    """The schemas of all messages, the lead's own among them, with a real lead of the champion as the example."""
    ours = (Answer, Answers, ExplainedAnswer, ExplainedAnswers, OutcomeIn, OutcomesOut)
    types = (
        contract.lead_type,
        contract.batch_type,
        *ours,
        ContactIn,
        ContactsOut,
        EventIn,
        EventsOut,
        FeaturesOut,
        ScoreOut,
        *others,
    )
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    lead = {"lead_id": "4711", "features": dict(example)}
    schemas["Lead"]["example"] = lead
    schemas["LeadBatch"]["example"] = {"leads": [lead]}
    return {**schemas, "Problem": _PROBLEM, "Told": _TOLD}


def request_body(*names: str) -> dict[str, Any]:
    """The ``requestBody`` that takes one of the named messages."""
    refs: list[dict[str, Any]] = [_ref(name) for name in names]
    schema = refs[0] if len(refs) == 1 else {"oneOf": [refs[0], {"type": "array", "items": refs[0], "minItems": 1}]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def responses(name: str, *problems: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: 200 with the named message, and the problems it can give."""
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "OK", "content": {"application/json": {"schema": _ref(name)}}}
    }
    return found | problems_of(*problems)


def responses_either(name: str, asked: str, *problems: int) -> dict[int | str, dict[str, Any]]:
    """The same for a route that answers with another message where its query asks for it."""
    found = responses(name, *problems)
    found[200]["content"]["application/json"]["schema"] = {"anyOf": [_ref(asked), _ref(name)]}
    return found


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals that a route can give."""
    return {
        status: {
            "description": _PROBLEM_TEXTS[status],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
        for status in statuses
    }


def add_refusals(described: dict[str, Any], *, with_keys: bool) -> None:
    """Say of every route what any route can refuse, and which need a key."""
    for path, routes in described["paths"].items():
        needs_key = with_keys and not path.startswith("/health")
        for route in routes.values():
            statuses = (400, 413, 500, 401, 403, 429) if needs_key else (400, 413, 500)
            for status, text in problems_of(*statuses).items():
                route["responses"].setdefault(str(status), text)
            if needs_key:
                route["security"] = [{"key": []}]
    if with_keys:
        described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}
