"""How monitoring stands, in three figures."""

from dataclasses import dataclass
from datetime import datetime

from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a monitor of the monitoring asks."""

    checked_at: datetime | None
    """When checks last ran; None before the first run."""
    yellow: int
    """Open alerts, acknowledged ones too."""
    red: int


def standing_of(connection: Connection, model_name: str) -> Standing:
    """How the monitoring of a model stands; quick, whatever was checked."""
    row = connection.execute(statement("oversight", "standing"), {"model_name": model_name}).fetchone()
    assert row is not None
    return Standing(checked_at=row[0], yellow=row[1], red=row[2])
