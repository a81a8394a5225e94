"""Challengers, shadows, repeated requests, keys and limits, through the real application."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leadgate.app.wire import Home
from leadgate.models.scorers import Scored, load
from leadgate.rollout.routing import bucket
from leadgate.scoring.answering import live_of
from leadgate.scoring.contract import LeadIn
from leadgate.scoring.once import digest_of
from leadgate.scoring.plan import Limits
from leadgate.scoring.service import LibraryQueue
from serviced import Broken, Served, a_key, by_library, full_route, lead, serve, shared_route


@pytest.fixture(scope="module")
def champion(workshop: Home) -> Scored:
    """Logistic regression."""
    return load(workshop.registry, workshop.registry.find("1"))


@pytest.fixture(scope="module")
def challenger(workshop: Home) -> Scored:
    """Histogram gradient boosting."""
    return load(workshop.registry, workshop.registry.find("2"))


@pytest.fixture
def shadowed(champion: Scored, challenger: Scored, database: str, tmp_path: Path) -> Iterator[Served]:
    """A service with the challenger in the shadow."""
    route = shared_route(champion, challenger, stage="shadow")
    with serve(tmp_path / "spool", database, route, champion, challenger) as served:
        yield served


@pytest.fixture
def alone(champion: Scored, database: str, tmp_path: Path) -> Iterator[Served]:
    """A service with one version."""
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        yield served


def test_a_shadow_is_logged_and_never_answered(shadowed: Served, champion: Scored, challenger: Scored) -> None:
    """Same answer as without it; the log has both scores of the same lead."""
    body = lead(champion)
    answer = shadowed.client.post("/predict", json=body).json()
    assert answer["predicted_score"] == champion.scorer.score(champion.card.example)
    assert (answer["model_version"], answer["variant"]) == ("1", "champion")
    shadowed.client.post("/predict/batch", json={"leads": [body, body]})
    found = shadowed.logged("model_version, shadow_version, shadow_score, route_epoch")
    expected = challenger.scorer.score(champion.card.example)
    assert found == [("1", "2", expected, 2)] * 3


@pytest.mark.parametrize(
    "scorer",
    (Broken(ZeroDivisionError("no")), Broken(score=7.0), Broken(wait_s=0.3)),
    ids=("fails", "no probability", "slow"),
)
def test_a_broken_shadow_changes_no_answer(
    scorer: Broken, champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """It fails, gives nonsense or takes long: the champion's answer is what it was, and the failure is counted."""
    broken = by_library(challenger, scorer)
    route = shared_route(champion, broken, stage="shadow")
    with serve(tmp_path / "spool", database, route, champion, broken) as served:
        answer = served.client.post("/predict", json=lead(champion))
        assert (answer.status_code, answer.json()["predicted_score"]) == (
            200,
            champion.scorer.score(champion.card.example),
        )
        assert served.logged("shadow_version, shadow_score") == [("2", None)]
        assert 'leadgate_shadow_failures_total{shadow_version="2",worker="0"} 1.0' in served.client.get("/metrics").text


