"""Outcomes and contacts are found by time: coverage, matured scores and the CRM's deliveries are judged by it."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (
        ("lead_outcomes", "recorded_at"),
        ("lead_contacts", "recorded_at"),
        ("lead_contacts", "contacted_at"),
    ):
        op.create_index(op.f(f"{table}_{column}_idx"), table, [column], schema="leadgate")
