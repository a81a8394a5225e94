"""The service over HTTP: what it answers, what it refuses, and what it writes down."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
from starlette.testclient import TestClient

from leadgate.app.wire import Home
from leadgate.models.scorers import Scored, load
from serviced import NOW, Served, full_route, serve


@pytest.fixture(scope="module")
def scored(workshop: Home) -> Scored:
    """The champion of the shared project."""
    return load(workshop.registry, workshop.registry.find("champion"))


@pytest.fixture
def served(scored: Scored, database: str, tmp_path: Path) -> Iterator[Served]:
    """The service on a log of its own, at a fixed time."""
    with serve(tmp_path / "spool", database, full_route(scored), scored) as served:
        yield served


@pytest.fixture
def client(served: Served) -> TestClient:
    """Its client."""
    return served.client


@pytest.fixture
def lead(scored: Scored) -> dict[str, Any]:
    """A request for a real training lead."""
    features = {f.name: v for f, v in zip(scored.card.lead.used, scored.card.example, strict=True)}
    return {"lead_id": "L-1", "features": features}


def logged(served: Served) -> list[tuple[Any, ...]]:
    """The prediction log, in order."""
    what = "prediction_id::text, lead_id, predicted_score, model_version, variant, scored_at, features, batch_size"
    return served.logged(what)


def test_an_answer_is_the_models_score_and_is_logged(
    client: TestClient, scored: Scored, lead: dict[str, Any], served: Served
) -> None:
    """The score is the scorer's; the log has the same id, score, version, time and features, once."""
    answer = client.post("/predict", json=lead).json()
    assert answer["predicted_score"] == scored.scorer.score(scored.card.example)
    ((prediction_id, lead_id, score, version, variant, at, features, size),) = logged(served)
    assert (answer["prediction_id"], answer["lead_id"]) == (prediction_id, lead_id)
    assert (answer["predicted_score"], answer["model_version"], answer["variant"]) == (score, version, variant)
    assert (at, features, size) == (NOW, lead["features"], 1)


def test_a_batch_is_answered_in_order_and_logged_whole(
    client: TestClient, lead: dict[str, Any], served: Served
) -> None:
    """Each lead gets the score it gets alone."""
    leads = [
        {**lead, "lead_id": f"L-{i}", "features": {**lead["features"], "company_size": 10.0 * i}} for i in range(50)
    ]
    answers = client.post("/predict/batch", json={"leads": leads}).json()["predictions"]
    alone = [client.post("/predict", json=one).json()["predicted_score"] for one in leads[:5]]
    assert [a["lead_id"] for a in answers] == [one["lead_id"] for one in leads]
    assert [a["predicted_score"] for a in answers[:5]] == alone
    assert [row[7] for row in logged(served)] == [50] * 50 + [1] * 5


