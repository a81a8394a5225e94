"""What the Overview says of a run of checks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadgate.leads.project import Project, parse_project
from leadgate.storage.postgres.checks import CheckResult, LatestRun, PastValue
from leadgate.storage.postgres.measurements import ServiceLoad
from leadgate.views.freshness import Freshness, freshness_of
from leadgate.views.health import Look, Row, cards_of, standing_of
from shown import PROJECT

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
RUN = LatestRun(run_id="019e0000-0000-7000-8000-000000000001", checked_at=NOW, since=NOW - WEEK, until=NOW)
FRESH = Freshness(checked_at=NOW, stale=False, due_every=timedelta(minutes=15))


def result(check: str, severity: str = "green", subject: str = "", **known: Any) -> CheckResult:
    """What a check found."""
    usual: dict[str, Any] = {
        "run_id": RUN.run_id,
        "model_name": "lead-scoring",
        "checked_at": NOW,
        "since": NOW - WEEK,
        "until": NOW,
        "area": "system",
        "sentence": f"about {check}",
        "value": 0.5,
        "threshold": None,
        "low": None,
        "high": None,
        "level": None,
        "sample": 1_000,
        "p_value": None,
        "family": None,
        "weight": 1.0,
        "details": {},
    }
    return CheckResult(**{**usual, "check_name": check, "severity": severity, "subject": subject, **known})


def look(*results: CheckResult, history: Sequence[PastValue] = (), use: ServiceLoad | None = None) -> Look:
    """A run with these results."""
    return Look(run=RUN, results=results, history=tuple(history), use=use)


def load_of(**known: Any) -> ServiceLoad:
    """What workers did in a day."""
    usual: dict[str, Any] = {"since": NOW - timedelta(days=1), "until": NOW}
    return ServiceLoad(**{**usual, **known})


def project(**monitoring: Any) -> Project:
    """A project with other rules of monitoring."""
    import yaml  # noqa: PLC0415

    return parse_project(PROJECT + yaml.safe_dump({"monitoring": monitoring}), "leadgate.yaml")


def row(looked: Look, name: str, of: Project | None = None) -> Row:
    """The row of that name."""
    return next(row for card in cards_of(looked, of or project()) for row in card.rows if row.name == name)


@pytest.mark.parametrize(
    ("severities", "mark", "words"),
    (
        (("green", "green"), "green", "can be trusted today"),
        (("green", "unknown"), "green", "can be trusted today, as far as is known"),
        (("green", "yellow"), "yellow", "1 figure is out"),
        (("yellow", "yellow"), "yellow", "2 figures are out"),
        (("red", "yellow"), "red", "Do not rely"),
        (("unknown", "unknown"), "unknown", "too little data"),
    ),
)
def test_the_headline_is_the_most_urgent_finding(severities: tuple[str, ...], mark: str, words: str) -> None:
    """Ten seconds are enough to know whether the scores can be used."""
    standing = standing_of(look(*(result(f"check {i}", s) for i, s in enumerate(severities))), FRESH)
    assert standing.mark == mark
    assert words in standing.headline


def test_what_cannot_be_judged_is_not_within_its_target() -> None:
    """A model without outcomes is not said to meet its AUC: what is not known is named, the model's figures first."""
    known = look(result("uptime"), result("usage", "unknown"), result("AUC", "unknown", area="model"))
    standing = standing_of(known, FRESH)
    assert "every figure is within" not in standing.headline
    assert standing.because == ("Too little is known to judge AUC.", "No target is set for usage.")
    few = look(result("uptime"), result("usage", "unknown", threshold=1_000.0))
    assert standing_of(few, FRESH).because == ("Too little is known to judge usage.",)
    many = standing_of(look(result("uptime"), *(result(f"c{i}", "unknown") for i in range(7))), FRESH)
    assert many.because == ("Too little is known to judge c0, c1, c2, c3, c4 and 2 more.",)


def test_more_drifted_features_than_call_for_a_training_are_red() -> None:
    """The row and the trigger read one setting of leadgate.yaml."""
    away = look(*(result("feature drift", "yellow", subject=f"f{i}", area="data") for i in range(3)))
    usual, lenient = project(), project()
    rules = lenient.retraining.model_copy(
        update={"triggers": lenient.retraining.triggers.model_copy(update={"drifted_features": 3})}
    )
    lenient = lenient.model_copy(update={"retraining": rules})
    rows = [row(away, "Feature shift", of) for of in (usual, lenient)]
    assert [(found.mark, found.target) for found in rows] == [
        ("red", "none, red from 3 on"),
        ("yellow", "none, red from 4 on"),
    ]


