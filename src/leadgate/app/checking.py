"""Runs the checks of a project."""

from leadgate.app.profiling import publish
from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.project import Project
from leadgate.monitoring.findings import CheckRun
from leadgate.monitoring.judging import judge
from leadgate.monitoring.moved import Moved, explain
from leadgate.monitoring.watch import check, gather
from leadgate.storage.postgres.profiles import published
from leadgate.storage.postgres.routes import present_route


def run_checks(home: Home, days: float | None = None) -> CheckRun:
    """Run all checks now and write down what they found. Raises RefusedError before the first version answers.

    ``days`` is the span of scores that is judged; None: ``monitoring.window_days``.
    """
    require_baselines(home)
    with home.connection() as connection:
        return check(connection, over(home.project, days), home.clock())


def over(project: Project, days: float | None) -> Project:
    """The same project with another window."""
    if days is None:
        return project
    return project.model_copy(update={"monitoring": project.monitoring.model_copy(update={"window_days": days})})


def explain_move(home: Home) -> Moved:
    """Which parts of the champion's leads explain what its mean score moved by. Raises RefusedError without any."""
    require_baselines(home)
    with home.connection() as connection:
        seen = gather(connection, home.project, home.clock())
    champion = seen.sides[0]
    if champion.baseline is None or champion.profile is None:
        raise RefusedError(
            f"Version {champion.version} has no baseline, or gave no score in the last {seen.days:g} days, so there is "
            "nothing to explain."
        )
    return explain(champion.baseline, champion.profile, judge(seen, home.project.monitoring))


def require_baselines(home: Home) -> None:
    """Bring the baselines of the route's versions here; they may have been trained elsewhere."""
    with home.connection() as connection:
        route = present_route(connection, home.project.name)
        known = published(connection, home.project.name)
    if route is None:
        raise RefusedError("No version answers yet; `leadgate train` makes one, `leadgate serve` lets it answer.")
    for version in (route.champion, route.challenger):
        if version is not None and version not in known:
            publish(home, home.registry.find(version))
