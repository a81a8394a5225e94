"""Views for people's own tools: scores, outcomes, metrics and drift under the names they expect.

The definitions are those of ``queries/views.sql`` as they are now. A later migration that changes a view has to leave
this one a copy of what it made.
"""

import sqlalchemy as sa
from alembic import op

from leadgate.storage.postgres.views import READER, create_first_views, let_reader_read

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_first_views(op.execute)
    _create_reader()


def _create_reader() -> None:
    """Make the role of those who read the views; see the role of writers in migration 0003."""
    op.execute(f"""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{READER}') THEN
                CREATE ROLE {READER} NOLOGIN;
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
        END
        $$
    """)
    found = op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = :name"), {"name": READER}).first()
    if found is not None:
        let_reader_read(op.execute)


def downgrade() -> None:
    op.execute("DROP SCHEMA leadgate_views CASCADE")
