"""The rules for Prometheus: promtool takes them and finds in them what they promise; they ask for what there is."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadgate.scoring.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = FOLDER / "leadgate.rules.yml"
SCENARIOS = FOLDER / "leadgate.rules.test.yml"
DAYS = FOLDER / "leadgate.days.test.yml"


def rules() -> list[dict[str, Any]]:
    """All rules, of all groups."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def exposed() -> dict[str, set[str]]:
    """By name, the labels of the series that /metrics has once everything has happened."""
    metrics = Metrics()
    metrics.prediction_seconds.observe(("1", "champion"), 0.01)
    metrics.scores.observe(("1", "champion"), 0.5)
    metrics.shadow_difference.observe(("1", "2"), 0.1)
    metrics.request_seconds.observe(("/predict", "503"), 0.01)
    metrics.predictions.add(("1", "champion", "high"))
    metrics.prediction_failures.add(("1", "champion"))
    for counter in (metrics.shadow_failures, metrics.shadow_skips):
        counter.add(("2",))
    metrics.refusals.add(("422",))
    lines = [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    return {line.split("{")[0]: set(re.findall(r'(\w+)="', line)) for line in lines}


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run promtool on a file of the folder."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not here; `apt-get install prometheus` brings it (Debian and Ubuntu)")
    return subprocess.run([found, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)


def test_promtool_takes_the_rules_and_the_configuration() -> None:
    """Prometheus would not start with a file that it cannot read."""
    for what, file in (("rules", RULES.name), ("config", "prometheus.yml")):
        done = promtool("check", what, file)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", (SCENARIOS, DAYS))
def test_promtool_finds_the_alerts_that_each_scenario_has(file: Path) -> None:
    """Series of what can happen, and every alert that fires then and no other."""
    done = promtool("test", "rules", file.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("before", "after", "file"), (("p99 > 0.2", "p99 > 2", SCENARIOS), ("4 * 3600", "40 * 3600", DAYS))
)
def test_a_changed_threshold_is_found_out(before: str, after: str, file: Path, tmp_path: Path) -> None:
    """The scenarios can fail: a rule that is ten times as patient does not pass them."""
    text = RULES.read_text()
    assert before in text
    (tmp_path / RULES.name).write_text(text.replace(before, after))
    shutil.copy(file, tmp_path)
    assert promtool("test", "rules", str(tmp_path / file.name)).returncode == 1


def test_each_alert_has_a_scenario_in_which_it_fires() -> None:
    """An alert that nobody has seen fire is a hope."""
    scenarios = SCENARIOS.read_text() + DAYS.read_text()
    fired = set(re.findall(r'alertname="(\w+)",alertstate="firing",', scenarios))
    fired |= set(re.findall(r"- alertname: (\w+)", scenarios))
    assert fired == {rule["alert"] for rule in rules() if "alert" in rule}


def test_rules_ask_for_series_that_the_service_has() -> None:
    """A metric or label that was renamed would make its alert silent for ever."""
    known = exposed()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        expression = rule["expr"]
        assert set(re.findall(r"\bjob:leadgate_[\w:]+", expression)) <= recorded
        own = re.sub(r"\bjob:leadgate_[\w:]+", "", expression)
        names = set(re.findall(r"\bleadgate_\w+", own))
        assert names <= set(known), rule
        labels = set(re.findall(r"(\w+)=~?\"", own)) | {
            label.strip() for group in re.findall(r"by \(([^)]*)\)", own) for label in group.split(",")
        }
        there = set().union(*(known[name] for name in names)) if names else set()
        assert labels <= there | {"job", "instance"}, rule


def test_each_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    """Severities are those of Leadgate's own alerts; the action is a sentence for the one who is woken."""
    alerts = [rule for rule in rules() if "alert" in rule]
    assert {rule["labels"]["severity"] for rule in alerts} == {"red", "yellow"}
    assert all(set(rule["annotations"]) == {"summary", "action"} for rule in alerts)


def test_the_commands_that_alerts_name_are_there() -> None:
    """Who is woken at night types what the alert says."""
    from leadgate.app.cli.root import app  # noqa: PLC0415

    nouns = {group.name for group in app.registered_groups}
    nouns |= {command.callback.__name__ for command in app.registered_commands if command.callback}
    actions = " ".join(rule["annotations"]["action"] for rule in rules() if "alert" in rule)
    named = set(re.findall(r"leadgate ([a-z]+)", actions))
    assert {"diagnose", "rollback"} <= named <= nouns
