"""Brings a database to the schema that this version of Leadgate declares."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psycopg

from leadgate.errors import RefusedError
from leadgate.storage.postgres.connection import connect, database_down, no_url

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

HEAD = "0013"
"""The newest migration. A test holds it against the folder of migrations, so that a start-up need not read it."""

State = Literal["empty", "current", "behind", "ahead"]


def current_revision(url: str) -> str | None:
    """The migration that a database stands at; None when it has none of our tables."""
    with connect(url) as connection:
        try:
            row = connection.execute("SELECT version_num FROM leadgate.alembic_version").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            connection.rollback()
            return None
    return str(row[0]) if row else None


def state_of(url: str) -> State:
    """How a database stands to this version of Leadgate."""
    revision = current_revision(url)
    if revision is None:
        return "empty"
    if revision == HEAD:
        return "current"
    return "behind" if revision < HEAD else "ahead"


def ensure_migrated(url: str, *, may_upgrade: bool) -> None:
    """Create the tables at first start; upgrade older ones only where ``may_upgrade`` says so.

    A team's own server is upgraded by ``leadgate db migrate``, when the team chooses. Raises RefusedError when the
    database is behind and may not be upgraded, or is ahead of this version of Leadgate.
    """
    state = state_of(url)
    if state == "ahead":
        raise RefusedError(
            f"The database was migrated by a newer Leadgate (to {current_revision(url)}, this one knows {HEAD}); "
            "install that version."
        )
    if state == "behind" and not may_upgrade:
        raise RefusedError(
            f"The database stands at migration {current_revision(url)}, this Leadgate needs {HEAD}; "
            "run `leadgate db migrate`."
        )
    if state != "current":
        migrate(url)


def migrate(url: str) -> None:
    """Apply every migration that is missing, in one transaction; safe to run twice, and twice at once."""
    from sqlalchemy import create_engine, text  # noqa: PLC0415  # half a second of each command, needed by the first
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    from leadgate.storage.postgres.tables import SCHEMA  # noqa: PLC0415

    try:
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    except ArgumentError:  # host=... dbname=..., which libpq reads and SQLAlchemy does not
        raise no_url() from None
    try:
        with engine.begin() as connection:
            # Two first starts at once: the second waits here and then finds nothing to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('leadgate.migrate'))"))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            _upgrade(connection)
    except psycopg.OperationalError as error:
        raise database_down(url, error) from error
    finally:
        engine.dispose()


def _upgrade(connection: "Connection") -> None:
    from alembic import command  # noqa: PLC0415  # 0.3 s, needed once in a database's life
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