def test_what_is_out_is_named_the_most_urgent_first() -> None:
    """Red before yellow, then what matters more; beyond four their number."""
    out = [result("a", "yellow", weight=0.1), result("b", "yellow", weight=0.9), result("c", "red", subject="industry")]
    standing = standing_of(look(*out, *(result(f"d{i}", "yellow", weight=0.0) for i in range(3))), FRESH)
    assert [said.split(":")[0] for said in standing.because[:3]] == ["c of industry", "b", "a"]
    assert standing.because[-1] == "and 2 more"


def test_old_checks_prove_nothing() -> None:
    """All green of yesterday is not "can be trusted today"; what was red stays named."""
    stale = Freshness(checked_at=NOW, stale=True, due_every=None)
    assert standing_of(look(result("a")), stale).mark == "unknown"
    red = standing_of(look(result("a", "red")), stale)
    assert red.mark == "unknown"
    assert "a: about a" in red.because


def test_nothing_is_known_before_the_first_check() -> None:
    """And the page says which command begins it."""
    standing = standing_of(Look(run=None), freshness_of(None, "*/15 * * * *", NOW))
    assert standing.mark == "unknown"
    assert "leadgate worker" in standing.because[0]


@pytest.mark.parametrize(
    ("cron", "age", "stale"),
    (
        ("*/15 * * * *", timedelta(minutes=59), False),  # never sooner than after an hour
        ("*/15 * * * *", timedelta(minutes=61), True),
        ("0 */6 * * *", timedelta(hours=17), False),
        ("0 */6 * * *", timedelta(hours=19), True),
        ("*/15 14-16 * * *", timedelta(hours=19.5), False),  # nothing was due since 16:45 of the day before
        ("*/15 14-16 * * *", timedelta(hours=20), True),
        ("0 6 * * 1-5", timedelta(days=3, hours=20), False),  # Friday's, on Tuesday: Monday's is one missed
        (None, timedelta(hours=23), False),
        (None, timedelta(hours=25), True),
    ),
)
def test_checks_are_old_after_three_turns_of_their_schedule(cron: str | None, age: timedelta, stale: bool) -> None:
    """A team that checks every six hours is not told every hour that nobody knows."""
    assert freshness_of(NOW - age, cron, NOW).stale == stale


def test_the_rows_are_those_of_the_plans_picture() -> None:
    """Its four cards and drift detection, each figure with a target."""
    cards = {card.title: [row.name for row in card.rows] for card in cards_of(Look(run=None), project())}
    assert cards == {
        "System health": ["API latency p95", "API latency p99", "Throughput", "Error rate", "Uptime"],
        "Model performance": ["AUC", "Precision", "Recall", "Calibration error"],
        "Data quality and drift": [
            "Data freshness",
            "Missing values",
            "Feature drift",
            "Distribution delta",
            "Coverage",
        ],
        "Business impact": ["Conversion rate", "Average deal size", "Sales satisfaction", "Model usage"],
        "Drift detection": ["Prediction drift", "Feature shift"],
    }


def test_targets_are_the_teams() -> None:
    """What leadgate.yaml asks for is what the row shows."""
    rules = project(system={"p99_ms": {"yellow": 50, "red": 80}}, business={"scores_a_day": 2_000})
    assert row(look(), "API latency p99", rules).target == "< 50 ms"
    assert row(look(), "Model usage", rules).target == "> 2,000 scores a day"
    assert row(look(), "API latency p99").target == "< 200 ms"


def test_more_errors_than_a_challenger_may_have_ask_for_a_look() -> None:
    """The plan's target is 0.1 %; its alert comes at 0.5 %, so the check itself is still green in between."""
    between = look(result("error rate", value=0.003, low=0.002, high=0.004))
    assert (row(between, "Error rate").mark, row(between, "Error rate").target) == ("yellow", "< 0.10 %")
    assert row(look(result("error rate", value=0.002, low=0.0005, high=0.004)), "Error rate").mark == "green"


def test_throughput_names_the_hours_that_it_is_of() -> None:
    """A project whose recent hours are six is not told of a day."""
    use = load_of(requests=1_000, busy_s=1.6, workers=2.0)
    assert "in the last 6 hours" in row(look(use=use), "Throughput", project(recent_hours=6)).says


