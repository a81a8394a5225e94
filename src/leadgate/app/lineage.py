"""Versions and the snapshots that they were made of: made again, held against each other, kept, cleared away."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.snapshots import Snapshot, read_snapshot, snapshots
from leadgate.storage import delta
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.imports import serialise_imports
from leadgate.storage.postgres.retrainings import retrainings_of, steps_of

if TYPE_CHECKING:
    from leadgate.leads.difference import Difference
    from leadgate.models.reproduction import Reproduction
    from leadgate.models.training import Step


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A snapshot, and who needs it."""

    snapshot: Snapshot
    versions: tuple[str, ...]
    """The model's versions that were trained on it, oldest first."""
    whole: bool
    """Whether every file of it is there."""


@dataclass(frozen=True, kw_only=True)
class Clearing:
    """What a vacuum removed, or would remove."""

    removed: bool
    """False for a look beforehand."""
    days: float
    """Only files that were replaced at least so many days ago."""
    files: int
    size_bytes: int
    """As the commits say; what was written and never committed is not counted."""
    kept: tuple[int, ...]
    """Snapshots that stay whole because a version needs them, or because they are the last one."""
    lost: tuple[int, ...]
    """Snapshots that cannot be read afterwards."""


def reproduce_version(home: Home, which: str, step: "Step") -> "Reproduction":
    """Make a version again and compare; who did it, and with which result, goes to the audit log."""
    from leadgate.models.reproducing import reproduce  # noqa: PLC0415  # scikit-learn, MLflow

    found = reproduce(
        home.registry,
        home.snapshots_uri,
        which,
        present=home.project,
        folder=home.folder,
        step=step,
    )
    what = {
        "verdict": found.verdict,
        "not_the_same": [result.what for result in found.results if not result.same],
        "inputs_not_as_they_were": [entry.what for entry in found.inputs if entry.state not in {"same", "unknown"}],
        "largest_difference": found.largest_difference,
    }
    about = f"{found.model_name} version {found.version}"
    with home.connection() as connection:
        append_entry(connection, at=home.clock(), actor=home.author, act="model.reproduce", subject=about, details=what)
    return found


def kept_snapshots(home: Home) -> tuple[Kept, ...]:
    """Every snapshot, oldest first, with the versions that need it."""
    needs = _needs(home)
    return tuple(
        Kept(
            snapshot=snapshot,
            versions=needs.get(snapshot.version, ()),
            whole=delta.is_whole(home.snapshots_uri, snapshot.version),
        )
        for snapshot in snapshots(home.snapshots_uri)
    )


def clear_snapshots(home: Home, *, days: float, remove: bool) -> Clearing:
    """Remove the files that no version, no retraining under way and not the last snapshot needs.

    Without ``remove`` only look.

    Imports wait meanwhile, and what was replaced less than ``days`` ago stays: a training may be reading it. Raises
    RefusedError while the registry has no version, for then it may be the wrong one.
    """
    uri = home.snapshots_uri
    listed = snapshots(uri)
    if not listed:
        raise RefusedError("There is no snapshot yet, so there is nothing to remove.")
    if not _needs(home):
        raise RefusedError(
            f"The registry has no version of {home.project.name!r}, so nothing says what is needed and nothing is "
            "removed; if the model was renamed in leadgate.yaml, or another MLflow is set, name the right one."
        )
    with home.connection() as connection:
        serialise_imports(connection)  # a retraining registers under the same lock
        listed = snapshots(uri)
        kept = sorted({*_needs(home), listed[-1].version, *_learning(connection, home.project.name)})
        facts = {"leadgate.kept": ", ".join(map(str, kept))}
        sizes = {snapshot.version: delta.files_of(uri, snapshot.version) for snapshot in listed}
        names = set(delta.vacuum(uri, kept, timedelta(days=days), facts, remove=remove))
        found = Clearing(
            removed=remove,
            days=days,
            files=len(names),
            size_bytes=sum(
                {name: size for files in sizes.values() for name, size in files.items() if name in names}.values()
            ),
            kept=tuple(kept),
            lost=tuple(version for version, files in sizes.items() if names & files.keys()),
        )
        if remove and names:
            about = f"snapshots of {home.project.name}"
            append_entry(
                connection, at=home.clock(), actor=home.author, act="leads.vacuum", subject=about, details=asdict(found)
            )
    return found


def compare_snapshots(home: Home, a: int, b: int, rows: int) -> "Difference":
    """Two snapshots by the columns that leadgate.yaml declares. Raises NotFoundError."""
    from leadgate.leads.difference import difference  # noqa: PLC0415  # SciPy

    schema = home.project.lead
    before, after = (read_snapshot(home.snapshots_uri, schema, version)[1] for version in (a, b))
    return difference(before, after, schema, rows)


def _learning(connection: Connection, model_name: str) -> set[int]:
    """The snapshot of a retraining that has not ended: no version stands for it yet."""
    run = next((run for run in retrainings_of(connection, model_name) if run.ended_at is None), None)
    made = None if run is None else steps_of(connection, run.retraining_id).get("snapshot")
    return set() if made is None else {int(made.details["version"])}


def _needs(home: Home) -> dict[int, tuple[str, ...]]:
    """By snapshot the versions that were trained on it: by its number, and by its content wherever that is stored."""
    listed = snapshots(home.snapshots_uri)
    needs: dict[int, tuple[str, ...]] = {}
    for version in home.registry.versions():
        number, digest = (version.tags.get(f"data_snapshot_{name}", "") for name in ("version", "digest"))
        for snapshot in listed:
            if str(snapshot.version) == number or snapshot.digest == digest:
                needs[snapshot.version] = (*needs.get(snapshot.version, ()), version.version)
    return needs
