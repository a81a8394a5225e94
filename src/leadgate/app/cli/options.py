"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from leadgate.errors import RefusedError

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


def one_of(value: str, choices: Any, what: str) -> Any:
    """A value of a Literal type. Raises RefusedError naming the choices."""
    known = get_args(choices)
    if value not in known:
        raise RefusedError(f"There is no {what} {value!r}; choose one of {', '.join(known)}.")
    return value
