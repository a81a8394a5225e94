"""A diagnosis names what lies upstream of all that is seen, and never takes silence for health."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadgate.monitoring.causes import CAUSES
from leadgate.monitoring.diagnosis import Diagnosis, diagnose
from leadgate.monitoring.findings import Area, Finding, Severity
from leadgate.monitoring.signs import READ, STEP_OF, STEPS, source_features
from leadgate.records import Interval

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
SOURCES = frozenset({"lead_source"})

HEALTHY = [
    "system:uptime:",
    "system:freshness:",
    "system:coverage:",
    "system:volume:",
    "system:error_rate:",
    "model:AUC:champion",
    "model:precision:champion",
    "model:recall:champion",
    "model:calibration:champion",
    "scores:score_drift:champion",
    "scores:score_bands:champion",
    "drift:feature_drift:visits",
    "drift:feature_drift:lead_source",
    "data:missing_values:visits",
    "data:new_categories:lead_source",
    "data:range:visits",
    "business:conversion:",
    "business:days_to_close:",
    "integration:delivery:outcomes",
    "integration:delivery:contacts",
    "integration:delivered_volume:outcomes",
    "integration:delivered_volume:contacts",
    "integration:high_priority:",
    "integration:contact_order:",
    "system:latency_p95:",
    "system:latency_p99:",
]


def finding(named: str, severity: Severity, **known: object) -> Finding:
    """``area:check:subject`` as a finding."""
    area, check, subject = named.split(":")
    made = Finding(
        area=area,  # type: ignore[arg-type]
        check=check.replace("_", " "),
        subject=subject,
        severity=severity,
        sentence=f"{check} of {subject}",
        value=1.0,
        threshold=0.5,
        sample=1_000,
    )
    return replace(made, **known)  # type: ignore[arg-type]


def diagnosed(*out: tuple[str, Severity] | Finding, without: Sequence[str] = ()) -> Diagnosis:
    """The diagnosis of a healthy run in which some findings are otherwise, or not known (``without``)."""
    changed = [f if isinstance(f, Finding) else finding(*f) for f in out]
    names = {(f.check, f.subject) for f in changed}
    rest = [finding(named, "unknown" if named in without else "green") for named in HEALTHY]
    findings = [*changed, *(f for f in rest if (f.check, f.subject) not in names)]
    return diagnose(findings, model_name="m", sources=SOURCES, since=NOW - timedelta(days=7), now=NOW)


def drifted(feature: str, severity: Severity = "red", **known: object) -> Finding:
    """A feature whose values are distributed otherwise."""
    return finding(f"drift:feature_drift:{feature}", severity, **known)


OFF: tuple[tuple[str, Severity], ...] = (
    ("model:AUC:champion", "red"),
    ("model:calibration:champion", "red"),
    ("scores:score_drift:champion", "red"),
    ("business:conversion:", "red"),
)
"""What many causes lead to."""


AWAY = finding("system:uptime:", "red", details={"silent_s": 7200.0})
BACK = finding("system:uptime:", "yellow", details={"silent_s": 30.0})


@pytest.mark.parametrize(
    ("named", "out"),
    (
        ("dead service", [AWAY, ("system:freshness:", "red"), ("system:volume:", "yellow")]),
        ("past outage", [BACK]),
        ("past outage", [BACK, ("system:volume:", "yellow"), ("system:coverage:", "green")]),
        ("model drift", [BACK, ("model:AUC:champion", "red"), ("model:calibration:champion", "red")]),
        ("stale scores", [BACK, ("system:freshness:", "red")]),
        ("stale scores", [("system:freshness:", "red")]),
        ("stale scores", [("system:freshness:", "yellow")]),
        ("failing service", [("system:error_rate:", "red")]),
        ("coverage", [("system:coverage:", "red")]),
        ("model drift", [("model:AUC:champion", "red"), ("model:precision:champion", "yellow")]),
        ("model drift", [("model:AUC:champion", "yellow")]),
        ("data drift", [drifted("visits")]),
        ("data drift", [drifted("visits"), *OFF]),
        ("missing values", [("data:missing_values:visits", "red"), *OFF]),
        ("missing values", [("data:missing_values:visits", "yellow"), drifted("visits")]),
        ("unit error", [drifted("visits", details={"times": 1000.0}), *OFF]),
        ("unit error", [drifted("visits"), ("data:range:visits", "red"), *OFF]),
        ("data drift", [drifted("visits", details={"times": 3.0}), ("data:range:visits", "yellow")]),
        ("new categories", [("data:new_categories:region", "red")]),
        ("lead-source mix", [drifted("lead_source"), ("scores:score_drift:champion", "yellow")]),
        ("lead-source mix", [drifted("lead_source"), ("data:new_categories:lead_source", "red"), *OFF]),
        ("sales process", [("business:days_to_close:", "red"), ("business:conversion:", "red")]),
        ("sales process", [("integration:delivered_volume:contacts", "red"), ("business:conversion:", "yellow")]),
        ("market", [("business:conversion:", "red"), ("model:calibration:champion", "yellow")]),
        (
            "CRM not synced",
            [("integration:delivery:outcomes", "red"), ("integration:delivery:contacts", "red")],
        ),
        (
            "CRM not synced",
            [
                ("integration:delivered_volume:outcomes", "red"),
                ("integration:delivered_volume:contacts", "red"),
                ("business:conversion:", "yellow"),
            ],
        ),
        ("wrong threshold", [("integration:high_priority:", "yellow")]),
        ("wrong threshold", [("scores:score_bands:champion", "red")]),
        ("scores not used", [("integration:contact_order:", "yellow")]),
        ("large batches", [("system:latency_p99:", "red"), ("system:batch_size:", "yellow")]),
        ("slow version", [("system:latency_p99:", "red"), ("system:model_latency:", "yellow")]),
        ("overload", [("system:latency_p99:", "red"), ("system:worker_load:", "yellow")]),
        ("slow surroundings", [("system:latency_p99:", "red"), ("system:waiting:", "yellow")]),
    ),
)
def test_the_cause_is_the_one_that_explains_what_is_out(
    named: str, out: Sequence[tuple[str, Severity] | Finding]
) -> None:
    """Each of the plan's root causes by its own signs, with its consequences beside them."""
    found = diagnosed(*out)
    assert found.cause is not None
    assert found.cause.name == named
    assert found.cause.speaks_for
    assert found.cause.command.startswith("leadgate ")


