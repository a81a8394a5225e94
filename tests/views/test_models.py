"""The versions on their page: what PostgreSQL knows without the registry, and what the registry adds."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from conftest import _database
from leadgate.app.profiling import publish
from leadgate.app.wire import Home
from leadgate.chain import Entry, seal
from leadgate.leads.baselines import baseline_to_bytes
from leadgate.models.comparing import compare_versions
from leadgate.models.evaluation import compare
from leadgate.models.registry import Registry, Version
from leadgate.records import Route
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.checks import CheckResult, VersionSpan, add_results, last_in_spans
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.profiles import publish_baseline
from leadgate.storage.postgres.rollouts import NewRollout, SignOff, add_rollout, add_sign_off
from leadgate.storage.postgres.routes import add_route
from leadgate.views.model_contest import verdict_of
from leadgate.views.model_curves import Graded, calibration_chart, graded, importance_chart, lift_chart
from leadgate.views.model_rows import role_of, spans_of, stints_of
from leadgate.views.model_sheet import acts_of, disagreement
from leadgate.views.registered import Registered
from leadgate.views.sources import Sources
from leadgate.views.waiting import Patience
from shown import Shown, shown
from stable_leads import baseline

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>"
NAME = "lead-scoring"


def route(
    epoch: int, stage: Literal["full", "shadow", "canary", "ab_test"], champion: str, challenger: str | None, share: int
) -> Route:
    """A route that was put in force on its day."""
    return Route(
        model_name=NAME,
        epoch=epoch,
        stage=stage,
        champion=champion,
        champion_digest="d",
        challenger=challenger,
        challenger_digest=challenger and "d",
        share=share,
        salt="s",
        changed_at=NOW - timedelta(days=10 - epoch),
        changed_by=f"ana {ATTACK}",
        reason=f"route {epoch} {ATTACK}",
    )


ROUTES = [
    route(4, "canary", "2", "3", 1_000),
    route(3, "full", "2", None, 0),
    route(2, "ab_test", "1", "2", 5_000),
    route(1, "full", "1", None, 0),
]
"""The present one first: version 2 beat version 1, and version 3 is tried."""


def version(number: str, *aliases: str, **tags: str) -> Version:
    """As the registry lists it."""
    return Version(name=NAME, version=number, aliases=aliases, created_at=NOW, run_id="r", source="s", tags=tags)


def drawn(number: str, **quality: Any) -> Graded:
    """A calibrated version."""
    made = baseline(np.random.default_rng(int(number)), 4_000)
    return graded(number, replace(made, quality=replace(made.quality, **quality)))


@pytest.mark.parametrize(
    ("which", "routes", "registered", "plan", "says"),
    (
        ("2", ROUTES, version("2", "champion"), "Production", "answers 90 % of the leads"),
        ("2", ROUTES[1:], None, "Production", "answers every lead"),
        ("3", ROUTES, None, "Staging", "canary: answers 10 %"),
        ("2", [route(2, "shadow", "1", "2", 0)], None, "Staging", "shadow: is scored beside, and answers none"),
        ("1", ROUTES, version("1", archived_at="x", archived_because="replaced"), "Archived", "replaced"),
        ("1", ROUTES, None, "Archived", "answers no more"),
        ("4", ROUTES, version("4"), "None", "has not been tried"),
        ("4", ROUTES, version("4", "challenger"), "Staging", "named by the registry; not on the route"),
        ("1", [], version("1", "champion"), "Production", "named by the registry; no route is in force"),
    ),
)
def test_a_version_has_the_plans_word_for_what_it_does(
    which: str, routes: list[Route], registered: Version | None, plan: str, says: str
) -> None:
    """Production answers, Staging is tried, Archived does no more: by the route, with its share of the leads."""
    role = role_of(which, routes, registered)
    assert (role.plan, role.says) == (plan, says)


def test_a_version_answered_from_its_route_to_the_next() -> None:
    """An auditor who has the hour of a score finds the version that gave it, and at which share."""
    told = [(s.role, s.stage, s.share, s.since, s.until) for s in stints_of("2", ROUTES)]
    day = [NOW - timedelta(days=10 - epoch) for epoch in range(5)]
    assert told == [
        ("champion", "canary", 0.9, day[4], None),
        ("champion", "full", 1.0, day[3], day[4]),
        ("challenger", "ab_test", 0.5, day[2], day[3]),
    ]
    assert stints_of("9", ROUTES) == []


def test_live_figures_are_looked_for_where_the_version_was_last_judged() -> None:
    """A challenger that became champion has the champion's figures; one that is over, those of its last days."""
    spans = spans_of(["1", "2", "3", "9"], ROUTES, NOW, timedelta(hours=12))
    half = timedelta(hours=12)
    assert spans == [
        VersionSpan(version="1", subject="champion", since=ROUTES[1].changed_at - half, until=ROUTES[1].changed_at),
        VersionSpan(version="2", subject="champion", since=NOW - half, until=NOW),
        VersionSpan(version="3", subject="challenger", since=NOW - half, until=NOW),
    ]


