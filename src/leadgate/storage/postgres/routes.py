"""The routes: which versions answer."""

from dataclasses import asdict

from psycopg.rows import class_row

from leadgate.errors import RefusedError
from leadgate.records import Route
from leadgate.storage.postgres.connection import Connection, statement

CHANNEL = "leadgate_routes"
"""NOTIFY channel on which workers learn of a change."""


def present_route(connection: Connection, model_name: str) -> Route | None:
    """The route in force; None before the first."""
    with connection.cursor(row_factory=class_row(Route)) as cursor:
        return cursor.execute(statement("routes", "present_route"), {"model_name": model_name}).fetchone()


def routes_of(connection: Connection, model_name: str, *, most: int = 1_000) -> list[Route]:
    """The routes of a model, the present one first."""
    with connection.cursor(row_factory=class_row(Route)) as cursor:
        return cursor.execute(statement("routes", "routes_of"), {"model_name": model_name, "most": most}).fetchall()


def route_of_epoch(connection: Connection, model_name: str, epoch: int) -> Route | None:
    """A route by its number; None for one that never was."""
    with connection.cursor(row_factory=class_row(Route)) as cursor:
        asked = {"model_name": model_name, "epoch": epoch}
        return cursor.execute(statement("routes", "route_of_epoch"), asked).fetchone()


def add_route(connection: Connection, route: Route) -> None:
    """Put a route in force and tell every worker, in one transaction.

    Raises RefusedError when somebody else changed the route meanwhile; then nothing has changed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        if cursor.execute(statement("routes", "add_route"), asdict(route)).rowcount == 0:
            raise RefusedError(
                f"Somebody else changed the route of {route.model_name!r} at this moment (epoch {route.epoch} is "
                "taken); look at it with `leadgate route show` and decide again."
            )
        cursor.execute(statement("routes", "tell_workers"), {"model_name": route.model_name})
