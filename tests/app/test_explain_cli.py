"""leadgate explain: an auditor asks why a lead got its score, and is answered by the version that gave it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from leadgate.app.cli.root import app
from leadgate.app.wire import Home
from leadgate.errors import NotFoundError, RefusedError
from leadgate.models.reasons import reasons_of
from leadgate.models.scorers import Scored, load
from leadgate.records import Prediction
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import copy_predictions
from leadgate.storage.postgres.routes import add_route
from serviced import full_route, shared_route

SPRING, SUMMER = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def versions(workshop: Home) -> tuple[Scored, Scored]:
    """Logistic regression and trees."""
    first, second = (load(workshop.registry, workshop.registry.find(which)) for which in ("1", "2"))
    return first, second


@pytest.fixture
def home(workshop: Home, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The shared project with its versions, on a log of its own."""
    settings = {
        "DATABASE_URL": database,
        "TRACKING_URI": workshop.registry.tracking_uri,
        "ARCHIVE_URI": str(tmp_path / "a"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"LEADGATE_{name}", value)
    return workshop


def features_of(scored: Scored, **instead: Any) -> dict[str, Any]:
    """A training lead."""
    return {**{f.name: v for f, v in zip(scored.card.lead.used, scored.card.example, strict=True)}, **instead}


def log(database: str, scored: Scored, at: datetime, *, variant: str, epoch: int, **instead: Any) -> None:
    """Have a version score lead L-1, and write it down."""
    features = features_of(scored)
    made = Prediction(
        prediction_id=f"01970000-0000-7000-8000-{epoch:012d}",
        lead_id="L-1",
        scored_at=at,
        model_name="lead-scoring",
        model_version=scored.version.version,
        variant=variant,
        predicted_score=instead.get("score", scored.scorer.score(list(features.values()))),
        priority="low",
        features=json.dumps(features).encode(),
        latency_ms=0.1,
        batch_size=1,
        request_id="r",
        route_epoch=epoch,
    )
    with psycopg.connect(database) as connection:
        ensure_partitions(connection, {at.date()})
        copy_predictions(connection, [made])


@pytest.fixture
def two_scores(home: Home, database: str, versions: tuple[Scored, Scored]) -> Home:
    """Version 1 scored the lead in spring; version 2 did in summer, as its challenger."""
    first, second = versions
    with psycopg.connect(database) as connection:
        add_route(connection, full_route(first))
        add_route(connection, shared_route(first, second, stage="ab_test", share=5_000))
    log(database, first, SPRING, variant="champion", epoch=1)
    log(database, second, SUMMER, variant="challenger", epoch=2)
    return home


def say(home: Home, *arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [*arguments, "--project", str(home.folder)], catch_exceptions=False)


def explained(home: Home, *arguments: str) -> Any:
    """What ``leadgate explain L-1 --json`` prints."""
    done = say(home, "explain", "L-1", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_each_score_is_explained_by_the_version_that_gave_it(two_scores: Home, versions: tuple[Scored, Scored]) -> None:
    """The last one by default, an earlier one on request, from the values that were logged: to the last figure."""
    for arguments, scored, at in (((), versions[1], SUMMER), (("--at", "2026-05-01"), versions[0], SPRING)):
        found = explained(two_scores, *arguments)
        logged = found["logged"]
        assert (logged["model_version"], datetime.fromisoformat(logged["scored_at"])) == (scored.version.version, at)
        expected = reasons_of(scored, features_of(scored))
        assert found["reasons"]["version"] == scored.version.version
        assert [(r["feature"], r["effect"]) for r in found["reasons"]["reasons"]] == [
            (r.feature, r.effect) for r in expected.reasons
        ]
        assert found["agrees"]


def test_people_get_sentences(two_scores: Home, versions: tuple[Scored, Scored]) -> None:
    """The score, who gave it and when, and the reasons in words; all of them with --all."""
    top, everything = (say(two_scores, "explain", "L-1", *more).stdout for more in ((), ("--all",)))
    expected = reasons_of(versions[1], features_of(versions[1]))
    assert f"Lead L-1: {expected.score:.2f}, priority low, by version 2 (challenger) at 2026-06-01 12:00 UTC" in top
    assert all(reason.sentence in top for reason in expected.top())
    assert all(reason.sentence in everything for reason in expected.reasons)
    left_out = [reason for reason in expected.reasons if reason not in expected.top()]
    assert not any(reason.sentence in top for reason in left_out)


def test_a_score_that_left_the_log_is_explained_from_the_archive(two_scores: Home, database: str) -> None:
    """A year later the row is in a Delta table; the question is the same."""
    before = explained(two_scores)
    assert say(two_scores, "logs", "retain", "--days", "0", "--yes").exit_code == 0
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM leadgate.prediction_logs").fetchone() == (0,)
    assert explained(two_scores) == before
    assert explained(two_scores, "--at", "2026-05-01")["logged"]["model_version"] == "1"


def test_another_model_under_the_same_number_is_not_asked(
    home: Home, database: str, versions: tuple[Scored, Scored]
) -> None:
    """The route of that day names the digest of the model; the reasons of a model that came later are none."""
    first, _ = versions
    with psycopg.connect(database) as connection:
        add_route(connection, replace(full_route(first), champion_digest="f" * 64))
    log(database, first, SPRING, variant="champion", epoch=1)
    with pytest.raises(RefusedError, match="another model now than the one that gave this score"):
        explained(home)


def test_a_row_that_was_changed_is_told(home: Home, database: str, versions: tuple[Scored, Scored]) -> None:
    """The version gives the logged values another score than the log says: an auditor has to know."""
    first, _ = versions
    log(database, first, SPRING, variant="champion", epoch=1, score=0.987654)
    assert not explained(home)["agrees"]
    assert "the log says 0.987654: the row or the version has been changed" in say(home, "explain", "L-1").stdout


def test_a_lead_without_a_score_is_a_sentence(two_scores: Home) -> None:
    """Never scored, or not by then."""
    with pytest.raises(NotFoundError, match=r"'nobody' has no score of model 'lead-scoring'"):
        say(two_scores, "explain", "nobody")
    long_ago = f"{SPRING - timedelta(days=1):%Y-%m-%d}"
    with pytest.raises(NotFoundError, match=f"up to {long_ago}"):
        say(two_scores, "explain", "L-1", "--at", long_ago)
