"""leadgate report: what people want to look at, or to hand on."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir, one_of
from leadgate.app.cli.output import console, moment, print_json, print_table, progress
from leadgate.app.cli.profile import in_utc
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.app.reporting import DriftFindings, WrittenReport

app = typer.Typer(help="Reports on demand.", no_args_is_help=True)

Tool = Literal["leadgate", "evidently"]


@app.command()
def drift(
    project: ProjectDir = HERE,
    tool: Annotated[
        str, typer.Option("--with", help="leadgate: our own findings; evidently: a page of Evidently's, from the rows.")
    ] = "leadgate",
    since: Annotated[
        datetime | None, typer.Option(help="Leads scored since this time (UTC).", show_default="the window of checks")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Where Evidently's page goes.", dir_okay=False)] = Path(
        "drift.html"
    ),
    most: Annotated[
        int, typer.Option(min=100, help="Leads that Evidently gets; of more, an even share of this size.")
    ] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Show how far the scored leads are from the training leads of the champion.

    Nothing is written down and nobody is alerted: that is what `leadgate check run` does. Evidently reads the rows
    again and judges by one distance a feature, whatever the sample; it comes with Leadgate's extra "evidently".
    """
    chosen: Tool = one_of(tool, Tool, "tool")
    if chosen == "leadgate":
        from leadgate.app.reporting import drift_findings  # noqa: PLC0415

        found = drift_findings(open_home(project), since=in_utc(since))
        print_json(found) if as_json else _print_findings(found)
    else:
        from leadgate.app.reporting import write_evidently  # noqa: PLC0415

        with progress() as step:
            step("Evidently reads the rows")
            made = write_evidently(open_home(project), since=in_utc(since), out=out, most=most)
        print_json(made) if as_json else _print_written(made)


def _print_findings(found: "DriftFindings") -> None:
    rows = [
        (finding.subject, finding.severity, f"{finding.weight:.0%}", finding.sentence) for finding in found.findings
    ]
    title = f"Features since {moment(found.since)} UTC against the training leads, the most urgent first"
    print_table(title, ["feature", "is", "weight", "found"], rows, numbers="  r")


def _print_written(made: "WrittenReport") -> None:
    columns = ["feature", "method", "distance", "threshold"]
    rows = [(v.feature, v.method, f"{v.value:.3f}", f"{v.threshold:g}") for v in made.verdicts]
    title = f"Evidently: {made.drifted} of {len(made.verdicts)} features drifted since {moment(made.since)} UTC"
    print_table(title, columns, rows, numbers="  rr")
    which = f"{made.leads:,} of {made.answered:,}" if made.leads < made.answered else f"{made.leads:,}"
    console.print(
        f"Wrote {made.file}: {which} scored leads against the {made.training_leads:,} training leads of version "
        f"{made.version} (snapshot {made.snapshot_version}). The page needs no network.",
        markup=False,
    )
    if made.left_out:
        console.print(f"Left out, without values on one side: {', '.join(made.left_out)}.", markup=False)