def test_upstream_explains_downstream() -> None:
    """A unit error makes drift, other scores and a lower AUC: it is named, they speak for it, and nothing is left."""
    found = diagnosed(drifted("visits", details={"times": 1000.0}), *OFF)
    assert found.cause is not None
    assert {"another unit", "scores have moved", "ranking is worse"} <= {r.sign for r in found.cause.speaks_for}
    assert found.unexplained == ()
    assert found.cause.command == "leadgate profile show --feature visits"
    assert found.severity == "red"


def test_a_dead_service_explains_stale_scores_and_the_crm_is_not_blamed() -> None:
    """Fewer outcomes follow from fewer scores."""
    found = diagnosed(AWAY, ("system:freshness:", "red"), ("integration:delivered_volume:outcomes", "yellow"))
    assert found.cause is not None
    assert found.cause.name == "dead service"
    assert found.cause.confidence == "almost certain"


def test_a_service_that_is_back_is_not_called_dead() -> None:
    """Nobody is sent to start what runs; and what is over is no more than likely."""
    found = diagnosed(BACK)
    assert found.cause is not None
    assert "dead service" not in {c.name for c in (found.cause, *found.others)}
    assert found.cause.confidence != "almost certain"
    assert "is back" in found.sentence


def test_an_unimportant_feature_weighs_less() -> None:
    """Drift of a feature that the model hardly uses does not outweigh a ranking that fell."""
    fell: tuple[tuple[str, Severity], ...] = (("model:AUC:champion", "red"), ("model:precision:champion", "red"))
    minor, major = (diagnosed(drifted("visits", "yellow", weight=w), *fell).cause for w in (0.0, 1.0))
    assert minor is not None
    assert major is not None
    assert minor.name == "model drift"
    assert minor.confidence != "almost certain"
    assert [r.sign for r in minor.speaks_against] == ["features have moved"]
    assert major.score > 0


def test_nothing_is_named_where_nothing_is_out() -> None:
    """All green is told as green, and counted."""
    found = diagnosed()
    assert (found.cause, found.others, found.severity) == (None, (), "green")
    assert f"{len(HEALTHY)} checks are green" in found.sentence
    assert [step.state for step in found.steps] == ["fine"] * 7


def test_silence_is_not_health() -> None:
    """Where most could not be checked, that is said, with each reason."""
    known = ["system:uptime:", "system:freshness:"]
    found = diagnosed(without=[named for named in HEALTHY if named not in known])
    assert found.cause is None
    assert 'not "all is well"' in found.sentence
    assert len(found.unchecked) == len(HEALTHY) - 2
    assert all(unchecked.why for unchecked in found.unchecked)
    assert [step.state for step in found.steps] == ["partly", *["unknown"] * 6]


def test_a_step_of_which_little_is_known_is_not_called_fine() -> None:
    """Scores are distributed as they were, but nothing is known of AUC; nor of whether outcomes still come."""
    found = diagnosed(without=["model:AUC:champion", "model:recall:champion", "integration:delivery:outcomes"])
    states = {step.name: (step.state, step.missing) for step in found.steps}
    assert states["model"] == ("partly", ("AUC", "recall"))
    assert states["integration"] == ("partly", ("delivery",))
    assert states["drift"] == ("fine", ())
    alarm = diagnosed(("model:AUC:champion", "red"), without=["model:recall:champion"]).steps[1]
    assert (alarm.state, alarm.missing) == ("out", ("recall",))


