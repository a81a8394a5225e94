"""Rollouts: their steps, evidence, sign-offs and post-mortems; ratings, measurements of the service, the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_audit_log()
    _create_events()
    _create_rollouts()
    _create_sales_ratings()
    _create_service_measurements()
    _create_rollout_approvals()
    _create_rollout_evidence()
    _create_post_mortems()
    _create_rollout_steps()
    _widen_routes()
    _guard_append_only_tables()
    _let_others_add_days()
    _create_writer()


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False, comment="1, 2, 3, without a gap"),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False, comment="JSON, byte for byte as it was hashed"),
        sa.Column(
            "previous_sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="of the entry before; 32 zero bytes for the first",
        ),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("audit_log_pkey")),
        schema="leadgate",
        comment="append-only and hash-chained: every act, by whom, when and why",
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("event_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True, comment="null while nobody was told"),
        sa.CheckConstraint("severity IN ('green', 'yellow', 'red')", name=op.f("events_severity_known_check")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("events_pkey")),
        schema="leadgate",
        comment="what people have to be told of",
    )


def _create_rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("rollout_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text(), nullable=False),
        sa.Column("champion_digest", sa.Text(), nullable=False),
        sa.Column("challenger", sa.Text(), nullable=False),
        sa.Column("challenger_digest", sa.Text(), nullable=False),
        sa.Column("challenger_author", sa.Text(), nullable=False, comment="who trained it"),
        sa.Column("salt", sa.Text(), nullable=False, comment="parts the leads anew for each rollout"),
        sa.Column(
            "rules",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="as leadgate.yaml had them at the start; they hold to its end",
        ),
        sa.Column(
            "design",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what the experiment can see; null where the baseline was not known",
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="null while it lives"),
        sa.PrimaryKeyConstraint("rollout_id", name=op.f("rollouts_pkey")),
        schema="leadgate",
        comment="one row for each challenger that was sent on its way",
    )
    op.create_index(
        "rollouts_one_alive_idx",
        "rollouts",
        ["model_name"],
        unique=True,
        schema="leadgate",
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def _create_sales_ratings() -> None:
    op.create_table(
        "sales_ratings",
        sa.Column("rating_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rated_by", sa.Text(), nullable=False),
        sa.Column("rating", sa.Double(), nullable=False, comment="0, useless, to 10"),
        sa.Column("model_version", sa.Text(), nullable=True, comment="null: of the scores as a whole"),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rating BETWEEN 0 AND 10", name=op.f("sales_ratings_rating_in_range_check")),
        sa.PrimaryKeyConstraint("rating_id", name=op.f("sales_ratings_pkey")),
        schema="leadgate",
        comment="append-only: how helpful sales people find the scores",
    )
    op.create_index(
        op.f("sales_ratings_model_name_rated_at_idx"),
        "sales_ratings",
        ["model_name", "rated_at"],
        unique=False,
        schema="leadgate",
    )


def _create_service_measurements() -> None:
    op.create_table(
        "service_measurements",
        sa.Column("model_name", sa.Text(), nullable=False, comment="whose service it was"),
        sa.Column("service", sa.Text(), nullable=False, comment="one start of leadgate serve"),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False, comment="for scores, answered with anything"),
        sa.Column("failures", sa.BigInteger(), nullable=False, comment="of these, answered with 5xx"),
        sa.Column("busy_s", sa.Double(), nullable=False, comment="processor time"),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=False, comment="resident, since the worker began"),
        sa.Column(
            "latencies",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="counts of /predict by upper edge in seconds, by variant",
        ),
        sa.Column(
            "answers_by_variant",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="leads that a variant's version scored for a caller",
        ),
        sa.Column(
            "failures_by_variant",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="leads that a variant's version failed to score",
        ),
        sa.Column(
            "shadow_asked", sa.BigInteger(), nullable=False, comment="scores that were asked for beside an answer"
        ),
        sa.Column(
            "shadow_failed",
            sa.BigInteger(),
            nullable=False,
            comment="of these, the ones that failed or were too slow",
        ),
        sa.PrimaryKeyConstraint("service", "worker", "until", name=op.f("service_measurements_pkey")),
        schema="leadgate",
        comment="append-only: what each worker did in a span of time",
    )
    op.create_index(
        op.f("service_measurements_model_name_until_idx"),
        "service_measurements",
        ["model_name", "until"],
        unique=False,
        schema="leadgate",
    )


def _create_rollout_approvals() -> None:
    op.create_table(
        "rollout_approvals",
        sa.Column("approval_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rollout_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False, comment="the one that it lets the challenger leave"),
        sa.Column(
            "stage_since",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="a stage that begins anew needs a new approval",
        ),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["leadgate.rollouts.rollout_id"], name=op.f("rollout_approvals_rollout_id_fkey")
        ),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("rollout_approvals_pkey")),
        schema="leadgate",
        comment="append-only: the sign-offs of people",
    )
    op.create_index(
        op.f("rollout_approvals_rollout_id_idx"), "rollout_approvals", ["rollout_id"], unique=False, schema="leadgate"
    )


def _create_rollout_evidence() -> None:
    op.create_table(
        "rollout_evidence",
        sa.Column("evidence_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rollout_id", sa.BigInteger(), nullable=False),
        sa.Column("gathered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "evidence",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="what was known, and the state of the rollout",
        ),
        sa.Column("verdicts", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="of the gates"),
        sa.Column("act", sa.Text(), nullable=False, comment="what follows; hold where nothing does"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["leadgate.rollouts.rollout_id"], name=op.f("rollout_evidence_rollout_id_fkey")
        ),
        sa.PrimaryKeyConstraint("evidence_id", name=op.f("rollout_evidence_pkey")),
        schema="leadgate",
        comment="append-only: what was known when a rollout was judged",
    )
    op.create_index(
        op.f("rollout_evidence_rollout_id_gathered_at_idx"),
        "rollout_evidence",
        ["rollout_id", "gathered_at"],
        unique=False,
        schema="leadgate",
    )


def _create_post_mortems() -> None:
    op.create_table(
        "post_mortems",
        sa.Column("post_mortem_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rollout_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False, comment="the act that opened it"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True, comment="what people found; null while it is open"),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["leadgate.rollout_evidence.evidence_id"], name=op.f("post_mortems_evidence_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["leadgate.rollouts.rollout_id"], name=op.f("post_mortems_rollout_id_fkey")
        ),
        sa.PrimaryKeyConstraint("post_mortem_id", name=op.f("post_mortems_pkey")),
        schema="leadgate",
        comment="one row for each rollout that was rolled back",
    )


def _create_rollout_steps() -> None:
    op.create_table(
        "rollout_steps",
        sa.Column("rollout_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "step", sa.Integer(), autoincrement=False, nullable=False, comment="1, 2, 3; the last one says where it is"
        ),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False, comment="after the act"),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True, comment="null while it is not paused"),
        sa.Column("stage_since", sa.DateTime(timezone=True), nullable=False, comment="when the stage began"),
        sa.Column("extra_days", sa.Double(), nullable=False, comment="by which the stage was extended"),
        sa.Column("paused_days", sa.Double(), nullable=False, comment="of pauses of the stage that are over"),
        sa.Column("extensions", sa.Integer(), nullable=False, comment="of the stage"),
        sa.Column("finished", sa.Boolean(), nullable=False, comment="in stage full: whether the watch is over"),
        sa.Column("acted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acted_by", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.BigInteger(), nullable=True, comment="null for an act that asked for none"),
        sa.Column(
            "route_epoch",
            sa.BigInteger(),
            nullable=True,
            comment="the route that the act put in force; null where it changed none",
        ),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["leadgate.rollout_evidence.evidence_id"], name=op.f("rollout_steps_evidence_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["leadgate.rollouts.rollout_id"], name=op.f("rollout_steps_rollout_id_fkey")
        ),
        sa.PrimaryKeyConstraint("rollout_id", "step", name=op.f("rollout_steps_pkey")),
        schema="leadgate",
        comment="append-only: each act of a rollout",
    )


def _widen_routes() -> None:
    op.add_column(
        "routes",
        sa.Column(
            "challenger_high",
            sa.Double(),
            nullable=True,
            comment="its priority is high above this score; null: as its card says",
        ),
        schema="leadgate",
    )
    op.add_column(
        "routes",
        sa.Column(
            "challenger_medium", sa.Double(), nullable=True, comment="medium above this score; null: as its card says"
        ),
        schema="leadgate",
    )


def _guard_append_only_tables() -> None:
    """Refuse to change or remove a row, whoever asks: the table's owner has to switch the trigger off first."""
    op.execute("""
        CREATE FUNCTION leadgate.refuse_change() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            RAISE EXCEPTION USING
                ERRCODE = 'restrict_violation',
                MESSAGE = format('%I.%I is append-only, %s is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP),
                HINT = 'What was written stays; write a new row that says what holds now.';
        END
        $$
    """)
    for table in ("audit_log", "rollout_approvals", "rollout_evidence", "rollout_steps", "routes"):
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leadgate.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION leadgate.refuse_change()
        """)


def _let_others_add_days() -> None:
    """Only its owner can give a table partitions, and a service that may do nothing else of that needs one each day."""
    op.execute("""
        CREATE FUNCTION leadgate.add_prediction_day(day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS leadgate.%I PARTITION OF leadgate.prediction_logs '
                'FOR VALUES FROM (%L) TO (%L)',
                'prediction_logs_' || to_char(day, 'YYYYMMDD'),
                to_char(day, 'YYYY-MM-DD "00:00+00"'),
                to_char(day + 1, 'YYYY-MM-DD "00:00+00"')
            );
        END
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION leadgate.add_prediction_day(date) FROM PUBLIC")


