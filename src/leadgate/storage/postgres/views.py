"""Views for people's own tools, in a schema of their own: the names that such tools expect, nothing to write to.

``queries/views.sql`` has their definitions; the migration that makes them and the test that holds migrated and declared
schema against each other both read them there.
"""

from collections.abc import Callable

from leadgate.storage.postgres.connection import statement

SCHEMA = "leadgate_views"
READER = "leadgate_reader"
"""A role that can read the views and nothing else."""

VIEWS = (
    "lead_scores",
    "lead_outcomes",
    "prediction_logs",
    "shadow_predictions",
    "feature_values",
    "model_metrics",
    "feature_drift",
    "business_metrics",
)


def create_views(execute: Callable[[str], object]) -> None:
    """Make the schema and its views by a function that executes SQL. The tables must be there."""
    for name in ("create_schema", *VIEWS, "comments"):
        execute(statement("views", name))


def let_reader_read(execute: Callable[[str], object]) -> None:
    """Give the role of readers the views. The role must be there."""
    execute(statement("views", "grants"))
