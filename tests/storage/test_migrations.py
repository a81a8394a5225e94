"""The database that migrations make is the one that the code declares."""

from importlib.resources import files

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from leadgate.errors import DatabaseDownError, RefusedError
from leadgate.storage.postgres.migrate import HEAD, current_revision, ensure_migrated, migrate, state_of
from leadgate.storage.postgres.tables import metadata
from leadgate.storage.postgres.views import create_views

CATALOGUE = """
SELECT 'column' AS kind, table_name || '.' || column_name AS name,
       concat_ws(' ', data_type, is_nullable, column_default, is_identity, identity_generation) AS definition
FROM information_schema.columns WHERE table_schema = 'leadgate'
UNION ALL
SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'leadgate_views'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'leadgate'::regnamespace
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'leadgate'
UNION ALL
SELECT 'comment', c.oid::regclass || '.' || d.objsubid, d.description
FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
WHERE c.relnamespace = ANY (ARRAY['leadgate', 'leadgate_views']::regnamespace[])
"""


def catalogue(url: str) -> set[tuple[str, str, str]]:
    """Everything PostgreSQL says of our schema, save Alembic's own table."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(CATALOGUE).fetchall()
    return {tuple(row) for row in rows if "alembic_version" not in row[1]}


def test_migrated_schema_equals_the_declared_one(database: str, empty_database: str) -> None:
    """Columns, types, defaults, constraints, indexes, views and comments are the same either way."""
    engine = create_engine(make_url(empty_database).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA leadgate"))
        metadata.create_all(connection)
        create_views(lambda sql: connection.execute(text(sql)))
    engine.dispose()
    assert catalogue(database) == catalogue(empty_database)
    assert len(catalogue(database)) > 50


def test_head_is_the_newest_migration() -> None:
    """The constant that start-ups compare with is the last file of the folder."""
    names = [f.name for f in (files("leadgate.storage.postgres.migrations") / "versions").iterdir()]
    assert max(name[:4] for name in names if name[:4].isdigit()) == HEAD


def test_migrating_twice_changes_nothing(database: str) -> None:
    """`leadgate db migrate` is safe to repeat."""
    before = catalogue(database)
    migrate(database)
    assert catalogue(database) == before
    assert current_revision(database) == HEAD


def test_first_start_creates_the_tables(empty_database: str) -> None:
    """An empty database needs no command before the first use, a team's own no less."""
    assert state_of(empty_database) == "empty"
    ensure_migrated(empty_database, may_upgrade=False)
    assert state_of(empty_database) == "current"


def test_a_teams_own_database_is_not_upgraded_behind_its_back(database: str) -> None:
    """An older schema on a shared server waits for `leadgate db migrate`."""
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE leadgate.alembic_version SET version_num = '0000'")
    with pytest.raises(RefusedError, match="leadgate db migrate"):
        ensure_migrated(database, may_upgrade=False)


def test_a_newer_database_is_refused(database: str) -> None:
    """An old Leadgate does not write into tables it does not know."""
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE leadgate.alembic_version SET version_num = '9999'")
    with pytest.raises(RefusedError, match="newer Leadgate"):
        ensure_migrated(database, may_upgrade=True)


def test_database_that_is_down_is_named_without_its_password(free_port: int) -> None:
    """The sentence says where nothing answers; the password stays out of terminals and logs."""
    with pytest.raises(DatabaseDownError, match=f"127.0.0.1:{free_port}") as caught:
        state_of(f"postgresql://someone:s3cret@127.0.0.1:{free_port}/leads")
    assert "s3cret" not in str(caught.value)
