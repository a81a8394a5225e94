"""Healthy weeks of a world on a real database, and copies of them on which something goes wrong."""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from diagnosis_worlds import Cause, Wrong, world_of
from leadgate.app.diagnosing import diagnose
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.routing import route_in_force, set_route
from leadgate.app.settings import Settings
from leadgate.app.starting import start_project
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.importing import import_leads
from leadgate.models.training import train
from leadgate.monitoring.diagnosis import Diagnosis
from leadgate.simulator.disguise import Disguise
from leadgate.simulator.world import World, WorldState, begin, draw_leads, live_day

START = datetime(2026, 3, 2, tzinfo=UTC)
HISTORY_DAYS, HEALTHY_DAYS = 40, 43
_PATIENCE = 30
"""Days in which the last outcomes of the history come."""
_BANDS = pl.when(pl.col("probability") > 0.7).then(pl.lit("high")).when(pl.col("probability") > 0.4)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A project at the end of its healthy weeks."""

    seed: int
    folder: Path
    server: str
    database: str
    world: World
    state: WorldState


def prepare(seed: int, folder: Path, server: str, template: str) -> Stage:
    """Train on the history of a seed's world, and live through its healthy weeks; ``template``: a migrated database."""
    rng = np.random.default_rng([seed, 1])
    world = world_of(rng)
    file = folder / "leads.csv"
    _history(world, rng).write_csv(file)
    start_project(folder, file, name="leads", id_column=None, target=None, timestamp=None, force=True)
    config = folder / CONFIG
    text = config.read_text().replace("window_days: 60", "window_days: 14")
    config.write_text(text.replace("matured_days: 28", "matured_days: 14"))
    database = f"seed_{seed}"
    clone(server, template, database)
    home = home_of(folder, server, database, START)
    with home.connection() as connection:
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=START)
    _train(home)
    route_in_force(home)
    played = play(home, world, HEALTHY_DAYS, each_day=lambda _: None, rng=rng)
    return Stage(seed=seed, folder=folder, server=server, database=database, world=world, state=played.state)


def run(stage: Stage, cause: Cause) -> tuple[Wrong, Diagnosis]:
    """Let a cause loose on a copy of the healthy weeks; gives what was drawn, and the diagnosis at the end."""
    luck = np.random.default_rng([stage.seed, 2, *cause.name.encode()])
    now = stage.state.midnight
    wrong = cause.provoke(luck, stage.world, now)
    name = f"{stage.database}_{os.getpid()}_{cause.name.replace(' ', '_')}"
    clone(stage.server, stage.database, name)
    try:
        home = home_of(stage.folder, stage.server, name, now)
        disguise = _new_version(home, wrong)
        world = _changed(stage, wrong)
        play(
            home,
            world,
            wrong.days,
            each_day=lambda _: None,
            rng=luck,
            challenger=disguise,
            faults=wrong.faults,
            begun=stage.state,
        )
        return wrong, diagnose(home)
    finally:
        drop(stage.server, name)


def _changed(stage: Stage, wrong: Wrong) -> World:
    world = replace(stage.world, **wrong.world)  # type: ignore[arg-type]  # figures alone
    drift = None if wrong.drift is None else replace(wrong.drift, day=stage.state.day)
    return replace(world, team=wrong.team or world.team, drift=drift)


def _new_version(home: Home, wrong: Wrong) -> Disguise | None:
    """A version with another threshold, or a slow one, that answers from now on."""
    if wrong.high is None and wrong.slow_version == 0:
        return None
    project = home.project
    if wrong.high is not None:
        medium = min(project.thresholds.medium, wrong.high / 2)
        thresholds = project.thresholds.model_copy(update={"high": wrong.high, "medium": medium})
        project = project.model_copy(update={"thresholds": thresholds})
    train(
        home.registry,
        home.snapshots_uri,
        project,
        folder=home.folder,
        snapshot_version=None,
        author="bench",
        now=home.clock(),
    )
    newest = max((v.version for v in home.registry.versions()), key=int)
    set_route(home, stage="full", champion=newest, challenger=None, share=0, reason="bench")
    return Disguise(version=newest, slow_ms=wrong.slow_version) if wrong.slow_version else None


def home_of(folder: Path, server: str, database: str, now: datetime) -> Home:
    """The project on a database, with a clock that can be set."""
    host = conninfo_to_dict(server)["host"]
    url = f"postgresql://postgres@/{database}?host={host}"
    return Home(folder, Settings(database_url=url, author="bench")).on(SimulatedClock(now))


def hurry(server: str) -> None:
    """Let the server not wait for the disk: what is measured here is no durability, and all of it is thrown away."""
    with psycopg.connect(server, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


def clone(server: str, template: str, name: str) -> None:
    """A database that is a copy of another one; whoever is connected to that is sent away."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [template])
        asked = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        connection.execute(asked.format(sql.Identifier(name), sql.Identifier(template)))


def drop(server: str, name: str) -> None:
    """Remove a database."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _train(home: Home) -> None:
    train(
        home.registry,
        home.snapshots_uri,
        home.project,
        folder=home.folder,
        snapshot_version=None,
        author="bench",
        now=home.clock(),
    )


def _history(world: World, rng: np.random.Generator) -> pl.DataFrame:
    """What a CRM exports of leads that the team worked by its own good judgement, before there was a model."""
    world, start = replace(world, first_number=0), START - timedelta(days=HISTORY_DAYS + _PATIENCE)
    state, leads, outcomes = begin(start), [], []
    for day in range(HISTORY_DAYS + _PATIENCE):
        drawn = draw_leads(world, state, rng)
        answers = drawn.fate.select(
            "lead_id",
            priority=_BANDS.then(pl.lit("medium")).otherwise(pl.lit("low")),
            predicted_score="probability",
            variant=pl.lit("champion"),
            challenged=pl.lit(value=False),
        )
        lived = live_day(world, state, drawn, answers)
        state = lived.state
        outcomes.append(lived.reported)
        if day < HISTORY_DAYS:
            leads.append(drawn.frame)
    known = pl.concat(outcomes).select("lead_id", "converted")
    frame = pl.concat(leads).join(known, on="lead_id", how="inner", maintain_order="left")
    return frame.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
