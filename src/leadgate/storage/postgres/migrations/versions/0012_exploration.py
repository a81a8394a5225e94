"""Explored leads in the log, and in the views of it.

The columns have constant defaults, so that no partition is written anew.
"""

import sqlalchemy as sa
from alembic import op

from leadgate.storage.postgres.connection import statement
from leadgate.storage.postgres.views import READER, SCHEMA, let_reader_read, mark_explored

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_VIEWS = ("lead_scores", "prediction_logs")


def upgrade() -> None:
    op.add_column(
        "prediction_logs",
        sa.Column(
            "explored",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="its priority is that of a lead drawn at random",
        ),
        schema="leadgate",
    )
    op.add_column(
        "prediction_logs",
        sa.Column(
            "own_priority",
            sa.Text(),
            nullable=True,
            comment="what its score alone would have given; null unless explored",
        ),
        schema="leadgate",
    )
    mark_explored(op.execute)


def downgrade() -> None:
    for view in _VIEWS:
        op.execute(f"DROP VIEW {SCHEMA}.{view}")
        op.execute(statement("views", view))
    op.execute(statement("views", "comments"))
    if op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = :name"), {"name": READER}).first():
        let_reader_read(op.execute)
    op.drop_column("prediction_logs", "own_priority", schema="leadgate")
    op.drop_column("prediction_logs", "explored", schema="leadgate")
