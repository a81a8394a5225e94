"""leadgate diagnose: why scores no longer help."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from leadgate.app.cli.check import EXIT_CODES
from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.cli.profile import in_utc
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.monitoring.diagnosis import Candidate, Diagnosis, Step
    from leadgate.monitoring.findings import Finding

_COLOURS = {"green": "green", "unknown": "dim", "yellow": "yellow", "red": "red"}
_STATES = {
    "out": "[red]out[/]",
    "fine": "[green]fine[/]",
    "partly": "[green]fine as far as known[/]",
    "unknown": "[dim]not known[/]",
}


def diagnose(
    project: ProjectDir = HERE,
    since: Annotated[
        datetime | None,
        typer.Option(help="Judge the scores from this time on (UTC).", show_default="monitoring.window_days ago"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is green.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find out why scores no longer help: step by step, with the evidence, the likeliest cause and what to do.

    Ends with 0 when nothing asks for anybody, 10 for yellow (look within two days), 20 for red (look now).
    """
    from leadgate.app.diagnosing import diagnose as find_out  # noqa: PLC0415

    found = find_out(open_home(project), in_utc(since))
    if as_json:
        print_json(found)
    else:
        _print(found, everything=everything)
    raise typer.Exit(EXIT_CODES[found.severity])


def _print(found: "Diagnosis", *, everything: bool) -> None:
    console.print(f"Diagnosis at {moment(found.diagnosed_at)} UTC, of scores since {moment(found.since)}", style="bold")
    for step in found.steps:
        _print_step(step, everything=everything)
    console.print()
    console.print(found.sentence, style="bold", markup=False)
    if found.cause is not None:
        _print_cause(found.cause)
    if found.others:
        rows = [(c.title, c.confidence, ", ".join(r.sign for r in c.speaks_for)) for c in found.others]
        print_table("Other candidates, the likeliest first", ["cause", "is", "speaks for it"], rows)
    if found.unexplained and found.cause is not None:
        columns = ["", "check", "of", "what was found"]
        left = [(*_row(finding)[:3], _row(finding)[-1]) for finding in found.unexplained]
        print_table("What this does not explain", columns, left)
    if found.unchecked:
        missing = [(escape(u.check), escape(u.subject), escape(u.why)) for u in found.unchecked]
        print_table("What could not be checked", ["check", "of", "why"], missing)


def _print_step(step: "Step", *, everything: bool) -> None:
    console.print(f"\n{step.number} {step.name}: {_STATES[step.state]}. {step.asks}")
    if step.missing and step.state != "unknown":
        console.print(f"  Not known: {', '.join(step.missing)}", style="dim", markup=False)
    shown = [f for f in step.findings if everything or f.severity in ("yellow", "red")]
    if shown:
        columns = ["", "check", "of", "value", "limit", "interval", "sample", "what was found"]
        print_table("", columns, [_row(finding) for finding in shown], numbers="   rrrr")


def _row(finding: "Finding") -> tuple[str, ...]:
    interval = "-" if finding.interval is None else f"{finding.interval.low:.3g} to {finding.interval.high:.3g}"
    return (
        f"[{_COLOURS[finding.severity]}]{finding.severity}[/]",
        finding.check,
        escape(finding.subject),
        "-" if finding.value is None else f"{finding.value:.3g}",
        "-" if finding.threshold is None else f"{finding.threshold:.3g}",
        interval,
        "-" if finding.sample is None else f"{finding.sample:,}",
        escape(finding.sentence),
    )


def _print_cause(cause: "Candidate") -> None:
    for says, reasons in (("speaks for it", cause.speaks_for), ("speaks against it", cause.speaks_against)):
        for reason in reasons:
            about = ", ".join(dict.fromkeys(f"{f.check} {f.subject}".strip() for f in reason.findings))
            console.print(f"  {says}: {reason.sign} ({about})", markup=False)
    console.print(f"  Do: {cause.action}", markup=False)
    console.print(f"  With: {cause.command}", markup=False)
