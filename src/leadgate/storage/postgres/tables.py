"""The declared schema. The migrations must lead to exactly this; a test proves that they do."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "leadgate"
"""Our own schema, so that Leadgate can share a database with MLflow and with a team's tables."""

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

Time = DateTime(timezone=True)

imports = Table(
    "imports",
    metadata,
    Column("import_id", Uuid, primary_key=True),
    Column("file", Text, nullable=False),
    Column("file_digest", Text, nullable=False),
    Column("imported_at", Time, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("refused_because", Text, comment="why nothing was imported; null for an accepted import"),
    comment="one row for each file of leads that was looked at, accepted or refused",
)

quarantined_rows = Table(
    "quarantined_rows",
    metadata,
    Column("quarantined_row_id", BigInteger, Identity(always=True), primary_key=True),
    Column("import_id", ForeignKey(imports.c.import_id), nullable=False),
    Column("row_number", BigInteger, nullable=False, comment="as a spreadsheet shows it: the header is row 1"),
    Column("lead_id", Text),
    Column("column_name", Text, nullable=False),
    Column("value", Text),
    Column("reason", Text, nullable=False),
    Index(None, "import_id", "row_number"),
    comment="one row for each fault of each row that an import kept out",
)

prediction_logs = Table(
    "prediction_logs",
    metadata,
    # The key of a partitioned table holds what it is partitioned by. The id alone is unique all the same: see segments.
    Column("prediction_id", Uuid, primary_key=True, comment="UUIDv7"),
    Column("scored_at", Time, primary_key=True),
    Column("lead_id", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("predicted_score", Double, nullable=False),
    Column("priority", Text, nullable=False),
    Column("features", JSONB, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("route_epoch", BigInteger, nullable=False, comment="the route in force when it was answered"),
    Column("shadow_version", Text, comment="scored beside it, never answered; null without a shadow"),
    Column("shadow_score", Double, comment="null too where the shadow failed or was too slow"),
    CheckConstraint("predicted_score >= 0 AND predicted_score <= 1", name="score_is_probability"),
    CheckConstraint("priority IN ('high', 'medium', 'low')", name="priority_known"),
    Index(None, "lead_id", "scored_at"),
    Index(None, "scored_at"),
    comment="every answered score, once; a partition for each day (UTC)",
    postgresql_partition_by="RANGE (scored_at)",
)

spool_segments = Table(
    "spool_segments",
    metadata,
    Column(
        "segment", Text, primary_key=True, comment="a segment that is named here is in the log and is not taken again"
    ),
    Column("drained_at", Time, nullable=False),
    Column("predictions", BigInteger, nullable=False, comment="now in the log"),
    Column("lost", BigInteger, nullable=False, comment="answered, but not readable any more"),
    Column("damage", Text, comment="what was found; null for a whole segment"),
    Index(None, "drained_at"),
    comment="one row for each spool segment that was drained into prediction_logs",
)

routes = Table(
    "routes",
    metadata,
    Column("model_name", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3; the highest is in force"),
    Column("stage", Text, nullable=False),
    Column("champion", Text, nullable=False),
    Column("champion_digest", Text, nullable=False, comment="of the model that has to answer under that number"),
    Column("challenger", Text),
    Column("challenger_digest", Text),
    Column("share", Integer, nullable=False, comment="buckets of 10,000 that the challenger answers"),
    Column("salt", Text, nullable=False),
    Column("changed_at", Time, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("challenger_high", Double, comment="its priority is high above this score; null: as its card says"),
    Column("challenger_medium", Double, comment="medium above this score; null: as its card says"),
    Column("champion_high", Double, comment="the champion's priority is high above this score; null: as its card says"),
    Column("champion_medium", Double, comment="medium above this score; null: as its card says"),
    CheckConstraint("stage IN ('full', 'shadow', 'canary', 'ab_test')", name="stage_known"),
    CheckConstraint("share BETWEEN 0 AND 10000", name="share_in_buckets"),
    CheckConstraint(
        "(challenger IS NULL) = (stage = 'full') AND (challenger IS NULL) = (challenger_digest IS NULL)",
        name="challenger_where_needed",
    ),
    CheckConstraint("share = 0 OR stage IN ('canary', 'ab_test')", name="share_where_allowed"),
    comment="append-only: each change of the route is a new row",
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True, comment="the part of the key that is no secret"),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("requests_per_second", Double, comment="null: no limit"),
    Column("created_at", Time, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Time),
    Column("revoked_at", Time),
    Column("revoked_by", Text),
    comment="who may call the API; the secret itself is nowhere",
)

idempotent_answers = Table(
    "idempotent_answers",
    metadata,
    Column("caller", Text, primary_key=True, comment="id of the API key; empty where none is asked for"),
    Column("idempotency_key", Text, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False, comment="the body, byte for byte"),
    Column("answered_at", Time, nullable=False),
    Index(None, "answered_at"),
    comment="answers that a repeated Idempotency-Key gets again, for a day",
)

lead_outcomes = Table(
    "lead_outcomes",
    metadata,
    Column("outcome_id", BigInteger, Identity(always=True), primary_key=True, comment="order of recording"),
    Column("lead_id", Text, nullable=False),
    Column("converted", Boolean, nullable=False),
    Column("deal_size", Double),
    Column("days_to_close", Double),
    Column("outcome_at", Time, nullable=False),
    Column("recorded_at", Time, nullable=False),
    Column("source", Text, nullable=False),
    CheckConstraint("deal_size >= 0", name="deal_size_not_negative"),
    CheckConstraint("days_to_close >= 0", name="days_to_close_not_negative"),
    Index(None, "lead_id", "outcome_id"),
    comment="append-only: a correction is a new row, the last one recorded counts",
)

lead_contacts = Table(
    "lead_contacts",
    metadata,
    Column("lead_id", Text, primary_key=True),
    Column("contacted_at", Time, primary_key=True),
    Column("recorded_at", Time, nullable=False),
    Column("source", Text, nullable=False),
    comment="append-only: when the sales team was in touch with a lead",
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("rollout_id", BigInteger, Identity(always=True), primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("champion", Text, nullable=False),
    Column("champion_digest", Text, nullable=False),
    Column("challenger", Text, nullable=False),
    Column("challenger_digest", Text, nullable=False),
    Column("challenger_author", Text, nullable=False, comment="who trained it"),
    Column("salt", Text, nullable=False, comment="parts the leads anew for each rollout"),
    Column("rules", JSONB, nullable=False, comment="as leadgate.yaml had them at the start; they hold to its end"),
    Column("design", JSONB, comment="what the experiment can see; null where the baseline was not known"),
    Column("started_at", Time, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("ended_at", Time, comment="null while it lives"),
    Index("rollouts_one_alive_idx", "model_name", unique=True, postgresql_where=text("ended_at IS NULL")),
    comment="one row for each challenger that was sent on its way",
)

rollout_evidence = Table(
    "rollout_evidence",
    metadata,
    Column("evidence_id", BigInteger, Identity(always=True), primary_key=True),
    Column("rollout_id", ForeignKey(rollouts.c.rollout_id), nullable=False),
    Column("gathered_at", Time, nullable=False),
    Column("evidence", JSONB, nullable=False, comment="what was known, and the state of the rollout"),
    Column("verdicts", JSONB, nullable=False, comment="of the gates"),
    Column("act", Text, nullable=False, comment="what follows; hold where nothing does"),
    Column("reason", Text, nullable=False),
    Index(None, "rollout_id", "gathered_at"),
    comment="append-only: what was known when a rollout was judged",
)

rollout_steps = Table(
    "rollout_steps",
    metadata,
    Column("rollout_id", ForeignKey(rollouts.c.rollout_id), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False, comment="1, 2, 3; the last one says where it is"),
    Column("act", Text, nullable=False),
    Column("stage", Text, nullable=False, comment="after the act"),
    Column("paused_at", Time, comment="null while it is not paused"),
    Column("stage_since", Time, nullable=False, comment="when the stage began"),
    Column("extra_days", Double, nullable=False, comment="by which the stage was extended"),
    Column("paused_days", Double, nullable=False, comment="of pauses of the stage that are over"),
    Column("extensions", Integer, nullable=False, comment="of the stage"),
    Column("finished", Boolean, nullable=False, comment="in stage full: whether the watch is over"),
    Column("acted_at", Time, nullable=False),
    Column("acted_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("evidence_id", ForeignKey(rollout_evidence.c.evidence_id), comment="null for an act that asked for none"),
    Column("route_epoch", BigInteger, comment="the route that the act put in force; null where it changed none"),
    comment="append-only: each act of a rollout",
)

rollout_approvals = Table(
    "rollout_approvals",
    metadata,
    Column("approval_id", BigInteger, Identity(always=True), primary_key=True),
    Column("rollout_id", ForeignKey(rollouts.c.rollout_id), nullable=False),
    Column("stage", Text, nullable=False, comment="the one that it lets the challenger leave"),
    Column("stage_since", Time, nullable=False, comment="a stage that begins anew needs a new approval"),
    Column("approved_at", Time, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Index(None, "rollout_id"),
    comment="append-only: the sign-offs of people",
)

post_mortems = Table(
    "post_mortems",
    metadata,
    Column("post_mortem_id", BigInteger, Identity(always=True), primary_key=True),
    Column("rollout_id", ForeignKey(rollouts.c.rollout_id), nullable=False),
    Column("step", Integer, nullable=False, comment="the act that opened it"),
    Column("opened_at", Time, nullable=False),
    Column("cause", Text, nullable=False),
    Column("evidence_id", ForeignKey(rollout_evidence.c.evidence_id)),
    Column("closed_at", Time),
    Column("closed_by", Text),
    Column("findings", Text, comment="what people found; null while it is open"),
    comment="one row for each rollout that was rolled back",
)

events = Table(
    "events",
    metadata,
    Column("event_id", BigInteger, Identity(always=True), primary_key=True),
    Column("happened_at", Time, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("delivered_at", Time, comment="null while nobody was told"),
    CheckConstraint("severity IN ('green', 'yellow', 'red')", name="severity_known"),
    comment="what people have to be told of",
)

sales_ratings = Table(
    "sales_ratings",
    metadata,
    Column("rating_id", BigInteger, Identity(always=True), primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("rated_at", Time, nullable=False),
    Column("rated_by", Text, nullable=False),
    Column("rating", Double, nullable=False, comment="0, useless, to 10"),
    Column("model_version", Text, comment="null: of the scores as a whole"),
    Column("comment", Text, nullable=False),
    Column("recorded_at", Time, nullable=False),
    CheckConstraint("rating BETWEEN 0 AND 10", name="rating_in_range"),
    Index(None, "model_name", "rated_at"),
    comment="append-only: how helpful sales people find the scores",
)

service_measurements = Table(
    "service_measurements",
    metadata,
    Column("model_name", Text, nullable=False, comment="whose service it was"),
    Column("service", Text, primary_key=True, comment="one start of leadgate serve"),
    Column("worker", Text, primary_key=True),
    Column("until", Time, primary_key=True),
    Column("since", Time, nullable=False),
    Column("requests", BigInteger, nullable=False, comment="for scores, answered with anything"),
    Column("failures", BigInteger, nullable=False, comment="of these, answered with 5xx"),
    Column("busy_s", Double, nullable=False, comment="processor time"),
    Column("peak_memory_bytes", BigInteger, nullable=False, comment="resident, since the worker began"),
    Column("latencies", JSONB, nullable=False, comment="counts of /predict by upper edge in seconds, by variant"),
    Column("answers_by_variant", JSONB, nullable=False, comment="leads that a variant's version scored for a caller"),
    Column("failures_by_variant", JSONB, nullable=False, comment="leads that a variant's version failed to score"),
    Column("shadow_asked", BigInteger, nullable=False, comment="scores that were asked for beside an answer"),
    Column("shadow_failed", BigInteger, nullable=False, comment="of these, the ones that failed or were too slow"),
    Index(None, "model_name", "until"),
    comment="append-only: what each worker did in a span of time",
)

profile_baselines = Table(
    "profile_baselines",
    metadata,
    Column("model_name", Text, primary_key=True),
    Column("model_version", Text, primary_key=True),
    Column("sha256", LargeBinary, nullable=False, comment="of the payload, as the registry has it"),
    Column("layout", Text, nullable=False, comment="digest of the bins that its profiles share"),
    Column("payload", LargeBinary, nullable=False),
    Column("published_at", Time, nullable=False),
    comment="what a version was trained on, in bins; a copy of the file that the registry has",
)

profile_hours = Table(
    "profile_hours",
    metadata,
    Column("profile_id", BigInteger, Identity(always=True), primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("hour", Time, nullable=False, comment="its begin"),
    Column("layout", Text, nullable=False, comment="digest of the bins; empty where the version has no baseline"),
    Column("predictions", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index(None, "model_name", "hour"),
    comment="summaries of predictions that add up; an hour has a row for each segment until they are merged",
)

check_results = Table(
    "check_results",
    metadata,
    Column("result_id", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", Uuid, nullable=False, comment="UUIDv7: the results of one run share it"),
    Column("model_name", Text, nullable=False),
    Column("checked_at", Time, nullable=False),
    Column("window_since", Time, nullable=False),
    Column("window_until", Time, nullable=False, comment="exclusive"),
    Column("area", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="a feature, a version, a segment; empty for the model"),
    Column("severity", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("value", Double),
    Column("threshold", Double),
    Column("low", Double),
    Column("high", Double),
    Column("level", Double, comment="of the interval from low to high"),
    Column("sample", BigInteger),
    Column("p_value", Double),
    Column("family", Text, comment="comparisons that the p-value is adjusted for; null for none"),
    Column("weight", Double, nullable=False),
    Column("details", JSONB, nullable=False),
    CheckConstraint("severity IN ('green', 'yellow', 'red', 'unknown')", name="severity_known"),
    Index(None, "model_name", "checked_at"),
    Index(None, "run_id"),
    comment="append-only: what each check found in each run",
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3, without a gap"),
    Column("happened_at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Text, nullable=False, comment="JSON, byte for byte as it was hashed"),
    Column("previous_sha256", LargeBinary, nullable=False, comment="of the entry before; 32 zero bytes for the first"),
    Column("sha256", LargeBinary, nullable=False),
    comment="append-only and hash-chained: every act, by whom, when and why",
)
