"""Views for people's own tools, in a schema of their own: the names that such tools expect, nothing to write to.

``queries/views.sql`` has their definitions; the migrations that make them and the test that holds migrated and declared
schema against each other both read them there.
"""

from collections.abc import Callable

from leadgate.storage.postgres.connection import statement

SCHEMA = "leadgate_views"
READER = "leadgate_reader"
"""A role that can read the views and nothing else."""

FIRST_VIEWS = (
    "lead_scores",
    "lead_outcomes",
    "prediction_logs",
    "shadow_predictions",
    "feature_values",
    "model_metrics",
    "feature_drift",
    "business_metrics",
)
"""Those that migration 0007 makes. The list stays as it is, so that the migration makes what it always made."""

DASHBOARD_VIEWS = (
    "check_runs",
    "check_results",
    "dashboard_rows",
    "score_drift",
    "score_hours",
    "service_minutes",
    "alerts",
    "routes",
    "rollout_steps",
    "rollout_judgements",
    "rollout_gates",
    "rollout_looks",
    "sales_ratings",
    "job_runs",
)
"""Those that migration 0010 makes: what a dashboard needs beside them. The same holds for this list."""

VIEWS = (*FIRST_VIEWS, *DASHBOARD_VIEWS)


def create_views(execute: Callable[[str], object]) -> None:
    """Make the schema and all views by a function that executes SQL. The tables must be there."""
    create_first_views(execute)
    add_dashboard_views(execute)
    mark_explored(execute)


def create_first_views(execute: Callable[[str], object]) -> None:
    """Make the schema and the views of migration 0007."""
    for name in ("create_schema", *FIRST_VIEWS, "comments"):
        execute(statement("views", name))


def add_dashboard_views(execute: Callable[[str], object]) -> None:
    """Make the views of migration 0010. The schema must be there."""
    for name in (*DASHBOARD_VIEWS, "comments_for_dashboards"):
        execute(statement("views", name))


def mark_explored(execute: Callable[[str], object]) -> None:
    """Let the views of scores say which leads were explored, as migration 0012 does. The views must be there."""
    for name in ("lead_scores_with_explored", "prediction_logs_with_explored"):
        execute(statement("views", name))


def let_reader_read(execute: Callable[[str], object]) -> None:
    """Give the role of readers every view that is there. The role must be there."""
    execute(statement("views", "grants"))
