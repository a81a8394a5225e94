"""Weeks through the whole run: what a silent CRM and wrong outcomes may teach a model."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leadgate.app.playing import SimulatedClock
from leadgate.app.retraining import retrain
from leadgate.app.routing import route_in_force
from leadgate.app.wire import CONFIG, Home
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.retrainings import first_scores, last_decisions

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def weeks() -> Any:
    """The benchmark as a module."""
    sys.path.append(str(BENCHMARKS))
    found = importlib.util.spec_from_file_location("weeks", BENCHMARKS / "weeks.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["weeks"] = module
    found.loader.exec_module(module)
    return module


def test_neither_silence_nor_wrong_outcomes_are_learnt(weeks: Any, own_workshop: Home) -> None:
    """Three weeks as ever, one in which the CRM sends nothing; then it sends all anew, a fifth of it wrong."""
    config = own_workshop.folder / CONFIG
    config.write_text(weeks.ruled(config.read_text()).replace('schedule: "0 22 1 * *"', 'schedule: "0 22 * * sun"'))
    home = own_workshop.on(SimulatedClock(weeks.START))
    many = weeks.Episode(name="many", begins=0, ends=9, leads_a_day=100)
    silent = weeks.Episode(name="silent", begins=3, ends=4, outage=True)
    wrong = weeks.Episode(name="wrong", begins=4, ends=9, resends=True)
    route_in_force(home)
    story = weeks.Story(home=home, episodes=(many, silent, wrong), asked_every=weeks.WEEK).live(5)

    (run,) = story.runs
    assert (run.about.trigger, run.promoted, story.week_of(run.about.started_at)) == ("scheduled", True, 2)
    with home.connection() as connection:
        decisions = {story.week_of(d.decided_at): d for d in last_decisions(connection, home.project.name)}
        scored = first_scores(connection, home.project.name, until=home.clock() - 2 * weeks.WEEK)
        heard = last_outcomes(connection, until=home.clock())
    # In the silence and after it: leads whose fate may have been told in it are no news.
    assert [(decisions[week].act, decisions[week].why_not) for week in (3, 4)] == [
        ("wait", "no deliveries"),
        ("wait", "nothing new"),
    ]
    said = retrain(home, reason="whatever the triggers say", by="anna")
    assert "nothing was registered, gate locked outcomes" in said
    assert scored.filter(~pl.col("lead_id").is_in(heard["lead_id"].to_list())).height > 50
    assert weeks.learnt_from_silence(story) == 0
    assert route_in_force(home).champion == run.about.version
