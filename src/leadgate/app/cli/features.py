"""leadgate features: what features.py makes of leads."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table, progress
from leadgate.app.wire import open_home
from leadgate.errors import RefusedError

if TYPE_CHECKING:
    from leadgate.app.featuring import Listed
    from leadgate.app.verifying import Verified

app = typer.Typer(help="Look at the features that features.py makes.", no_args_is_help=True)


@app.command("list")
def list_(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the functions of features.py: what they take, and whether the champion has the same code.

    Every public function is a feature; docs/features.md says how one is written.
    """
    from leadgate.app.featuring import list_features  # noqa: PLC0415

    found, champion = list_features(open_home(project))
    if as_json:
        print_json({"champion": champion, "features": found})
        return
    if not found:
        console.print("There is no features.py beside leadgate.yaml, and the champion has none; see docs/features.md.")
        return
    rows = [(f.name, f.type, ", ".join(f.takes), (f.digest or "")[:16], _in_champion(f, champion)) for f in found]
    print_table("Features that features.py makes", ["feature", "type", "takes", "digest", "champion"], rows)


def _in_champion(feature: "Listed", champion: str | None) -> str:
    """How the champion has it."""
    if champion is None:
        return "(no champion yet)"
    own = {"same": f"the same in {champion}", "other": f"OTHER in {champion}", "none": f"not in {champion}"}
    unused = "" if feature.use else "not in use here; "
    gone = "gone here; " if feature.digest is None else ""
    return gone + unused + own[feature.in_champion]


@app.command()
def show(
    lead_id: Annotated[str, typer.Argument(metavar="LEAD_ID", help="The lead.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Show what a score of a lead would be made of now: its columns as last imported, its events, and the features.

    Those are what the champion's features.py makes of both; the service says the same at /leads/LEAD_ID/features.
    """
    from leadgate.app.featuring import features_of_lead  # noqa: PLC0415

    found = features_of_lead(open_home(project), lead_id)
    if as_json:
        print_json({name: getattr(found, name) for name in found.__struct_fields__})
        return
    whose = f"version {found.model_version}" if found.model_version else "features.py, for there is no champion yet"
    console.print(f"Lead {lead_id} at {moment(found.at)} UTC: {found.events:,} events count, by {whose}.", markup=False)
    if found.columns is None:
        console.print("No import had its columns since there is a features.py, so they count as missing.")
    made = [(name, _value(value), escape(found.failures.get(name, ""))) for name, value in found.features.items()]
    print_table("Made features", ["feature", "value", "why it failed"], made)
    print_table("Columns", ["column", "value"], [(name, _value(v)) for name, v in (found.columns or {}).items()])


@app.command()
def verify(
    project: ProjectDir = HERE,
    days: Annotated[float, typer.Option(min=0, help="Scores of so many days back.")] = 7,
    most: Annotated[int, typer.Option(min=1, help="At most so many scores, the last ones.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Make the features of logged scores again: were leads scored on the values that a training would learn from.

    Each version's own features.py is given the columns that were logged and the events that count at the score's time
    by what is known now. Exit code 1 where a value would be another one: a change of the log, or events that came later
    than they say they were known.
    """
    from leadgate.app.verifying import verify as compare  # noqa: PLC0415

    home = open_home(project)
    now = home.clock()
    with progress() as step:
        found = compare(home, since=_since(now, days), until=now, most=most, step=step)
    if as_json:
        print_json(found)
    else:
        _print_verified(found)
    if found.wrong:
        raise typer.Exit(1)


def _since(now: datetime, days: float) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError:
        raise RefusedError(f"--days {days:g} reaches back before the calendar begins; give fewer days.") from None


def _print_verified(found: "Verified") -> None:
    console.print(
        f"{found.scores:,} scores of versions {', '.join(found.versions)} from {moment(found.since)} to "
        f"{moment(found.until)} UTC: {found.wrong:,} of them were made of other values than a training would take.",
        soft_wrap=True,
    )
    if not found.wrong:
        return
    print_table("Features that differ", ["feature", "scores"], list(found.features.items()), numbers=" r")
    rows = [
        (
            escape(one.lead_id),
            one.scored_at.isoformat(timespec="seconds"),
            one.model_version,
            one.feature,
            _value(one.logged),
            _value(one.again),
            "late events" if one.late else "-",
        )
        for one in found.examples
    ]
    print_table("Examples", ["lead", "scored at", "version", "feature", "scored", "in training", "why"], rows)
    console.print(
        f"{found.late:,} of the {found.wrong:,} are explained by events that were written down after the score and say "
        "that they were known before it: give their file the column known_at, or send them by POST /events. The others "
        "have been changed in the log, or were scored by other code.",
        soft_wrap=True,
    )


def _value(value: Any) -> str:
    """A value as a table shows it: a truth value is no number."""
    return "-" if value is None else escape(str(value))