def entry(act: str, subject: str, **details: Any) -> Entry:
    """Of the audit log."""
    return seal(after=None, at=NOW, actor="ana", act=act, subject=subject, details=details)


def test_the_audit_log_tells_who_gave_a_version_its_names() -> None:
    """Registered, challenger, champion, replaced: each once, and nothing of other versions or models."""
    moved = {"before": {"champion": "1", "challenger": "2"}, "after": {"champion": "2", "challenger": None}}
    entries = [
        entry("model.follow_route", f"model {NAME}", **moved, reason="route 5"),
        entry("model.follow_route", "model another", **moved, reason="route 9"),
        entry("model.register", f"{NAME} version 2", kind="x"),
        entry("model.register", f"{NAME} version 22", kind="x"),
        entry("model.promote", f"model {NAME}", before={"champion": "7"}, after={"champion": "8"}),
    ]
    assert [(act.what, act.reason) for act in acts_of("2", entries, NAME)] == [
        ("became champion, is challenger no more", "route 5"),
        ("registered", ""),
    ]
    assert [act.what for act in acts_of("1", entries, NAME)] == ["is champion no more"]


@pytest.mark.parametrize("details", ("not JSON", "[1]", '{"before": 1, "after": null}'))
def test_a_forged_entry_takes_no_page_away(details: str) -> None:
    """The page of the audit log says that it is forged; the version's own page goes on."""
    forged = replace(entry("model.register", f"{NAME} version 2"), details=details, happened_at="yesterday")
    assert [(act.what, act.happened_at) for act in acts_of("2", [forged], NAME)] == [("registered", None)]


@pytest.mark.parametrize(
    ("registered", "role", "told"),
    (
        (None, "champion", False),
        (version("2", "champion"), "champion", False),
        (version("2"), "archived", False),
        (version("2", "champion"), "archived", True),
        (version("2"), "champion", True),
    ),
)
def test_a_registry_that_names_another_version_is_told(registered: Version | None, role: str, told: bool) -> None:
    """Other tools go by the registry's names; where they differ from what answers, somebody has to know."""
    assert bool(disagreement("2", role, registered)) == told


