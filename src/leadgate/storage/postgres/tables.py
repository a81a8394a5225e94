"""The declared schema. The migrations must lead to exactly this; a test proves that they do."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "leadgate"
"""Our own schema, so that Leadgate can share a database with MLflow and with a team's tables."""

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

Time = DateTime(timezone=True)

imports = Table(
    "imports",
    metadata,
    Column("import_id", Uuid, primary_key=True),
    Column("file", Text, nullable=False),
    Column("file_digest", Text, nullable=False),
    Column("imported_at", Time, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("refused_because", Text, comment="why nothing was imported; null for an accepted import"),
    comment="one row for each file of leads that was looked at, accepted or refused",
)

quarantined_rows = Table(
    "quarantined_rows",
    metadata,
    Column("quarantined_row_id", BigInteger, Identity(always=True), primary_key=True),
    Column("import_id", ForeignKey(imports.c.import_id), nullable=False),
    Column("row_number", BigInteger, nullable=False, comment="as a spreadsheet shows it: the header is row 1"),
    Column("lead_id", Text),
    Column("column_name", Text, nullable=False),
    Column("value", Text),
    Column("reason", Text, nullable=False),
    Index(None, "import_id", "row_number"),
    comment="one row for each fault of each row that an import kept out",
)

prediction_logs = Table(
    "prediction_logs",
    metadata,
    Column("prediction_id", Uuid, primary_key=True, comment="UUIDv7"),
    Column("lead_id", Text, nullable=False),
    Column("scored_at", Time, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("predicted_score", Double, nullable=False),
    Column("priority", Text, nullable=False),
    Column("features", JSONB, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("request_id", Text, nullable=False),
    CheckConstraint("predicted_score >= 0 AND predicted_score <= 1", name="score_is_probability"),
    CheckConstraint("priority IN ('high', 'medium', 'low')", name="priority_known"),
    Index(None, "lead_id", "scored_at"),
    Index(None, "scored_at"),
    comment="every answered score, once",
)

lead_outcomes = Table(
    "lead_outcomes",
    metadata,
    Column("outcome_id", BigInteger, Identity(always=True), primary_key=True, comment="order of recording"),
    Column("lead_id", Text, nullable=False),
    Column("converted", Boolean, nullable=False),
    Column("deal_size", Double),
    Column("days_to_close", Double),
    Column("outcome_at", Time, nullable=False),
    Column("recorded_at", Time, nullable=False),
    Column("source", Text, nullable=False),
    CheckConstraint("deal_size >= 0", name="deal_size_not_negative"),
    CheckConstraint("days_to_close >= 0", name="days_to_close_not_negative"),
    Index(None, "lead_id", "outcome_id"),
    comment="append-only: a correction is a new row, the last one recorded counts",
)
