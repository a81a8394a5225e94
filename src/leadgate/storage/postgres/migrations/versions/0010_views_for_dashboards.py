"""Views for dashboards: what the checks found with its targets, alerts, routes, rollouts, jobs, ratings.

The definitions are those of ``queries/views.sql`` as they are now; see migration 0007.
"""

import sqlalchemy as sa
from alembic import op

from leadgate.storage.postgres.views import DASHBOARD_VIEWS, READER, SCHEMA, add_dashboard_views, let_reader_read

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_dashboard_views(op.execute)
    found = op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = :name"), {"name": READER}).first()
    if found is not None:
        let_reader_read(op.execute)


def downgrade() -> None:
    for view in reversed(DASHBOARD_VIEWS):
        op.execute(f"DROP VIEW {SCHEMA}.{view}")
