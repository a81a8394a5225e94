"""The rows and targets of Grafana's dashboards are the plan's and Leadgate's own."""

import re
from typing import Any

import pytest
from boards import BOARDS, panels_of
from test_prometheus import rules

from leadgate.leads.monitoring_rules import Limit, MonitoringRules
from leadgate.leads.rollout_rules import Bar, GateRules

Steps = list[tuple[str, float | None]]

PICTURE = {
    "System health": ("API latency p95", "API latency p99", "Throughput", "Error rate", "Uptime"),
    "Model performance": ("AUC", "Precision at threshold", "Recall", "Calibration error"),
    "Data quality and drift": (
        "Data freshness",
        "Missing values",
        "Feature drift KS",
        "Distribution delta",
        "Coverage",
    ),
    "Business impact": (
        "Conversion rate",
        "Lift over baseline",
        "Average deal size",
        "Sales satisfaction",
        "Model usage",
    ),
    "Drift detection and recent alerts": ("Prediction drift", "Prediction percentiles", "Feature shift"),
}
"""The cards of the plan's dashboard picture with their rows."""


def test_the_overview_has_the_rows_of_the_plans_picture() -> None:
    """In their cards; beside them what drifted, and the alerts."""
    cards: dict[str, list[str]] = {}
    card = ""
    for panel in BOARDS["leadgate-overview"]["panels"]:
        if panel["type"] == "row":
            card = panel["title"]
        elif panel["type"] == "stat":
            cards.setdefault(card, []).append(panel["title"])
    for name, rows in PICTURE.items():
        assert len(cards[name]) == len(rows)
        assert all(title.startswith(row) for title, row in zip(cards[name], rows, strict=True))


def most(limit: Limit, scale: float = 1) -> Steps:
    """Colours of a figure that has a ceiling."""
    return [("green", None), ("yellow", limit.yellow * scale), ("red", limit.red * scale)]


def least(value: float | None) -> Steps:
    """Colours of a figure that has a floor."""
    assert value is not None
    return [("yellow", None), ("green", value)]


def bar(found: Bar | None) -> float:
    """The figure that a gate asks for."""
    assert found is not None
    value = found.at_most if found.at_least is None else found.at_least
    assert value is not None
    return value


def beyond(alert: str) -> float:
    """Beyond what an alert of Prometheus fires."""
    expression = next(rule["expr"] for rule in rules() if rule.get("alert") == alert)
    return float(re.findall(r">=? ([\d.e]+)", expression)[0])


JUDGED, GATES = MonitoringRules(), GateRules()
DRIFT, MODEL, SYSTEM, BUSINESS = JUDGED.drift, JUDGED.model, JUDGED.system, JUDGED.business
CHANGE = BUSINESS.conversion_change
ERRORS: Steps = [
    ("green", None),
    ("yellow", bar(GATES.error_rate)),
    ("orange", SYSTEM.error_rate.yellow),
    ("red", SYSTEM.error_rate.red),
]

COLOURS: dict[str, Steps] = {
    "API latency p95": most(SYSTEM.p95_ms),
    "API latency p99": most(SYSTEM.p99_ms),
    "Throughput capacity": least(bar(GATES.throughput)),
    "Capacity": least(bar(GATES.throughput)),
    "Error rate": ERRORS,
    "Uptime": least(SYSTEM.uptime),
    "AUC": least(MODEL.auc_at_least),
    "Precision at threshold": least(MODEL.precision_at_least),
    "Recall": least(MODEL.recall_at_least),
    "Calibration error": most(MODEL.calibration),
    "Data freshness": most(SYSTEM.fresh_hours),
    "Missing values": most(DRIFT.missing_rise),
    "Rise of missing values": most(DRIFT.missing_rise),
    "Feature drift KS": most(DRIFT.ks),
    "KS of each numeric feature": most(DRIFT.ks),
    "Distribution delta": most(DRIFT.js),
    "JS divergence of each feature": most(DRIFT.js),
    "Values never seen at training": most(DRIFT.unseen),
    "Coverage": least(JUDGED.coverage),
    "Lift over baseline": [
        ("red", None),
        ("yellow", -CHANGE.red),
        ("green", -CHANGE.yellow),
        ("yellow", CHANGE.yellow),
        ("red", CHANGE.red),
    ],
    "Sales satisfaction": least(BUSINESS.rating),
    "Prediction drift": most(DRIFT.median_shift),
    "Shift of the median score": most(DRIFT.median_shift),
    "Prediction percentiles": most(DRIFT.percentile_change),
    "Feature shift": [("green", None), ("yellow", 1), ("red", 3)],  # the plan: high with more than two
    "Difference of conversion": [("red", None), ("green", 0)],
    "Latency of /predict": [
        ("green", None),
        ("yellow", SYSTEM.p95_ms.yellow / 1000),
        ("orange", SYSTEM.p99_ms.yellow / 1000),
        ("red", SYSTEM.p99_ms.red / 1000),
    ],
    "Largest memory of a worker": [("green", None), ("yellow", bar(GATES.memory_mb) * 1e6)],
    "Predictions wait for the database": [
        ("green", None),
        ("yellow", beyond("LeadgateDrainerBehind")),
        ("red", beyond("LeadgateDrainerBehindRed")),
    ],
    "Spool": [("green", None), ("yellow", beyond("LeadgateSpoolBacklog"))],
    "Restarts": [("green", None), ("yellow", beyond("LeadgateRestarts"))],
    "Spool full": [("green", None), ("red", 1)],
    "Damaged segments": [("green", None), ("yellow", 1)],
    "Routes refused": [("green", None), ("red", 1)],
    "Red alerts": [("green", None), ("red", 1)],
}
"""By the begin of a title, the thresholds that its panel has to have: Leadgate's defaults."""


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_leadgates_targets(name: str) -> None:
    """Who changes a default is told here which panel shows the old one; no panel has thresholds of its own."""
    for panel in panels_of(BOARDS[name]):
        found = [(step["color"], step["value"]) for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        begins = [title for title in COLOURS if panel["title"].startswith(title)]
        if not begins:
            assert len(found) == 1, panel["title"]
            continue
        expected = COLOURS[max(begins, key=len)]
        assert [color for color, _ in found] == [color for color, _ in expected], panel["title"]
        assert [v for _, v in found][1:] == pytest.approx([v for _, v in expected][1:]), panel["title"]


def test_no_target_is_left_over() -> None:
    """Each of them is that of a panel."""
    titles = [panel["title"] for board in BOARDS.values() for panel in panels_of(board)]
    assert not [begin for begin in COLOURS if not any(title.startswith(begin) for title in titles)]


def test_a_title_names_the_target_that_its_colours_have() -> None:
    """Who reads "< 0.15" sees yellow above 0.15."""
    named = 0
    for panel in panels_of(BOARDS["leadgate-overview"]):
        found = re.search(r"\([<>]=? ([\d.]+) ?(%)?", panel["title"])
        if found:
            steps: list[dict[str, Any]] = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert steps[1]["value"] == pytest.approx(float(found[1]) / (100 if found[2] else 1)), panel["title"]
            named += 1
    assert named > 15


def test_a_badge_of_yesterday_says_nothing() -> None:
    """The status is that of the last run only as long as Prometheus would not tell that checks have stopped."""
    badge = BOARDS["leadgate-overview"]["panels"][0]
    assert f"interval '{beyond('LeadgateChecksStopped'):g} hours' THEN 'stale'" in badge["targets"][0]["rawSql"]
    assert "stale" in badge["fieldConfig"]["defaults"]["mappings"][0]["options"]