def test_an_alarm_without_a_cause_is_no_cause() -> None:
    """What no rule explains is shown as it is, never attributed."""
    found = diagnosed(("business:usage:", "yellow"))
    assert found.cause is None
    assert [f.check for f in found.unexplained] == ["usage"]
    assert "no known cause explains them" in found.sentence
    assert found.severity == "yellow"


def test_the_challenger_is_not_what_sales_people_see() -> None:
    """Its worse AUC is a matter of the rollout."""
    assert diagnosed(("model:AUC:challenger", "red")).cause is None


@pytest.mark.parametrize(("high", "named"), ((0.79, "model drift"), (0.83, None)))
def test_an_auc_that_is_surely_lower_is_a_possible_cause(high: float, named: str | None) -> None:
    """Its point is beyond the limit (0.76) and its interval below the hold-out's 0.81: no alarm, but worth a word."""
    lower = finding(
        "model:AUC:champion",
        "green",
        value=0.75,
        threshold=0.76,
        interval=Interval(low=0.71, high=high),
        details={"holdout": 0.81},
    )
    found = diagnosed(lower)
    assert (found.cause.name if found.cause else None) == named
    assert found.cause is None or found.cause.confidence == "possible"
    assert found.severity == "green"


def test_other_candidates_are_ranked() -> None:
    """The CRM stopped and a feature drifted: one is named, the other follows."""
    found = diagnosed(("integration:delivery:outcomes", "red"), drifted("visits", "yellow"))
    assert found.cause is not None
    assert found.cause.name == "CRM not synced"
    assert found.others[0].name == "data drift"
    scores = [c.score for c in (found.cause, *found.others)]
    assert scores == sorted(scores, reverse=True)


def test_more_evidence_never_lowers_the_confidence() -> None:
    """A yellow sign alone is at most likely; red and nothing against it is almost certain."""
    order = ("possible", "likely", "almost certain")
    yellow, red = (diagnosed(("system:coverage:", severity)).cause for severity in ("yellow", "red"))
    assert yellow is not None
    assert red is not None
    assert order.index(yellow.confidence) < order.index(red.confidence)


@pytest.mark.parametrize(
    ("names", "asked", "sources"),
    (
        (["lead_source", "size"], None, {"lead_source"}),
        (["UTM_Campaign", "Channel", "region"], None, {"UTM_Campaign", "Channel"}),
        (["origin", "size"], "origin", {"origin"}),
        (["size"], None, set()),
    ),
)
def test_the_feature_that_says_where_leads_come_from(names: list[str], asked: str | None, sources: set[str]) -> None:
    """By its name, or by leadgate.yaml."""
    assert source_features(names, asked) == sources


def test_every_rule_reads_a_sign_and_every_check_has_a_step() -> None:
    """A misspelt sign would silently never speak."""
    asked = {name for cause in CAUSES for name in (*cause.core, *cause.explains, *cause.against)}
    assert asked <= set(READ)
    assert {cause.step for cause in CAUSES} | {3} <= set(STEPS)
    assert set(STEP_OF.values()) == set(STEPS)
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)
    for cause in CAUSES:
        assert not set(cause.core) & set(cause.against), cause.name
        assert not set(cause.explains) & set(cause.against), cause.name


def test_every_area_that_is_checked_is_walked() -> None:
    """No check falls through the steps: each stands in one of them."""
    found = diagnosed()
    walked = {f.check for step in found.steps for f in step.findings}
    areas: set[Area] = {f.area for step in found.steps for f in step.findings}
    assert walked == {named.split(":")[1].replace("_", " ") for named in HEALTHY}
    assert areas == {"system", "model", "scores", "drift", "data", "business", "integration"}


def _between(text: str, name: str) -> str:
    """What the page has after a mark, up to the next heading."""
    return text.partition(f"<!-- {name} -->")[2].partition("\n## ")[0]


def test_the_page_has_every_step_and_every_cause() -> None:
    """docs/diagnosis.md says what the code does: its tables are made of the code's."""
    page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    steps = ["| step | asks |", "| --- | --- |"]
    steps += [f"| {number} {name} | {asks} |" for number, (name, asks) in STEPS.items()]
    causes = ["| step | cause | its own signs | explains | against it | do | with |", "| --- |" + " --- |" * 6]
    for cause in CAUSES:
        signs = (", ".join(side) for side in (cause.core, cause.explains, cause.against))
        command = cause.command.format(feature="FEATURE", since="TIME")
        cells = (f"{cause.step}", f"**{cause.name}**: {cause.means}", *signs, cause.action, f"`{command}`")
        causes.append("| " + " | ".join(cells) + " |")
    assert "\n".join(steps) in _between(page, "steps")
    assert "\n".join(causes) in _between(page, "causes")