@pytest.mark.parametrize(("noise", "says"), ((0.0, "better"), (2.5, "worse"), (1.0, "cannot be said")))
def test_a_verdict_says_only_what_the_interval_shows(noise: float, says: str) -> None:
    """Better or worse where the whole interval is; otherwise that it cannot be said, with the same figures."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=1_500)
    converted = rng.random(1_500) < 1 / (1 + np.exp(-2 * truth))
    score = {name: 1 / (1 + np.exp(-truth - by * rng.normal(size=1_500))) for name, by in (("a", 1.0), ("b", noise))}
    if says == "cannot be said":
        score["b"] = score["a"] + rng.normal(size=1_500) * 1e-4
    found = compare(converted, score["a"], score["b"], 0.5)
    told = verdict_of("1", "2", found)
    assert says in told
    assert f"{found.auc.difference:+.4f}" in told
    assert "DeLong) on the same 1,500 leads." in told


def test_lift_is_the_rate_of_each_tenth_over_that_of_all_the_best_first() -> None:
    """The bar that the sales manager reads: what calling the top tenth alone would bring."""
    each = drawn("1")
    base = float(each.won.sum() / (each.won.sum() + each.lost.sum()))
    (series,) = lift_chart([each]).series
    lifts = [float(y or 0) for y in series.y]
    assert lifts == sorted(lifts, reverse=True)
    assert np.mean(lifts) == pytest.approx(1.0, abs=0.01)
    leads = np.repeat(np.arange(len(each.won)), each.won + each.lost)
    edge = np.quantile(leads, 0.9)
    top = float(each.won[np.arange(len(each.won)) > edge].sum() / (leads > edge).sum())
    assert lifts[0] == pytest.approx(top / base, rel=0.02)
    assert lift_chart([replace(each, won=each.won * 0, quality=replace(each.quality, base_rate=0.0))]).says == (
        "No held-out lead converted."
    )


def test_leads_of_equal_scores_are_no_tenth() -> None:
    """A version that knows three scores has three bars: the first is not called the top tenth."""
    each = drawn("1")
    won, lost = np.zeros_like(each.won), np.zeros_like(each.lost)
    won[[100, 5_000, 9_000]], lost[[100, 5_000, 9_000]] = (10, 20, 30), (90, 80, 70)
    chart = lift_chart([replace(each, won=won, lost=lost, quality=replace(each.quality, base_rate=0.2))])
    assert list(chart.series[0].y) == [1.5, 1.0, 0.5]
    assert "top tenth" not in chart.says
    assert "fewer parts than ten" in chart.says


def test_a_calibrated_version_lies_on_the_line_and_two_are_drawn_without_bands() -> None:
    """Bands of two versions would hide both."""
    band, line, truth = calibration_chart([drawn("1")]).series
    assert band.kind == "band"
    inside = [low <= x <= high for x, low, high in zip(line.x, band.low, band.y, strict=True)]  # type: ignore[operator]
    assert sum(inside) >= 8, "95 % intervals of ten calibrated tenths"
    assert (truth.dashed, [s.kind for s in calibration_chart([drawn("1"), drawn("2")]).series]) == (True, ["line"] * 3)


def test_importance_is_ranked_and_left_out_where_nothing_is_known() -> None:
    """The feature that the version leans on most is on top."""
    chart = importance_chart(drawn("1"))
    assert chart is not None
    assert list(chart.series[0].x) == ["visits", "size", "source", "opens", "demo"]
    assert importance_chart(replace(drawn("1"), importance={})) is None


def live_auc(run: str, arm: str, value: float | None, at: datetime, check: str = "AUC") -> CheckResult:
    """What a check found on matured outcomes."""
    known = value is not None
    return CheckResult(
        run_id=run,
        model_name=NAME,
        checked_at=at,
        since=at - timedelta(days=7),
        until=at,
        area="model",
        check_name=check,
        subject=arm,
        severity="green" if known else "unknown",
        sentence=f"about {arm} {ATTACK}",
        value=value,
        threshold=0.75,
        low=0.78 if known else None,
        high=0.82 if known else None,
        level=0.95,
        sample=5_000,
        p_value=None,
        family=None,
        weight=1.0,
        details={},
    )


def fill(database: str) -> None:
    """Three versions with baselines, their routes, a sign-off, live figures of the present champion."""
    with connect(database) as connection:
        for number in ("1", "2", "3"):
            made = baseline(np.random.default_rng(int(number)), 4_000)
            content = baseline_to_bytes(made)
            publish_baseline(connection, NAME, number, content, layout=made.layout.digest, at=NOW)
        for each in reversed(ROUTES):
            add_route(connection, each)
        rollout = add_rollout(
            connection,
            NewRollout(
                model_name=NAME,
                champion="1",
                champion_digest="d",
                challenger="2",
                challenger_digest="d",
                challenger_author="ana",
                salt="s",
                rules={},
                design=None,
                started_at=NOW,
                started_by="ana",
            ),
        )
        given = SignOff(stage="ab_test", stage_since=NOW, approved_by=ATTACK, approved_at=NOW, comment=ATTACK)
        add_sign_off(connection, rollout, given)
        details = {"before": {"champion": "1"}, "after": {"champion": "2"}, "reason": ATTACK}
        append_entry(connection, at=NOW, actor=ATTACK, act="model.promote", subject=f"model {NAME}", details=details)
        runs = [
            ("019e0000-0000-7000-8000-000000000001", 0.80, timedelta(hours=2)),
            ("019e0000-0000-7000-8000-000000000002", 0.81, timedelta(hours=1)),
            ("019e0000-0000-7000-8000-000000000003", None, timedelta(minutes=5)),
        ]
        for run, value, ago in runs:
            add_results(connection, [live_auc(run, "champion", value, NOW - ago)])
        add_results(connection, [live_auc(runs[1][0], "champion", 0.79, NOW - runs[1][2], "feedback bias")])


@pytest.fixture(scope="module")
def filled(server: str, template: str) -> Iterator[str]:
    """A database that tests read."""
    databases = _database(server, template)
    database = next(databases)
    fill(database)
    yield database
    next(databases, None)


@pytest.fixture
def site(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """Its dashboard, whose registry is out of order."""

    def broken() -> Registry:
        raise ConnectionError(f"no route to the registry {ATTACK}")

    patience = Patience(wait_s=30)
    monkeypatch.setattr("leadgate.views.pages.models.registered", lambda _: Registered(broken, patience))
    with shown(tmp_path, filled, NOW) as made:
        yield made


def test_the_list_holds_while_the_registry_is_down_and_says_so(site: Shown) -> None:
    """Who answers, how good it was and is: that must not wait for MLflow."""
    page = site.page("/ui/models")
    assert "The registry does not answer: no route to the registry" in page.text
    assert "Version 2 Production champion, answers 90 % of the leads" in page.text
    assert "Version 3 Staging challenger, canary: answers 10 %" in page.text
    assert "Version 1 Archived answers no more" in page.text
    assert "0.800 (0.790 to 0.810)" in page.text, "held out, from the baseline"
    assert "0.810 (0.780 to 0.820) on 5,000 leads" in page.text, "on matured outcomes: the last one that has a value"


def test_a_version_shows_its_figures_routes_and_sign_offs_without_the_registry(site: Shown) -> None:
    """Half of what an auditor asks is in PostgreSQL; of the other half the page says where it is."""
    page = site.page("/ui/models?version=2")
    for expected in (
        "Challenger , A/B test, 50 % of the leads",
        "Champion , canary, 90 % of the leads",
        "0.790 (0.780 to 0.820) by 5,000 explored leads",
        "Rollout 1 , out of A/B test",
        "Entry 1 : became champion",
        "The registry keeps this, and does not answer.",
    ):
        assert expected in page.text
    charts = [attributes["id"] for attributes in page.attributes("figure")]
    assert charts == ["chart-roc", "chart-calibration", "chart-lift", "chart-scores", "chart-importance"]


def test_two_versions_are_drawn_over_each_other_without_the_registry(site: Shown) -> None:
    """What cannot be said yet is said to be unknown, never left to be guessed."""
    page = site.page("/ui/models?a=1&b=3")
    assert "Version 1 against version 3" in page.text
    assert "How they compare on the same leads is not known yet." in page.text
    assert [a["id"] for a in page.attributes("figure")] == ["chart-roc", "chart-calibration", "chart-lift"]


@pytest.mark.parametrize(
    ("asked", "says"),
    (
        ("version=9", "There is no version &#39;9&#39;; there are: 3, 2, 1."),
        (f"version={ATTACK}", "There is no version &#39;&lt;script&gt;"),
        ("a=1&b=9", "There is no version &#39;9&#39;"),
        ("a=2&b=2", "A comparison takes two versions"),
        ("a=2", "A comparison takes two versions"),
    ),
)
def test_a_version_that_is_not_there_is_a_sentence(site: Shown, asked: str, says: str) -> None:
    """Somebody who mistypes a number learns which there are."""
    assert says in site.page(f"/ui/models?{asked}", 404).html


@pytest.mark.parametrize("asked", ("", "?version=2", "?version=3", "?a=2&b=3"))
def test_what_people_typed_stays_text(site: Shown, asked: str) -> None:
    """A name, a reason, a comment or an error that holds a script runs nowhere."""
    html = site.page(f"/ui/models{asked}").html
    assert ATTACK not in html
    assert asked == "?a=2&b=3" or "&lt;script&gt;" in html


def test_a_project_without_a_version_says_what_makes_one(database: str, tmp_path: Path) -> None:
    """The first look at an empty project leads on."""
    with shown(tmp_path, database, NOW) as site:
        page = site.page("/ui/models")
    assert "No version has been trained yet." in page.text
    assert "leadgate train" in page.text


def test_the_registry_adds_the_card_the_lineage_and_the_paired_test(
    own_workshop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page says of a version is what the registry holds, digest by digest, and DeLong's own figures."""
    patience = Patience(wait_s=60)

    def patient(sources: Sources) -> Registered:
        return Registered(sources.registry, patience)

    monkeypatch.setattr("leadgate.views.pages.models.registered", patient)
    registry = own_workshop.registry
    first, second = registry.versions()
    for each in (first, second):
        publish(own_workshop, each)
    database = own_workshop.settings.database_url
    assert database is not None
    with shown(own_workshop.folder, database, NOW) as site:
        listed, sheet = site.page("/ui/models"), site.page("/ui/models?version=2")
        contest = site.page("/ui/models?a=1&b=2")
    assert "logistic regression" in listed.text
    assert "hist gradient boosting" in listed.text
    for tag in ("data_snapshot_digest", "feature_set_hash", "model_digest", "lock_digest", "author"):
        assert second.tags[tag] in sheet.text
    segments = registry.card(second).evaluation.segments
    assert all(each.value in sheet.text for each in segments)
    paired = compare_versions(registry, first, second).auc
    assert f"AUC {paired.difference:+.4f} (95 % {paired.interval.low:+.4f} to" in contest.text


def test_a_span_without_a_figure_has_none(filled: str) -> None:
    """A version that no check could judge has no live figure; not that of another time, arm or model."""
    span = VersionSpan(version="2", subject="champion", since=NOW - timedelta(days=1), until=NOW)
    with connect(filled) as connection:
        (found,) = last_in_spans(connection, NAME, "AUC", [span])
        assert (found.version, found.value) == ("2", 0.81)
        for other in (
            replace(span, subject="challenger"),
            replace(span, until=NOW - timedelta(hours=3)),
            replace(span, since=NOW - timedelta(minutes=30)),
        ):
            assert last_in_spans(connection, NAME, "AUC", [other]) == []
        assert last_in_spans(connection, "another", "AUC", [span]) == []
