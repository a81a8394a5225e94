"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ProjectDir = Annotated[
    Path,
    typer.Option(
        "--project",
        "-C",
        envvar="LEADGATE_PROJECT",
        help="Folder of the project; searched upwards for leadgate.yaml.",
        show_default="here",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
HERE = Path()
