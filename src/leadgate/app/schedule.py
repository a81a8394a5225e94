"""When a job was due last, and when it is due next: cron expressions in UTC."""

from datetime import UTC, datetime

from croniter import croniter


def last_due(cron: str, at: datetime) -> datetime:
    """The last time up to and including ``at`` that a cron expression names."""
    return _utc(_times(cron, at.replace(microsecond=0).timestamp() + 1).get_prev(float))


def next_due(cron: str, at: datetime) -> datetime:
    """The first time after ``at`` that a cron expression names."""
    return _utc(_times(cron, at.timestamp()).get_next(float))


def _times(cron: str, start: float) -> croniter:
    return croniter(cron, datetime.fromtimestamp(start, UTC))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
