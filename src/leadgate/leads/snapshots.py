"""Snapshots: the versions of the table of leads, each with its digest and what it holds."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from leadgate.errors import NotFoundError
from leadgate.leads.digest import content_digest
from leadgate.leads.frames import HISTORY, Merged, columns_of
from leadgate.leads.schema import LeadSchema
from leadgate.storage import delta


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One version of the table of leads."""

    version: int
    digest: str
    """SHA-256 of the content, whatever the order of rows and columns."""
    committed_at: datetime
    rows: int
    labelled: int
    """Leads whose outcome is known."""
    conversion_rate: float | None
    """Share of the labelled leads that converted; None without labelled leads."""
    first_lead_at: datetime | None
    last_lead_at: datetime | None
    added: int
    """Leads that this version added."""
    changed: int
    """Leads whose values this version changed."""
    quarantined: int
    """Rows that the import of this version kept out."""
    file: str
    import_id: str


def snapshots(uri: str) -> tuple[Snapshot, ...]:
    """All snapshots, oldest first, from the facts that their commits carry."""
    return tuple(_snapshot(commit) for commit in delta.history(uri) if "leadgate.digest" in commit.facts)


def snapshot_with(uri: str, fact: str, value: str) -> Snapshot | None:
    """The snapshot whose commit carries a fact; None where none does."""
    found = (c for c in delta.history(uri) if c.facts.get(f"leadgate.{fact}") == value and "leadgate.digest" in c.facts)
    return next((_snapshot(commit) for commit in found), None)


def read_snapshot(
    uri: str, schema: LeadSchema, version: int | None = None, *, history: bool = False
) -> tuple[Snapshot, pl.DataFrame]:
    """A snapshot (the last one without ``version``) and its leads, sorted by id.

    A feature that was declared after the snapshot was made is a column of nulls. With ``history`` the leads' histories
    are there if they are stored, though the schema needs none: those of other versions may. Raises NotFoundError.
    """
    there = {snapshot.version: snapshot for snapshot in snapshots(uri)}
    if not there:
        raise NotFoundError("There is no snapshot yet; make one with `leadgate data import FILE`.")
    if version is not None and version not in there:
        raise NotFoundError(f"There is no snapshot {version}; known: {', '.join(map(str, there))}.")
    snapshot = there[max(there) if version is None else version]
    return snapshot, _restore(delta.read(uri, snapshot.version), schema, history=history)


def digest_of_stored(uri: str, snapshot: Snapshot, schema: LeadSchema) -> str:
    """The content digest of what is stored as a snapshot, with the columns and types that it was committed with.

    A later change of leadgate.yaml reads other columns of it, or the same ones as another type. Raises NotFoundError.
    """
    frame = delta.read(uri, snapshot.version)
    facts = next(commit.facts for commit in delta.history(uri) if commit.version == snapshot.version)
    names = json.loads(facts["leadgate.columns"]) if "leadgate.columns" in facts else _stored_names(schema)
    named = frame.rename({stored: name for name, stored in names.items() if stored in frame.columns})
    return content_digest(named, schema.id)


def commit_snapshot(uri: str, merged: Merged, schema: LeadSchema, facts: dict[str, str]) -> Snapshot:
    """Make the merged leads a new version; append-only when nothing that was there has changed."""
    stored = _stored_names(schema)
    # Delta stores some names otherwise, and the digest is of the names as they were declared then.
    facts = {**facts, **describe(merged, schema), "columns": json.dumps(stored)}
    facts = {f"leadgate.{key}": value for key, value in facts.items()}
    before = delta.history(uri)
    same_columns = before and set(delta.read(uri, before[-1].version).columns) == set(stored.values())
    if merged.changed or not same_columns:
        delta.replace(uri, merged.leads.rename(stored), facts)
    else:
        delta.append(uri, merged.new.rename(stored), facts)
    return _snapshot(delta.history(uri)[-1])


def describe(merged: Merged, schema: LeadSchema) -> dict[str, str]:
    """The facts of a snapshot as a commit carries them, all text."""
    leads = merged.leads
    times = leads[schema.timestamp] if schema.timestamp else pl.Series(dtype=pl.Datetime("us", "UTC"))
    first, last = times.min(), times.max()
    return {
        "digest": content_digest(leads, schema.id),
        "rows": str(leads.height),
        "labelled": str(leads[schema.target].count()),
        "converted": str(leads[schema.target].sum()),
        "first_lead_at": first.isoformat() if isinstance(first, datetime) else "",
        "last_lead_at": last.isoformat() if isinstance(last, datetime) else "",
        "added": str(merged.new.height),
        "changed": str(merged.changed),
    }


def _snapshot(commit: delta.Commit) -> Snapshot:
    facts = {key.removeprefix("leadgate."): value for key, value in commit.facts.items()}
    labelled = int(facts["labelled"])
    return Snapshot(
        version=commit.version,
        digest=facts["digest"],
        committed_at=commit.committed_at,
        rows=int(facts["rows"]),
        labelled=labelled,
        conversion_rate=int(facts["converted"]) / labelled if labelled else None,
        first_lead_at=datetime.fromisoformat(facts["first_lead_at"]) if facts["first_lead_at"] else None,
        last_lead_at=datetime.fromisoformat(facts["last_lead_at"]) if facts["last_lead_at"] else None,
        added=int(facts["added"]),
        changed=int(facts["changed"]),
        quarantined=int(facts["quarantined"]),
        file=facts["file"],
        import_id=facts["import_id"],
    )


def _restore(frame: pl.DataFrame, schema: LeadSchema, *, history: bool) -> pl.DataFrame:
    stored, wanted = _stored_names(schema), columns_of(schema)
    if history and HISTORY in frame.columns:
        stored, wanted = {**stored, HISTORY: HISTORY}, {**wanted, HISTORY: pl.String()}
    columns: list[Any] = [
        (pl.col(stored[name]) if stored[name] in frame.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in wanted.items()
    ]
    return frame.select(columns).sort(schema.id)


def _stored_names(schema: LeadSchema) -> dict[str, str]:
    """Column names as the Delta table has them: Spark reads none with blanks or ,;{}()= in it."""
    taken: dict[str, str] = {}
    for name in columns_of(schema):
        plain = re.sub(r"[ ,;{}()\n\t=]", "_", name)
        while plain.lower() in (other.lower() for other in taken.values()):  # Delta ignores case
            plain += "_"
        taken[name] = plain
    return taken
