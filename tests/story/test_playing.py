"""A world is played against the real route, scorers and database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import psycopg
import pytest
from polars.selectors import datetime as datetime_columns
from polars.testing import assert_frame_equal
from scipy import stats
from scipy.special import logit

from leadgate.app.playing import Played, SimulatedClock, play
from leadgate.app.routing import set_route
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.models.bundles import load_bundle
from leadgate.rollout.routing import has_challenger
from leadgate.simulator.disguise import Disguise
from leadgate.simulator.world import World
from leadgate.storage.postgres.measurements import service_use
from leadgate.storage.postgres.predictions import latest_score
from leadgate.storage.postgres.routes import present_route

START = datetime(2026, 6, 1, tzinfo=UTC)
WORLD = World(leads_a_day=150)
COLUMNS = (
    "prediction_id::text AS prediction_id, lead_id, scored_at, model_version, variant, predicted_score, priority, "
    "features, latency_ms, route_epoch, shadow_version, shadow_score"
)


@dataclass
class Story:
    """Two weeks: a challenger in the shadow, then in an A/B test with a fifth of the leads, then with half."""

    home: Home
    days: list[datetime] = field(default_factory=list)
    clocks: list[datetime] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)

    def note(self, now: datetime) -> None:
        self.days.append(now)
        self.clocks.append(self.home.clock())

    def stage(self, stage: Any, share: float) -> None:
        set_route(self.home, stage=stage, champion="1", challenger="2", share=share, reason="the story")

    @contextmanager
    def database(self) -> Iterator["psycopg.Connection[Any]"]:
        with self.home.connection() as connection:
            yield connection

    def rows(self, query: str) -> pl.DataFrame:
        with self.database() as connection:
            cursor = connection.execute(query)
            names = [column.name for column in cursor.description or ()]
            found = pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)
            return found.with_columns(datetime_columns(time_zone="*").dt.convert_time_zone("UTC"))

    @property
    def predictions(self) -> pl.DataFrame:
        return self.rows(f"SELECT {COLUMNS} FROM leadgate.prediction_logs ORDER BY scored_at, prediction_id")


@pytest.fixture
def two_versions(own_workshop: Home) -> Home:
    """A project whose version 1 is a line and whose version 2 is trees, on a clock of its own."""
    return own_workshop.on(SimulatedClock(START))


@pytest.fixture
def story(two_versions: Home) -> Story:
    story = Story(two_versions)
    rng, state = np.random.default_rng(1), None
    for stage, share, days in (("shadow", 0.0, 7), ("ab_test", 0.2, 4), ("ab_test", 0.5, 4)):
        story.stage(stage, share)
        story.played.append(play(story.home, WORLD, days, each_day=story.note, rng=rng, begun=state))
        state = story.played[-1].state
    return story


def test_two_weeks_leave_the_log_that_production_would(story: Story) -> None:
    """Shadow and A/B test: clock, share, stickiness, both scores, parity, outcomes in time."""
    log = story.predictions
    _the_clock_follows(story)
    _every_answer_is_logged_once(story, log)
    _the_route_decides_who_answers(story, log)
    _both_versions_score_every_lead(story, log)
    _outcomes_are_of_scored_leads_and_in_time(story, log)


def _the_clock_follows(story: Story) -> None:
    assert story.days == [START + timedelta(days=day) for day in range(1, 16)]
    assert story.clocks == story.days


def _every_answer_is_logged_once(story: Story, log: pl.DataFrame) -> None:
    """Ids are UUIDv7 of the simulated time, so their order is that of the answers."""
    assert log.height == sum(played.predictions for played in story.played)
    assert log["lead_id"].is_unique().all()
    stamps = [UUID(name).int >> 80 for name in log["prediction_id"]]
    assert stamps == [int(at.timestamp() * 1000) for at in log["scored_at"]]
    assert {UUID(name).version for name in log["prediction_id"]} == {7}
    ended = story.days[-1]
    assert START <= log["scored_at"].min() <= log["scored_at"].max() < ended  # type: ignore[operator]
    with story.database() as connection:
        latest = latest_score(connection, log["lead_id"][0])
    assert latest is not None
    assert latest.predicted_score == log["predicted_score"][0]


def _the_route_decides_who_answers(story: Story, log: pl.DataFrame) -> None:
    """Nobody has the challenger in the shadow; a fifth, then half later (binomial); who had it keeps it."""
    with story.database() as connection:
        route = present_route(connection, story.home.project.name)
    assert route is not None
    last = route.epoch
    assert log["route_epoch"].unique().sort().to_list() == [last - 2, last - 1, last]
    for epoch, share in ((last - 2, 0.0), (last - 1, 0.2), (last, 0.5)):
        part = log.filter(route_epoch=epoch)
        challenged = (part["variant"] == "challenger").to_list()
        assert stats.binomtest(sum(challenged), part.height, share).pvalue > 0.001
        own = replace(route, share=round(share * 10_000))
        assert challenged == [has_challenger(own, name) for name in part["lead_id"]]
    before = log.filter(route_epoch=last - 1, variant="challenger")["lead_id"]
    assert all(has_challenger(route, name) for name in before)
    assert set(log.select("variant", "model_version").unique().iter_rows()) == {("champion", "1"), ("challenger", "2")}


def _both_versions_score_every_lead(story: Story, log: pl.DataFrame) -> None:
    """The one that did not answer is beside it; both scores are what the version's own pipeline says."""
    assert set(log.select("model_version", "shadow_version").unique().iter_rows()) == {("1", "2"), ("2", "1")}
    assert log["shadow_score"].null_count() == 0
    for version in ("1", "2"):
        scored = load_bundle(story.home.bundles, story.home.project.name, version)
        assert scored is not None
        names = [feature.name for feature in scored.card.lead.used]
        rows = [[lead[name] for name in names] for lead in log["features"]]
        logged = log.select(
            pl.when(model_version=version).then("predicted_score").otherwise("shadow_score")
        ).to_series()
        assert logged.to_list() == pytest.approx(scored.scorer.score_many(rows), abs=1e-12)


