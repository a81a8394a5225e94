"""Retraining: its runs with their steps, and what the triggers decided."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = ("retrainings", "retraining_steps", "retraining_decisions")


def upgrade() -> None:
    _create_retrainings()
    _create_steps()
    _create_decisions()
    _let_services_write()


def downgrade() -> None:
    for table in ("retraining_steps", "retrainings", "retraining_decisions"):
        op.drop_table(table, schema="leadgate")


def _create_retrainings() -> None:
    op.create_table(
        "retrainings",
        sa.Column("retraining_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=False, comment="what was known then is what it learns"
        ),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="null while it runs, or waits"),
        sa.Column("result", sa.Text(), nullable=True, comment="null with ended_at"),
        sa.Column("sentence", sa.Text(), nullable=True, comment="what became of it"),
        sa.Column("version", sa.Text(), nullable=True, comment="that it registered; null for none"),
        sa.CheckConstraint(
            "result IN ('challenger', 'registered', 'stopped')", name=op.f("retrainings_result_known_check")
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (result IS NULL)", name=op.f("retrainings_ended_with_a_result_check")),
        sa.PrimaryKeyConstraint("retraining_id", name=op.f("retrainings_pkey")),
        schema="leadgate",
        comment="each time that a model was trained anew, and why",
    )
    op.create_index(
        "retrainings_one_alive_idx",
        "retrainings",
        ["model_name"],
        unique=True,
        schema="leadgate",
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def _create_steps() -> None:
    op.create_table(
        "retraining_steps",
        sa.Column("retraining_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["retraining_id"],
            ["leadgate.retrainings.retraining_id"],
            name=op.f("retraining_steps_retraining_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("retraining_id", "step", name=op.f("retraining_steps_pkey")),
        schema="leadgate",
        comment="append-only: the steps of a retraining that are done, with their figures",
    )


def _create_decisions() -> None:
    op.create_table(
        "retraining_decisions",
        sa.Column("decision_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=True, comment="that asked; null for none"),
        sa.Column("why_not", sa.Text(), nullable=True, comment="the kind of reason not to run; null where it runs"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("triggers", postgresql.JSONB(), nullable=False, comment="each one with value and threshold"),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("retraining_decisions_pkey")),
        schema="leadgate",
        comment="append-only: what the triggers said, a row each time that the answer changed",
    )
    op.create_index(
        op.f("retraining_decisions_model_name_decision_id_idx"),
        "retraining_decisions",
        ["model_name", "decision_id"],
        schema="leadgate",
    )


def _let_services_write() -> None:
    """The role of a service, where this server has it: see migration 0003."""
    found = op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first()
    if found is not None:
        for table in _TABLES:
            op.execute(f"GRANT SELECT, INSERT ON leadgate.{table} TO leadgate_writer")
        op.execute("GRANT UPDATE (ended_at, result, sentence, version) ON leadgate.retrainings TO leadgate_writer")