def test_throughput_is_what_all_workers_could_answer() -> None:
    """Two workers, each busy 1.6 ms a request: 2 / 0.0016 s = 1,250 requests a second."""
    use = load_of(requests=1_000, busy_s=1.6, workers=2.0)
    assert (row(look(use=use), "Throughput").value, row(look(use=use), "Throughput").mark) == ("≥ 1,250 req/s", "green")
    idle = load_of(requests=1_000, busy_s=4.0, workers=2.0)
    assert row(look(use=idle), "Throughput").mark == "unknown"  # it may only have had nothing to do


def test_a_model_is_held_to_what_its_check_held_it_to() -> None:
    """A version that never had an AUC of 0.85 is judged by its own hold-out, and the target says so."""
    assert row(look(result("AUC", subject="champion", value=0.79, threshold=0.74)), "AUC").target == "> 0.740"
    assert row(look(), "AUC").target == "> 0.85"


def test_the_unbiased_auc_stands_below_the_ordinary_one_where_leads_are_explored() -> None:
    """Who follows the scores reads both figures; who explores no lead reads no row that is always empty."""
    found = result("feedback bias", "yellow", subject="champion", value=0.81)
    with_both = cards_of(look(result("AUC", subject="champion", value=0.9), found), project())
    names = [each.name for card in with_both for each in card.rows]
    assert names[names.index("AUC") + 1] == "AUC, unbiased"
    assert row(look(found), "AUC, unbiased").value == "0.810"
    assert row(look(found), "AUC, unbiased").mark == "yellow"
    assert "AUC, unbiased" not in [each.name for card in cards_of(look(), project()) for each in card.rows]


def test_a_check_of_many_subjects_shows_its_worst() -> None:
    """The most urgent feature, by name."""
    found = row(
        look(result("missing values", value=0.5, subject="a"), result("missing values", "red", "b")), "Missing values"
    )
    assert (found.value, found.about, found.mark) == ("50.0 %", "b", "red")


def test_the_distances_are_the_largest_of_their_kind() -> None:
    """KS of the feature with the largest KS, JS of the one with the largest JS."""
    looked = look(
        result("feature drift", subject="a", details={"ks": 0.2, "js": 0.01}),
        result("feature drift", "yellow", "b", details={"ks": None, "js": 0.3}),
    )
    assert (row(looked, "Feature drift").value, row(looked, "Feature drift").about) == ("0.200", "a")
    assert (row(looked, "Distribution delta").value, row(looked, "Distribution delta").about) == ("0.300", "b")
    assert row(looked, "Distribution delta").mark == "yellow"
    assert (row(looked, "Feature shift").value, row(looked, "Feature shift").about) == ("1 of 2", "b")


@pytest.mark.parametrize(("yellow", "mark"), ((0, "green"), (2, "yellow"), (3, "red")))
def test_three_features_that_drifted_are_red(yellow: int, mark: str) -> None:
    """As the row's own target says, and the plan: more than two."""
    found = [result("feature drift", "yellow" if i < yellow else "green", f"f{i}") for i in range(5)]
    assert row(look(*found), "Feature shift").mark == mark


def test_a_distance_within_its_own_limit_is_not_marked_for_another_one() -> None:
    """The KS of a feature is far out, its JS (limit 0.1) is not: the check is red, and the row of JS says ok."""
    looked = look(result("feature drift", "red", "a", details={"ks": 0.3, "js": 0.06}))
    assert (row(looked, "Feature drift").mark, row(looked, "Distribution delta").mark) == ("red", "green")
    assert (
        row(look(result("feature drift", "unknown", "a", details={"js": 0.06})), "Distribution delta").mark == "unknown"
    )


def test_the_movement_of_the_scores_stands_beside_its_own_limit() -> None:
    """The check tells which of its distances is nearest to its limit; that limit is the target, not another's."""
    moved = result("score drift", subject="champion", value=0.116, threshold=0.15, details={"by": "KS"})
    found = row(look(moved), "Prediction drift")
    assert (found.value, found.about, found.target) == ("0.116", "KS", "< 0.15")
    assert row(look(), "Prediction drift").target == "median moves < 0.05"


def test_the_trend_is_the_last_values_in_order() -> None:
    """Of several subjects the largest of each time."""

    def past(hours: int, value: float, subject: str = "") -> PastValue:
        at = NOW - timedelta(hours=hours)
        return PastValue(check_name="coverage", subject=subject, slot=at, value=value, threshold=None, severity="green")

    looked = look(result("coverage"), history=[past(8, 0.9), past(24, 0.7), past(16, 0.8, "x"), past(16, 0.85, "y")])
    assert row(looked, "Coverage").trend == [0.7, 0.85, 0.9]