def _outcomes_are_of_scored_leads_and_in_time(story: Story, log: pl.DataFrame) -> None:
    outcomes = story.rows("SELECT lead_id, converted, deal_size, outcome_at, recorded_at FROM leadgate.lead_outcomes")
    assert outcomes.height == sum(played.outcomes for played in story.played) > 500
    joined = outcomes.join(log, on="lead_id")
    assert joined.height == outcomes.height
    assert (joined["outcome_at"] > joined["scored_at"]).all()
    assert (joined["outcome_at"] <= joined["recorded_at"]).all()
    assert set(outcomes["recorded_at"].to_list()) <= set(story.days)
    contacts = pl.concat([played.contacts for played in story.played])
    assert contacts.join(log, on=["lead_id", "variant", "priority"]).height == contacts.height


def test_a_disguise_is_worn_in_process_only(two_versions: Home) -> None:
    """An inflated and slow challenger: the logged scores are the version's own, moved; its files are as they were."""
    story = Story(two_versions)
    story.stage("ab_test", 0.5)
    disguise = Disguise(version="2", inflated=0.5, slow_ms=120.0)
    played = play(story.home, WORLD, 3, each_day=story.note, rng=np.random.default_rng(2), challenger=disguise)
    log = story.predictions
    plain = load_bundle(story.home.bundles, story.home.project.name, "2")
    assert plain is not None
    names = [feature.name for feature in plain.card.lead.used]
    own = np.array(plain.scorer.score_many([[lead[name] for name in names] for lead in log["features"]]))
    worn = log.select(pl.when(model_version="2").then("predicted_score").otherwise("shadow_score")).to_series()
    assert logit(worn.to_numpy()) - logit(own) == pytest.approx(np.full(len(own), 0.5), abs=1e-6)
    slow = (log["variant"] == "challenger").to_numpy()
    latency = log["latency_ms"].to_numpy()
    assert latency[slow].min() > 120 > latency[~slow].max()
    with story.database() as connection:
        use = service_use(connection, model_name=story.home.project.name, since=START, until=story.days[-1])
    assert use is not None
    assert use.requests == log.height
    above = use.edges.index(0.1) + 1
    assert sum(use.latencies["challenger"][above:]) == slow.sum()
    # The champion's answer waits for the challenger's score beside it.
    assert sum(use.latencies["champion"][above:]) == (~slow).sum()
    assert played.challenger_contacts is not None
    assert 0 < played.challenger_contacts < 1


def test_the_same_generator_plays_the_same_days(two_versions: Home) -> None:
    """To the last prediction id and outcome, on a database that is empty again."""
    story = Story(two_versions)
    story.stage("ab_test", 0.5)
    tables = "leadgate.prediction_logs, leadgate.lead_outcomes, leadgate.service_measurements"
    told = []
    for _ in range(2):
        played = play(
            story.home.on(SimulatedClock(START)), WORLD, 7, each_day=lambda now: None, rng=np.random.default_rng(4)
        )
        outcomes = story.rows("SELECT * FROM leadgate.lead_outcomes ORDER BY outcome_id").drop("outcome_id")
        told.append((story.predictions, outcomes, played.contacts))
        with story.database() as connection:
            connection.execute(f"TRUNCATE {tables}")
    assert all(part.height > 20 for part in told[0])
    for first, again in zip(*told, strict=True):
        assert_frame_equal(first, again)


def test_a_route_that_changes_in_the_evening_holds_from_the_next_morning(two_versions: Home) -> None:
    """As a controller does it, in ``each_day``: two days of shadow, then the challenger has half the leads."""
    story = Story(two_versions)
    story.stage("shadow", 0.0)

    def evening(now: datetime) -> None:
        if now == START + timedelta(days=2):
            story.stage("ab_test", 0.5)

    play(story.home, WORLD, 4, each_day=evening, rng=np.random.default_rng(3))
    log = story.predictions
    changed = START + timedelta(days=2)
    assert log.filter(pl.col("scored_at") < changed)["variant"].unique().to_list() == ["champion"]
    late = log.filter(pl.col("scored_at") >= changed)
    assert set(late["variant"]) == {"champion", "challenger"}
    with story.database() as connection:
        route = present_route(connection, story.home.project.name)
    assert route is not None
    assert route.changed_at == changed


def test_a_project_on_the_machine_s_clock_is_not_played(workshop: Home) -> None:
    """Years of simulated leads do not belong into a log of the present."""
    with pytest.raises(RefusedError, match="SimulatedClock"):
        play(workshop, WORLD, 1, each_day=lambda now: None, rng=np.random.default_rng(1))
