"""The drift page: what drifted most, how the values lie now, and how it came."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import _database
from leadgate.leads.baselines import baseline_to_bytes
from leadgate.leads.layout import cut
from leadgate.leads.monitoring_rules import DriftRules
from leadgate.leads.profile_bytes import profile_to_bytes
from leadgate.leads.profiles import Numeric, numeric_of
from leadgate.leads.project import Project
from leadgate.monitoring.watch import check
from leadgate.records import Route
from leadgate.storage.postgres.checks import CheckResult, PastFigures, figures_over_time, runs_by_length
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.profiles import HourKey, add_part, publish_baseline
from leadgate.storage.postgres.routes import add_route
from leadgate.views.drift_history import feature_history, scores_history
from leadgate.views.drift_rows import feature_rows, headline_of, p_text, ranked_features
from leadgate.views.drift_shapes import display_bins
from leadgate.views.wording import NONE
from shown import Shown, shown
from stable_leads import baseline, draw, profile

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ATTACK = "<script>alert(1)</script>"
NAME = "lead-scoring"
RULES = DriftRules()


def result(check_name: str, subject: str, severity: str, **known: Any) -> CheckResult:
    """What a check found."""
    usual: dict[str, Any] = {
        "run_id": "019e0000-0000-7000-8000-000000000001",
        "model_name": NAME,
        "checked_at": NOW,
        "since": NOW - 7 * DAY,
        "until": NOW,
        "area": "drift",
        "sentence": f"about {subject}",
        "value": 0.2,
        "threshold": 0.1,
        "low": None,
        "high": None,
        "level": None,
        "sample": 1_000,
        "p_value": 0.0001,
        "family": "drift",
        "weight": 1.0,
        "details": {},
    }
    return CheckResult(**{**usual, "check_name": check_name, "subject": subject, "severity": severity, **known})


def test_features_are_ranked_by_state_then_by_importance_times_distance() -> None:
    """What somebody should look at first is on top, each distance by its own limit.

    Red is before yellow, and a small move of what matters before a large one of what does not.
    """
    results = [
        result("feature drift", "green", "green", value=0.05),
        result("feature drift", "unimportant", "red", value=0.9, weight=0.01),
        result("feature drift", "spread", "red", value=3.0, threshold=1.5, weight=0.5),
        result("feature drift", "important", "red", value=0.3, weight=0.9),
        result("feature drift", "few", "unknown", value=None, threshold=None),
        result("feature drift", "yellow", "yellow"),
        result("score drift", "champion", "red"),
    ]
    assert [r.subject for r in ranked_features(results)] == [
        "important",
        "spread",
        "unimportant",
        "yellow",
        "few",
        "green",
    ]


def test_a_row_tells_the_worst_of_its_values_too_and_keeps_the_window_in_its_address() -> None:
    """A feature that has not drifted but is missing for half of the leads must not look well."""
    results = [
        result("feature drift", "a&b", "green", details={"ks": 0.0123, "js": 0.2, "psi": None}),
        result("missing values", "a&b", "red", sentence="half is missing"),
        result("range", "a&b", "green", sentence="all in range"),
        result("missing values", "other", "yellow"),
    ]
    (row,) = feature_rows(results, "a&b", {"days": "7"})
    assert (row.mark, row.values_mark, row.values_say) == ("green", "red", "half is missing")
    assert (row.ks, row.js, row.psi, row.chosen) == ("0.012", "0.200", NONE, True)
    assert row.address == "/ui/drift?days=7&feature=a%26b#feature"


@pytest.mark.parametrize(
    ("states", "scores", "mark", "says"),
    (
        (["green", "green", "unknown"], "green", "green", "no feature of 2 has drifted."),
        (["green"], "red", "red", "no feature of 1 has drifted; their scores have moved all the same."),
        (["yellow", "green"], "green", "yellow", "1 feature of 2 has drifted, f0."),
        (["red", "yellow", "yellow", "yellow"], "red", "red", "4 features of 4 have drifted, f0, f1, f2 and 1 more."),
        (["unknown"], "unknown", "unknown", "It cannot be said whether the leads are still"),
        ([], "unknown", "unknown", "no check of a feature is in the last run"),
    ),
)
def test_the_headline_answers_whether_the_leads_are_those_of_the_training(
    states: Sequence[str], scores: str, mark: str, says: str
) -> None:
    """Too little data is never told as well."""
    found = [result("feature drift", f"f{i}", state) for i, state in enumerate(states)]
    told = headline_of([*found, result("score drift", "champion", scores)], "2")
    assert told.mark == mark
    assert says in told.sentence


def test_a_version_without_a_baseline_is_the_reason_that_is_given() -> None:
    """Somebody can act on "train it again", not on "unknown"."""
    why = result("baseline", "champion", "unknown", sentence="version 1 has no baseline that this release reads")
    assert "version 1 has no baseline that this release reads." in headline_of([why], "1").sentence


@pytest.mark.parametrize(("p", "text"), ((None, NONE), (0.0, "< 0.001"), (0.0312, "0.031"), (1.0, "1.0")))
def test_p_values_are_short(p: float | None, text: str) -> None:
    """Nobody needs to know that chance is 1e-300."""
    assert p_text(p) == text


def sides(then: np.ndarray, now: np.ndarray) -> tuple[Numeric, Numeric, np.ndarray]:
    """Profiles of both, in bins cut from the first."""
    edges = cut(then)
    return numeric_of(then, edges), numeric_of(now, edges), edges


def test_bars_of_whole_numbers_are_named_by_them_and_count_as_numpy_does() -> None:
    """Visits of 3 are the bar 3, of leads at training and of those now."""
    rng = np.random.default_rng(1)
    then, now = rng.poisson(3, 5_000).astype(float), rng.poisson(5, 3_000).astype(float)
    names, before, after = display_bins(*sides(then, now))
    assert names[:4] == ["0", "1", "2", "3"]
    for values, share in ((then, before), (now, after)):
        assert share[:-2] == pytest.approx([(values == i).mean() for i in range(len(names) - 2)])
        assert share[-1] == pytest.approx((values > then.max()).mean()), names[-1]
    assert names[-1] == f"> {then.max():.0f}"


def test_bars_of_measured_numbers_are_equally_wide_and_count_as_numpy_does() -> None:
    """A histogram of quantile bins that were drawn as they are would be flat, whatever drifted."""
    rng = np.random.default_rng(2)
    then, now = rng.normal(50, 10, 20_000), rng.normal(60, 10, 20_000)
    names, before, after = display_bins(*sides(then, now))
    assert names.pop().startswith("> ")
    before, after = before[:-1], np.append(after[:-2], after[-2:].sum())
    lows = [float(name.split(NONE)[0]) for name in names]
    step = lows[1] - lows[0]
    assert np.allclose(np.diff(lows), step)
    for values, share in ((then, before), (now, after)):
        inside = np.clip(values, lows[0], lows[-1] + step / 2)
        counted = np.histogram(inside, [*lows, lows[-1] + step])[0] / len(values)
        assert share == pytest.approx(counted, abs=2e-3), "fine bins hold 1 of 12,500 each"


@given(
    then=st.lists(st.floats(-1e9, 1e9) | st.integers(-50, 50).map(float), min_size=1, max_size=60),
    now=st.lists(st.floats(-1e9, 1e9) | st.integers(-50, 50).map(float), min_size=1, max_size=60),
)
def test_all_values_are_in_at_most_31_bars_whatever_they_are(then: list[float], now: list[float]) -> None:
    """No value is lost or drawn twice, and a page never gets a thousand bars."""
    names, before, after = display_bins(*sides(np.array(then), np.array(now)))
    assert 1 <= len(names) == len(before) == len(after) <= 31
    assert before.sum() == pytest.approx(1)
    assert after.sum() == pytest.approx(1)


def past(day: int, value: float, severity: str = "red", **details: Any) -> PastFigures:
    """What a run found on a day."""
    at = NOW - (10 - day) * DAY
    return PastFigures(checked_at=at, value=value, threshold=0.1, severity=severity, details=details)


def test_the_distance_that_decided_is_drawn_with_its_limit() -> None:
    """A category that took over is red by its share; a line of JS below its limit alone would look well."""
    runs = [
        past(1, 0.02, by="JS divergence", js=0.02),
        past(2, 0.2, by="share of a category", js=0.03),
        past(3, 0.3, by="share of a category", js=0.05),
    ]
    chart = feature_history(runs, RULES, "industry")
    assert chart is not None
    assert [(s.name, list(s.y)) for s in chart.series] == [
        ("share of a category", [None, 0.2, 0.3]),
        ("JS divergence", [0.02, 0.03, 0.05]),
        ("limit", [0.1, 0.1]),
    ]
    assert list(chart.series[0].x) == [run.checked_at.timestamp() for run in runs]
    assert feature_history(runs[:1], RULES, "industry") is None, "one point is no line"


def test_a_spread_is_drawn_only_where_it_is_out() -> None:
    """A ratio of 1.0 is what it is in the best case, and decides for nothing better."""
    calm = [past(day, 1.0, "green", by="spread", ks=0.01 * day, js=0.0, spread=1.0) for day in (1, 2)]
    chart = feature_history(calm, RULES, "visits")
    assert chart is not None
    assert [(s.name, list(s.y)) for s in chart.series] == [("KS", [0.01, 0.02]), ("limit", [0.15, 0.15])]
    out = feature_history([*calm, past(3, 2.0, by="spread", ks=0.1, js=0.1, spread=2.0)], RULES, "visits")
    assert out is not None
    assert [(s.name, list(s.y)) for s in out.series] == [("spread", [1.0, 1.0, 2.0]), ("limit", [0.1, 0.1])]


def test_scores_are_drawn_by_what_decided_and_by_their_median() -> None:
    """The plan asks for the median; a percentile may have moved while it has not."""
    details: dict[str, Any] = {"by": "percentile change", "percentile change": 0.3, "median shift": 0.01}
    runs = [past(day, 0.3, **details) for day in (1, 2)]
    chart = scores_history(runs, RULES)
    assert chart is not None
    assert [s.name for s in chart.series] == [
        "percentile change",
        "median shift",
        "limit of percentile change",
        "limit of median shift",
    ]


def fill(database: str, project: Project) -> None:
    """A champion; a week of leads as at training, then a day of others, and checks of both."""
    rng = np.random.default_rng(7)
    made = baseline(rng, 6_000)
    sources = np.where(rng.random(1_500) < 0.5, ATTACK, "web")
    days = [draw(1_500, rng)] * 6 + [draw(1_500, rng, visits=rng.normal(16, 2, 1_500), source=sources)] * 2
    with connect(database) as connection:
        publish_baseline(connection, NAME, "1", baseline_to_bytes(made), layout=made.layout.digest, at=NOW)
        add_route(
            connection,
            Route(
                model_name=NAME,
                epoch=1,
                stage="full",
                champion="1",
                champion_digest="d",
                challenger=None,
                challenger_digest=None,
                share=0,
                salt="s",
                changed_at=NOW - 30 * DAY,
                changed_by="ana",
                reason="first",
            ),
        )
        for i, columns in enumerate(days):
            hour = (NOW - (8 - i) * DAY).replace(minute=0)
            key = HourKey(model_name=NAME, model_version="1", variant="champion", hour=hour, layout=made.layout.digest)
            add_part(connection, key, 1_500, profile_to_bytes(profile(made, columns)))
        connection.commit()
        for now in (NOW - 3 * DAY, NOW - 2 * DAY, NOW):
            check(connection, project, now)
        daily = project.model_copy(update={"monitoring": project.monitoring.model_copy(update={"window_days": 1})})
        check(connection, daily, NOW - timedelta(minutes=1))


@pytest.fixture(scope="module")
def site(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The dashboard of leads that have drifted, for tests that only read."""
    databases = _database(server, template)
    database = next(databases)
    with shown(tmp_path_factory.mktemp("drift"), database, NOW) as made:
        fill(database, made.sources.project())
        yield made
    next(databases, None)


