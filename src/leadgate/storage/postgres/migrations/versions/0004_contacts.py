"""First contacts of the sales team; thresholds of a champion that a rollout brought in."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lead_contacts",
        sa.Column("lead_id", sa.Text(), nullable=False),
        sa.Column("contacted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lead_id", "contacted_at", name=op.f("lead_contacts_pkey")),
        schema="leadgate",
        comment="append-only: when the sales team was in touch with a lead",
    )
    op.add_column(
        "routes",
        sa.Column(
            "champion_high",
            sa.Double(),
            nullable=True,
            comment="the champion's priority is high above this score; null: as its card says",
        ),
        schema="leadgate",
    )
    op.add_column(
        "routes",
        sa.Column(
            "champion_medium", sa.Double(), nullable=True, comment="medium above this score; null: as its card says"
        ),
        schema="leadgate",
    )
    if op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first() is not None:
        op.execute("GRANT SELECT, INSERT ON leadgate.lead_contacts TO leadgate_writer")
        op.execute("GRANT UPDATE (design) ON leadgate.rollouts TO leadgate_writer")


def downgrade() -> None:
    op.drop_column("routes", "champion_medium", schema="leadgate")
    op.drop_column("routes", "champion_high", schema="leadgate")
    op.drop_table("lead_contacts", schema="leadgate")
