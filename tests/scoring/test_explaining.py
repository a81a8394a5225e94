"""POST /predict?explain=true: the same score, with the reasons of the version that gave it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from leadgate.app.wire import Home
from leadgate.compiled.contributions import Explainer
from leadgate.models.reasons import reasons_of
from leadgate.models.scorers import Scored, load
from serviced import Broken, Served, by_library, full_route, lead, listen, serve, shared_route


@pytest.fixture(scope="module")
def champion(workshop: Home) -> Scored:
    """Logistic regression."""
    return load(workshop.registry, workshop.registry.find("1"))


@pytest.fixture(scope="module")
def challenger(workshop: Home) -> Scored:
    """Trees."""
    return load(workshop.registry, workshop.registry.find("2"))


@pytest.fixture
def served(champion: Scored, database: str, tmp_path: Path) -> Iterator[Served]:
    """The champion alone."""
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        yield served


def told(scored: Scored, features: dict[str, Any]) -> list[dict[str, Any]]:
    """The reasons as the API has to give them."""
    return [
        {name: getattr(reason, name) for name in ("feature", "value", "effect", "direction", "sentence")}
        for reason in reasons_of(scored, features).top()
    ]


def test_the_same_score_comes_with_its_reasons_and_is_logged_once(served: Served, champion: Scored) -> None:
    """All that a plain answer has, and the three features that raise it and the three that lower it most."""
    asked = lead(champion)
    plain = served.client.post("/predict", json=asked).json()
    explained = served.client.post("/predict?explain=true", json=asked).json()
    assert "reasons" not in plain
    assert explained.pop("reasons") == told(champion, asked["features"])
    assert explained.pop("why_no_reasons") is None
    assert {**explained, "prediction_id": ""} == {**plain, "prediction_id": ""}
    assert [row[0] for row in served.logged("predicted_score")] == [plain["predicted_score"]] * 2


def test_a_batch_comes_with_the_reasons_of_each_lead(served: Served, champion: Scored) -> None:
    """In its order; ``explain=false`` is a plain answer."""
    leads = [lead(champion, f"L-{i}", company_size=10.0 * 3**i) for i in range(5)]
    answers = served.client.post("/predict/batch?explain=true", json={"leads": leads}).json()["predictions"]
    assert [a["lead_id"] for a in answers] == [one["lead_id"] for one in leads]
    assert [a["reasons"] for a in answers] == [told(champion, one["features"]) for one in leads]
    plain = served.client.post("/predict/batch?explain=false", json={"leads": leads}).json()["predictions"]
    assert all("reasons" not in a for a in plain)
    assert len(served.logged("lead_id")) == 10


def test_each_arm_gives_its_own_reasons(champion: Scored, challenger: Scored, database: str, tmp_path: Path) -> None:
    """A lead that the challenger answered is explained by the challenger, alone and in a batch."""
    route = shared_route(champion, challenger, stage="ab_test", share=5_000)
    leads = [lead(champion, f"L-{i}") for i in range(12)]
    with serve(tmp_path / "spool", database, route, champion, challenger) as served:
        alone = [served.client.post("/predict?explain=true", json=one).json() for one in leads]
        batch = served.client.post("/predict/batch?explain=true", json={"leads": leads}).json()["predictions"]
    assert {a["variant"] for a in alone} == {"champion", "challenger"}
    for answer in (*alone, *batch):
        own = champion if answer["variant"] == "champion" else challenger
        assert answer["reasons"] == told(own, leads[0]["features"])


def test_an_unclear_wish_is_refused(served: Served, champion: Scored) -> None:
    """Taken for "no", it would leave the caller waiting for reasons that never come."""
    bodies = {"/predict": lead(champion), "/predict/batch": {"leads": [lead(champion)]}}
    for query in ("explain=yes", "explain=", "explain=1", "explain=true&explain=false", "explain=True"):
        for path, body in bodies.items():
            refused = served.client.post(f"{path}?{query}", json=body)
            assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "explain")
    assert served.logged("lead_id") == []


def test_a_repeated_request_gets_its_reasons_again(served: Served, champion: Scored) -> None:
    """The same key, the same content: the same answer to the byte, one row in the log, by header and by event id."""
    for body, headers in ((lead(champion), {"Idempotency-Key": "k-1"}), ({**lead(champion), "event_id": "e-1"}, {})):
        first, again = (served.client.post("/predict?explain=true", json=body, headers=headers) for _ in range(2))
        assert first.content == again.content
        assert first.json()["reasons"] == told(champion, lead(champion)["features"])
    assert len(served.logged("lead_id")) == 2


@pytest.mark.parametrize(
    "queries", (("", "?explain=true"), ("?explain=true", "")), ids=("plain first", "reasons first")
)
def test_reasons_are_a_part_of_what_a_key_stands_for(
    served: Served, champion: Scored, queries: tuple[str, str]
) -> None:
    """A repetition that asks otherwise is refused, not answered with less or more than it asked for."""
    first, other = (
        served.client.post(f"/predict{query}", json=lead(champion), headers={"Idempotency-Key": "k"})
        for query in queries
    )
    assert (first.status_code, other.status_code) == (200, 422)
    assert "another request" in other.json()["detail"]


def test_a_repeated_batch_gets_its_reasons_again(served: Served, champion: Scored) -> None:
    """As a single lead does."""
    asked = {"leads": [lead(champion, "a"), lead(champion, "b")]}
    how: dict[str, Any] = {"json": asked, "headers": {"Idempotency-Key": "k"}}
    first, again = (served.client.post("/predict/batch?explain=true", **how) for _ in range(2))
    assert first.content == again.content
    assert served.client.post("/predict/batch", **how).status_code == 422
    assert len(served.logged("lead_id")) == 2


def test_a_version_without_reasons_is_answered_and_says_why(champion: Scored, database: str, tmp_path: Path) -> None:
    """One that the library serves: the score as ever, no reasons, and a sentence."""
    library = by_library(champion, Broken(score=0.25))
    with serve(tmp_path / "spool", database, full_route(library), library) as served:
        answer = served.client.post("/predict?explain=true", json=lead(champion)).json()
    assert (answer["predicted_score"], answer["reasons"]) == (0.25, [])
    assert "served by the library" in answer["why_no_reasons"]


def test_reasons_that_fail_never_cost_a_score(
    champion: Scored, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score is answered and logged; the operator's log has the error, the answer a sentence."""

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Explainer, "contributions", fail)
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        answers = [
            served.client.post("/predict?explain=true", json=lead(champion)),
            served.client.post("/predict?explain=true", json=lead(champion), headers={"Idempotency-Key": "k"}),
        ]
        assert [a.status_code for a in answers] == [200, 200]
        assert all(a.json()["reasons"] == [] for a in answers)
        assert all("operator" in a.json()["why_no_reasons"] for a in answers)
        assert len(served.logged("lead_id")) == 2


