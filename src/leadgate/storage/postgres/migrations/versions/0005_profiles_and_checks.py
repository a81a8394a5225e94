"""Monitoring: baselines of versions, hourly profiles, the results of checks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_profile_baselines()
    _create_profile_hours()
    _create_check_results()
    _let_services_write()


def _create_profile_baselines() -> None:
    op.create_table(
        "profile_baselines",
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of the payload, as the registry has it"),
        sa.Column("layout", sa.Text(), nullable=False, comment="digest of the bins that its profiles share"),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model_name", "model_version", name=op.f("profile_baselines_pkey")),
        schema="leadgate",
        comment="what a version was trained on, in bins; a copy of the file that the registry has",
    )


def _create_profile_hours() -> None:
    op.create_table(
        "profile_hours",
        sa.Column("profile_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False, comment="its begin"),
        sa.Column(
            "layout", sa.Text(), nullable=False, comment="digest of the bins; empty where the version has no baseline"
        ),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("profile_hours_pkey")),
        schema="leadgate",
        comment="summaries of predictions that add up; an hour has a row for each segment until they are merged",
    )
    op.create_index(
        op.f("profile_hours_model_name_hour_idx"), "profile_hours", ["model_name", "hour"], schema="leadgate"
    )


def _create_check_results() -> None:
    op.create_table(
        "check_results",
        sa.Column("result_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False, comment="UUIDv7: the results of one run share it"),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_until", sa.DateTime(timezone=True), nullable=False, comment="exclusive"),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="a feature, a version, a segment; empty for the model"),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("level", sa.Double(), nullable=True, comment="of the interval from low to high"),
        sa.Column("sample", sa.BigInteger(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column(
            "family", sa.Text(), nullable=True, comment="comparisons that the p-value is adjusted for; null for none"
        ),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "severity IN ('green', 'yellow', 'red', 'unknown')", name=op.f("check_results_severity_known_check")
        ),
        sa.PrimaryKeyConstraint("result_id", name=op.f("check_results_pkey")),
        schema="leadgate",
        comment="append-only: what each check found in each run",
    )
    op.create_index(
        op.f("check_results_model_name_checked_at_idx"),
        "check_results",
        ["model_name", "checked_at"],
        schema="leadgate",
    )
    op.create_index(op.f("check_results_run_id_idx"), "check_results", ["run_id"], schema="leadgate")


def _let_services_write() -> None:
    """The role of a service, where this server has it: see migration 0003."""
    found = op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first()
    if found is None:
        return
    for table in ("profile_baselines", "profile_hours", "check_results"):
        op.execute(f"GRANT SELECT, INSERT ON leadgate.{table} TO leadgate_writer")
    op.execute("GRANT UPDATE, DELETE ON leadgate.profile_hours TO leadgate_writer")
    op.execute("GRANT UPDATE ON leadgate.profile_baselines TO leadgate_writer")
