"""Delta tables: read by version, written with the facts of the write in the commit itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from leadgate.errors import NotFoundError

# Delta would forget a version's commit after 30 days and let vacuum delete its files after 7; a model must be
# reproducible years later, so both are kept until someone decides otherwise.
_KEEP = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One version of a table."""

    version: int
    committed_at: datetime
    """UTC."""
    facts: dict[str, str]
    """What the writer said about the write."""


def history(uri: str) -> tuple[Commit, ...]:
    """All versions of the table at ``uri``, oldest first; none when there is no table."""
    try:
        commits = DeltaTable(uri).history()
    except TableNotFoundError:
        return ()
    return tuple(
        Commit(
            version=int(commit["version"]),
            committed_at=datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
            facts={key: value for key, value in commit.items() if isinstance(value, str)},
        )
        for commit in reversed(commits)
    )


def read(uri: str, version: int) -> pl.DataFrame:
    """The rows of a version, in no particular order. Raises NotFoundError, also for files that are gone or damaged."""
    known = [commit.version for commit in history(uri)]
    if version not in known:
        there = f"0 to {known[-1]}" if known else "none yet"
        raise NotFoundError(f"There is no version {version} of the table in {uri}; known: {there}.")
    try:
        return pl.read_delta(uri, version=version)
    except BaseException as error:
        wrong = _wrong_with_files(error)
        if wrong is None:
            raise
        raise NotFoundError(
            f"Files of version {version} of the table in {uri} are {wrong} (a vacuum takes those that the last version "
            "does not need); bring them back from a backup or from the store's versions of objects."
        ) from error


def is_whole(uri: str, version: int) -> bool:
    """Whether every file of a version is there; of each one only the end is read."""
    try:
        pl.scan_delta(uri, version=version).select(pl.len()).collect()
    except BaseException as error:
        if _wrong_with_files(error) is None:
            raise
        return False
    return True


def _wrong_with_files(error: BaseException) -> str | None:
    """Whether an error tells of a file that is gone, as folders and object stores say it, or damaged; else None."""
    said = str(error).lower()
    if isinstance(error, FileNotFoundError) or any(word in said for word in ("not found", "nosuchkey", "404")):
        return "gone"
    # A file of another length makes Polars panic, which is no Exception and has no class that can be imported.
    panic = type(error).__name__ == "PanicException"
    return "damaged" if panic or isinstance(error, pl.exceptions.ComputeError) else None


def keep_long(uri: str) -> bool:
    """Have a table keep its old versions, so that nobody's vacuum takes them; gives whether that was new to it."""
    table = DeltaTable(uri)
    present = table.metadata().configuration
    missing = {key: value for key, value in _KEEP.items() if present.get(key) != value}
    if missing:
        table.alter.set_table_properties(missing)
    return bool(missing)


def vacuum(uri: str, keep: Iterable[int], older_than: timedelta, facts: dict[str, str], *, remove: bool) -> list[str]:
    """Remove the files that neither the last version nor one of ``keep`` needs, and that were replaced so long ago.

    With ``remove=False`` nothing is removed, and nothing written. Gives the names of the files.
    """
    hours = int(older_than.total_seconds() // 3600)
    names = DeltaTable(uri).vacuum(
        retention_hours=hours,
        dry_run=not remove,
        enforce_retention_duration=False,  # it is what keeps everything, until someone decides otherwise
        keep_versions=sorted(keep),
        full=True,  # also what was written and never committed
        commit_properties=CommitProperties(custom_metadata=facts),
    )
    return sorted(names)


def files_of(uri: str, version: int) -> dict[str, int]:
    """Bytes of each file that a version consists of, by name, as its commits say."""
    actions = pl.DataFrame(DeltaTable(uri, version=version).get_add_actions())
    return dict(zip(actions["path"], actions["size_bytes"], strict=True))


def append(uri: str, frame: pl.DataFrame, facts: dict[str, str]) -> int:
    """Add rows (and columns, when the frame has new ones) as a new version; gives its number."""
    return _write(uri, frame, facts, mode="append", schema_mode="merge")


def replace(uri: str, frame: pl.DataFrame, facts: dict[str, str]) -> int:
    """Make the frame the whole content of a new version; older versions stay readable. Gives its number."""
    return _write(uri, frame, facts, mode="overwrite", schema_mode="overwrite")


def _write(uri: str, frame: pl.DataFrame, facts: dict[str, str], **how: Any) -> int:
    if DeltaTable.is_deltatable(uri):  # what is configured below is so for a new table only
        keep_long(uri)
    write_deltalake(uri, frame, commit_properties=CommitProperties(custom_metadata=facts), configuration=_KEEP, **how)
    return DeltaTable(uri).version()
