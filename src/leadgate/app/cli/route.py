"""leadgate route: which versions answer, and how many leads each."""

from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir, one_of
from leadgate.app.cli.output import console, errors, moment, print_json, print_table
from leadgate.app.wire import Home, open_home
from leadgate.records import Stage

if TYPE_CHECKING:
    from leadgate.records import Route

app = typer.Typer(help="Say which versions answer, and how many leads each.", no_args_is_help=True)


@app.command()
def show(
    project: ProjectDir = HERE,
    last: Annotated[int, typer.Option(min=1, help="How many routes, the present one first.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the route in force and those before it: who changed it, when and why."""
    from leadgate.storage.postgres.routes import routes_of  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        routes = routes_of(connection, home.project.name, most=last)
    if as_json:
        print_json(routes)
        return
    rows = [
        (
            r.epoch,
            r.stage,
            r.champion,
            r.challenger,
            f"{r.share / 100:g} %",
            moment(r.changed_at),
            r.changed_by,
            r.reason,
        )
        for r in routes
    ]
    columns = ["epoch", "stage", "champion", "challenger", "share", "since (UTC)", "by", "why"]
    print_table(f"Routes of {home.project.name}", columns, rows, numbers="r   r")
    if not routes:
        console.print("None yet; the first `leadgate serve` makes one from the champion.")


@app.command("set")
def set_(
    stage: Annotated[str, typer.Argument(help="full, shadow, canary or ab_test.")],
    project: ProjectDir = HERE,
    champion: Annotated[
        str | None, typer.Option(help="Version that answers.", show_default="the present champion")
    ] = None,
    challenger: Annotated[str | None, typer.Option(help="Version beside it; none in stage full.")] = None,
    share: Annotated[float, typer.Option(min=0, max=100, help="Percent of leads that the challenger answers.")] = 0,
    reason: Annotated[str, typer.Option(help="Why; kept with the route.")] = "set by hand",
    as_json: AsJson = False,
) -> None:
    """Put another route in force, in every worker and between two requests.

    full: the champion alone. shadow: the challenger is scored too, and nobody is told. canary, ab_test: the challenger
    answers a share of the leads, always the same ones.
    """
    from leadgate.app.routing import refuse_during_rollout, set_route  # noqa: PLC0415

    home = open_home(project)
    refuse_during_rollout(home, "another route")
    route = set_route(
        home,
        stage=one_of(stage, Stage, "stage"),
        champion=champion,
        challenger=challenger,
        share=share / 100,
        reason=reason,
    )
    put_in_force(home, route, as_json=as_json)


def put_in_force(home: Home, route: "Route", *, as_json: bool) -> None:
    """Tell of a route that was just changed, and let the registry's aliases follow."""
    from leadgate.app.rollouts import reconcile  # noqa: PLC0415

    if as_json:
        print_json(route)
    else:
        beside = f", version {route.challenger} in stage {route.stage}" if route.challenger else ""
        share = f" with {route.share / 100:g} % of the leads" if route.share else ""
        console.print(
            f"Route {route.epoch}: version {route.champion} is the champion{beside}{share}. "
            "Running workers take it up within a second.",
            markup=False,
            soft_wrap=True,
        )
    why = reconcile(home)
    if why:
        errors.print(f"The route holds, but the registry's aliases do not follow it: {why}", markup=False)
