"""leadgate ratings: what sales people say of the scores."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.wire import open_home
from leadgate.errors import RefusedError

_BEST = 10

app = typer.Typer(help="Record how helpful sales people find the scores.", no_args_is_help=True)


@app.command()
def add(
    rating: Annotated[float, typer.Option(help="0, useless, to 10.")],
    project: ProjectDir = HERE,
    by: Annotated[str | None, typer.Option(help="Who says so.", show_default="the author")] = None,
    version: Annotated[str | None, typer.Option(help="Of which version.", show_default="the scores as a whole")] = None,
    comment: Annotated[str, typer.Option(help="In their words.")] = "",
) -> None:
    """Add a rating; the A/B test of a rollout asks for a mean of at least 8."""
    from leadgate.storage.postgres.ratings import Rating, add_rating  # noqa: PLC0415

    if not 0 <= rating <= _BEST:
        raise RefusedError(f"A rating lies between 0 and {_BEST}, not at {rating:g}.")
    home = open_home(project)
    now = home.clock()
    given = Rating(
        model_name=home.project.name,
        rated_at=now,
        rated_by=by or home.author,
        rating=rating,
        model_version=version,
        comment=comment,
        recorded_at=now,
    )
    with home.connection() as connection:
        add_rating(connection, given)
    console.print(f"{given.rated_by} rates the scores {rating:g} of 10.", markup=False)


@app.command("list")
def list_(
    project: ProjectDir = HERE,
    last: Annotated[int, typer.Option(min=1, help="How many, the last first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the last ratings."""
    from leadgate.storage.postgres.ratings import ratings_of  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        found = ratings_of(connection, home.project.name, since=datetime.min.replace(tzinfo=UTC), most=last)
    if as_json:
        print_json(found)
        return
    rows = [(moment(r.rated_at), r.rated_by, f"{r.rating:g}", r.model_version, r.comment) for r in found]
    print_table("Ratings", ["at (UTC)", "by", "rating", "version", "comment"], rows, numbers="  r")
