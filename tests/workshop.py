"""Makes small projects of simulated leads, in process and on a real database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leadgate.app.settings import Settings
from leadgate.app.starting import start_project, with_model
from leadgate.app.wire import Home
from leadgate.leads.importing import import_leads
from leadgate.models.training import Trained, train
from leadgate.simulator.leads import simulate_leads

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def simulated_file(folder: Path, leads: int = 3_000, seed: int = 1) -> Path:
    """A CSV of simulated leads."""
    frame = simulate_leads(leads, np.random.default_rng(seed), datetime(2026, 1, 1, tzinfo=UTC), 100).frame
    path = folder / "leads.csv"
    frame.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(path)
    return path


def make_home(folder: Path, database: str, *, leads: int = 3_000, **settings: Any) -> Home:
    """A project with one snapshot and no version."""
    file = simulated_file(folder, leads)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    home = Home(folder, Settings(database_url=database, author="tester", **settings))
    with home.connection() as connection:
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=NOW)
    return home


def train_version(home: Home, kind: str = "logistic_regression", *, aliased: bool = True, **model: Any) -> Trained:
    """Train a version of a kind; other arguments replace settings of ``model`` in leadgate.yaml."""
    project = with_model(home.project, kind)
    project = project.model_copy(update={"model": project.model.model_copy(update=model)})
    return train(
        home.registry,
        home.snapshots_uri,
        project,
        folder=home.folder,
        snapshot_version=None,
        author="tester",
        now=NOW,
        aliased=aliased,
    )
