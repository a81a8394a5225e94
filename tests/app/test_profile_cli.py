"""leadgate profile, on a world that is played against the real code."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from leadgate.app.playing import SimulatedClock, play
from leadgate.app.profiling import rebuild, show, tidy
from leadgate.app.routing import set_route
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.baselines import baseline_from_bytes
from leadgate.scoring import folding
from leadgate.simulator.world import World
from leadgate.storage.postgres.profiles import find_baseline

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def home(own_workshop: Home) -> Home:
    """A project with a version that has answered two days of leads."""
    home = own_workshop.on(SimulatedClock(START))
    set_route(home, stage="full", champion="1", challenger=None, share=0, reason="test")
    play(home, World(leads_a_day=200), 2, each_day=lambda _: None, rng=np.random.default_rng(1))
    return home


def test_played_leads_are_shown_beside_the_training_leads(home: Home) -> None:
    """Every logged prediction is in the profile, and what is shown is what the rows say."""
    found = show(home, version=None, since=None, feature="company_size")
    with psycopg.connect(home.database_url) as connection:
        n, mean, low, missing = connection.execute(
            "SELECT count(*), avg((features->>'company_size')::float), min((features->>'company_size')::float), "
            "count(*) FILTER (WHERE features->>'company_size' IS NULL) FROM leadgate.prediction_logs"
        ).fetchone() or (0, 0.0, 0.0, 0)
    (size,) = found.features
    assert (found.version, found.predictions, size.count) == ("1", n, n - missing)
    assert size.mean == pytest.approx(mean)
    assert size.low == low
    assert size.quantiles_at_training[2] > 0


def test_made_anew_it_says_the_same(home: Home) -> None:
    """`leadgate profile rebuild` changes nothing where nothing was wrong."""
    before = show(home, version=None, since=START, feature=None)
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM leadgate.profile_hours WHERE profile_id % 2 = 0")
    _, predictions = rebuild(home, since=START)
    after = show(home, version=None, since=START, feature=None)
    assert predictions == before.predictions == after.predictions
    assert [f.quantiles for f in after.features] == [f.quantiles for f in before.features]
    assert [f.categories for f in after.features] == [f.categories for f in before.features]


@pytest.mark.parametrize(("act", "step"), (("rebuild", "first_logged"), ("tidy", "take_parts")))
def test_drainers_wait_for_an_hour_at_most(home: Home, monkeypatch: pytest.MonkeyPatch, act: str, step: str) -> None:
    """Not for the whole of `leadgate profile rebuild` or `tidy`: what it did to an hour is done before the next one."""
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        columns = "model_name, model_version, variant, hour, layout, predictions, payload"
        connection.execute(
            f"INSERT INTO leadgate.profile_hours ({columns}) SELECT {columns} FROM leadgate.profile_hours"
        )
    real, seen = getattr(folding, step), []

    def probed(*args: Any, **names: Any) -> Any:
        seen.append(changing(home.database_url))
        return real(*args, **names)

    monkeypatch.setattr(folding, step, probed)
    if act == "tidy":
        tidy(home)
    else:
        rebuild(home, since=START)
    assert len(seen) > 3
    assert not any(seen)


def changing(url: str) -> int:
    """Other sessions that have changed rows and have not committed that."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND backend_xid IS NOT NULL"
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_the_baseline_says_what_the_card_says(home: Home) -> None:
    """It is made from the same leads and scores, and what decides conversion in the simulator matters."""
    with home.connection() as connection:
        content = find_baseline(connection, "lead-scoring", "1")
    assert content is not None
    baseline, card = baseline_from_bytes(content), home.registry.card(home.registry.find("1"))
    assert baseline.quality.auc == card.evaluation.overall.auc
    assert baseline.profile.predictions == card.training_leads + card.holdout_leads
    assert baseline.won.sum() == card.evaluation.overall.converted
    assert baseline.profile.scores.count == card.holdout_leads
    assert set(baseline.importance) == {feature.name for feature in card.lead.used}
    assert max(baseline.importance, key=lambda name: baseline.importance[name]) in {
        "engagement_score",
        "job_title",
        "lead_source",
        "demo_requested",
    }


def test_unknown_names_are_refused_with_what_there_is(home: Home) -> None:
    """A typing slip in a feature's name, and a time in which nothing was scored."""
    with pytest.raises(RefusedError, match=r"known: .*company_size"):
        show(home, version=None, since=None, feature="company")
    with pytest.raises(RefusedError, match="no profile since"):
        show(home, version=None, since=START + timedelta(days=9), feature=None)
    assert json.dumps(show(home, version="1", since=None, feature=None).bands)
