"""What reports are made of. Each answer brings the SQL that gave it, so that a reader can ask again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import ClientCursor
from psycopg.rows import dict_row

from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Rows, and the statement that they came from."""

    rows: tuple[Mapping[str, Any], ...]
    """By name of the column; JSON is decoded."""
    sql: str
    """With its parameters written out: run as it stands it gives the rows."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which leads a question about outcomes is asked of."""

    model_name: str
    since: datetime
    """First scored from here on..."""
    until: datetime
    """...and until here; what was reported later is not known yet."""
    window: timedelta
    """Within which a conversion counts."""
    silence_is_loss: bool
    """Whether a matured lead without an outcome is lost, or left out."""


def rollouts(connection: Connection, model_name: str, *, until: datetime) -> Answer:
    """The rollouts of a model that had begun, the last first."""
    return _ask(connection, "rollouts", model_name=model_name, until=until)


def steps(connection: Connection, rollout_id: int, *, until: datetime) -> Answer:
    """The acts of a rollout, the first first, with the share of the leads that the challenger had after each."""
    return _ask(connection, "steps", rollout_id=rollout_id, until=until)


def evidence(connection: Connection, evidence_id: int) -> Answer:
    """What a rollout was judged by once: one row, or none."""
    return _ask(connection, "evidence", evidence_id=evidence_id)


def last_evidence(connection: Connection, rollout_id: int, *, stages: Sequence[str], until: datetime) -> int | None:
    """The number of the last evaluation of a rollout in one of some stages; None without any."""
    found = _ask(connection, "last_evidence", rollout_id=rollout_id, stages=list(stages), until=until)
    return int(found.rows[0]["evidence_id"]) if found.rows else None


def looks(connection: Connection, rollout_id: int, *, stage: str, until: datetime) -> Answer:
    """What the evaluations of a stage saw of the experiment, one a day."""
    return _ask(connection, "looks", rollout_id=rollout_id, stage=stage, until=until)


def approvals(connection: Connection, rollout_id: int, *, until: datetime) -> Answer:
    """The sign-offs of a rollout, the first first."""
    return _ask(connection, "approvals", rollout_id=rollout_id, until=until)


def post_mortems(connection: Connection, rollout_id: int, *, until: datetime) -> Answer:
    """The post-mortems of a rollout, the first first."""
    return _ask(connection, "post_mortems", rollout_id=rollout_id, until=until)


def acts(connection: Connection, subjects: Sequence[str], *, until: datetime) -> Answer:
    """The entries of the audit log about some subjects, in their order."""
    return _ask(connection, "acts", subjects=list(subjects), until=until)


def routes(connection: Connection, model_name: str, *, until: datetime) -> Answer:
    """Every route of a model, the first first."""
    return _ask(connection, "routes", model_name=model_name, until=until)


def last_run(
    connection: Connection, model_name: str, *, since: datetime, until: datetime, window: timedelta
) -> Mapping[str, Any] | None:
    """The last run of checks of a span, if possible one over a window of that length; None without any."""
    found = _ask(connection, "last_run", model_name=model_name, since=since, until=until, window=window)
    return found.rows[0] if found.rows else None


def findings(connection: Connection, run_id: str) -> Answer:
    """What a run of checks found, the most urgent first."""
    return _ask(connection, "findings", run_id=run_id)


def runs(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> Answer:
    """How often, and on how many days, checks ran: one row."""
    return _ask(connection, "runs", model_name=model_name, since=since, until=until)


def alerts(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> Answer:
    """The alerts that were open at any time of a span, the red ones first."""
    return _ask(connection, "alerts", model_name=model_name, since=since, until=until)


def incidents(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> Answer:
    """Red alerts and rollbacks of a span: one row."""
    return _ask(connection, "incidents", model_name=model_name, since=since, until=until)


def leads(connection: Connection, asked: Asked) -> Answer:
    """Leads by week, version and priority, and by fewer of these: ``level`` says by which."""
    return _ask(connection, "leads", **vars(asked))


def calibration(connection: Connection, asked: Asked) -> Answer:
    """Matured leads in ten parts by score: what was predicted, and what came."""
    return _ask(connection, "calibration", **vars(asked))


def segments(connection: Connection, asked: Asked, features: Sequence[str]) -> Answer:
    """Matured leads by the value of each of some features."""
    return _ask(connection, "segments", **vars(asked), features=list(features))


def matured_features(connection: Connection, asked: Asked, features: Sequence[str], *, most: int) -> Answer:
    """At most ``most`` matured leads: score, won, and the values of some features as text."""
    return _ask(connection, "matured_features", **vars(asked), features=list(features), most=most)


def sides(connection: Connection, asked: Asked, rollout_id: int) -> Answer:
    """What the leads of each stage of a rollout paid, by the version that answered them."""
    return _ask(connection, "sides", **vars(asked), rollout_id=rollout_id)


def ratings(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> Answer:
    """What sales people said of the scores: one row."""
    return _ask(connection, "ratings", model_name=model_name, since=since, until=until)


def job_runs(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> Answer:
    """How often each job ran, and how often well."""
    return _ask(connection, "job_runs", model_name=model_name, since=since, until=until)


def _ask(connection: Connection, name: str, **values: Any) -> Answer:
    """Parameters are written into the text here, not on the server: what is shown is what was run."""
    with ClientCursor(connection, row_factory=dict_row) as cursor:
        sql = cursor.mogrify(statement("reports", name), values)
        cursor.execute(statement("reports", name), values)
        return Answer(rows=tuple(cursor.fetchall()), sql=sql)
