"""Grafana's dashboards as tests look at them."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
POSTGRES, PROMETHEUS = "grafana-postgresql-datasource", "prometheus"

BOARDS: dict[str, Json] = {
    path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}


def panels_of(board: Json) -> list[Json]:
    """The panels that show something; rows only part them."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def asked(kind: str) -> list[tuple[str, Json, Json]]:
    """Dashboards, panels and their queries of one kind of data source; an annotation stands for a panel."""
    found = [
        (name, panel, target)
        for name, board in BOARDS.items()
        for panel in panels_of(board)
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]
    return found + [
        (name, {"title": note["name"], "type": "annotation"}, note["target"])
        for name, board in BOARDS.items()
        for note in board["annotations"]["list"]
        if note["datasource"]["type"] == kind
    ]


def variables(board: Json) -> dict[str, Json]:
    """A dashboard's variables by name."""
    return {variable["name"]: variable for variable in board["templating"]["list"]}
