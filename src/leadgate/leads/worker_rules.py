"""The section ``worker`` of leadgate.yaml: what is done when, and how long records are kept (quiet)."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from leadgate.leads.schema import Record

_FIELDS = 5


def _cron(text: str) -> str:
    """Refuse what is no cron expression, or names no time that ever comes."""
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415  # 50 ms, for those who have a worker

    example = "write minute hour day month weekday in UTC, such as '*/15 * * * *' or '30 3 * * mon', or null for never"
    if not (text.startswith("@") or len(text.split()) == _FIELDS) or not croniter.is_valid(text):
        raise ValueError(f"this is no cron expression; {example}")
    try:
        croniter(text, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
    except CroniterBadDateError:
        raise ValueError(f"such a day never comes; {example}") from None
    return text


Cron = Annotated[str, AfterValidator(_cron)]
Days = Annotated[int, Field(ge=1, le=36_500)]


class Schedule(Record):
    """When each job is due: minute, hour, day, month, weekday, in UTC; null: only by hand."""

    checks: Cron | None = "*/15 * * * *"
    daily_checks: Cron | None = "20 3 * * *"
    weekly_checks: Cron | None = "40 3 * * mon"
    rollout: Cron | None = "5-59/15 * * * *"
    retraining: Cron | None = "0 * * * *"
    alerts: Cron | None = "* * * * *"
    profiles: Cron | None = "50 * * * *"
    records: Cron | None = "10 2 * * *"
    prediction_log: Cron | None = "30 2 * * *"


class KeepDays(Record):
    """Days that records are kept."""

    prediction_log: Days | None = None
    """Older days move into the Delta table, as ``leadgate logs retain`` does; null: never by itself."""
    measurements: Days = 90
    """Of the service; those that a living rollout is judged by stay."""
    checks: Days = 30
    """Then the last run of each day and window stays."""
    rollout_evidence: Days = 30
    """After a rollout has ended; then one evaluation a day stays, and all that steps, post-mortems and the audit log
    name."""
    runs: Days = 90
    """Of jobs; the last one of each stays."""
    messages: Days = 90
    """Of alerts, once they are delivered."""


class WorkerRules(Record):
    """What ``leadgate worker`` does."""

    schedule: Schedule = Schedule()
    keep_days: KeepDays = KeepDays()
