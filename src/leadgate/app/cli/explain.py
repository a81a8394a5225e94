"""leadgate explain: why a lead got its score."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.cli.profile import in_utc
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.app.explaining import Explained


def explain(
    lead_id: Annotated[str, typer.Argument(help="The lead.")],
    project: ProjectDir = HERE,
    at: Annotated[
        datetime | None,
        typer.Option(help="Its last score up to this time (UTC).", show_default="now"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every feature, not the three that matter most.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say why a lead has its score: what raises it and what lowers it, by the version that gave it.

    Old scores are explained too, from the values in the log or in the archive of its retired days. Reasons are what
    the model takes from the values, not causes: see docs/reasons.md.
    """
    from leadgate.app.explaining import explain as find_out  # noqa: PLC0415

    found = find_out(open_home(project), lead_id, in_utc(at))
    if as_json:
        print_json(found)
    else:
        _print(found, everything=everything)


def _print(found: "Explained", *, everything: bool) -> None:
    logged, reasons = found.logged, found.reasons
    console.print(
        f"Lead {logged.lead_id}: {logged.predicted_score:.2f}, priority {logged.priority}"
        f"{' (explored: whatever its score)' if logged.explored else ''}, by version "
        f"{logged.model_version} ({logged.variant}) at {moment(logged.scored_at)} UTC",
        style="bold",
        markup=False,
    )
    if not found.agrees:
        console.print(
            f"The version gives the logged values {found.score_again:.6f} now, the log says "
            f"{logged.predicted_score:.6f}: the row or the version has been changed.",
            style="red",
            markup=False,
        )
    if reasons.why_none is not None:
        console.print(reasons.why_none, markup=False)
        return
    console.print(f"A lead that nothing is known of would have {reasons.average:.2f}.")
    shown = reasons.reasons if everything else reasons.top()
    rows = [(f"{r.effect * 100:+.1f}", f"{r.log_odds:+.3f}", escape(r.sentence)) for r in shown]
    print_table("What moves it", ["points", "log-odds", "in words"], rows, numbers="rr")
