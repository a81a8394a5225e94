"""Grafana's dashboards: Grafana's own types read them, and they are the same wherever they are imported."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml
from boards import BOARDS, FOLDER, ROOT, Json, panels_of, variables
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.runtime import Runtime
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where a document says something that another does not."""
    if isinstance(before, dict):
        for key, value in before.items():
            there = isinstance(after, dict) and key in after
            yield from lost(value, after[key], f"{path}.{key}") if there else [f"{path}.{key}"]
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield path
            return
        for one, other in zip(before, after, strict=True):
            yield from lost(one, other, path)
    elif before != after:
        yield path


def lost_by_grafana(board: Json) -> set[str]:
    """What Grafana's types do not know of a dashboard."""
    register_default_plugins()
    return set(lost(board, json.loads(JSONEncoder().encode(Dashboard.from_json(board)))))


UNKNOWN_TO_THE_TYPES = {
    f".annotations.list.target.{key}" for key in ("datasource", "editorMode", "format", "rawQuery", "rawSql", "refId")
} | {".templating.list.definition"}
"""What Grafana writes itself, and the types of its SDK leave out: SQL of annotations, a copy of a variable's query."""


@pytest.mark.parametrize("name", BOARDS)
def test_grafanas_own_types_know_everything_in_a_dashboard(name: str) -> None:
    """A misspelt option or a key of another version would be ignored without a word."""
    assert lost_by_grafana(BOARDS[name]) <= UNKNOWN_TO_THE_TYPES


def test_a_misspelt_option_is_found_out() -> None:
    """The reading can fail."""
    board = json.loads(json.dumps(BOARDS["leadgate-overview"]))
    board["panels"][0]["options"]["colourMode"] = board["panels"][0]["options"].pop("colorMode")
    assert ".panels.options.colourMode" in lost_by_grafana(board)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_are_of_kinds_that_grafana_has(name: str) -> None:
    """Built in, no plugins that a team would have to install."""
    register_default_plugins()
    kinds = {panel["type"] for panel in panels_of(BOARDS[name])}
    assert kinds
    assert not [kind for kind in kinds if Runtime().panelcfg_config(kind) is None]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_say_what_they_show(name: str) -> None:
    """Who has never seen one knows the figure, its unit and its meaning; each query has a letter of its own."""
    for panel in panels_of(BOARDS[name]):
        assert panel["title"]
        assert panel["description"].endswith((".", "`", "?")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters)) > 0, panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_covers_another(name: str) -> None:
    """Grafana has 24 columns; panels and rows have numbers of their own."""
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    grid = [panel["gridPos"] for panel in panels]
    assert all(g["x"] >= 0 and g["w"] > 0 and g["x"] + g["w"] <= 24 for g in grid)
    for a, b in combinations(grid, 2):
        aside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert aside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_the_same_wherever_it_is_imported(name: str) -> None:
    """Its uid is stable, it has no number of a Grafana, times are the viewer's, data sources are chosen by variable."""
    board = BOARDS[name]
    assert board["uid"] == name
    assert "id" not in board
    assert board["timezone"] == "browser"
    known = variables(board)
    for reference in re.findall(r'"uid": "([^"]*)"', json.dumps(board["panels"])):
        assert known[reference.removeprefix("${").removesuffix("}")]["type"] == "datasource"
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            assert known[target["datasource"]["uid"][2:-1]]["query"] == target["datasource"]["type"]


@pytest.mark.parametrize("name", BOARDS)
def test_variables_are_declared_and_used(name: str) -> None:
    """A variable that nobody declared stays in the query as it is written; one that nobody uses puzzles people."""
    board = BOARDS[name]
    used = set(re.findall(r"\$\{?([a-z]+)", json.dumps({k: v for k, v in board.items() if k != "templating"})))
    chained = set(re.findall(r"\$\{?([a-z]+)", json.dumps(board["templating"])))
    assert used - {"__"} <= set(variables(board))
    assert set(variables(board)) <= used | chained


@pytest.mark.parametrize("name", BOARDS)
def test_a_file_is_written_for_the_eye(name: str) -> None:
    """Sorted and indented, so that a change in Grafana is a small difference in Git."""
    text = (FOLDER / "dashboards" / f"{name}.json").read_text()
    assert text == json.dumps(BOARDS[name], indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_what_grafana_is_given_at_its_start() -> None:
    """The data sources are those that dashboards ask for first; every setting from outside is in the documentation."""
    text = (FOLDER / "provisioning" / "datasources" / "leadgate.yaml").read_text()
    sources = {(s["type"], s["uid"], s["name"]) for s in yaml.safe_load(text)["datasources"]}
    for board in BOARDS.values():
        for variable in variables(board).values():
            if variable["type"] == "datasource":
                first = variable["current"]
                assert (variable["query"], first["value"], first["text"]) in sources
    docs = (ROOT / "docs" / "own-tools.md").read_text()
    settings = set(re.findall(r"\$(LEADGATE_\w+)", text))
    assert settings == set(re.findall(r"LEADGATE_GRAFANA_\w+", docs))
    provider = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "leadgate.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] in docs
