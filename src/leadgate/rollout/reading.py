"""Reads the evidence of a rollout from PostgreSQL.

A part that cannot be read is left out and said so; the gates that need it then wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

import msgspec
import numpy as np
import polars as pl
import psycopg

from leadgate.leads.project import Project
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.comparing import compare_scores, paired_quality
from leadgate.rollout.design import Baseline
from leadgate.rollout.evidence import (
    Approval,
    Evidence,
    ExperimentEvidence,
    FeatureHealth,
    PairedEvidence,
    PlannedTest,
    RatingEvidence,
    ScoresEvidence,
    SustainedEvidence,
    SystemEvidence,
)
from leadgate.rollout.experiment import Trial, analyse, sustain, with_outcomes
from leadgate.rollout.history import History
from leadgate.rollout.stages import Stage
from leadgate.stats.latency import quantile_of
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.exposures import (
    SEGMENTS,
    feature_counts,
    first_predictions,
    leads_of_routes,
    past_leads,
    segment_column,
)
from leadgate.storage.postgres.measurements import service_use
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.ratings import rating_figures
from leadgate.storage.postgres.rollouts import first_test
from leadgate.storage.postgres.routes import present_route

_ENOUGH_REQUESTS = 1_000
_RECENT = timedelta(hours=1)
_BASELINE = timedelta(days=90)
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
        except Exception as error:  # noqa: BLE001  # what cannot be counted must not keep red evidence from being seen
            said = str(error).strip().splitlines() or [type(error).__name__]
            failed.append(f"{name}: {said[0]}")
            return None

    def of_leads(name: str, count: Callable[[Leads], Part | None]) -> Part | None:
        if leads is None:
            return None
        known = leads
        return part(name, lambda: count(known))

    leads = part("leads", lambda: _leads(connection, project, history, now))
    rng = np.random.default_rng(history.rollout.rollout_id)  # the same evidence gives the same intervals
    return Evidence(
        as_of=now,
        state=state,
        scored=of_leads("scored leads", lambda found: _scored(found, history)),
        system=part("measurements", lambda: _system(connection, project.name, state.since, now)),
        recent=part(
            "measurements of the last hour",
            lambda: _system(connection, project.name, max(state.since, now - _RECENT), now),
        ),
        paired=of_leads("matured leads", lambda found: _paired(found, project, rules, rng)),
        scores=of_leads("scores", lambda found: _scores(found, connection, project, rules)),
        data=part("features", lambda: _features(connection, project, history, now)),
        ratings=part("ratings", lambda: _ratings(connection, project, history, now)),
        experiment=of_leads("experiment", lambda found: _experiment(connection, found, project, history, rng)),
        sustained=of_leads("stage full", lambda found: _sustained(found, history)),
        approvals=part("approvals", lambda: _approvals(history)) or (),
        failed=tuple(failed),
    )


def baseline_of(connection: Connection, project: Project, rules: RolloutRules, now: datetime) -> Baseline:
    """What the champion does now: the leads of the last 90 days whose horizon has passed."""
    horizon = timedelta(days=horizon_days(project, rules))
    found = past_leads(
        connection,
        model_name=project.name,
        since=now - horizon - _BASELINE,
        until=now,
        horizon=horizon,
        silence_is_loss=project.outcomes.silence_means == "not_converted",
    )
    rate = found.leads / found.days if found.days >= 1 else float(found.leads)
    return Baseline(leads=found.matured, conversions=found.converted, leads_per_day=rate)


def horizon_days(project: Project, rules: RolloutRules) -> float:
    """Days within which a conversion counts."""
    return rules.experiment.horizon_days or project.outcomes.window_days


def segments_of(project: Project, rules: RolloutRules) -> tuple[str, ...]:
    """The features that the sides are broken down by."""
    return rules.experiment.segments or project.lead.segments


def _leads(connection: Connection, project: Project, history: History, now: datetime) -> Leads:
    rollout, horizon = history.rollout, horizon_days(project, history.rules)
    found = first_predictions(
        connection,
        model_name=project.name,
        versions=(rollout.champion, rollout.challenger),
        since=rollout.started_at - timedelta(days=horizon),
        until=now,
        rollout_since=rollout.started_at,
        rollout_epoch=history.first_epoch,
        segments=segments_of(project, history.rules),
    )
    silence = project.outcomes.silence_means == "not_converted"
    outcomes = last_outcomes(connection, until=now)
    known = with_outcomes(found, outcomes, now, horizon, silence_is_loss=silence)
    paired = known.filter("in_rollout")
    by_time = known.sort("lead_id", "scored_at", maintain_order=True)  # a slow worker may answer by the route before
    every = by_time.filter(pl.col("lead_id").is_first_distinct())
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


def _sustained(leads: Leads, history: History) -> SustainedEvidence | None:
    if history.state.stage != "full":
        return None
    tested = leads.paired.filter(
        pl.col("route_epoch").is_in(list(history.epochs_of("ab_test"))) & (pl.col("variant") == "champion")
    )
    return sustain(tested, leads.exposed)


def _paired(leads: Leads, project: Project, rules: RolloutRules, rng: np.random.Generator) -> PairedEvidence | None:
    return paired_quality(leads.paired, project.thresholds.decision, rules.capacity, rng)


def _scores(leads: Leads, connection: Connection, project: Project, rules: RolloutRules) -> ScoresEvidence | None:
    route = present_route(connection, project.name)
    own = (route.champion_high, route.champion_medium) if route else (None, None)
    high = project.thresholds.high if own[0] is None else own[0]
    medium = project.thresholds.medium if own[1] is None else own[1]
    return compare_scores(leads.paired, high, medium, rules.capacity)


def _experiment(
    connection: Connection, leads: Leads, project: Project, history: History, rng: np.random.Generator
) -> ExperimentEvidence | None:
    rules, stage = history.rules, history.state.stage
    if stage not in ("canary", "ab_test"):
        return None
    known = first_test(connection, history.rollout.rollout_id, history.state.since) if stage == "ab_test" else None
    trial = Trial(
        planned=history.leads_per_arm or rules.experiment.leads_per_arm or rules.ab_test.min_leads,
        share=rules.canary.share if stage == "canary" else rules.ab_test.share,
        horizon_days=horizon_days(project, rules),
        left_out=leads.left_out,
        segments={name: segment_column(i) for i, name in enumerate(segments_of(project, rules)[:SEGMENTS])},
        canary=stage == "canary",
        test=None if known is None else msgspec.json.decode(known, type=PlannedTest),
    )
    return analyse(leads.exposed, rules.experiment, trial, rng)


def _system(connection: Connection, model_name: str, since: datetime, now: datetime) -> SystemEvidence | None:
    use = service_use(connection, model_name=model_name, since=since, until=now)
    if use is None or not use.requests:
        return None
    counts = [use.latencies[variant] for variant in sorted(use.latencies)]
    together = [sum(column) for column in zip(*counts, strict=True)] if counts else []
    own = use.latencies.get("challenger", ())
    failures = use.failures_by_variant.get("challenger", 0)
    return SystemEvidence(
        since=use.since,
        until=use.until,
        requests=use.requests,
        failures=use.failures,
        p95_ms=_quantile(together, use.edges, 0.95),
        p99_ms=_quantile(together, use.edges, 0.99),
        challenger_p99_ms=_quantile(own, use.edges, 0.99),
        challenger_answers=use.answers_by_variant.get("challenger", 0) + failures,
        challenger_failures=failures,
        shadow_asked=use.shadow_asked,
        shadow_failed=use.shadow_failed,
        memory_mb=use.peak_memory_bytes / 1e6,
        capacity=use.workers * use.requests / use.busy_s if use.requests >= _ENOUGH_REQUESTS and use.busy_s else None,
    )


def _quantile(counts: Sequence[int], edges: Sequence[float], q: float) -> float | None:
    """In milliseconds; above the last edge it is said to be there, for JSON has no infinity."""
    return 1000 * min(quantile_of(counts, edges, q), edges[-1]) if sum(counts) else None


def _features(connection: Connection, project: Project, history: History, now: datetime) -> tuple[FeatureHealth, ...]:
    # Of made features as leadgate.yaml says it, without a look at features.py: a rollout goes on whatever is in it.
    said = [(f.name, f.categories) for f in project.lead.features if f.use]
    said += [(made.name, made.categories) for made in project.lead.made if made.use]
    declared = {name: categories for name, categories in said if categories is not None}
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


def _ratings(connection: Connection, project: Project, history: History, now: datetime) -> RatingEvidence:
    figures = rating_figures(
        connection,
        model_name=project.name,
        since=history.state.since,
        until=now,
        model_version=history.rollout.challenger,
    )
    return RatingEvidence(ratings=figures.count, raters=figures.raters, mean=figures.mean)


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
