"""Versions made again from the registry's record: here, elsewhere, and where something is missing."""

import json
import os
import platform
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leadgate.app.lineage import clear_snapshots, kept_snapshots, reproduce_version
from leadgate.app.retraining import abandon, begin
from leadgate.app.settings import Settings
from leadgate.app.starting import with_model
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.importing import import_leads
from leadgate.models.reproduction import Reproduction
from leadgate.models.training import make_candidate
from leadgate.storage import delta
from leadgate.storage.postgres.audit import latest_entries
from leadgate.storage.postgres.retrainings import add_step
from workshop import NOW, train_version

FOREST = {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1, "n_estimators": 5}
"""What the compiler refuses, so that the library serves it."""


def again(home: Home, which: str = "1") -> Reproduction:
    """Reproduce a version in this process."""
    return reproduce_version(home, which, lambda _: None)


def elsewhere(home: Home, folder: Path, *versions: str, **env: str) -> list[dict[str, Any]]:
    """Reproduce versions in a new process, from another folder, with another environment."""
    folder.mkdir()
    (folder / "leadgate.yaml").write_text((home.folder / "leadgate.yaml").read_text())
    own = {
        "LEADGATE_DATABASE_URL": home.database_url,
        "LEADGATE_SNAPSHOTS_URI": home.snapshots_uri,
        "PYTHONPATH": "",
        **env,
    }
    script = Path(__file__).with_name("elsewhere.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *versions],
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def import_file(home: Home, file: Path) -> int:
    """Import leads; gives the snapshot's number."""
    with home.connection() as connection:
        snapshot = import_leads(connection, home.snapshots_uri, home.project, file=file, now=NOW).snapshot
    assert snapshot is not None
    return snapshot.version


def later_snapshot(home: Home) -> None:
    """Another snapshot that shares no file with those before: every lead has another value."""
    leads = pl.read_csv(home.folder / "leads.csv")
    leads.with_columns(pl.col("email_opens") + 1).write_csv(home.folder / "later.csv")
    import_file(home, home.folder / "later.csv")


def register_recent(home: Home) -> None:
    """A version of the last leads, as retraining makes one, of a kind that the compiler refuses."""
    project = with_model(home.project, "lightgbm")
    project = project.model_copy(update={"model": project.model.model_copy(update={"hyperparameters": FOREST})})
    candidate = make_candidate(
        home.snapshots_uri,
        project,
        folder=home.folder,
        snapshot_version=None,
        author="tester",
        now=NOW,
        since=NOW - timedelta(days=120),
    )
    assert 0 < len(candidate.learnt) < home.registry.card(home.registry.find("1")).training_leads
    home.registry.register(candidate.card, candidate.files)


def state_of(found: Reproduction, what: str) -> str:
    """The state of one input."""
    return next(entry.state for entry in found.inputs if entry.what == what)


def test_every_kind_of_model_is_the_same_in_another_environment(own_workshop: Home, tmp_path: Path) -> None:
    """Another folder, hash seed and number of threads: the same digests and scores, to the bit.

    Linear, both kinds of trees, and one that the library serves and that learnt from the leads of a span only.
    """
    train_version(own_workshop, "lightgbm", hyperparameters={"n_estimators": 20})
    register_recent(own_workshop)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "2")
    answers = elsewhere(own_workshop, tmp_path / "there", "1", "2", "3", "4", PYTHONHASHSEED="7", **threads)
    for answer in answers:
        assert answer["verdict"] == "identical", answer["sentence"]
        assert answer["largest_difference"] == 0
    assert {r["what"] for r in answers[0]["results"]} >= {"model digest", "program.json", "hold-out scores"}
    assert "program.json" not in {r["what"] for r in answers[3]["results"]}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel that is asked for is one of x86")
def test_other_sums_of_a_processor_are_found_and_explained(own_workshop: Home, tmp_path: Path) -> None:
    """Older kernels of BLAS sum otherwise: the last bits of a linear model move, which is told from another model."""
    (linear,) = elsewhere(own_workshop, tmp_path / "there", "1", OPENBLAS_CORETYPE="Nehalem")
    arithmetic = next(entry for entry in linear["inputs"] if entry["what"] == "arithmetic")
    if arithmetic["state"] == "same":
        pytest.skip("NumPy here is not on OpenBLAS, or the processor is as old as the kernel")
    assert linear["verdict"] == "different"
    assert 0 < linear["largest_difference"] < 1e-9
    assert "Nehalem" in linear["sentence"]
    assert {r["what"] for r in linear["results"] if r["same"]} >= {"snapshot digest", "hold-out leads and labels"}


def test_the_act_is_written_down_and_nothing_is_registered(own_workshop: Home) -> None:
    """An auditor sees who made which version again, with which result."""
    found = again(own_workshop)
    assert found.verdict == "identical", found.sentence
    assert len(own_workshop.registry.versions()) == 2
    with own_workshop.connection() as connection:
        entry = latest_entries(connection, act="model.reproduce")[0]
    assert (entry.actor, entry.subject) == ("tester", "lead-scoring version 1")
    assert json.loads(entry.details)["verdict"] == "identical"


def test_a_snapshot_that_is_gone_is_told_and_the_same_leads_again_will_do(own_workshop: Home) -> None:
    """Whoever vacuums past us breaks a version; its content, imported anew under any number, mends it."""
    later_snapshot(own_workshop)
    delta.vacuum(own_workshop.snapshots_uri, [], timedelta(0), {}, remove=True)
    broken = again(own_workshop)
    assert (broken.verdict, broken.results) == ("impossible", ())
    assert state_of(broken, "snapshot") == "gone"
    assert "gone" in broken.sentence
    assert "import the same leads again" in broken.sentence
    number = import_file(own_workshop, own_workshop.folder / "leads.csv")
    mended = again(own_workshop)
    assert mended.verdict == "identical", mended.sentence
    assert f"as snapshot {number}, not 0" in next(e.sentence for e in mended.inputs if e.what == "snapshot")


