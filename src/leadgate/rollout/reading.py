"""Reads the evidence of a rollout from PostgreSQL.

A part that cannot be read is left out and said so; the gates that need it then wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

import numpy as np
import polars as pl
import psycopg

from leadgate.leads.project import Project
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.comparing import compare_scores, paired_quality
from leadgate.rollout.evidence import (
    Approval,
    Evidence,
    ExperimentEvidence,
    FeatureHealth,
    PairedEvidence,
    RatingEvidence,
    ScoresEvidence,
    SystemEvidence,
)
from leadgate.rollout.experiment import analyse, with_outcomes
from leadgate.rollout.history import History
from leadgate.rollout.stages import Stage
from leadgate.stats.latency import quantile_of
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.exposures import feature_counts, first_predictions, leads_of_routes
from leadgate.storage.postgres.measurements import service_use
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.ratings import rating_figures

_ENOUGH_REQUESTS = 1_000
_BEFORE = timedelta(days=30)
"""How far back features are looked at for what was usual before the rollout."""

Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True)
class Leads:
    """What the evidence is counted from."""

    paired: pl.DataFrame
    """Each lead's first prediction in the rollout."""
    exposed: pl.DataFrame
    """Leads whose first prediction, with those of a horizon before the rollout, was in the present stage."""
    left_out: int
    """Leads of the stage that had been scored before it."""


def gather(connection: Connection, project: Project, history: History, now: datetime) -> Evidence:
    """Read all that is known at ``now`` of a rollout in its present stage."""
    failed: list[str] = []
    state, rules = history.state, history.rules

    def part(name: str, read: Callable[[], Part]) -> Part | None:
        try:
            with connection.transaction():  # a failed query must not spoil those after it
                return read()
        except psycopg.OperationalError:
            raise  # the server is gone: there is no evidence at all
        except psycopg.Error as error:
            failed.append(f"{name}: {str(error).strip().splitlines()[0]}")
            return None

    leads = part("leads", lambda: _leads(connection, project, history, now))
    rng = np.random.default_rng(history.rollout.rollout_id)  # the same evidence gives the same intervals
    return Evidence(
        as_of=now,
        state=state,
        scored=None if leads is None else _scored(leads, history),
        system=part("measurements", lambda: _system(connection, state.since, now)),
        paired=None if leads is None else _paired(leads, project, rules, rng),
        scores=None if leads is None else _scores(leads, project, rules),
        data=part("features", lambda: _features(connection, project, history, now)),
        ratings=part("ratings", lambda: _ratings(connection, project, state.since, now)),
        experiment=None if leads is None else _experiment(leads, project, history, rng),
        approvals=part("approvals", lambda: _approvals(history)) or (),
        failed=tuple(failed),
    )


def horizon_days(project: Project, rules: RolloutRules) -> float:
    """Days within which a conversion counts."""
    return rules.experiment.horizon_days or project.outcomes.window_days


def segments_of(project: Project, rules: RolloutRules) -> tuple[str, ...]:
    """The features that the sides are broken down by."""
    return rules.experiment.segments or project.lead.segments


def _leads(connection: Connection, project: Project, history: History, now: datetime) -> Leads:
    rollout, horizon = history.rollout, horizon_days(project, history.rules)
    outcomes = last_outcomes(connection, until=now)
    silence = project.outcomes.silence_means == "not_converted"

    def firsts(since: datetime, epoch: int) -> pl.DataFrame:
        found = first_predictions(
            connection,
            model_name=project.name,
            versions=(rollout.champion, rollout.challenger),
            since=since,
            until=now,
            since_epoch=epoch,
            segments=segments_of(project, history.rules),
        )
        return with_outcomes(found, outcomes, now, horizon, silence_is_loss=silence)

    paired = firsts(rollout.started_at, history.first_epoch)
    every = firsts(rollout.started_at - timedelta(days=horizon), 0)
    exposed = every.filter(pl.col("route_epoch").is_in(list(history.stage_epochs)))
    answered = leads_of_routes(
        connection, model_name=project.name, since=rollout.started_at, until=now, epochs=history.stage_epochs
    )
    return Leads(paired=paired, exposed=exposed, left_out=answered - exposed.height)


