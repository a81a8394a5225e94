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
    if cron is None:
        stale = checked_at is not None and now - checked_at > timedelta(days=1)
        return Freshness(checked_at=checked_at, stale=stale, due_every=None)
    turns = _turns_before(now, cron)
    since = min(turns[-1], now - _LEAST)
    return Freshness(
        checked_at=checked_at, stale=checked_at is not None and checked_at < since, due_every=turns[0] - turns[1]
    )


def _turns_before(now: datetime, cron: str) -> list[datetime]:
    """The last moments at which checks were due: at night there are none where they run by day."""
    from croniter import croniter  # noqa: PLC0415  # 50 ms, for pages

    times = croniter(cron, now)
    return [times.get_prev(datetime) for _ in range(_TIMES)]
