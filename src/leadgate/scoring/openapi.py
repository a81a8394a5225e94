"""Describes the routes to the OpenAPI page from the message types themselves (quiet)."""

from typing import Any

import msgspec

from leadgate.leads.schema import FeatureValue
from leadgate.scoring.contract import Answer, Answers, Contract, OutcomeIn, OutcomesOut, ScoreOut

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

_PROBLEM_TEXTS = {
    400: "The body is not JSON",
    404: "No such lead",
    422: "A field is missing, unknown or of the wrong type; `errors` names it",
    503: "The database does not answer; nothing was scored or recorded",
}


def components(contract: Contract, example: tuple[FeatureValue, ...]) -> dict[str, Any]:
    """The schemas of all messages, the lead's own among them, with a real lead as the example."""
    types = (contract.lead_type, contract.batch_type, Answer, Answers, OutcomeIn, OutcomesOut, ScoreOut)
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    features = {f.name: value for f, value in zip(contract.schema.used, example, strict=True)}
    schemas["Lead"]["example"] = {"lead_id": "4711", "features": features}
    schemas["LeadBatch"]["example"] = {"leads": [{"lead_id": "4711", "features": features}]}
    return {**schemas, "Problem": _PROBLEM}


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
    for status in problems:
        found[status] = {
            "description": _PROBLEM_TEXTS[status],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
    return found


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}
