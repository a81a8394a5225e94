"""Retrainings: their runs and steps, what the triggers decided, and the leads that they learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from leadgate.storage.postgres.connection import Connection, statement

if TYPE_CHECKING:
    import polars as pl

Result = Literal["challenger", "registered", "stopped"]
"""challenger: sent on its way; registered: it waits for a person; stopped: nothing was registered."""


@dataclass(frozen=True, kw_only=True)
class NewRetraining:
    """A model is to be trained anew."""

    model_name: str
    started_at: datetime
    """What was known then is what it learns."""
    started_by: str
    trigger: str
    """What asked for it; ``by hand`` for a person."""
    emergency: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class Retraining(NewRetraining):
    """A run of the retraining."""

    retraining_id: int
    ended_at: datetime | None
    """None while it runs, or waits to be gone on with."""
    result: Result | None
    """None with ``ended_at``."""
    sentence: str | None
    """What became of it."""
    version: str | None
    """That it registered; None for none."""


@dataclass(frozen=True, kw_only=True)
class DoneStep:
    """A step that is done."""

    step: str
    done_at: datetime
    details: Mapping[str, Any]
    """Its figures."""


@dataclass(frozen=True, kw_only=True)
class NewDecision:
    """What the triggers said at a time."""

    model_name: str
    decided_at: datetime
    act: str
    trigger: str | None
    """That asked; None for none."""
    why_not: str | None
    """The kind of reason not to run; None where it runs, and where nothing asks."""
    reason: str
    triggers: list[dict[str, Any]]
    """Each one with value and threshold."""


@dataclass(frozen=True, kw_only=True)
class PastDecision:
    """A decision that was written down."""

    decision_id: int
    decided_at: datetime
    act: str
    trigger: str | None
    why_not: str | None
    reason: str
    triggers: list[dict[str, Any]]


def begin_retraining(connection: Connection, new: NewRetraining) -> int:
    """Write down that a run begins; gives its number. The database allows one at a time for each model."""
    row = connection.execute(statement("retrainings", "begin_retraining"), asdict(new)).fetchone()
    assert row is not None
    return int(row[0])


def end_retraining(
    connection: Connection,
    retraining_id: int,
    *,
    at: datetime,
    result: Result,
    sentence: str,
    version: str | None = None,
) -> bool:
    """Write down what became of a run; False where that was done before."""
    values = {
        "retraining_id": retraining_id,
        "ended_at": at,
        "result": result,
        "sentence": sentence,
        "version": version,
    }
    return connection.execute(statement("retrainings", "end_retraining"), values).rowcount == 1


def retrainings_of(connection: Connection, model_name: str, *, most: int = 100) -> list[Retraining]:
    """The last runs, the last first."""
    with connection.cursor(row_factory=class_row(Retraining)) as cursor:
        values = {"model_name": model_name, "most": most}
        return cursor.execute(statement("retrainings", "retrainings"), values).fetchall()


def add_step(
    connection: Connection, retraining_id: int, step: str, *, at: datetime, details: Mapping[str, Any]
) -> None:
    """Write down that a step is done."""
    values = {"retraining_id": retraining_id, "step": step, "done_at": at, "details": Jsonb(dict(details))}
    connection.execute(statement("retrainings", "add_step"), values)


def steps_of(connection: Connection, retraining_id: int) -> dict[str, DoneStep]:
    """The steps that are done, by name, in their order."""
    with connection.cursor(row_factory=class_row(DoneStep)) as cursor:
        rows = cursor.execute(statement("retrainings", "steps"), {"retraining_id": retraining_id}).fetchall()
    return {row.step: row for row in rows}


def last_learnt(connection: Connection, model_name: str) -> tuple[datetime, int] | None:
    """When the last run began whose leads are in a snapshot, and the snapshot's number; None without one."""
    row = connection.execute(statement("retrainings", "last_learnt"), {"model_name": model_name}).fetchone()
    return None if row is None else (row[0], row[1])


def add_decision(connection: Connection, new: NewDecision) -> None:
    """Write a decision down."""
    values = {**asdict(new), "triggers": Jsonb(new.triggers)}
    connection.execute(statement("retrainings", "add_decision"), values)


def last_decisions(connection: Connection, model_name: str, *, most: int = 20) -> list[PastDecision]:
    """The last decisions, the last first."""
    with connection.cursor(row_factory=class_row(PastDecision)) as cursor:
        values = {"model_name": model_name, "most": most}
        return cursor.execute(statement("retrainings", "last_decisions"), values).fetchall()


def first_scores(connection: Connection, model_name: str, *, until: datetime) -> "pl.DataFrame":
    """The first score of each lead up to a time, with what the model saw.

    Columns: lead_id, scored_at (UTC), model_version, predicted_score, features (JSON). Days that left the log are not
    among them.
    """
    import polars as pl  # noqa: PLC0415  # serving never needs it

    from leadgate.storage.postgres.frames import copy_frame  # noqa: PLC0415

    return copy_frame(
        connection,
        "retrainings",
        "first_scores",
        {"model_name": model_name, "until": until},
        {
            "lead_id": pl.String(),
            "scored_at": pl.Datetime("us", "UTC"),
            "model_version": pl.String(),
            "predicted_score": pl.Float64(),
            "features": pl.String(),
        },
    )


def new_outcomes(
    connection: Connection,
    model_name: str,
    *,
    since: datetime,
    known: datetime,
    window: timedelta,
    silence_is_loss: bool,
    outages: Sequence[tuple[datetime, datetime]] = (),
) -> int:
    """Scored leads whose fate was not known to a training at ``since`` and is to one at ``known``.

    ``outages`` are the spans in which the CRM sent nothing.
    """
    values = {
        "model_name": model_name,
        "since": since,
        "known": known,
        "window": window,
        "silence_is_loss": silence_is_loss,
        "outage_begins": [begin for begin, _ in outages],
        "outage_ends": [end for _, end in outages],
    }
    row = connection.execute(statement("retrainings", "new_outcomes"), values).fetchone()
    return int(row[0]) if row else 0
