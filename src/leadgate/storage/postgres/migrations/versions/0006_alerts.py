"""Alerts: their states, silences, and the messages that wait to be delivered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_alerts()
    _create_alert_history()
    _create_alert_silences()
    _create_alert_messages()
    _let_services_write()


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="a feature, a version, a segment; empty for the model"),
        sa.Column("cause", sa.Text(), nullable=False, comment="alerts of one cause share their messages"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("severity_since", _TIME, nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False, comment="of the last run in which it was out"),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("raised_by", postgresql.ARRAY(sa.Double()), nullable=False, comment="windows, in seconds"),
        sa.Column("told_severity", sa.Text(), nullable=True, comment="null while nobody was told"),
        sa.Column("told_at", _TIME, nullable=True, comment="when a message was last written for it"),
        sa.Column("acknowledged_at", _TIME, nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", _TIME, nullable=True, comment="null while it is open"),
        sa.CheckConstraint("state IN ('firing', 'acknowledged', 'resolved')", name=op.f("alerts_state_known_check")),
        sa.CheckConstraint("severity IN ('yellow', 'red')", name=op.f("alerts_severity_known_check")),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_at IS NOT NULL)", name=op.f("alerts_resolved_with_time_check")
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("alerts_pkey")),
        schema="leadgate",
        comment="one row for each time that a check went out and came back",
    )
    op.create_index(
        "alerts_one_open_idx",
        "alerts",
        ["model_name", "check_name", "subject"],
        unique=True,
        schema="leadgate",
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def _create_alert_history() -> None:
    op.create_table(
        "alert_history",
        sa.Column("history_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("happened_at", _TIME, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="after the event"),
        sa.Column("severity", sa.Text(), nullable=False, comment="after the event"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["leadgate.alerts.alert_id"], name=op.f("alert_history_alert_id_fkey")),
        sa.PrimaryKeyConstraint("history_id", name=op.f("alert_history_pkey")),
        schema="leadgate",
        comment="append-only: what happened to each alert",
    )
    op.create_index(op.f("alert_history_alert_id_idx"), "alert_history", ["alert_id"], schema="leadgate")
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leadgate.alert_history
        FOR EACH STATEMENT EXECUTE FUNCTION leadgate.refuse_change()
    """)


def _create_alert_silences() -> None:
    op.create_table(
        "alert_silences",
        sa.Column("silence_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("check_pattern", sa.Text(), nullable=False),
        sa.Column("subject_pattern", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False, comment="exclusive; brought forward where somebody ends it"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("silenced_by", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True, comment="null where it ends by itself"),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("alert_silences_pkey")),
        schema="leadgate",
        comment="alerts of which nobody is told for a time",
    )
    op.create_index(
        op.f("alert_silences_model_name_until_idx"), "alert_silences", ["model_name", "until"], schema="leadgate"
    )


def _create_alert_messages() -> None:
    op.create_table(
        "alert_messages",
        sa.Column("message_no", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="their order"),
        sa.Column("message_id", sa.Uuid(), nullable=False, comment="UUIDv7, in the message, to tell a repetition by"),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False, comment="cause or event; opens and closes the same incident"),
        sa.Column(
            "about",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="alerts or an event; messages of a channel that share one keep their order",
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("written_at", _TIME, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", _TIME, nullable=False, comment="not to be tried before"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=True, comment="of whoever is delivering it"),
        sa.Column("claimed_until", _TIME, nullable=True, comment="then another may take it"),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("settled_at", _TIME, nullable=True, comment="when it was delivered or given up"),
        sa.Column("event_id", sa.BigInteger(), nullable=True, comment="null for messages of alerts"),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'dead')", name=op.f("alert_messages_state_known_check")),
        sa.ForeignKeyConstraint(["event_id"], ["leadgate.events.event_id"], name=op.f("alert_messages_event_id_fkey")),
        sa.PrimaryKeyConstraint("message_no", name=op.f("alert_messages_pkey")),
        sa.UniqueConstraint("message_id", name=op.f("alert_messages_message_id_key")),
        schema="leadgate",
        comment="outbox: a row for each message and channel",
    )
    op.create_index(
        "alert_messages_waiting_idx",
        "alert_messages",
        ["channel", "message_no"],
        schema="leadgate",
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(op.f("alert_messages_event_id_idx"), "alert_messages", ["event_id"], schema="leadgate")


def _let_services_write() -> None:
    """The role of a service, where this server has it: see migration 0003."""
    if op.get_bind().execute(sa.text("SELECT FROM pg_roles WHERE rolname = 'leadgate_writer'")).first() is None:
        return
    for table in ("alerts", "alert_history", "alert_silences", "alert_messages"):
        op.execute(f"GRANT SELECT, INSERT ON leadgate.{table} TO leadgate_writer")
    for table in ("alerts", "alert_silences", "alert_messages"):
        op.execute(f"GRANT UPDATE ON leadgate.{table} TO leadgate_writer")