def test_leads_that_were_changed_in_the_store_are_not_trained_on(own_workshop: Home) -> None:
    """The content is digested anew; a changed label would make another model and a false alarm."""
    table = Path(own_workshop.snapshots_uri)
    ((name, size),) = delta.files_of(own_workshop.snapshots_uri, 0).items()
    leads = pl.read_parquet(table / name)
    first = pl.int_range(pl.len()) == 0
    other = leads.with_columns(converted=pl.when(first).then(~pl.col("converted")).otherwise("converted"))
    other.write_parquet(table / name)
    found = again(own_workshop)
    assert (found.verdict, state_of(found, "snapshot")) == ("impossible", "gone")
    assert "damaged" in found.sentence
    commit = table / "_delta_log" / "00000000000000000000.json"  # whoever takes more care mends the length there
    commit.write_text(commit.read_text().replace(f'"size":{size}', f'"size":{(table / name).stat().st_size}'))
    found = again(own_workshop)
    assert (found.verdict, state_of(found, "snapshot")) == ("impossible", "gone")
    assert "their digest differs" in found.sentence


def test_another_type_in_leadgate_yaml_does_not_keep_a_version_from_being_made(own_workshop: Home) -> None:
    """The card has the type that was; the change is told."""
    path = own_workshop.folder / "leadgate.yaml"
    text = path.read_text()
    changed = text.replace("type: boolean", "type: categorical", 1)
    assert changed != text
    path.write_text(changed)
    found = again(Home(own_workshop.folder, own_workshop.settings))
    assert found.verdict == "identical", found.sentence
    said = next(entry.sentence for entry in found.inputs if entry.what == "configuration")
    assert "'has_budget' was boolean and is categorical" in said


def test_a_damaged_file_of_the_registry_is_named(own_workshop: Home) -> None:
    """Without its scores a version cannot be proven the same; without its card nothing is known of it."""
    version = own_workshop.registry.find("1")
    files = {Path(str(path)).name: Path(str(path)) for path in _files_of(own_workshop, version.run_id)}
    saved = {name: files[name].read_bytes() for name in ("holdout.parquet", "card.json")}
    try:
        files["holdout.parquet"].write_bytes(b"nothing")
        found = again(own_workshop)
        assert (found.verdict, bool(found.results)) == ("impossible", True)
        assert "holdout.parquet of lead-scoring version 1 is not the file that was registered" in found.sentence
        files["card.json"].unlink()
        found = again(own_workshop)
        assert (found.verdict, found.results) == ("impossible", ())
        assert "card.json of lead-scoring version 1 cannot be read" in found.sentence
    finally:  # the files of versions are those of all copies of the project
        for name, content in saved.items():
            files[name].write_bytes(content)


def _files_of(home: Home, run_id: str) -> list[Path]:
    """Where a run's own files are."""
    import mlflow  # noqa: PLC0415

    home.registry.versions()
    place = mlflow.get_run(run_id).info.artifact_uri
    assert place is not None
    return list((Path(place.removeprefix("file://")) / "leadgate").iterdir())


def test_a_vacuum_leaves_what_a_version_needs(own_workshop: Home) -> None:
    """Two versions hold snapshot 0, nobody holds 1, and 2 is the last; a look beforehand removes nothing."""
    later_snapshot(own_workshop)
    leads = pl.read_csv(own_workshop.folder / "leads.csv")
    leads.with_columns(pl.col("email_opens") + 2).write_csv(own_workshop.folder / "later.csv")
    import_file(own_workshop, own_workshop.folder / "later.csv")
    held = [(each.snapshot.version, each.versions, each.whole) for each in kept_snapshots(own_workshop)]
    assert held == [(0, ("1", "2"), True), (1, (), True), (2, (), True)]
    assert clear_snapshots(own_workshop, days=7, remove=True).files == 0
    run = begin(own_workshop, trigger="drift", reason="a test", by="worker", emergency=True)
    with own_workshop.connection() as connection:
        add_step(connection, run.retraining_id, "snapshot", at=NOW, details={"version": 1})
    assert clear_snapshots(own_workshop, days=0, remove=False).kept == (0, 1, 2)  # it may be reading it
    abandon(own_workshop, reason="enough", by="anna")
    look = clear_snapshots(own_workshop, days=0, remove=False)
    done = clear_snapshots(own_workshop, days=0, remove=True)
    assert (look.kept, look.lost, look.files, look.size_bytes) == (done.kept, done.lost, done.files, done.size_bytes)
    assert (done.kept, done.lost, done.removed) == ((0, 2), (1,), True)
    assert done.size_bytes > 0
    assert [each.whole for each in kept_snapshots(own_workshop)] == [True, False, True]
    assert again(own_workshop).verdict == "identical"
    with own_workshop.connection() as connection:
        (entry,) = latest_entries(connection, act="leads.vacuum")
    assert json.loads(entry.details)["lost"] == [1]


def test_no_vacuum_without_a_version_that_says_what_is_needed(own_workshop: Home) -> None:
    """A model that was renamed in leadgate.yaml must not cost the snapshots of its versions."""
    path = own_workshop.folder / "leadgate.yaml"
    path.write_text(path.read_text().replace("lead-scoring", "renamed"))
    renamed = Home(own_workshop.folder, Settings(database_url=own_workshop.database_url))
    with pytest.raises(RefusedError, match="no version of 'renamed'"):
        clear_snapshots(renamed, days=0, remove=True)