def test_the_page_leads_with_the_feature_that_drifted_most(site: Shown) -> None:
    """Visits and source have changed; visits matter five times as much to the model."""
    page = site.page("/ui/drift")
    assert "The leads are not those that version 1 learned from any more: 2 features of 5 have drifted" in page.text
    order = re.findall(r'href="/ui/drift\?feature=(\w+)', page.html)
    assert order[0] == "visits"
    assert order.index("source") < order.index("size")
    assert "10,500 leads scored" in page.text
    charts = [attributes["id"] for attributes in page.attributes("figure")]
    assert charts == ["chart-values", "chart-history", "chart-scores", "chart-scores-history"]


def test_a_feature_shows_its_categories_and_what_was_never_seen(site: Shown) -> None:
    """Of two days of seven, half came from a source that no training lead had."""
    page = site.page("/ui/drift?feature=source")
    share = re.search(r"Of categories unseen at training ([\d.]+) % , most of them", page.text.replace("%,", "% ,"))
    assert share is not None
    assert float(share[1]) == pytest.approx(100 * 0.5 * 2 / 7, abs=1.5)
    assert "(unseen)" in page.html
    assert ATTACK not in page.html


def test_a_window_is_chosen_among_those_that_checks_judged(site: Shown) -> None:
    """A day shows what a week hides; a window that nobody judged is not made up."""
    week, day = site.page("/ui/drift?days=7"), site.page("/ui/drift?days=1&feature=visits")
    assert ("10,500 leads scored" in week.text, "1,500 leads scored" in day.text) == (True, True)
    links = [link["href"] for link in day.attributes("a") if "days=" in str(link.get("href"))]
    assert "/ui/drift?days=1&feature=visits" in links
    assert "/ui/drift?days=7&feature=visits" in links
    assert "windows that were judged: 1, 7" in site.page("/ui/drift?days=28", 404).text


