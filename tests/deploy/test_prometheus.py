"""The rules for Prometheus: promtool takes them and finds in them what they promise; they ask for what there is."""

import re
import shutil
import subprocess
from collections.abc import Callable
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


class Scraped:
    """A service of one worker, and Prometheus that asks for /metrics once a minute."""

    def __init__(self) -> None:
        """Answers with version 1."""
        self.metrics = Metrics()
        self.metrics.gauges["leadgate_worker_start_time_seconds"] = 0.0
        self.metrics.begin([("1", "champion")])
        self.series: dict[str, list[str]] = {'up{job="leadgate",instance="a"}': []}
        self.minutes = 0

    def wait(self, minutes: int) -> None:
        """Let time go by."""
        now = {'up{job="leadgate",instance="a"}': "1"}
        for line in self.metrics.exposition().decode().splitlines():
            name, _, value = line.rpartition(" ")
            if not line.startswith("#") and "_bucket" not in name:
                now[name.replace("{", '{job="leadgate",instance="a",')] = value
        for name in self.series | now:
            seen = self.series.setdefault(name, ["_"] * self.minutes)
            seen += [now.get(name, "_")] * minutes
        self.minutes += minutes

    def fires(self, alert: str, minute: int, folder: Path) -> bool:
        """Whether promtool sees an alert fire, by what was scraped."""
        assert alert in {rule.get("alert") for rule in rules()}
        expected = {"labels": f'{{alertname="{alert}",alertstate="firing"}}', "value": 1}
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": " ".join(values)} for name, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": f'sum by (alertname, alertstate) (ALERTS{{alertstate="firing",alertname="{alert}"}})',
                    "eval_time": f"{minute}m",
                    "exp_samples": [expected],
                }
            ],
        }
        shutil.copy(RULES, folder)
        made = folder / "made.test.yml"
        made.write_text(yaml.safe_dump({"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": [test]}))
        done = promtool("test", "rules", str(made))
        assert done.returncode == 0 or "got: nil" in done.stdout + done.stderr, done.stdout + done.stderr
        return done.returncode == 0


def a_batch(metrics: Metrics) -> None:
    """A thousand leads are answered between two scrapes."""
    metrics.predictions.add(("1", "champion", "low"), 1_000)
    metrics.request_seconds.observe(("/predict/batch", "200"), 0.5)


def a_batch_that_fails(metrics: Metrics) -> None:
    """The version answers none of five hundred leads."""
    metrics.prediction_failures.add(("1", "champion"), 500)
    metrics.request_seconds.observe(("/predict/batch", "500"), 0.5)


def no_room(metrics: Metrics) -> None:
    """Three hundred requests are refused, beside a thousand that are answered."""
    for status, times in (("503", 300), ("200", 1_000)):
        for _ in range(times):
            metrics.request_seconds.observe(("/predict", status), 0.001)


def a_new_version(metrics: Metrics) -> None:
    """It is taken up beside the champion."""
    metrics.begin([("1", "champion"), ("2", "challenger")])


def a_new_version_that_fails(metrics: Metrics) -> None:
    """It answers none of five hundred leads."""
    metrics.prediction_failures.add(("2", "challenger"), 500)


@pytest.mark.parametrize(
    ("before", "happens", "alert", "after", "expected"),
    (
        (None, a_batch, "LeadgateNoScores", 210, False),
        (None, a_batch, "LeadgateNoScores", 260, True),
        (None, a_batch_that_fails, "LeadgateVersionFails", 8, True),
        (None, no_room, "LeadgateErrorsRed", 4, True),
        (a_new_version, a_new_version_that_fails, "LeadgateVersionFails", 8, True),
        (a_new_version, a_batch, "LeadgateVersionFails", 8, False),
    ),
)
def test_what_happens_for_the_first_time_is_seen(  # noqa: PLR0917
    before: Callable[[Metrics], None] | None,
    happens: Callable[[Metrics], None],
    alert: str,
    after: int,
    expected: bool,
    tmp_path: Path,
) -> None:
    """A service starts; what it tells later, once and all at once, is no less than what it tells again and again."""
    service = Scraped()
    service.wait(60)
    if before is not None:
        before(service.metrics)
        service.wait(2)
    happens(service.metrics)
    at = service.minutes
    service.wait(after + 2)
    assert service.fires(alert, at + after, tmp_path) is expected


def test_no_series_is_told_twice() -> None:
    """Prometheus drops a scrape's second sample: answers with an Idempotency-Key are counted with the others."""
    metrics = Metrics()
    metrics.prediction_seconds.observe(("1", "champion"), 0.01)
    metrics.request_seconds.observe(("/predict", "200"), 0.01)
    lines = [line.rpartition(" ") for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]
    names = [name for name, _, _ in lines]
    assert len(names) == len(set(names))
    told = {name: value for name, _, value in lines}
    assert told['leadgate_request_seconds_count{route="/predict",status="200",worker="0"}'] == "2.0"


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
