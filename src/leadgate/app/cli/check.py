"""leadgate check: whether all is as it was."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.cli.profile import in_utc
from leadgate.app.wire import open_home
from leadgate.errors import RefusedError

if TYPE_CHECKING:
    from leadgate.monitoring.findings import CheckRun, Finding
    from leadgate.monitoring.moved import Moved

app = typer.Typer(help="Check data, scores, model, system and business.", no_args_is_help=True)

EXIT_CODES = {"green": 0, "unknown": 0, "yellow": 10, "red": 20}
"""What a command ends with, by the most urgent finding; 2 is a mistake in the call, as everywhere."""
_COLOURS = {"green": "green", "unknown": "dim", "yellow": "yellow", "red": "red"}

Window = Annotated[
    float | None, typer.Option(min=0.01, help="Span of scores, in days.", show_default="monitoring.window_days")
]
Everything = Annotated[bool, typer.Option("--all", help="Also what is green, and what lacks data.")]


@app.command()
def run(
    project: ProjectDir = HERE, days: Window = None, everything: Everything = False, as_json: AsJson = False
) -> None:
    """Run all checks now and write down what they found.

    Ends with 0 when nothing asks for anybody, 10 for yellow (look within two days), 20 for red (look now).
    """
    from leadgate.app.checking import run_checks  # noqa: PLC0415

    found = run_checks(open_home(project), days)
    _tell(found, everything=everything, as_json=as_json)


@app.command()
def show(
    project: ProjectDir = HERE,
    since: Annotated[datetime | None, typer.Option(help="Not before this time (UTC).")] = None,
    days: Window = None,
    run_id: Annotated[
        UUID | None, typer.Option("--run", help="This run, as reports name it.", show_default="the last one")
    ] = None,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Show what the last run of checks found, or another one; ends as ``run`` does."""
    from leadgate.monitoring.watch import find_run, last_run  # noqa: PLC0415

    home = open_home(project)
    if run_id is not None:
        with home.connection() as connection:
            named = find_run(connection, home.project.name, str(run_id))
        if named is None:
            raise RefusedError(
                f"There is no run of checks {run_id} of {home.project.name!r}; old ones are thinned out."
            )
        _tell(named, everything=everything, as_json=as_json)
        return
    with home.connection() as connection:
        found = last_run(
            connection,
            home.project.name,
            since=in_utc(since) or datetime.min.replace(tzinfo=UTC),
            days=days or home.project.monitoring.window_days,
        )
    if found is None:
        raise RefusedError("No check has run in that time; run them with `leadgate check run`.")
    _tell(found, everything=everything, as_json=as_json)


@app.command()
def moved(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Tell which segments and features explain most of what the mean score has moved by."""
    from leadgate.app.checking import explain_move  # noqa: PLC0415

    found = explain_move(open_home(project))
    if as_json:
        print_json(found)
        return
    _print_moved(found)


def _tell(run: "CheckRun", *, everything: bool, as_json: bool) -> None:
    if as_json:
        print_json({"severity": run.severity, **vars(run)})
    else:
        _print(run, everything=everything)
    raise typer.Exit(EXIT_CODES[run.severity])


def _print(run: "CheckRun", *, everything: bool) -> None:
    shown = [f for f in run.findings if everything or f.severity in ("yellow", "red")]
    title = f"Checks at {moment(run.checked_at)} UTC, of scores since {moment(run.since)}"
    if shown:
        print_table(title, ["", "check", "of", "what was found"], _rows(shown))
    counts = {s: sum(f.severity == s for f in run.findings) for s in ("red", "yellow", "green", "unknown")}
    told = ", ".join(f"{n} {severity}" for severity, n in counts.items())
    console.print(f"{len(run.findings)} findings: {told}. `leadgate check show --all` lists them.", markup=False)


def _rows(findings: "Sequence[Finding]") -> list[tuple[str, ...]]:
    return [
        (
            f"[{_COLOURS[f.severity]}]{f.severity}[/]",
            f.check,
            f.subject.replace("[", r"\["),
            f.sentence.replace("[", r"\["),
        )
        for f in findings
    ]


def _print_moved(found: "Moved") -> None:
    console.print(f"The mean score has moved by {found.shift:+.4f} since the hold-out.")
    rows = [
        (
            f"{part.segment}={part.value}",
            f"{part.moved:+.4f}",
            f"{part.mix:+.4f}",
            f"{part.within:+.4f}",
            f"{part.share_then:.1%} to {part.share_now:.1%}",
            f"{part.mean_then:.3f} to {part.mean_now:.3f}",
        )
        for part in found.parts
    ]
    columns = ["segment", "adds", "by its share", "by its scores", "share", "mean score"]
    print_table("What adds most", columns, rows, numbers=" rrr")
    if found.features:
        print_table(
            "Drifted features, by importance times distance",
            ["feature", "share"],
            [(name, f"{share:.0%}") for name, share in found.features],
            numbers=" r",
        )