def test_a_feature_that_is_not_there_is_a_sentence(site: Shown) -> None:
    """With those that there are, and whatever was typed stays text."""
    page = site.page(f"/ui/drift?feature={ATTACK}", 404)
    assert "The last checks know no feature" in page.text
    assert "visits" in page.text
    assert ATTACK not in page.html


def test_the_same_run_is_the_same_page(site: Shown) -> None:
    """A page that changed by itself would be sent to every viewer every ten seconds."""
    assert site.page("/ui/drift").html == site.page("/ui/drift").html


def test_checks_that_are_too_old_are_told_as_such(site: Shown, tmp_path: Path) -> None:
    """Red of last week is not red of now, and green is not green."""
    url = site.sources.reader._url
    with shown(tmp_path, url, NOW + 30 * DAY) as later:
        page = later.page("/ui/drift")
    assert "When last checked: The leads are not those" in page.text
    assert "too old" in page.text
    assert {"id": "standing", "class": "standing unknown", "data-live": None} in page.attributes("section")


def test_before_any_check_the_page_says_what_makes_one(database: str, tmp_path: Path) -> None:
    """An empty project leads on."""
    with shown(tmp_path, database, NOW) as site:
        page = site.page("/ui/drift")
    assert "Nothing is known yet: no check has run." in page.text
    assert "leadgate check run" in page.text