def _scored(leads: Leads, history: History) -> int:
    """Leads that the challenger scored or, where it answers, answered in the stage."""
    in_stage = leads.paired.filter(pl.col("route_epoch").is_in(list(history.stage_epochs)))
    if history.state.stage == "shadow":
        return int(in_stage["challenger_score"].is_not_null().sum())
    if history.state.stage == "full":  # there it answers as the champion of its route
        return leads.exposed.height
    return int((leads.exposed["variant"] == "challenger").sum())


def _paired(leads: Leads, project: Project, rules: RolloutRules, rng: np.random.Generator) -> PairedEvidence | None:
    return paired_quality(leads.paired, project.thresholds.decision, rules.capacity, rng)


def _scores(leads: Leads, project: Project, rules: RolloutRules) -> ScoresEvidence | None:
    return compare_scores(leads.paired, project.thresholds.high, project.thresholds.medium, rules.capacity)


def _experiment(
    leads: Leads, project: Project, history: History, rng: np.random.Generator
) -> ExperimentEvidence | None:
    rules, stage = history.rules, history.state.stage
    if stage not in ("canary", "ab_test"):
        return None
    planned = history.leads_per_arm or rules.experiment.leads_per_arm or rules.ab_test.min_leads
    return analyse(
        leads.exposed,
        rules.experiment,
        planned=planned,
        share=rules.canary.share if stage == "canary" else rules.ab_test.share,
        left_out=leads.left_out,
        segments=segments_of(project, rules),
        rng=rng,
    )


def _system(connection: Connection, since: datetime, now: datetime) -> SystemEvidence | None:
    use = service_use(connection, since=since, until=now)
    if use is None or not use.requests:
        return None
    counts = [use.latencies[variant] for variant in sorted(use.latencies)]
    together = [sum(column) for column in zip(*counts, strict=True)] if counts else []
    own = use.latencies.get("challenger")
    return SystemEvidence(
        since=use.since,
        until=use.until,
        requests=use.requests,
        failures=use.failures,
        p95_ms=_quantile(together, use.edges, 0.95),
        p99_ms=_quantile(together, use.edges, 0.99),
        challenger_p99_ms=_quantile(own or [], use.edges, 0.99),
        memory_mb=use.peak_memory_bytes / 1e6,
        capacity=use.workers * use.requests / use.busy_s if use.requests >= _ENOUGH_REQUESTS and use.busy_s else None,
    )


def _quantile(counts: Sequence[int], edges: Sequence[float], q: float) -> float | None:
    return 1000 * quantile_of(counts, edges, q) if sum(counts) else None


def _features(connection: Connection, project: Project, history: History, now: datetime) -> tuple[FeatureHealth, ...]:
    declared = {f.name: f.categories for f in project.lead.used if f.categories is not None}
    began = history.rollout.started_at
    spans = ((history.state.since, now), (began - _BEFORE, began))
    stage, before = (
        feature_counts(connection, model_name=project.name, since=since, until=until, categories=declared)
        for since, until in spans
    )
    usual = {count.feature: count for count in before}
    return tuple(
        FeatureHealth(
            feature=count.feature,
            leads=count.leads,
            missing=count.missing,
            unknown=count.unknown,
            leads_before=usual[count.feature].leads if count.feature in usual else 0,
            missing_before=usual[count.feature].missing if count.feature in usual else 0,
        )
        for count in stage
    )


def _ratings(connection: Connection, project: Project, since: datetime, now: datetime) -> RatingEvidence:
    figures = rating_figures(connection, model_name=project.name, since=since, until=now)
    return RatingEvidence(ratings=figures.count, mean=figures.mean)


def _approvals(history: History) -> tuple[Approval, ...]:
    return tuple(
        Approval(
            stage=cast("Stage", given.stage),
            stage_since=given.stage_since,
            approved_by=given.approved_by,
            approved_at=given.approved_at,
            comment=given.comment,
        )
        for given in history.sign_offs
    )