APPENDED = (
    "audit_log, routes, rollouts, rollout_steps, rollout_evidence, rollout_approvals, post_mortems, events, imports, "
    "quarantined_rows, prediction_logs, spool_segments, api_keys, idempotent_answers, lead_outcomes, sales_ratings, "
    "service_measurements"
)

CHANGED = {
    "api_keys": "UPDATE (revoked_at, revoked_by)",
    "events": "UPDATE (delivered_at)",
    "idempotent_answers": "UPDATE, DELETE",
    "post_mortems": "UPDATE (closed_at, closed_by, findings)",
    "rollouts": "UPDATE (ended_at)",
    "spool_segments": "DELETE",
}
"""All that a service has to change or remove. Nothing of it is append-only."""


def _create_writer() -> None:
    """Make the role of a service, which can append to the records and cannot change them.

    Roles belong to the whole server: another database's migration may have made it, or may be making it now. Who may
    not make roles goes on without; `leadgate audit verify` says so.
    """
    op.execute("""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadgate_writer') THEN
                CREATE ROLE leadgate_writer NOLOGIN;
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
        END
        $$
    """)
    found = op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first()
    if found is not None:
        op.execute("GRANT USAGE ON SCHEMA leadgate TO leadgate_writer")
        op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA leadgate TO leadgate_writer")
        for table in APPENDED.split(", "):
            op.execute(f"GRANT INSERT ON leadgate.{table} TO leadgate_writer")
        op.execute("GRANT EXECUTE ON FUNCTION leadgate.add_prediction_day(date) TO leadgate_writer")
        for table, rights in CHANGED.items():
            op.execute(f"GRANT {rights} ON leadgate.{table} TO leadgate_writer")
