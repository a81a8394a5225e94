"""leadgate report: what people want to look at, or to hand on."""

import sys
from collections.abc import Callable
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
    from leadgate.views.reports.reading import Reader
    from leadgate.views.reports.report import Report

_HELP = """Reports for people: what changed, what to do, and for every number where it comes from.

They read and never decide: thresholds and marks are those of checks, gates and leadgate.yaml.

\b
leadgate report weekly                     read it here, as Markdown
leadgate report monthly --out review.html  one page; any browser prints it
leadgate report deployment --out v3.pdf    printed by Chromium, if it is here
leadgate report experiment --rollout 3     an A/B test, and what it is worth
leadgate report postmortem                 why the last rollout came back
leadgate report kpi --json                 the plan's goals, as data
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)

Tool = Literal["leadgate", "evidently"]

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.md|.html|.pdf", help="Where it goes; the ending says as what.", show_default="the screen"
    ),
]
Until = Annotated[datetime | None, typer.Option(help="As things were known at this time (UTC).", show_default="now")]
OfRollout = Annotated[int | None, typer.Option(help="Its number, as `leadgate rollout list` has it.")]
AsData = Annotated[bool, typer.Option("--json", help="Print the same content as data, each number with its source.")]


@app.command()
def deployment(
    project: ProjectDir = HERE,
    rollout: OfRollout = None,
    version: Annotated[
        str | None, typer.Option(help="Of this one (or latest): its last rollout, or what it is.")
    ] = None,
    until: Until = None,
    out: Out = None,
    as_json: AsData = False,
) -> None:
    """Tell how a version came to the sales team: lineage, gates, stages, comparison, what to watch.

    Without options: of the last rollout, or of the version that answers where there was none.
    """
    from leadgate.views.reports import making  # noqa: PLC0415

    _give(project, lambda r: making.deployment(r, rollout=rollout, version=version), until, out, as_json=as_json)


@app.command()
def weekly(
    project: ProjectDir = HERE,
    since: Annotated[datetime | None, typer.Option(help="From this time on (UTC).", show_default="7 days")] = None,
    until: Until = None,
    out: Out = None,
    as_json: AsData = False,
) -> None:
    """Review a week: business by week, version and priority, health, alerts, drift, calibration, whether to train."""
    from leadgate.views.reports import making  # noqa: PLC0415

    _give(project, lambda r: making.review(r, "weekly", since=in_utc(since)), until, out, as_json=as_json)


@app.command()
def monthly(
    project: ProjectDir = HERE,
    since: Annotated[datetime | None, typer.Option(help="From this time on (UTC).", show_default="30 days")] = None,
    until: Until = None,
    out: Out = None,
    as_json: AsData = False,
) -> None:
    """Review a month: the same, and whether the model is worth more than a simple rule that a person could follow."""
    from leadgate.views.reports import making  # noqa: PLC0415

    _give(project, lambda r: making.review(r, "monthly", since=in_utc(since)), until, out, as_json=as_json)


@app.command()
def experiment(
    project: ProjectDir = HERE, rollout: OfRollout = None, until: Until = None, out: Out = None, as_json: AsData = False
) -> None:
    """Tell what an A/B test found: design, split, interval over time, result, segments, incremental revenue."""
    from leadgate.views.reports import making  # noqa: PLC0415

    _give(project, lambda r: making.experiment(r, rollout=rollout), until, out, as_json=as_json)


@app.command()
def postmortem(
    project: ProjectDir = HERE, rollout: OfRollout = None, until: Until = None, out: Out = None, as_json: AsData = False
) -> None:
    """Look back on a rollout that came back: timeline, cause, evidence, what it cost, what is open."""
    from leadgate.views.reports import making  # noqa: PLC0415

    _give(project, lambda r: making.post_mortem(r, rollout=rollout), until, out, as_json=as_json)


@app.command()
def kpi(
    project: ProjectDir = HERE,
    since: Annotated[
        datetime | None,
        typer.Option(help="The plan's first day (UTC).", show_default="the first version that answered"),
    ] = None,
    target_revenue: Annotated[
        float, typer.Option(min=0, help="Incremental revenue that is asked for, in your currency.")
    ] = 500_000.0,
    until: Until = None,
    out: Out = None,
    as_json: AsData = False,
) -> None:
    """Hold the plan's goals by month against what was reached: met, not met, or not to be said yet, and why."""
    from leadgate.views.reports import making  # noqa: PLC0415

    _give(
        project,
        lambda r: making.kpi(r, since=in_utc(since), target_revenue=target_revenue),
        until,
        out,
        as_json=as_json,
    )


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


def _give(
    project: Path, make: "Callable[[Reader], Report]", until: datetime | None, out: Path | None, *, as_json: bool
) -> None:
    """Make a report, and print it or write it to a file."""
    from leadgate.app.reports import reader, refuse_unwritable, write  # noqa: PLC0415  # numpy, polars
    from leadgate.views.reports.markdown import to_markdown  # noqa: PLC0415

    if out is not None:
        refuse_unwritable(out)
    with progress() as step, reader(open_home(project), in_utc(until)) as asking:
        step("asking the database and the registry")
        report = make(asking)
        if out is not None:
            step(f"writing {out}")
            write(report, out)
    if as_json:
        from leadgate.views.reports.data import to_data  # noqa: PLC0415

        print_json(to_data(report))
    elif out is not None:
        console.print(f"Wrote {out}: {report.title}, {report.period}.", markup=False, soft_wrap=True)
    else:
        sys.stdout.write(to_markdown(report))


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
