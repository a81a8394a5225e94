"""What a worker did reaches the rows that the gates of a rollout read: whole, once, and by variant."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from leadgate.app.wire import Home
from leadgate.errors import DatabaseDownError
from leadgate.models.scorers import Scored, load
from leadgate.records import Route
from leadgate.rollout.routing import bucket
from leadgate.scoring.answering import live_of
from leadgate.scoring.measuring import Recorder
from leadgate.stats.latency import quantile_of
from leadgate.storage.postgres.measurements import Measurement, ServiceUse, add_measurement, service_use
from serviced import NOW, Served, full_route, serve, shared_route

LEADS = [f"lead-{i}" for i in range(60)]


@pytest.fixture(scope="module")
def champion(workshop: Home) -> Scored:
    """Logistic regression."""
    return load(workshop.registry, workshop.registry.find("1"))


@pytest.fixture(scope="module")
def challenger(workshop: Home) -> Scored:
    """Histogram gradient boosting."""
    return load(workshop.registry, workshop.registry.find("2"))


class Failing:
    """Scores some, fails all others."""

    def __init__(self, good: int) -> None:
        self.good = good

    def score(self, values: Any) -> float:
        """One."""
        return self.score_many([values])[0]

    def score_many(self, rows: Sequence[Any]) -> list[float]:
        """Many."""
        self.good -= len(rows)
        if self.good < 0:
            raise ZeroDivisionError
        return [0.5] * len(rows)


def canary(champion: Scored, challenger: Scored) -> tuple[Route, list[str], list[str]]:
    """A route, the leads that the champion answers, those of the challenger."""
    route = shared_route(champion, challenger, stage="canary", share=5_000)
    theirs = [name for name in LEADS if bucket(route.salt, name) < route.share]
    return route, [name for name in LEADS if name not in theirs], theirs


def recorder(served: Served) -> Recorder:
    """Of one worker."""
    return Recorder(served.service, start="test", worker="0")


def body(scored: Scored, name: str) -> dict[str, Any]:
    """A request for the training lead under another name."""
    values = zip(scored.card.lead.used, scored.card.example, strict=True)
    return {"lead_id": name, "features": {feature.name: value for feature, value in values}}


def written(served: Served, made: Recorder) -> ServiceUse:
    """What stands in the database when the worker has stopped."""
    assert served.client.portal is not None
    served.client.portal.call(made.close)
    return measured(served.database)


def measured(database: str) -> ServiceUse:
    """What stands in the database."""
    with psycopg.connect(database) as connection:
        found = service_use(
            connection, model_name="lead-scoring", since=NOW - timedelta(days=1), until=NOW + timedelta(days=1)
        )
    assert found is not None
    return found


def rows(database: str, what: str) -> list[tuple[Any, ...]]:
    """Columns of the spans, in their order."""
    with psycopg.connect(database) as connection:
        return connection.execute(f"SELECT {what} FROM leadgate.service_measurements ORDER BY until").fetchall()


def test_what_was_answered_is_what_was_measured(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """Scores only, alone and in batches, with the time of each by variant; probes would thin out the failures."""
    route, ours, theirs = canary(champion, challenger)
    with serve(tmp_path / "spool", database, route, champion, challenger) as served:
        made, resident = recorder(served), psutil.Process().memory_info().rss
        for name in LEADS:
            assert served.client.post("/predict", json=body(champion, name)).status_code == 200
        batch = {"leads": [body(champion, name) for name in (*ours[:3], *theirs[:5])]}
        assert served.client.post("/predict/batch", json=batch).status_code == 200
        assert served.client.post("/predict", json={"lead_id": ""}).status_code == 422
        for _ in range(7):
            assert served.client.get("/health/live").status_code == 200
        use = written(served, made)
    assert (use.requests, use.failures) == (len(LEADS) + 2, 0)
    assert {variant: sum(counts) for variant, counts in use.latencies.items()} == {
        "champion": len(ours),
        "challenger": len(theirs),
    }
    assert use.answers_by_variant == {"champion": len(ours) + 3, "challenger": len(theirs) + 5}
    assert use.failures_by_variant == {}
    assert (use.shadow_asked, use.shadow_failed) == (len(LEADS) + 8, 0)
    assert 0 < use.busy_s < 60
    assert use.peak_memory_bytes > 0.99 * resident


def test_a_challenger_that_fails_half_of_its_leads_is_seen(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """A failure is a 5xx of the service and of the variant that made it; in a batch all its leads failed."""
    route, _, theirs = canary(champion, challenger)
    good = len(theirs) // 2
    broken = replace(challenger, scorer=Failing(good))
    with serve(tmp_path / "spool", database, route, champion, broken) as served:
        made = recorder(served)
        statuses = [served.client.post("/predict", json=body(champion, name)).status_code for name in theirs]
        assert statuses == [200] * good + [500] * (len(theirs) - good)
        batch = {"leads": [body(champion, name) for name in theirs[:4]]}
        assert served.client.post("/predict/batch", json=batch).status_code == 500
        use = written(served, made)
    assert (use.requests, use.failures) == (len(theirs) + 1, len(theirs) - good + 1)
    assert use.failures_by_variant == {"challenger": len(theirs) - good + 4}
    assert use.answers_by_variant == {"challenger": good}
    assert sum(use.latencies["challenger"]) == good


@pytest.mark.parametrize("score", (float("nan"), 1.5, -0.1))
def test_a_score_that_is_no_probability_is_a_failure_of_its_version(
    champion: Scored, database: str, tmp_path: Path, score: float
) -> None:
    """Nobody is answered with it; the log's rules would refuse it after the answer."""
    broken = replace(champion, scorer=Failing(0))
    object.__setattr__(broken.scorer, "score", lambda _: score)
    with serve(tmp_path / "spool", database, full_route(champion), broken) as served:
        made = recorder(served)
        assert served.client.post("/predict", json=body(champion, "L")).status_code == 500
        assert served.logged("prediction_id") == []
        assert written(served, made).failures_by_variant == {"champion": 1}


