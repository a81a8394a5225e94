"""MLflow's tables live in a schema of their own in the same database."""

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from leadgate.storage.postgres.connection import connect, no_url, statement

_SCHEMA = "mlflow"


def tracking_uri(url: str) -> str:
    """The URI that makes MLflow keep its tables in our database; makes the schema when it is missing."""
    with connect(url) as connection:
        connection.execute(statement("mlflow", "create_schema"))
    try:
        ours = make_url(url).set(drivername="postgresql+psycopg")
    except ArgumentError:  # host=... dbname=..., which libpq reads and SQLAlchemy does not
        raise no_url() from None
    return ours.update_query_dict({"options": f"-csearch_path={_SCHEMA}"}).render_as_string(hide_password=False)
