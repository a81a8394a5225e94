"""Serving: a partitioned prediction log, drained segments, routes, API keys, idempotent answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _set_old_log_aside()
    _create_log()
    _move_old_log()
    _create_segments()
    _create_routes()
    _create_keys()
    _create_idempotent_answers()


def _set_old_log_aside() -> None:
    """Its constraints and indexes have the names that the new one needs."""
    op.execute("CREATE TEMPORARY TABLE log_0001 ON COMMIT DROP AS TABLE leadgate.prediction_logs")
    op.drop_table("prediction_logs", schema="leadgate")


def _create_log() -> None:
    op.create_table(
        "prediction_logs",
        sa.Column("prediction_id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("predicted_score", sa.Double(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("features", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("route_epoch", sa.BigInteger(), nullable=False, comment="the route in force when it was answered"),
        sa.Column(
            "shadow_version",
            sa.Text(),
            nullable=True,
            comment="scored beside it, never answered; null without a shadow",
        ),
        sa.Column(
            "shadow_score", sa.Double(), nullable=True, comment="null too where the shadow failed or was too slow"
        ),
        sa.CheckConstraint("priority IN ('high', 'medium', 'low')", name=op.f("prediction_logs_priority_known_check")),
        sa.CheckConstraint(
            "predicted_score >= 0 AND predicted_score <= 1",
            name=op.f("prediction_logs_score_is_probability_check"),
        ),
        sa.PrimaryKeyConstraint("prediction_id", "scored_at", name=op.f("prediction_logs_pkey")),
        schema="leadgate",
        comment="every answered score, once; a partition for each day (UTC)",
        postgresql_partition_by="RANGE (scored_at)",
    )
    for columns in (["lead_id", "scored_at"], ["scored_at"]):
        op.create_index(op.f(f"prediction_logs_{'_'.join(columns)}_idx"), "prediction_logs", columns, schema="leadgate")


def _move_old_log() -> None:
    op.execute(
        """
        DO $$
        DECLARE day date;
        BEGIN
            FOR day IN SELECT DISTINCT (scored_at AT TIME ZONE 'UTC')::date FROM log_0001 LOOP
                EXECUTE format(
                    'CREATE TABLE leadgate.%I PARTITION OF leadgate.prediction_logs FOR VALUES FROM (%L) TO (%L)',
                    'prediction_logs_' || to_char(day, 'YYYYMMDD'), day || ' 00:00+00', day + 1 || ' 00:00+00'
                );
            END LOOP;
        END $$
        """
    )
    op.execute(
        """
        INSERT INTO leadgate.prediction_logs
        SELECT prediction_id, scored_at, lead_id, model_name, model_version, variant, predicted_score, priority,
               features, latency_ms, batch_size, request_id, 0, NULL, NULL
        FROM log_0001
        """
    )


def _create_segments() -> None:
    op.create_table(
        "spool_segments",
        sa.Column(
            "segment",
            sa.Text(),
            nullable=False,
            comment="a segment that is named here is in the log and is not taken again",
        ),
        sa.Column("drained_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False, comment="now in the log"),
        sa.Column("lost", sa.BigInteger(), nullable=False, comment="answered, but not readable any more"),
        sa.Column("damage", sa.Text(), nullable=True, comment="what was found; null for a whole segment"),
        sa.PrimaryKeyConstraint("segment", name=op.f("spool_segments_pkey")),
        schema="leadgate",
        comment="one row for each spool segment that was drained into prediction_logs",
    )
    op.create_index(op.f("spool_segments_drained_at_idx"), "spool_segments", ["drained_at"], schema="leadgate")


def _create_routes() -> None:
    op.create_table(
        "routes",
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column(
            "epoch", sa.BigInteger(), autoincrement=False, nullable=False, comment="1, 2, 3; the highest is in force"
        ),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text(), nullable=False),
        sa.Column(
            "champion_digest",
            sa.Text(),
            nullable=False,
            comment="of the model that has to answer under that number",
        ),
        sa.Column("challenger", sa.Text(), nullable=True),
        sa.Column("challenger_digest", sa.Text(), nullable=True),
        sa.Column("share", sa.Integer(), nullable=False, comment="buckets of 10,000 that the challenger answers"),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("stage IN ('full', 'shadow', 'canary', 'ab_test')", name=op.f("routes_stage_known_check")),
        sa.CheckConstraint("share BETWEEN 0 AND 10000", name=op.f("routes_share_in_buckets_check")),
        sa.CheckConstraint(
            "(challenger IS NULL) = (stage = 'full') AND (challenger IS NULL) = (challenger_digest IS NULL)",
            name=op.f("routes_challenger_where_needed_check"),
        ),
        sa.CheckConstraint(
            "share = 0 OR stage IN ('canary', 'ab_test')", name=op.f("routes_share_where_allowed_check")
        ),
        sa.PrimaryKeyConstraint("model_name", "epoch", name=op.f("routes_pkey")),
        schema="leadgate",
        comment="append-only: each change of the route is a new row",
    )


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False, comment="the part of the key that is no secret"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("requests_per_second", sa.Double(), nullable=True, comment="null: no limit"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("api_keys_pkey")),
        schema="leadgate",
        comment="who may call the API; the secret itself is nowhere",
    )


def _create_idempotent_answers() -> None:
    op.create_table(
        "idempotent_answers",
        sa.Column("caller", sa.Text(), nullable=False, comment="id of the API key; empty where none is asked for"),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False, comment="the body, byte for byte"),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "idempotency_key", name=op.f("idempotent_answers_pkey")),
        schema="leadgate",
        comment="answers that a repeated Idempotency-Key gets again, for a day",
    )
    op.create_index(
        op.f("idempotent_answers_answered_at_idx"), "idempotent_answers", ["answered_at"], schema="leadgate"
    )
