"""leadgate features: what features.py makes of leads."""

from typing import TYPE_CHECKING

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, print_json, print_table
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.app.featuring import Listed

app = typer.Typer(help="Look at the features that features.py makes.", no_args_is_help=True)


@app.command("list")
def list_(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the functions of features.py: what they take, and whether the champion computes them in the same way.

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
