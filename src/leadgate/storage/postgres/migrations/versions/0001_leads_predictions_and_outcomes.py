"""Leads, predictions and outcomes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("file_digest", sa.Text(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column(
            "refused_because",
            sa.Text(),
            nullable=True,
            comment="why nothing was imported; null for an accepted import",
        ),
        sa.PrimaryKeyConstraint("import_id", name=op.f("imports_pkey")),
        schema="leadgate",
        comment="one row for each file of leads that was looked at, accepted or refused",
    )
    op.create_table(
        "lead_outcomes",
        sa.Column(
            "outcome_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="order of recording",
        ),
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("converted", sa.Boolean(), nullable=False),
        sa.Column("deal_size", sa.Double(), nullable=True),
        sa.Column("days_to_close", sa.Double(), nullable=True),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("days_to_close >= 0", name=op.f("lead_outcomes_days_to_close_not_negative_check")),
        sa.CheckConstraint("deal_size >= 0", name=op.f("lead_outcomes_deal_size_not_negative_check")),
        sa.PrimaryKeyConstraint("outcome_id", name=op.f("lead_outcomes_pkey")),
        schema="leadgate",
        comment="append-only: a correction is a new row, the last one recorded counts",
    )
    op.create_index(
        op.f("lead_outcomes_lead_id_outcome_id_idx"),
        "lead_outcomes",
        ["lead_id", "outcome_id"],
        unique=False,
        schema="leadgate",
    )
    op.create_table(
        "prediction_logs",
        sa.Column("prediction_id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("predicted_score", sa.Double(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("features", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.CheckConstraint("priority IN ('high', 'medium', 'low')", name=op.f("prediction_logs_priority_known_check")),
        sa.CheckConstraint(
            "predicted_score >= 0 AND predicted_score <= 1",
            name=op.f("prediction_logs_score_is_probability_check"),
        ),
        sa.PrimaryKeyConstraint("prediction_id", name=op.f("prediction_logs_pkey")),
        schema="leadgate",
        comment="every answered score, once",
    )
    op.create_index(
        op.f("prediction_logs_lead_id_scored_at_idx"),
        "prediction_logs",
        ["lead_id", "scored_at"],
        unique=False,
        schema="leadgate",
    )
    op.create_index(
        op.f("prediction_logs_scored_at_idx"),
        "prediction_logs",
        ["scored_at"],
        unique=False,
        schema="leadgate",
    )
    op.create_table(
        "quarantined_rows",
        sa.Column("quarantined_row_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column(
            "row_number",
            sa.BigInteger(),
            nullable=False,
            comment="as a spreadsheet shows it: the header is row 1",
        ),
        sa.Column("lead_id", sa.Text(), nullable=True),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["leadgate.imports.import_id"], name=op.f("quarantined_rows_import_id_fkey")
        ),
        sa.PrimaryKeyConstraint("quarantined_row_id", name=op.f("quarantined_rows_pkey")),
        schema="leadgate",
        comment="one row for each fault of each row that an import kept out",
    )
    op.create_index(
        op.f("quarantined_rows_import_id_row_number_idx"),
        "quarantined_rows",
        ["import_id", "row_number"],
        unique=False,
        schema="leadgate",
    )
