"""leadgate logs: where the archive is, and what of the spool never reached the log."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner

from leadgate.app.cli.logs import app
from leadgate.app.starting import start_project
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import DrainedSegment, claim_segment, copy_predictions
from predicted import prediction
from workshop import simulated_file

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def project(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a leadgate.yaml, on a database of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    file = simulated_file(folder, 300)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    return folder


def say(project: Path, *arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, [*arguments, "--project", str(project)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_old_days_go_where_the_deployment_says(
    project: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LEADGATE_ARCHIVE_URI: a container that runs the command and goes away must not take the archive with it."""
    archive = str(tmp_path / "elsewhere")
    monkeypatch.setenv("LEADGATE_ARCHIVE_URI", archive)
    made = prediction("L-1", NOW)
    with psycopg.connect(database) as connection:
        ensure_partitions(connection, {NOW.date()})
        copy_predictions(connection, [made])
    done = json.loads(say(project, "retain", "--days", "0", "--yes", "--json"))
    assert done["archive"] == archive
    assert pl.read_delta(archive)["lead_id"].to_list() == ["L-1"]
    assert not (project / ".leadgate" / "prediction_logs").exists()
    (day,) = json.loads(say(project, "show", "--json"))
    assert (day["rows"], day["archived"]) == (0, 1)


def test_what_was_lost_is_told(project: Path, database: str) -> None:
    """How many, of which segment and why: nobody should have to find it in a log."""
    assert "damaged" not in say(project, "show")
    assert json.loads(say(project, "damaged", "--json")) == []
    with psycopg.connect(database) as connection:
        for segment, lost, damage in (("a-1", 0, None), ("a-2", 7, "bytes are missing"), ("a-3", 0, "bad header")):
            claim_segment(
                connection, DrainedSegment(segment=segment, drained_at=NOW, predictions=5, lost=lost, damage=damage)
            )
    told = say(project, "show")
    assert "7 answered predictions are missing, of 2 damaged segments" in told
    found = json.loads(say(project, "damaged", "--json"))
    assert {(d["segment"], d["lost"], d["damage"]) for d in found} == {
        ("a-2", 7, "bytes are missing"),
        ("a-3", 0, "bad header"),
    }
    assert "bytes are missing" in say(project, "damaged")