def test_reasons_that_take_too_long_are_left_out(
    champion: Scored, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose reasons would take longer than a request may has those of its first leads, and all scores."""
    begun_and_three_leads, much_later = [0.0] * 4, [1e9] * 17
    ticks = iter(begun_and_three_leads + much_later)
    monkeypatch.setattr("leadgate.scoring.explaining.perf_counter", lambda: next(ticks))
    leads = [lead(champion, f"L-{i}") for i in range(20)]
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        answers = served.client.post("/predict/batch?explain=true", json={"leads": leads}).json()["predictions"]
        assert len({a["predicted_score"] for a in answers}) == 1
        assert len(served.logged("lead_id")) == 20
    assert [bool(a["reasons"]) for a in answers] == [True] * 3 + [False] * 17
    assert "fewer leads at once" in answers[-1]["why_no_reasons"]


def test_what_reasons_take_is_not_what_a_prediction_takes(served: Served, champion: Scored) -> None:
    """The gates of a rollout judge versions by the time of their predictions: who asks why must not spoil it."""
    for _ in range(3):
        served.client.post("/predict?explain=true", json=lead(champion))
    metrics = served.service.metrics
    assert sum(metrics.prediction_seconds.together().counts) == 0
    assert sum(metrics.request_seconds.series["/predict", "200"].counts) == 3
    assert sum(metrics.predictions.series.values()) == 3


def test_the_page_describes_reasons_as_they_are(served: Served, champion: Scored) -> None:
    """Parameter and answer, on both routes; a real answer is valid against its schema, and against no other."""
    page = served.client.get("/openapi.json").json()
    asked = {"/predict": lead(champion), "/predict/batch": {"leads": [lead(champion, "a"), lead(champion, "b")]}}
    for path, name in (("/predict", "ExplainedAnswer"), ("/predict/batch", "ExplainedAnswers")):
        route = page["paths"][path]["post"]
        assert [(p["name"], p["in"], p["schema"]["type"]) for p in route["parameters"]] == [
            ("explain", "query", "boolean")
        ]
        schema = {"$ref": f"#/components/schemas/{name}", "components": page["components"]}
        assert {"$ref": schema["$ref"]} in route["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
        jsonschema.validate(served.client.post(f"{path}?explain=true", json=asked[path]).json(), schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(served.client.post(path, json=asked[path]).json(), schema)


def test_reasons_come_at_the_socket_and_leave_plain_requests_on_the_short_way(
    champion: Scored, database: str, tmp_path: Path
) -> None:
    """On one connection: who asks for reasons goes the ordinary way, who does not is answered as before."""
    with listen(tmp_path / "spool", database, full_route(champion), champion) as at, at.client() as client:
        given = [client.post(f"/predict{q}", json=lead(champion)).json() for q in ("", "?explain=true", "")]
        assert ["reasons" in answer for answer in given] == [False, True, False]
        assert sum(at.service.metrics.prediction_seconds.together().counts) == 2
        assert len(at.logged("lead_id")) == 3