def test_one_wrong_lead_refuses_the_batch(client: TestClient, lead: dict[str, Any], served: Served) -> None:
    """All are scored and logged, or none; the answer names the lead and field."""
    wrong = {**lead, "features": {**lead["features"], "company_size": "big"}}
    answer = client.post("/predict/batch", json={"leads": [lead, wrong]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "$.leads[1].features.company_size"
    assert logged(served) == []


@pytest.mark.parametrize(
    ("body", "status", "path"),
    (
        (b"{", 400, None),
        (b'{"lead_id": "a"}', 422, "$"),
        (b'{"lead_id": "a", "features": {"compny_size": 3}}', 422, "$.features.compny_size"),
    ),
)
def test_refusals_are_problem_details(client: TestClient, body: bytes, status: int, path: str | None) -> None:
    """RFC 9457: media type, status, title, a sentence, and the field's path where there is one."""
    answer = client.post("/predict", content=body)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert problem["title"]
    assert problem["detail"]
    assert [e["path"] for e in problem.get("errors", [])] == ([path] if path else [])


def test_unknown_routes_and_methods_are_problems_too(client: TestClient) -> None:
    """A client has one form of error to read."""
    for answer, status in ((client.get("/nowhere"), 404), (client.get("/predict"), 405)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_last_score_of_a_lead_can_be_asked_for(client: TestClient, lead: dict[str, Any]) -> None:
    """By its id, whatever characters are in it; a lead that was never scored is a 404."""
    odd = {**lead, "lead_id": "Lead/4711 ü?"}
    client.post("/predict", json=odd)
    second = client.post("/predict", json={**odd, "features": {**lead["features"], "company_size": 3.0}}).json()
    found = client.get("/leads/Lead%2F4711 ü%3F/score").json()
    assert found["prediction_id"] == second["prediction_id"]
    assert client.get("/leads/nobody/score").status_code == 404


def test_outcomes_are_recorded_and_corrected(client: TestClient, lead: dict[str, Any], served: Served) -> None:
    """One or many; time defaults to now; a repetition adds nothing; leads never scored are named and kept."""
    client.post("/predict", json=lead)
    first = client.post("/outcomes", json={"lead_id": "L-1", "converted": True, "deal_size": 900}).json()
    assert first == {"received": 1, "added": 1, "repeated": 0, "unknown_leads": []}
    report = {"lead_id": "L-1", "converted": False, "outcome_at": "2026-06-01T00:00:00+02:00"}
    again = client.post("/outcomes", json=[report, report, {**report, "lead_id": "stranger"}]).json()
    assert again == {"received": 3, "added": 2, "repeated": 1, "unknown_leads": ["stranger"]}
    with psycopg.connect(served.database) as connection:
        rows = connection.execute(
            "SELECT converted, outcome_at FROM leadgate.lead_outcomes WHERE lead_id = 'L-1' ORDER BY outcome_id"
        ).fetchall()
    assert rows == [(True, NOW), (False, datetime(2026, 5, 31, 22, tzinfo=UTC))]


def test_scoring_goes_on_while_the_database_is_away(served: Served, lead: dict[str, Any]) -> None:
    """A score waits in the spool, the probe stays well and says so; what needs the database is refused, 503."""
    client = served.client
    client.post("/predict", json=lead)
    served.settle()
    served.service.log.close()
    assert client.post("/predict", json=lead).status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["database"]) == (200, "does not answer")
    refused = client.post("/outcomes", json={"lead_id": "L-1", "converted": True})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


def test_what_cannot_be_written_down_is_not_answered(served: Served, lead: dict[str, Any]) -> None:
    """A full spool refuses scores with a problem, and the probe takes the worker out of service."""
    served.service.spool.full = "the disk is full"
    answers = [served.client.post("/predict", json=lead), served.client.get("/health/ready")]
    assert [a.status_code for a in answers] == [503, 503]
    assert answers[0].headers["retry-after"] == "5"
    assert "not answered" in answers[0].json()["detail"]
    served.service.spool.full = None
    assert logged(served) == []


def test_every_request_has_an_id(client: TestClient, lead: dict[str, Any], served: Served) -> None:
    """The caller's own when it is one that a log can hold, else a new one; it is in the answer and in the log."""
    client.post("/predict", json=lead, headers={"X-Request-ID": "crm-7"})
    odd = client.post("/predict", json=lead, headers={"X-Request-ID": "x" * 500})
    ids = served.logged("request_id")
    assert ids == [("crm-7",), (odd.headers["X-Request-ID"],)]
    assert len(odd.headers["X-Request-ID"]) == 36


def test_metrics_count_what_was_answered(client: TestClient, lead: dict[str, Any]) -> None:
    """By version, variant and priority; requests by route and status, not by path."""
    client.post("/predict/batch", json={"leads": [lead] * 3})
    client.get("/leads/some-lead/score")
    text = client.get("/metrics").text
    counted = [line for line in text.splitlines() if line.startswith("leadgate_predictions_total")]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) == 3
    assert 'leadgate_request_seconds_count{route="/leads/{lead_id}/score",status="404",worker="0"} 1.0' in text
    assert "some-lead" not in text


def test_openapi_describes_the_leads_own_fields(client: TestClient, lead: dict[str, Any]) -> None:
    """The page has this schema's features and an example that the service takes; answers fit what is promised."""
    described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    assert set(schemas["Features"]["properties"]) == {*lead["features"], "call_duration"}
    example = schemas["Lead"]["example"]
    answer = client.post("/predict", json=example)
    assert answer.status_code == 200
    resolver = {"$ref": "#/components/schemas/Answer", "components": described["components"]}
    jsonschema.validate(answer.json(), resolver)
    assert client.get("/docs").status_code == 200
    routes = {"/predict", "/predict/batch", "/outcomes", "/events", "/health/ready", "/metrics"}
    assert routes | {"/leads/{lead_id}/score", "/leads/{lead_id}/features"} <= set(described["paths"])


def test_confidence_is_what_became_of_leads_that_scored_alike(
    client: TestClient, scored: Scored, lead: dict[str, Any]
) -> None:
    """The band of the score, from the hold-out: enough leads, and an interval around their conversion."""
    answer = client.post("/predict", json=lead).json()
    confidence = answer["confidence"]
    bands = [b for b in scored.card.bands.bands if b.high >= answer["predicted_score"]] or [scored.card.bands.bands[-1]]
    assert confidence["similar_leads"] == bands[0].leads >= 25
    assert confidence["converted_share"] == bands[0].conversions / bands[0].leads
    assert confidence["low"] < confidence["converted_share"] < confidence["high"]


def test_prediction_ids_sort_by_time(client: TestClient, lead: dict[str, Any]) -> None:
    """UUIDv7, so that the log's index grows at its end."""
    ids = [client.post("/predict", json=lead).json()["prediction_id"] for _ in range(20)]
    assert ids == sorted(ids)
    assert {i[14] for i in ids} == {"7"}


def test_bodies_survive_what_json_allows(client: TestClient, lead: dict[str, Any], served: Served) -> None:
    """Unicode, escapes and extremes come back from the log as they were sent."""
    sent = {**lead["features"], "industry": 'Ünï "x" \\ 漢\u2028字', "company_size": 1e308, "engagement_score": -0.0}
    body = json.dumps({"lead_id": "漢", "features": sent}).encode()
    assert client.post("/predict", content=body).status_code == 200
    ((_, lead_id, score, *_, features, _),) = logged(served)
    assert (lead_id, {**features, "company_size": float(features["company_size"])}) == ("漢", sent)
    assert 0 <= score <= 1


def test_contacts_are_recorded_once(client: TestClient, served: Served) -> None:
    """A CRM that sends its list again adds nothing; a time without a zone is refused, and nothing of it recorded."""
    calls = [{"lead_id": "L-1", "contacted_at": "2026-06-01T10:00:00+02:00"}, {"lead_id": "L-2"}]
    assert client.post("/contacts", json=calls).json() == {"received": 2, "added": 2}
    assert client.post("/contacts", json=calls[0]).json() == {"received": 1, "added": 0}
    refused = client.post("/contacts", json=[calls[0], {"lead_id": "L-3", "contacted_at": "2026-06-01T10:00:00"}])
    assert refused.status_code == 422
    with psycopg.connect(served.database) as connection:
        rows = connection.execute("SELECT lead_id, contacted_at FROM leadgate.lead_contacts ORDER BY 1").fetchall()
    assert rows == [("L-1", datetime(2026, 6, 1, 8, tzinfo=UTC)), ("L-2", NOW)]
