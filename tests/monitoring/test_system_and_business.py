"""The service, the arrivals and the business are judged with their evidence."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from leadgate.leads.profiles import moments_of
from leadgate.monitoring.business import Ratings, Won, amounts, ratings, usage
from leadgate.monitoring.evidence import with_evidence
from leadgate.monitoring.system import Arrivals, Service, coverage, errors, freshness, latency, uptime, volume
from stable_leads import RULES

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
EDGES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)


def service(
    counts: tuple[int, ...], *, failures: int = 0, reported: float = 1.0, known_s: float = 86_400, silent_s: float = 0
) -> Service:
    """What workers measured; they reported in a share of the time since their first report."""
    return Service(
        requests=sum(counts),
        failures=failures,
        edges_s=EDGES,
        latencies={"champion": counts},
        reported_s=reported * known_s,
        known_s=known_s,
        silent_s=silent_s,
    )


def arrivals(**known: object) -> Arrivals:
    """A quiet week."""
    quiet = {"last_scored_at": NOW, "window": 2_000, "before": (2_010, 1_990, 2_030, 1_980), "seen": 1_000}
    return Arrivals(**{**quiet, "scored": 990, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "severities"),
    (
        ((9_000, 900, 90, 10, 0, 0, 0), ["green", "green"]),
        ((9_000, 500, 100, 100, 300, 0, 0), ["green", "yellow"]),
        ((5_000, 0, 0, 0, 0, 5_000, 0), ["red", "red"]),
        ((95, 0, 0, 0, 0, 5, 0), ["green", "red"]),  # 5 % slow: surely more than 1 %, not surely more than 5 %
        ((50, 0, 0, 0, 0, 0, 0), ["unknown", "unknown"]),
    ),
)
def test_latency_needs_proof(counts: tuple[int, ...], severities: list[str]) -> None:
    """p95 and p99 alarm when surely more answers are slow than may be."""
    assert [f.severity for f in latency(service(counts), RULES)] == severities


@pytest.mark.parametrize(("failures", "severity"), ((0, "green"), (40, "green"), (120, "yellow"), (900, "red")))
def test_errors_need_proof(failures: int, severity: str) -> None:
    """0.5 % are allowed; 40 of 10,000 are below, 120 surely above, 900 beyond 5 %."""
    assert errors(service((10_000, 0, 0, 0, 0, 0, 0), failures=failures), RULES).severity == severity


def test_a_service_that_stopped_is_red() -> None:
    """It reported once and does not now; one that never reported is not known to exist."""
    assert uptime(service((0,) * 7, reported=0.0, silent_s=86_400), RULES).severity == "red"
    assert uptime(service((0,) * 7, reported=0.5, silent_s=43_200), RULES).severity == "red"
    assert uptime(service((0,) * 7, reported=0.99), RULES).severity == "yellow"
    assert uptime(service((0,) * 7, reported=0.9995), RULES).severity == "green"
    assert uptime(None, RULES).severity == "unknown"


def test_a_service_that_is_back_asks_nobody_to_run() -> None:
    """An outage of half a day that is over is told, and is no red: red is for what has to be looked at now."""
    found = uptime(service((0,) * 7, reported=0.5, silent_s=40), RULES)
    assert (found.severity, "one does now" in found.sentence) == ("yellow", True)


def test_the_next_report_may_be_on_its_way() -> None:
    """Ten minutes after the start, with a report each minute, nobody was away."""
    found = uptime(service((0,) * 7, reported=0.91, known_s=600, silent_s=54), RULES)
    assert (found.severity, found.value) == ("green", 1.0)


@pytest.mark.parametrize(("hours", "severity"), ((1, "green"), (5, "yellow"), (30, "red")))
def test_scores_have_to_be_fresh(hours: int, severity: str) -> None:
    """Less than four hours old; red after a day."""
    found = freshness(arrivals(last_scored_at=NOW - timedelta(hours=hours)), NOW, RULES)
    assert found.severity == severity


@pytest.mark.parametrize(
    ("window", "before", "severity"),
    (
        (2_000, (2_010, 1_990, 2_030, 1_980), "green"),
        (1_200, (2_010, 1_990, 2_030, 1_980), "yellow"),
        (100, (2_010, 1_990, 2_030, 1_980), "red"),
        (1_200, (2_000, 1_150, 2_900, 1_300), "green"),  # weeks that differ that much anyway
        (1_200, (2_000,), "unknown"),
    ),
)
def test_volume_is_held_against_the_weeks_before(window: int, before: tuple[int, ...], severity: str) -> None:
    """A change that the weeks before show among themselves is none."""
    assert volume(arrivals(window=window, before=before), RULES).severity == severity


@pytest.mark.parametrize(
    ("seen", "scored", "severity"),
    ((1_000, 990, "green"), (1_000, 900, "yellow"), (1_000, 600, "red"), (120, 112, "green"), (50, 10, "unknown")),
)
def test_coverage_needs_proof(seen: int, scored: int, severity: str) -> None:
    """112 of 120 are 93 %, and may well be 95 %."""
    assert coverage(arrivals(seen=seen, scored=scored), RULES).severity == severity


def test_smaller_deals_are_told_and_chance_is_not() -> None:
    """A fifth less on 400 deals is an alarm; on 40 deals of such scatter it is chance."""
    rng = np.random.default_rng(1)
    before = Won(deal_size=moments_of(rng.lognormal(9, 0.5, 400)), days_to_close=moments_of(rng.gamma(3, 5, 400)))
    smaller = Won(
        deal_size=moments_of(rng.lognormal(9, 0.5, 400) * 0.8), days_to_close=moments_of(rng.gamma(3, 5, 400))
    )
    few = Won(deal_size=moments_of(rng.lognormal(9, 1.5, 40) * 0.8), days_to_close=moments_of(rng.gamma(3, 5, 40)))
    assert [f.severity for f in with_evidence(amounts(smaller, before, RULES), 0.01)] == ["yellow", "green"]
    assert {f.severity for f in with_evidence(amounts(few, before, RULES), 0.01)} == {"green"}


def test_ratings_and_usage() -> None:
    """Below eight with an interval that says so; usage alarms only where leadgate.yaml counts on some."""
    assert ratings(Ratings(count=30, mean=6.0, deviation=1.0), RULES).severity == "yellow"
    assert ratings(Ratings(count=30, mean=7.8, deviation=1.0), RULES).severity == "green"
    assert ratings(Ratings(count=2, mean=1.0, deviation=0.0), RULES).severity == "unknown"
    assert usage(700, 7, RULES).severity == "unknown"
    counted = RULES.model_copy(update={"business": RULES.business.model_copy(update={"scores_a_day": 100})})
    assert [usage(n, 7, counted).severity for n in (700, 699, 0)] == ["green", "yellow", "yellow"]
