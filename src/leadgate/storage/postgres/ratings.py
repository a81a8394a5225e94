"""What sales people say of the scores."""

from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.rows import class_row

from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class Rating:
    """How helpful somebody finds the scores."""

    model_name: str
    rated_at: datetime
    rated_by: str
    rating: float
    """0, useless, to 10."""
    model_version: str | None
    """None: the scores as a whole."""
    comment: str
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class RatingFigures:
    """Ratings of a span."""

    count: int
    mean: float | None
    """None without any."""
    deviation: float | None
    """Standard deviation; None with fewer than two."""
    raters: int
    """People who gave them."""


def add_rating(connection: Connection, rating: Rating) -> None:
    """Write a rating down."""
    connection.execute(statement("ratings", "add_rating"), asdict(rating))


def rating_figures(
    connection: Connection, *, model_name: str, since: datetime, until: datetime, model_version: str | None = None
) -> RatingFigures:
    """Number, mean and spread of the ratings between two times; of one version, and of the scores as a whole."""
    values = {"model_name": model_name, "since": since, "until": until, "model_version": model_version}
    row = connection.execute(statement("ratings", "rating_figures"), values).fetchone()
    assert row is not None
    return RatingFigures(count=row[0], mean=row[1], deviation=row[2], raters=row[3])


def ratings_of(connection: Connection, model_name: str, *, since: datetime, most: int = 100) -> list[Rating]:
    """The last ratings since a time, the last first."""
    values = {"model_name": model_name, "since": since, "most": most}
    with connection.cursor(row_factory=class_row(Rating)) as cursor:
        return cursor.execute(statement("ratings", "ratings"), values).fetchall()