def test_a_check_without_profile_or_baseline_is_no_good_news(database: str, tmp_path: Path) -> None:
    """A project whose champion has scored nothing is not one without drift."""
    with shown(tmp_path, database, NOW) as site:
        with connect(database) as connection:
            check(connection, site.sources.project(), NOW)
        page = site.page("/ui/drift")
    assert "It cannot be said whether the leads are still" in page.text
    assert page.attributes("figure") == []


def test_the_history_has_the_last_run_of_each_slot_and_no_other_window(site: Shown) -> None:
    """Runs over a day are other figures than runs over a week; of several in a slot the last one counts."""
    with site.sources.reader.connection() as connection:

        def days(length: float, every: timedelta) -> list[timedelta]:
            found = figures_over_time(
                connection,
                NAME,
                check="feature drift",
                subject="visits",
                since=NOW - 28 * DAY,
                until=NOW,
                every=every,
                days=length,
            )
            return [NOW - each.checked_at for each in found]

        assert days(7, DAY) == [3 * DAY, 2 * DAY, timedelta(0)]
        assert days(7, 4 * DAY) == [timedelta(0)]
        assert days(1, DAY) == [timedelta(minutes=1)]
        runs = runs_by_length(connection, NAME, [1, 7, 28], since=NOW - 10 * DAY, now=NOW - DAY)
        assert [(run.checked_at, run.until - run.since) for run in runs] == [(NOW - 2 * DAY, 7 * DAY)]
