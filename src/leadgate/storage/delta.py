"""Delta tables: read by version, written with the facts of the write in the commit itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
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
    """The rows of a version, in no particular order. Raises NotFoundError."""
    known = [commit.version for commit in history(uri)]
    if version not in known:
        there = f"0 to {known[-1]}" if known else "none yet"
        raise NotFoundError(f"There is no version {version} of the table in {uri}; known: {there}.")
    return pl.read_delta(uri, version=version)


def append(uri: str, frame: pl.DataFrame, facts: dict[str, str]) -> int:
    """Add rows (and columns, when the frame has new ones) as a new version; gives its number."""
    return _write(uri, frame, facts, mode="append", schema_mode="merge")


def replace(uri: str, frame: pl.DataFrame, facts: dict[str, str]) -> int:
    """Make the frame the whole content of a new version; older versions stay readable. Gives its number."""
    return _write(uri, frame, facts, mode="overwrite", schema_mode="overwrite")


def _write(uri: str, frame: pl.DataFrame, facts: dict[str, str], **how: Any) -> int:
    write_deltalake(uri, frame, commit_properties=CommitProperties(custom_metadata=facts), configuration=_KEEP, **how)
    return DeltaTable(uri).version()
