"""Whether what a page shows is of now (quiet)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

_LEAST = timedelta(hours=1)
_TIMES = 3


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How old the last run of checks is."""

    checked_at: datetime | None
    """None where no check has ever run."""
    stale: bool
    """Whether it is older than three turns of its schedule: what it says need not hold any more."""
    due_every: timedelta | None
    """None where checks run by hand only."""


def freshness_of(checked_at: datetime | None, cron: str | None, now: datetime) -> Freshness:
    """``cron``: when checks are due; None: by hand only, then they are stale after a day."""
    every = None if cron is None else _turn(cron, now)
    allowed = timedelta(days=1) if every is None else max(_LEAST, _TIMES * every)
    stale = checked_at is not None and now - checked_at > allowed
    return Freshness(checked_at=checked_at, stale=stale, due_every=every)


def _turn(cron: str, now: datetime) -> timedelta:
    from croniter import croniter  # noqa: PLC0415  # 50 ms, for pages

    times = croniter(cron, now)
    first = times.get_next(datetime)
    return timedelta(seconds=(times.get_next(datetime) - first).total_seconds())
