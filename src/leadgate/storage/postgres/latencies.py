"""How long answers took, from the log: by version and by how many leads a request had."""

from dataclasses import dataclass
from datetime import datetime

from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class LatencyGroup:
    """Leads that one version answered, in requests of few leads or of many."""

    version: str
    large: bool
    """In requests of more than a few leads."""
    leads: int
    batch: float
    """Leads in the request of a lead, on average."""
    mean_ms: float
    slow: int
    """Leads whose answer took longer than was asked for."""


def latencies_by(
    connection: Connection, model_name: str, *, since: datetime, until: datetime, few: int, slow_ms: float
) -> list[LatencyGroup]:
    """The leads of a span in groups. Reads the rows of the span: for a look into a trouble, not for every check."""
    values = {"model_name": model_name, "since": since, "until": until, "few": few, "slow_ms": slow_ms}
    names = tuple(LatencyGroup.__dataclass_fields__)
    rows = connection.execute(statement("latencies", "latencies_by"), values).fetchall()
    return [LatencyGroup(**dict(zip(names, row, strict=True))) for row in rows]