def test_a_shadow_that_fails_is_counted_with_those_that_were_asked_for(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """So that a challenger which would fail as a champion is known before it answers anybody."""
    route = shared_route(champion, challenger, stage="shadow")
    broken = replace(challenger, scorer=Failing(6))
    with serve(tmp_path / "spool", database, route, champion, broken) as served:
        made = recorder(served)
        for name in LEADS[:10]:
            assert served.client.post("/predict", json=body(champion, name)).status_code == 200
        use = written(served, made)
    assert (use.shadow_asked, use.shadow_failed, use.failures) == (10, 4, 0)


def test_a_database_that_is_away_costs_no_figure(champion: Scored, database: str, tmp_path: Path) -> None:
    """What could not be written is written later, once, and what happened meanwhile with it."""
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        made = recorder(served)
        real, away = served.service.log.measure, True

        def measure(measurement: Measurement) -> None:
            if not away:
                real(measurement)
                return
            real(measurement)  # the answer of a commit that has happened is lost
            raise DatabaseDownError("away")

        served.service.log.measure = measure  # type: ignore[method-assign]
        for turn in range(4):
            served.client.post("/predict", json=body(champion, f"L-{turn}"))
            made._ended -= 60
            made.tick()
            wait_for(made)
        away = False
        use = written(served, made)
    assert (use.requests, sum(use.latencies["champion"])) == (4, 4)
    assert rows(database, "requests") == [(1,), (3,)]


def test_answers_do_not_wait_for_the_database(champion: Scored, database: str, tmp_path: Path) -> None:
    """A database that hangs holds a thread, and no more than one."""
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        made = recorder(served)
        with psycopg.connect(database) as locking:
            locking.execute("LOCK TABLE leadgate.service_measurements IN ACCESS EXCLUSIVE MODE")
            for _ in range(3):
                made._ended -= 60
                made.tick()  # returns
            assert served.client.post("/predict", json=body(champion, "L")).status_code == 200
            assert made._thread is not None
            assert made._thread.is_alive()
        assert written(served, made).requests == 1


def test_no_span_holds_the_requests_of_two_routes(
    champion: Scored, challenger: Scored, database: str, tmp_path: Path
) -> None:
    """A stage begins with a route: what was measured before it must not count in it."""
    with serve(tmp_path / "spool", database, full_route(champion), champion) as served:
        made = recorder(served)
        for name in LEADS[:3]:
            served.client.post("/predict", json=body(champion, name))
        made.tick()
        served.service.live = live_of(shared_route(champion, challenger, stage="shadow"), champion, challenger)
        made.tick()
        wait_for(made)
        for name in LEADS[:5]:
            served.client.post("/predict", json=body(champion, name))
        written(served, made)
    assert rows(database, "requests, shadow_asked") == [(3, 0), (5, 5)]


SPAN = Measurement(
    model_name="lead-scoring",
    service="s",
    worker="0",
    since=NOW,
    until=NOW + timedelta(minutes=1),
    requests=10,
    failures=1,
    busy_s=0.5,
    peak_memory_bytes=90_000_000,
    latencies={"champion": [(0.001, 6), (None, 3)]},
    failures_by_variant={"champion": 1},
)


def test_a_span_is_written_once(database: str) -> None:
    """The same span again, of a worker that did not hear that it was written, adds nothing."""
    other = replace(SPAN, worker="1", failures_by_variant={"challenger": 2, "champion": 1}, peak_memory_bytes=1)
    with psycopg.connect(database) as connection:
        for measurement in (SPAN, SPAN, other):
            add_measurement(connection, measurement)
    use = measured(database)
    assert (use.requests, use.failures, use.busy_s, use.workers) == (20, 2, 1.0, 2.0)
    assert (use.edges, use.latencies) == ((0.001,), {"champion": (12, 6)})
    assert (use.failures_by_variant, use.answers_by_variant) == ({"champion": 2, "challenger": 2}, {})
    assert use.peak_memory_bytes == 90_000_000


def wait_for(made: Recorder) -> None:
    """Wait until nothing is being written."""
    deadline = time.monotonic() + 10
    while made._thread is not None and made._thread.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_of_two_releases_are_counted_together(database: str) -> None:
    """A release that counts into other buckets hides nobody: half the answers took 2 ms at most, nine in ten 4 ms."""
    old = replace(SPAN, latencies={"champion": [(0.002, 5), (0.004, 4), (None, 1)]})
    new = replace(SPAN, worker="1", latencies={"champion": [(0.001, 5), (0.003, 4), (None, 1)]})
    with psycopg.connect(database) as connection:
        add_measurement(connection, old)
        add_measurement(connection, new)
    use = measured(database)
    assert use.edges == (0.001, 0.002, 0.003, 0.004)
    assert use.latencies == {"champion": (5, 5, 4, 4, 2)}
    assert [quantile_of(use.latencies["champion"], use.edges, q) for q in (0.5, 0.9)] == [0.002, 0.004]
