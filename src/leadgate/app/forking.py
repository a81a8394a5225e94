"""The process that forks for the commands of desks: what it has in memory, and what its forks become."""

import os
import sys
import traceback
from pathlib import Path

import leadgate
from leadgate.scoring.forking import Asked, fork_for_callers
from leadgate.scoring.parent import tell_ready
from leadgate.scoring.plan import ChildPlan
from leadgate.scoring.server import bind_privately

SLOW = (
    "numpy",  # in parts: a caller waits for one at most
    "pydantic",
    "psycopg",
    "polars",
    "leadgate.app.rollouts",
    "leadgate.app.profiling",
    "leadgate.app.settings",
    "sqlalchemy.orm",
    "alembic.command",
    "leadgate.storage.postgres.migrate",
    "leadgate.storage.postgres.server",
    "leadgate.app.alerting",
    "leadgate.app.diagnosing",
    "leadgate.models.registry",
    "typer",
    "rich.progress",
    "croniter",
    "pandas",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
)
"""What the commands of desks import, but for our own command line, which looks at the terminal when it is imported.

None of it may open a connection or start a thread of Python's.
"""


def fork_for_desks(plan: ChildPlan) -> None:
    """Fork for each command until the parent ends; in a fork: be the command."""
    assert plan.desk is not None
    # Before NumPy is imported: its threads would have to be stopped for each fork, and commands add up little.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")  # as every command does before it imports MLflow
    in_memory = _installed()
    with bind_privately(plan.desk) as listener:
        tell_ready(plan.ready)
        asked = fork_for_callers(listener, SLOW)
    if asked is not None:
        _become(asked, in_memory)


def _installed() -> tuple[int, int] | None:
    """What tells the Leadgate that is installed from another one; None while there is none."""
    try:
        found = Path(leadgate.__file__).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _become(asked: Asked, in_memory: tuple[int, int] | None) -> None:
    """Be a command, to its exit: in this memory, unless it holds another Leadgate than the one that is installed."""
    if asked.by:
        os.environ["LEADGATE_AUTHOR"] = asked.by
    if _installed() != in_memory:  # what is not imported yet would be of the new one: half a command of each
        os.execv(sys.executable, [sys.executable, "-m", "leadgate", *asked.arguments])  # noqa: S606  # no shell
    sys.argv = [str(Path(leadgate.__file__).with_name("__main__.py")), *asked.arguments]
    try:
        from leadgate.app.cli import main  # noqa: PLC0415  # see above

        main()
    except Exception:  # noqa: BLE001  # a bug, told as Python tells it
        traceback.print_exc()
        sys.exit(1)
