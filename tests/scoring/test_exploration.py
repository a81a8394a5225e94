"""Explored leads through the real application, into the log."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from leadgate.app.wire import Home
from leadgate.models.scorers import Scored, load
from leadgate.records import Prediction
from leadgate.rollout.exploring import explored_buckets, is_explored
from leadgate.scoring.segments import HEADER_BYTES, encode_header, encode_record, read_segment
from serviced import full_route, lead, listen

BUCKETS = explored_buckets(0.2)
DRAWN = next(f"L-{i}" for i in range(100) if is_explored(BUCKETS, f"L-{i}"))
PASSED = next(f"L-{i}" for i in range(100) if not is_explored(BUCKETS, f"L-{i}"))


@pytest.fixture(scope="module")
def champion(workshop: Home) -> Scored:
    """Logistic regression."""
    return load(workshop.registry, workshop.registry.find("1"))


def test_an_explored_lead_has_its_true_score_and_priority_high(champion: Scored, database: str, tmp_path: Path) -> None:
    """By both ways to a score; whatever else the answer says is as for any lead, and the log knows what it would be."""
    with listen(tmp_path / "spool", database, full_route(champion), champion) as served:
        ids = (DRAWN, PASSED)
        with served.client() as caller:
            off = [caller.post("/predict", json=lead(champion, name)).json() for name in ids]
            served.service.explored = BUCKETS
            served.service.take_up(served.service.live)
            on = [caller.post("/predict", json=lead(champion, name)).json() for name in ids]
            body = {"leads": [lead(champion, name) for name in ids]}
            on += caller.post("/predict/batch", json=body).json()["predictions"]
            asked = caller.get(f"/leads/{DRAWN}/score")
        own = off[0]["priority"]
        assert own != "high"  # else this test would show nothing
        assert [answer["explored"] for answer in off] == [False, False]
        assert [(answer["explored"], answer["priority"]) for answer in on] == [(True, "high"), (False, own)] * 2
        assert {answer["predicted_score"] for answer in on} == {off[0]["predicted_score"]}
        if asked.status_code == 200:
            assert asked.json()["explored"] is True
        log = served.logged("lead_id, priority, explored, own_priority")
    assert log[2:] == [(DRAWN, "high", True, own), (PASSED, own, False, None)] * 2
    assert {row[2:] for row in log[:2]} == {(False, None)}


def test_the_api_page_says_what_explored_means(champion: Scored, database: str, tmp_path: Path) -> None:
    """Who writes the CRM's side reads there what to do with it."""
    with listen(tmp_path / "spool", database, full_route(champion), champion) as served, served.client() as caller:
        answer = caller.get("/openapi.json").json()["components"]["schemas"]["Answer"]
    assert answer["properties"]["explored"]["type"] == "boolean"
    assert "explored" in answer["required"]


def test_a_segment_from_before_exploration_still_drains() -> None:
    """A spool that waited out an upgrade has records without the new field; not one is lost."""
    prediction = Prediction(
        prediction_id="01932c07-209c-7000-8000-000000000000",
        lead_id="a",
        scored_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
        model_name="leads",
        model_version="1",
        variant="champion",
        predicted_score=0.5,
        priority="low",
        features=b"{}",
        latency_ms=0.1,
        batch_size=1,
        request_id="r",
        route_epoch=1,
    )
    fields: list[Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(prediction))
    assert len(fields) == 16
    record = encode_record([fields[:15]], 0)  # type: ignore[list-item]  # as the release before wrote it
    header = encode_header(1, HEADER_BYTES + len(record)).ljust(HEADER_BYTES, b"\0")
    segment = read_segment(header + record)
    assert (segment.predictions, segment.lost, segment.damage) == ((prediction,), 0, None)
    assert not segment.predictions[0].explored
