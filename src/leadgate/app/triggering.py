"""Asks the triggers of the retraining, and writes down what they say when that changes."""

from dataclasses import asdict
from datetime import datetime, timedelta

from leadgate.app.renewing import known_at
from leadgate.app.schedule import last_due
from leadgate.app.wire import Home
from leadgate.leads.snapshots import snapshots
from leadgate.models.registry import Version
from leadgate.monitoring.triggers import MONTH, Decision, Known, decide
from leadgate.monitoring.watch import last_run
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.retrainings import (
    NewDecision,
    PastDecision,
    Retraining,
    add_decision,
    last_decisions,
    last_learnt,
    new_outcomes,
    retrainings_of,
)
from leadgate.storage.postgres.rollouts import add_event, alive_rollout
from leadgate.storage.postgres.routes import present_route

BY_HAND = "by hand"
_DECISIONS = 200
"""One is written down when another answer holds: so many reach back more than a week."""


def decide_now(home: Home) -> Decision:
    """What the triggers say; nothing is written down."""
    return decide(look(home), home.project.retraining)


def look(home: Home) -> Known:
    """What the triggers have to know."""
    now, name, project = home.clock(), home.project.name, home.project
    schedule = project.retraining.triggers.schedule
    with home.connection() as connection:
        answers = present_route(connection, name) is not None
    versions = home.registry.versions() if answers else ()  # an idle worker need not meet the registry
    with home.connection() as connection:
        runs = retrainings_of(connection, name)
        trained = _last_training(versions, runs)
        checks = last_run(connection, name, since=now - timedelta(days=30), days=project.monitoring.window_days)
        rollout = alive_rollout(connection, name)
        return Known(
            now=now,
            trained_at=trained,
            due_at=None if schedule is None else last_due(schedule, now),
            findings=checks.findings if checks else (),
            checked_at=checks.checked_at if checks else None,
            new_leads=0 if trained is None else _new_leads(home, connection, versions),
            started=[r.started_at for r in runs if r.trigger != BY_HAND and r.started_at > now - 2 * MONTH],
            under_way=next((r.retraining_id for r in runs if r.ended_at is None), None),
            rollout=rollout.challenger if rollout else None,
            answered=_answered(connection, name),
        )


def write_down(home: Home, decision: Decision) -> bool:
    """Write a decision down where it is another one than the last; says whether it was."""
    with home.connection() as connection:
        before = last_decisions(connection, home.project.name, most=1)
        if decision.act != "run" and before and answer_of(before[0]) == decision.answer:
            return False
        add_decision(
            connection,
            NewDecision(
                model_name=home.project.name,
                decided_at=home.clock(),
                act=decision.act,
                trigger=decision.trigger,
                why_not=decision.why_not,
                reason=decision.reason,
                triggers=[asdict(trigger) for trigger in decision.triggers],
            ),
        )
        if decision.act == "review" and not _told_lately(connection, home):
            add_event(
                connection,
                at=home.clock(),
                kind="retraining review",
                severity="yellow",
                subject=f"model {home.project.name}",
                message=decision.reason,
                details={"model": home.project.name, "trigger": decision.trigger},
            )
        append_entry(
            connection,
            at=home.clock(),
            actor="leadgate",
            act="retraining.decide",
            subject=f"model {home.project.name}",
            details={
                "act": decision.act,
                "trigger": decision.trigger,
                "why_not": decision.why_not,
                "reason": decision.reason,
            },
        )
    return True


def _told_lately(connection: Connection, home: Home) -> bool:
    """Whether people were asked to look within a cool-down: a feature at the limit drifts, and does not, by turns."""
    since = home.clock() - timedelta(days=home.project.retraining.cool_down_days)
    past = last_decisions(connection, home.project.name, most=_DECISIONS)
    return any(decision.act == "review" and decision.decided_at > since for decision in past[1:])


def answer_of(past: PastDecision) -> tuple[str, str | None, str | None]:
    """What a decision that was written down comes to."""
    return (past.act, past.trigger, past.why_not)


def _answered(connection: Connection, model_name: str) -> dict[str, datetime]:
    """A training is the answer to all that asked when it began."""
    runs = [d for d in last_decisions(connection, model_name, most=_DECISIONS) if d.act == "run"]
    return {t["name"]: d.decided_at for d in reversed(runs) for t in d.triggers if t["fired"] and t["asks"] != "review"}


def _last_training(versions: tuple[Version, ...], runs: list[Retraining]) -> datetime | None:
    if not any("champion" in version.aliases for version in versions):
        return None
    return max([*_trained(versions), *(run.started_at for run in runs)], default=None)


def _trained(versions: tuple[Version, ...]) -> list[datetime]:
    return [datetime.fromisoformat(v.tags["trained_at"]) for v in versions if "trained_at" in v.tags]


def _new_leads(home: Home, connection: Connection, versions: tuple[Version, ...]) -> int:
    """Leads whose outcome is news: of scored leads, and of imports.

    A run that ended before it had a snapshot has learnt nothing, and one in an outage nothing of after it began.
    """
    rules, name = home.project.outcomes, home.project.name
    learnt = last_learnt(connection, name)
    times = _trained(versions) + ([learnt[0]] if learnt else [])
    if not times:
        return 0
    (then, _), (now, outages) = (known_at(home, connection, at) for at in (max(times), home.clock()))
    scored = new_outcomes(
        connection,
        name,
        since=then,
        known=now,
        window=timedelta(days=rules.window_days),
        silence_is_loss=rules.silence_means == "not_converted",
        outages=outages,
    )
    return scored + _imported(home, versions, learnt[1] if learnt else None)


def _imported(home: Home, versions: tuple[Version, ...], learnt: int | None) -> int:
    """Labelled leads of imports that no training had."""
    made = snapshots(home.snapshots_uri)
    trained = {int(v.tags["data_snapshot_version"]) for v in versions if "data_snapshot_version" in v.tags}
    used = [s for s in made if s.version in trained or s.version == learnt]
    if not used:
        return 0
    return max(0, made[-1].labelled - used[-1].labelled)
