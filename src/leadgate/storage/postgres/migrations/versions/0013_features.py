"""What leads did, and their columns as last imported, for features.py."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lead_events",
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="when it happened"),
        sa.Column(
            "known_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it reached the team's systems; no score before counts it",
        ),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, comment="when it was written down here"),
        sa.CheckConstraint("char_length(kind) BETWEEN 1 AND 100", name=op.f("lead_events_kind_is_short_check")),
        sa.CheckConstraint(
            "value > '-Infinity' AND value < 'Infinity'", name=op.f("lead_events_value_is_finite_check")
        ),
        schema="leadgate",
        comment="append-only: what leads did, by which features.py makes features; the same event twice is one row",
    )
    op.create_index(
        op.f("lead_events_lead_id_at_kind_value_idx"),
        "lead_events",
        ["lead_id", "at", "kind", "value"],
        unique=True,
        schema="leadgate",
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "lead_columns",
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("raw_values", JSONB(), nullable=False, comment="by column"),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False, comment="when they were imported"),
        sa.PrimaryKeyConstraint("lead_id", name=op.f("lead_columns_pkey")),
        schema="leadgate",
        comment="the columns of a lead as last imported, for requests that name a lead and not its columns",
    )
    if op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first() is not None:
        op.execute("GRANT SELECT, INSERT ON leadgate.lead_events TO leadgate_writer")
        op.execute("GRANT SELECT, INSERT, UPDATE ON leadgate.lead_columns TO leadgate_writer")


def downgrade() -> None:
    op.drop_table("lead_columns", schema="leadgate")
    op.drop_table("lead_events", schema="leadgate")
