"""Reads what reports tell of. Everything is as it was known at one time, and brings where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from pydantic_core import to_jsonable_python

from leadgate.errors import LeadgateError
from leadgate.leads.made import with_made
from leadgate.leads.project import Project
from leadgate.leads.snapshots import read_snapshot
from leadgate.models.card import Card
from leadgate.models.comparing import compare_versions
from leadgate.models.registry import Registry, importance_of
from leadgate.stats.auc import OneClassError
from leadgate.storage.postgres import reports as store
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.reports import Asked
from leadgate.views.reports import rule, sources
from leadgate.views.reports.facts import RuleFacts, VersionFacts
from leadgate.views.reports.report import Known
from leadgate.views.reports.rule import FEATURES, Sign

_MOST_LEADS = 50_000
"""That the simple rule is tried on."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Asks the database and the registry on behalf of reports."""

    connection: Connection
    project: Project
    registry: Registry
    snapshots_uri: str
    now: datetime
    """Up to when things are known (UTC)."""

    def asked(self, since: datetime) -> Asked:
        """The leads first scored from a time on."""
        outcomes = self.project.outcomes
        return Asked(
            model_name=self.project.name,
            since=since,
            until=self.now,
            window=timedelta(days=outcomes.window_days),
            silence_is_loss=outcomes.silence_means == "not_converted",
        )

    def settings(self) -> Known:
        """leadgate.yaml."""
        return sources.settings(self.project.model_dump(mode="json"))

    # ---- rollouts

    def rollouts(self) -> Known:
        """Every rollout that had begun, the last first."""
        answer = store.rollouts(self.connection, self.project.name, until=self.now)
        return sources.rows(answer, "every rollout", "leadgate rollout list")

    def steps(self, rollout: int) -> Known:
        """What happened in a rollout."""
        answer = store.steps(self.connection, rollout, until=self.now)
        return sources.rows(answer, f"steps of rollout {rollout}", f"leadgate rollout history --rollout={rollout}")

    def evidence(self, rollout: int, number: int) -> Known:
        """What a rollout was judged by once."""
        answer = store.evidence(self.connection, number)
        command = f"leadgate rollout history --rollout={rollout} --evidence={number}"
        return sources.rows(answer, f"evidence {number} of rollout {rollout}", command)

    def last_evidence(self, rollout: int, *stages: str) -> Known | None:
        """The last of some stages; None without any."""
        number = store.last_evidence(self.connection, rollout, stages=stages, until=self.now)
        return None if number is None else self.evidence(rollout, number)

    def looks(self, rollout: int, stage: str) -> Known:
        """What each day's evaluation saw of the experiment."""
        answer = store.looks(self.connection, rollout, stage=stage, until=self.now)
        return sources.rows(answer, f"daily evidence of rollout {rollout} in its {stage.replace('_', '/')} stage")

    def approvals(self, rollout: int) -> Known:
        """The sign-offs."""
        return sources.rows(
            store.approvals(self.connection, rollout, until=self.now), f"sign-offs of rollout {rollout}"
        )

    def post_mortems(self, rollout: int) -> Known:
        """The post-mortems."""
        answer = store.post_mortems(self.connection, rollout, until=self.now)
        command = f"leadgate rollout history --rollout={rollout}"
        return sources.rows(answer, f"post-mortems of rollout {rollout}", command)

    def acts(self, *subjects: str) -> Known:
        """What the audit log has about some subjects."""
        answer = store.acts(self.connection, subjects, until=self.now)
        return sources.rows(answer, "audit log", f'leadgate audit list --subject "{subjects[0]}"')

    def sides(self, rollout: int, started_at: datetime, horizon_days: float) -> Known:
        """What the leads of a rollout paid within a horizon, by stage and version.

        As in the rollout's own evidence, a lead that was scored in a horizon before it is of none of its stages.
        """
        horizon = timedelta(days=horizon_days)
        asked = replace(self.asked(started_at - horizon), window=horizon)
        answer = store.sides(self.connection, asked, rollout)
        return sources.rows(answer, f"what the leads of rollout {rollout} paid, by stage and version")

    # ---- what is in force, and how it does

    def routes(self) -> Known:
        """Every route up to now, the first first."""
        answer = store.routes(self.connection, self.project.name, until=self.now)
        return sources.rows(answer, "routes", "leadgate route show")

    def findings(self, since: datetime) -> Known | None:
        """What the last run of checks since a time found; None without one."""
        window = timedelta(days=self.project.monitoring.window_days)
        span = {"since": since, "until": self.now, "window": window}
        run = store.last_run(self.connection, self.project.name, **span)  # type: ignore[arg-type]  # of two types
        if run is None:
            return None
        title = f"run of checks at {run['checked_at']:%Y-%m-%d %H:%M} UTC"
        command = f"leadgate check show --run {run['run_id']} --all"
        return sources.rows(store.findings(self.connection, run["run_id"]), title, command)

    def runs(self, since: datetime, until: datetime) -> Known:
        """How often checks ran."""
        answer = store.runs(self.connection, self.project.name, since=since, until=until)
        return sources.rows(answer, f"runs of checks from {since:%Y-%m-%d} to {until:%Y-%m-%d}")

    def alerts(self, since: datetime, until: datetime) -> Known:
        """The alerts that were open at any time of a span."""
        answer = store.alerts(self.connection, self.project.name, since=since, until=until)
        title = f"alerts from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
        return sources.rows(answer, title, "leadgate alerts list --all")

    def incidents(self, since: datetime, until: datetime) -> Known:
        """Red alerts and rollbacks of a span."""
        answer = store.incidents(self.connection, self.project.name, since=since, until=until)
        return sources.rows(answer, f"red alerts and rollbacks from {since:%Y-%m-%d} to {until:%Y-%m-%d}")

    def ratings(self, since: datetime, until: datetime) -> Known:
        """What sales people said."""
        answer = store.ratings(self.connection, self.project.name, since=since, until=until)
        title = f"sales ratings from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
        return sources.rows(answer, title, "leadgate ratings list")

    def job_runs(self, since: datetime, until: datetime) -> Known:
        """How often each job of the worker ran."""
        answer = store.job_runs(self.connection, self.project.name, since=since, until=until)
        title = f"runs of jobs from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
        return sources.rows(answer, title, "leadgate jobs list")

    # ---- leads and what became of them

    def leads(self, since: datetime) -> Known:
        """Leads by week, version and priority."""
        answer = store.leads(self.connection, self.asked(since))
        return sources.rows(answer, f"leads first scored since {since:%Y-%m-%d}, by week, version and priority")

    def calibration(self, since: datetime) -> Known:
        """Matured leads in ten parts by score."""
        answer = store.calibration(self.connection, self.asked(since))
        return sources.rows(answer, f"matured leads first scored since {since:%Y-%m-%d}, in ten parts by score")

    def segments(self, since: datetime, features: Sequence[str]) -> Known:
        """Matured leads by the value of some features."""
        answer = store.segments(self.connection, self.asked(since), features)
        return sources.rows(answer, f"matured leads first scored since {since:%Y-%m-%d}, by {', '.join(features)}")

    # ---- the registry

    def version(self, number: str | None) -> VersionFacts | None:
        """A version; None where the registry does not have it, or does not answer."""
        if number is None:
            return None
        try:
            version = self.registry.find(number)
            card = self.registry.card(version)
            content = {"version": version, "card": card, "importance": importance_of(self.registry, version)}
        except _unanswered():
            return None
        command = f"leadgate models show {version.version} --json"
        tree = to_jsonable_python(content, inf_nan_mode="constants")
        known = sources.document(tree, f"version {version.version} in the registry", command)
        return VersionFacts(number=version.version, known=known)

    def comparison(self, a: str, b: str) -> Known | None:
        """Two versions on the leads that both held out; None where they cannot be compared."""
        try:
            found = compare_versions(self.registry, self.registry.find(a), self.registry.find(b))
        except _unanswered():
            return None
        tree = to_jsonable_python({"a": a, "b": b, "comparison": found}, inf_nan_mode="constants")
        title = f"versions {a} and {b} on the leads that both held out"
        return sources.document(tree, title, f"leadgate models compare {a} {b} --json")

    def simple_rule(self, version: VersionFacts | None, since: datetime) -> RuleFacts | str:
        """The simple rule on the matured leads since a time; a sentence where it cannot be tried."""
        if version is None:
            return "the registry does not have the version that answers"
        features = version.ranked_features[:FEATURES]
        if not features:
            return f"version {version.number} does not say which features matter to it"
        answer = store.matured_features(self.connection, self.asked(since), features, most=_MOST_LEADS)
        if not answer.rows:
            return "no lead has matured yet"
        try:
            card = self.registry.card(self.registry.find(version.number))
            signs = self._learn(card, features)
            return RuleFacts(
                signs=signs,
                contest=rule.contest(
                    signs,
                    [row["features"] for row in answer.rows],
                    np.array([row["won"] for row in answer.rows], dtype=np.bool_),
                    np.array([row["score"] for row in answer.rows], dtype=np.float64),
                ),
                known=sources.rows(answer, f"matured leads first scored since {since:%Y-%m-%d}, one by one"),
                version=version.number,
            )
        except OneClassError:
            return "the matured leads all converted, or none did"
        except LeadgateError as error:
            return str(error)

    def _learn(self, card: Card, features: Sequence[str]) -> tuple[Sign, ...]:
        _, leads = read_snapshot(self.snapshots_uri, card.lead, card.snapshot_version)
        return rule.learn(with_made(leads, card.lead, as_served=True), card.lead, features)


def _unanswered() -> tuple[type[Exception], ...]:
    """What is raised where the registry does not have something, or does not answer: a report does without it."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # 1 s

    return (LeadgateError, MlflowException)
