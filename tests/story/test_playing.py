"""A world is played against the real route, scorers and database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from leadgate.app.playing import Played, SimulatedClock, play
from leadgate.app.routing import set_route
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.rollout.routing import has_challenger
from leadgate.simulator.world import World
from leadgate.storage.postgres.routes import present_route
from workshop import make_home, train_version

START = datetime(2026, 6, 1, tzinfo=UTC)
WORLD = World(leads_a_day=150)


def test_t(database: str, tmp_path: Path) -> None:
    import time

    home = make_home(tmp_path, database, leads=3000)
    for kind in ("logistic_regression", "hist_gradient_boosting"):
        train_version(home, kind)
    clock = SimulatedClock(START)
    home = home.on(clock)
    set_route(home, stage="shadow", champion="1", challenger="2", share=0, reason="t")
    t = time.time()
    played = play(home, WORLD, 70, each_day=lambda now: None, rng=np.random.default_rng(1))
    print(time.time() - t, played.predictions, played.outcomes, played.contacts.height)
