"""What each job of the worker does. A chore takes a project and says in a sentence what it did."""

from datetime import UTC, datetime, time, timedelta

from leadgate.app.wire import Home
from leadgate.errors import RefusedError


def check_window(home: Home) -> str:
    """All checks over ``monitoring.window_days``, then the alerts."""
    return _check(home, None)


def check_day(home: Home) -> str:
    """The same over one day."""
    return _check(home, 1.0)


def check_weeks(home: Home) -> str:
    """The same over 28 days."""
    return _check(home, 28.0)


def evaluate_rollout(home: Home) -> str:
    """What ``leadgate rollout evaluate`` does."""
    from leadgate.app.rollouts import evaluate  # noqa: PLC0415

    judged = evaluate(home)
    if judged is None:
        return "no rollout is under way"
    what = judged.decision.act.replace("_", " ")
    return f"rollout {judged.rollout_id}, stage {judged.before.stage}: {what}. {judged.decision.reason}"


def retrain(home: Home) -> str:
    """Train a version where the triggers say so, or go on with a run that did not end."""
    from leadgate.app.retraining import retrain_if_due  # noqa: PLC0415

    return retrain_if_due(home)


def deliver_alerts(home: Home) -> str:
    """Deliver the messages that wait."""
    from leadgate.app.alerting import deliver_alerts as deliver  # noqa: PLC0415

    tried = deliver(home)
    if not tried:
        return "nothing was due"
    taken, dead = sum(attempt.taken for attempt in tried), sum(attempt.dead for attempt in tried)
    said = f"{taken} of {len(tried)} messages delivered"
    errors = sorted({f"{attempt.channel}: {attempt.error}" for attempt in tried if not attempt.taken})
    if dead:
        said += f", {dead} given up (`leadgate alerts`)"
    return "; ".join([said, *errors])


def tidy_profiles(home: Home) -> str:
    """What ``leadgate profile tidy`` does."""
    from leadgate.app.profiling import tidy  # noqa: PLC0415

    return f"{tidy(home):,} hours had several rows and have one now"


def retain_log(home: Home) -> str:
    """What ``leadgate logs retain --yes`` does. Raises RefusedError where leadgate.yaml does not ask for it."""
    from leadgate.app.retaining import archive_of, first_kept, refuse_needed_days, retain, total_freed  # noqa: PLC0415

    days = home.project.worker.keep_days.prediction_log
    if days is None:
        raise RefusedError("The prediction log keeps every day: worker.keep_days.prediction_log is not set.")
    now, uri = home.clock(), archive_of(home)
    before = first_kept(now, days)
    with home.connection() as connection:
        refuse_needed_days(home, connection, before)
    with home.connection() as connection:
        gone = retain(connection, uri, before=before, by="worker", now=now, step=lambda _: None)
    rows = sum(day.rows for day in gone)
    return f"{len(gone)} days with {rows:,} predictions moved to {uri}, {total_freed(gone):,} bytes freed"


def remove_records(home: Home) -> str:
    """Remove records whose days are over, each kind in a transaction of its own."""
    from leadgate.storage.postgres.upkeep import (  # noqa: PLC0415
        drop_measurements,
        drop_messages,
        drop_runs,
        thin_checks,
        thin_evidence,
    )

    keep, name = home.project.worker.keep_days, home.project.name
    kinds = (
        ("measurements of the service", drop_measurements, keep.measurements),
        ("results of checks", thin_checks, keep.checks),
        ("evaluations of rollouts", thin_evidence, keep.rollout_evidence),
        ("messages of alerts", drop_messages, keep.messages),
        ("runs of jobs", drop_runs, keep.runs),
    )
    gone = []
    for what, remove, days in kinds:
        with home.connection() as connection:
            gone.append(f"{remove(connection, name, before=_midnight(home.clock(), days)):,} {what}")
    return f"removed {', '.join(gone)}"


def _check(home: Home, days: float | None) -> str:
    from leadgate.app.alerting import update_alerts  # noqa: PLC0415
    from leadgate.app.checking import run_checks  # noqa: PLC0415

    run = run_checks(home, days)
    counts = {s: sum(f.severity == s for f in run.findings) for s in ("red", "yellow", "unknown")}
    told = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    updated = update_alerts(home)
    said = f"{len(run.findings)} findings: {told}; {len(updated.changed)} alerts changed"
    return f"{said}; {updated.rolled_back}" if updated.rolled_back else said


def _midnight(now: datetime, days: int) -> datetime:
    """When the oldest of the last ``days`` whole days began (UTC)."""
    return datetime.combine(now.date() - timedelta(days=days), time(), UTC)