def test_a_canary_answers_its_leads_with_the_challenger(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """By the hash of the id, alone and in a batch alike; answer and log name the version that scored."""
    route = shared_route(champion, challenger, stage="canary", share=3_000)
    ids = [f"lead-{i}" for i in range(200)]
    with serve(tmp_path / "spool", database, route, champion, challenger) as served:
        leads = [lead(champion, i) for i in ids]
        answers = served.client.post("/predict/batch", json={"leads": leads}).json()["predictions"]
        for answer in answers:
            expected = "2" if bucket("salt", answer["lead_id"]) < 3_000 else "1"
            scored = challenger if expected == "2" else champion
            assert answer["model_version"] == expected
            assert answer["variant"] == ("challenger" if expected == "2" else "champion")
            assert answer["predicted_score"] == scored.scorer.score(champion.card.example)
        alone = [served.client.post("/predict", json=one).json()["model_version"] for one in leads[:20]]
        assert alone == [a["model_version"] for a in answers[:20]]
        assert {a["model_version"] for a in answers} == {"1", "2"}
        logged = dict(served.logged("lead_id, model_version"))
    assert logged == {a["lead_id"]: a["model_version"] for a in answers}


def test_versions_with_other_features_share_a_route(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """Each gets the features it was trained on, whatever else the request holds."""
    fewer = champion.card.lead.model_copy(
        update={
            "features": tuple(
                f.model_copy(update={"use": f.name != "industry" and f.use}) for f in champion.card.lead.features
            )
        }
    )
    places = [i for i, f in enumerate(champion.card.lead.used) if f.name != "industry"]

    class Seen(Broken):
        rows: list[Any] = []  # noqa: RUF012  # one test

        def score_many(self, rows: Any) -> list[float]:
            self.rows += rows
            return super().score_many(rows)

    seen = Seen()
    small = replace(champion, scorer=seen, card=replace(champion.card, lead=fewer))
    route = shared_route(small, challenger, stage="shadow")
    with serve(tmp_path / "spool", database, route, small, challenger) as served:
        assert served.client.post("/predict", json=lead(champion)).status_code == 200
        ((shadow,),) = served.logged("shadow_score")
    assert seen.rows == [tuple(champion.card.example[i] for i in places)]
    assert shadow == challenger.scorer.score(champion.card.example)


def test_a_repeated_key_gets_the_same_answer_and_one_row(alone: Served, champion: Scored) -> None:
    """Byte for byte, though time has passed; in the header or as the body's event id."""
    body = lead(champion)
    one = alone.client.post("/predict", json=body, headers={"Idempotency-Key": "crm-1"})
    two = alone.client.post("/predict", json=body, headers={"Idempotency-Key": "crm-1"})
    assert (one.status_code, two.content) == (200, one.content)
    events = [alone.client.post("/predict", json={**body, "event_id": "e-9"}).content for _ in range(2)]
    assert events[0] == events[1] != one.content
    batches = [
        alone.client.post("/predict/batch", json={"leads": [body] * 3}, headers={"Idempotency-Key": "b"}).content
        for _ in range(2)
    ]
    assert batches[0] == batches[1]
    assert len(alone.logged("prediction_id")) == 1 + 1 + 3


@pytest.mark.parametrize("key", ("header", "event id"))
def test_a_repetition_may_be_written_otherwise(key: str, alone: Served, champion: Scored) -> None:
    """A CRM that serialises its event anew says the same: other order, blanks, escapes, 120 for 120.0, no null."""
    event = {} if key == "header" else {"event_id": "crm-1"}
    headers = {"Idempotency-Key": "crm-1"} if key == "header" else {}
    features = {**lead(champion)["features"], "industry": "Ünï", "company_size": 120.0, "engagement_score": None}
    other = {name: v for name, v in reversed(features.items()) if v is not None} | {"company_size": 120}
    one = json.dumps({"lead_id": "L-1", "features": features, **event}).encode()
    two = json.dumps({**event, "features": other, "lead_id": "L-1"}, ensure_ascii=False, indent=1).encode()
    answers = [alone.client.post("/predict", content=body, headers=headers) for body in (one, two)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    batches = [
        alone.client.post("/predict/batch", content=b'{"leads": [%b]}' % body, headers={"Idempotency-Key": "b"})
        for body in (one.replace(b', "event_id": "crm-1"', b""), two.replace(b'"event_id": "crm-1",', b""))
    ]
    assert (batches[0].status_code, batches[1].content) == (200, batches[0].content)
    assert len(alone.logged("prediction_id")) == 2
    changed = json.dumps({"lead_id": "L-1", "features": {**features, "company_size": 121}, **event}).encode()
    assert alone.client.post("/predict", content=changed, headers=headers).status_code == 422


@pytest.mark.parametrize("odd", (b"[" * 100_000 + b"]" * 100_000, b'"\\ud800"', b"1" + b"0" * 5_000, b"\xff"))
def test_every_body_can_be_compared(odd: bytes) -> None:
    """Even one that cannot be brought into one form, such as a nested value in a field that no version uses."""
    assert digest_of(odd) == digest_of(odd) != digest_of(odd + b" 1")


def test_the_header_is_the_key_where_there_is_an_event_id_too(alone: Served, champion: Scored) -> None:
    """A caller that sends each try of an event under a key of its own gets an answer to each."""
    body = {**lead(champion), "event_id": "e-1"}
    answers = [alone.client.post("/predict", json=body, headers={"Idempotency-Key": key}).content for key in "aab"]
    assert answers[0] == answers[1] != answers[2]
    assert len(alone.logged("prediction_id")) == 2
    assert alone.client.post("/predict", json=body).content not in answers


def test_a_key_for_another_request_is_refused(alone: Served, champion: Scored) -> None:
    """The caller has mixed up its keys; answering either request would be wrong."""
    headers = {"Idempotency-Key": "crm-1"}
    alone.client.post("/predict", json=lead(champion), headers=headers)
    other = alone.client.post("/predict", json=lead(champion, "L-2"), headers=headers)
    assert other.status_code == 422
    assert "another request" in other.json()["detail"]
    assert len(alone.logged("prediction_id")) == 1


def test_a_key_is_kept_for_a_day(alone: Served, champion: Scored) -> None:
    """Then it is a new request."""
    headers = {"Idempotency-Key": "crm-1"}
    first = alone.client.post("/predict", json=lead(champion), headers=headers).content
    with psycopg.connect(alone.database) as connection:
        connection.execute("UPDATE leadgate.idempotent_answers SET answered_at = answered_at - interval '25 hours'")
    assert alone.client.post("/predict", json=lead(champion), headers=headers).content != first
    assert len(alone.logged("prediction_id")) == 2


def test_the_same_key_at_the_same_time_is_answered_once(alone: Served, champion: Scored) -> None:
    """A CRM that retries before it has heard gets one answer from both, and one row."""
    answers: list[bytes] = []

    def ask() -> None:
        answer = alone.client.post("/predict", json=lead(champion), headers={"Idempotency-Key": "twice"})
        answers.append(answer.content)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert len(alone.logged("prediction_id")) == 1


def test_each_route_asks_for_its_scope(
    champion: Scored, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Health is open; the rest says 401 to nobody, 403 to the wrong key; the log has the key's id and no secret."""
    (score, scoring), (read, reading), (slow, slowly) = (
        a_key("scorer", "score"),
        a_key("reader", "read"),
        a_key("slow", "score", rate=1.0),
    )
    keys = [score, read, slow]
    with serve(tmp_path / "spool", database, full_route(champion), champion, keys=keys) as served:
        client, body = served.client, lead(champion)
        assert client.get("/health/ready").status_code == 200
        for path in ("/predict", "/predict/batch", "/outcomes"):
            nobody = client.post(path, json=body)
            assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
            assert client.post(path, json=body, headers=reading).status_code == 403
        assert client.get("/metrics").status_code == 401
        assert client.get("/docs").status_code == 401
        assert client.get("/metrics", headers=reading).status_code == 200
        assert client.post("/predict", json=body, headers=scoring).status_code == 200
        answers = [client.post("/predict", json=body, headers=slowly) for _ in range(3)]
        assert [a.status_code for a in answers] == [200, 429, 429]
        assert int(answers[1].headers["retry-after"]) >= 1
        described = client.get("/openapi.json", headers=reading).json()
        assert described["paths"]["/predict"]["post"]["security"] == [{"key": []}]
    refused = [vars(r) for r in caplog.records if r.getMessage() == "request refused"]
    assert {r["key_id"] for r in refused} == {None, "reader", "slow"}
    assert "secret of" not in json.dumps([str(r) for r in refused])


def test_a_body_over_the_limit_is_refused_unread(champion: Scored, database: str, tmp_path: Path) -> None:
    """413 and a closed connection, with the limit named; the same for a body that hides its length."""
    limits = Limits(body_bytes=10_000)
    with serve(tmp_path / "spool", database, full_route(champion), champion, limits=limits) as served:
        for path in ("/predict", "/predict/batch", "/outcomes"):
            for content in (b"x" * 10_001, iter([b"x" * 6_000] * 3)):
                answer = served.client.post(path, content=content)
                assert answer.status_code == 413, path
                assert "10,000 bytes" in answer.json()["detail"]
        assert served.client.post("/predict", json=lead(champion)).status_code == 200


def test_a_slow_library_refuses_rather_than_piles_up(champion: Scored, database: str, tmp_path: Path) -> None:
    """Over the queue's bound a request gets 503 and when to come again; those within it are answered."""
    slow = by_library(champion, Broken(wait_s=0.2))
    limits = Limits(library_queue=2)
    statuses: list[tuple[int, str | None]] = []
    with serve(tmp_path / "spool", database, full_route(slow), slow, limits=limits) as served:

        def ask() -> None:
            answer = served.client.post("/predict", json=lead(champion))
            statuses.append((answer.status_code, answer.headers.get("retry-after")))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert served.client.post("/predict", json=lead(champion)).status_code == 200
        assert len(served.logged("prediction_id")) == 3
    assert sorted(statuses) == [(200, None)] * 2 + [(503, "1")] * 4


def test_no_answer_stands_behind_a_shadow(champion: Scored, challenger: Scored, database: str, tmp_path: Path) -> None:
    """Shadows that take half a second in the library, and a queue of one: every answer is given, and none is late."""
    quick, slow = by_library(champion, Broken()), by_library(challenger, Broken(wait_s=0.5))
    limits = Limits(library_queue=1, request_s=0.3)
    route = shared_route(quick, slow, stage="shadow")
    with serve(tmp_path / "spool", database, route, quick, slow, limits=limits) as served:
        answers = [served.client.post("/predict", json=lead(champion)) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert served.logged("shadow_version, shadow_score") == [("2", None)] * 6


def test_a_shadow_is_left_out_while_answers_wait(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """The library's time goes to those who wait for it; the shadow's absence is counted, and is no failure of it."""
    slow, shadow = by_library(champion, Broken(wait_s=0.3)), by_library(challenger, Broken())
    route = shared_route(slow, shadow, stage="shadow")
    with serve(tmp_path / "spool", database, route, slow, shadow) as served:
        threads = [
            threading.Thread(target=served.client.post, args=("/predict",), kwargs={"json": lead(champion)})
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(served.logged("shadow_score"), key=str) == [(0.5,), (None,), (None,)]
        assert served.service.metrics.shadow_skips.series == {("2",): 2}
        assert set(served.service.metrics.shadow_failures.series.values()) == {0}


def test_a_score_that_is_there_at_once_leaves_the_queue(alone: Served, champion: Scored) -> None:
    """However fast the library is: a place that stays taken would be missing for ever."""

    class AtOnce(ThreadPoolExecutor):
        def submit(self, *call: Any, **keywords: Any) -> Any:
            future = super().submit(*call, **keywords)
            future.exception()  # waits for its end
            return future

    arm = live_of(full_route(champion), champion, None).champion
    queue = LibraryQueue(1)
    queue._thread = AtOnce()

    async def score() -> tuple[list[float], int]:
        found = await queue.score(arm, [LeadIn("L-1", champion.card.example)])
        await asyncio.sleep(0.01)
        return found, queue.waiting

    for _ in range(3):
        assert asyncio.run(score()) == ([champion.scorer.score(champion.card.example)], 0)


def test_a_library_that_takes_too_long_is_told(champion: Scored, database: str, tmp_path: Path) -> None:
    """The caller is not kept waiting, and a score that came too late is not logged as answered."""
    slow = by_library(champion, Broken(wait_s=0.5))
    with serve(tmp_path / "spool", database, full_route(slow), slow, limits=Limits(request_s=0.1)) as served:
        answer = served.client.post("/predict", json=lead(champion))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert served.logged("prediction_id") == []


def test_a_bug_is_a_problem_too(champion: Scored, database: str, tmp_path: Path) -> None:
    """500 in the same form, without a word of the inside; the log has the traceback."""
    broken = replace(champion, scorer=Broken(ZeroDivisionError("secret detail")))
    with serve(tmp_path / "spool", database, full_route(broken), broken) as served:
        for path, body in (("/predict", lead(champion)), ("/predict/batch", {"leads": [lead(champion)]})):
            answer = served.client.post(path, json=body)
            assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
            assert "secret detail" not in answer.text
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
