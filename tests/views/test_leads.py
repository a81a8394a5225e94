"""The page of a lead: its scores, why it has them, who let that version answer, what became of it."""

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from leadgate.app.wire import Home
from leadgate.errors import LeadgateError
from leadgate.leads.project import OutcomeRules
from leadgate.models.bundles import fetch, load_bundle
from leadgate.models.reasons import reasons_of
from leadgate.models.scorers import Scored
from leadgate.records import Contact, Outcome, Prediction, Route
from leadgate.rollout.routing import bucket
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.contacts import record_contacts
from leadgate.storage.postgres.outcomes import LeadOutcome, record_outcomes
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.predictions import LeadScore, copy_predictions
from leadgate.storage.postgres.rollouts import NewRollout, SignOff, Step, add_rollout, add_sign_off, add_step
from leadgate.storage.postgres.routes import add_route
from leadgate.views.lead_story import assignment_of, chart_of, command_of, outcome_of, value_text
from shown import Page, Shown, shown

NOW = datetime(2026, 7, 2, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>"
LEAD = f"L-7&{ATTACK}"

ROUTE = Route(
    model_name="lead-scoring",
    epoch=1,
    stage="full",
    champion="1",
    champion_digest="a" * 64,
    challenger=None,
    challenger_digest=None,
    share=0,
    salt="salt",
    changed_at=NOW - timedelta(days=30),
    changed_by="ana",
    reason=f"the first {ATTACK}",
)
AB_TEST = replace(
    ROUTE,
    epoch=2,
    stage="ab_test",
    challenger="2",
    challenger_digest="b" * 64,
    share=5_000,
    changed_at=NOW - timedelta(days=10),
    changed_by="rollout controller",
    reason="every gate passes",
)
SCORE = LeadScore(
    prediction_id=UUID(int=7),
    lead_id="L-1",
    scored_at=NOW - timedelta(days=9),
    model_version="2",
    variant="challenger",
    predicted_score=0.25,
    priority="medium",
    features={},
    latency_ms=0.4,
    batch_size=1,
    request_id="r",
    route_epoch=2,
    shadow_version=None,
    shadow_score=None,
)
OUTCOME = LeadOutcome(converted=True, deal_size=None, days_to_close=None, outcome_at=NOW, recorded_at=NOW, source="crm")


def prediction(number: int, at: datetime, *, lead: str = LEAD, score: float = 0.5, **other: Any) -> Prediction:
    """A logged score by version 1."""
    values: dict[str, Any] = {
        "prediction_id": str(UUID(int=number)),
        "lead_id": lead,
        "scored_at": at,
        "model_name": "lead-scoring",
        "model_version": "1",
        "variant": "champion",
        "predicted_score": score,
        "priority": "high",
        "features": msgspec.json.encode({"industry": ATTACK, "company_size": 120}),
        "latency_ms": 0.4,
        "batch_size": 1,
        "request_id": f"request {number}",
        "route_epoch": 1,
    }
    return Prediction(**{**values, **other})


def log(database: str, predictions: Sequence[Prediction]) -> None:
    """Write them into the log."""
    with connect(database) as connection:
        ensure_partitions(connection, {p.scored_at.date() for p in predictions})
        copy_predictions(connection, predictions)


def unreachable(version: str) -> None:
    """A registry that does not answer."""
    raise LeadgateError(f"version {version}: nobody answers")


@pytest.fixture
def site(tmp_path: Path, database: str) -> Iterator[Shown]:
    """A dashboard with two scores of a lead, of another one, an outcome, a contact; its registry is away."""
    with connect(database) as connection:
        add_route(connection, ROUTE)
        record_outcomes(
            connection,
            [
                Outcome(
                    lead_id=LEAD,
                    converted=True,
                    deal_size=1_250.0,
                    days_to_close=3.0,
                    outcome_at=NOW - timedelta(days=1),
                    source=f"CRM {ATTACK}",
                )
            ],
            NOW,
        )
        record_contacts(connection, [Contact(lead_id=LEAD, contacted_at=NOW - timedelta(days=2), source="CRM")], NOW)
    log(
        database,
        [
            prediction(1, NOW - timedelta(days=5), score=0.31, shadow_version="2", shadow_score=0.77),
            prediction(2, NOW - timedelta(days=3), score=0.83),
            prediction(3, NOW, lead="L-8"),
            prediction(4, NOW, model_name="other-model", score=0.99),
        ],
    )
    with shown(tmp_path, database, NOW) as made:
        yield _away(made)


def _away(site: Shown) -> Shown:
    object.__setattr__(site.sources, "fetch", unreachable)
    return site


def page_of(site: Shown, lead: str = LEAD, **more: str) -> Page:
    """The page of a lead."""
    answer = site.client.get("/ui/leads", params={"lead": lead, **more})
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def test_a_lead_is_found_by_its_id_and_no_other_is_shown(site: Shown) -> None:
    """Its scores by this model, newest first, and what became of it; nothing of anybody else."""
    page = page_of(site)
    assert "0.83, priority high" in page.text
    assert page.text.index("request 2") < page.text.index("request 1")
    assert "version 2: 0.7700" in page.text
    assert "It converted, 4.0 days after its first score." in page.text
    assert "deal of 1250" in page.text
    assert "L-8" not in page.text
    assert "0.99" not in page.text


def test_the_first_score_is_the_first_though_it_is_not_shown(site: Shown, database: str) -> None:
    """Of a lead that is scored all the time the last fifty came after its outcome, which was foreseen all the same."""
    log(database, [prediction(100 + i, NOW - timedelta(minutes=i)) for i in range(60)])
    page = page_of(site)
    assert "It converted, 4.0 days after its first score." in page.text
    assert "the last 50" in page.text


def test_nobody_is_listed(site: Shown) -> None:
    """Leads are people: nothing is shown of whom nobody asked for."""
    page = site.page("/ui/leads")
    assert "Type the id of a lead" in page.text
    assert "L-7" not in page.html
    assert "L-8" not in page.html


def test_an_unknown_lead_is_a_sentence(site: Shown) -> None:
    """And the id that was typed stays text."""
    page = page_of(site, f"nobody {ATTACK}")
    assert "it was never scored by this model" in page.text
    assert ATTACK not in page.html


def test_what_came_from_outside_stays_text(site: Shown) -> None:
    """An id, a category, a source, a reason: none of them runs."""
    page = page_of(site)
    assert page.text.count(ATTACK) >= 4
    assert ATTACK not in page.html


def test_an_older_score_is_shown_by_its_own_values(site: Shown) -> None:
    """Each score leads to what is known of it; one that is not the lead's is none."""
    page = page_of(site)
    older = next(str(link["href"]) for link in page.attributes("a") if "score=" in str(link.get("href")))
    chosen = site.page(older)
    assert "0.31, priority high" in chosen.text
    assert "not its last score" in chosen.text
    answer = site.client.get("/ui/leads", params={"lead": LEAD, "score": str(UUID(int=3))})
    assert answer.status_code == 404


def test_a_version_that_cannot_be_fetched_leaves_the_rest_of_the_page(site: Shown) -> None:
    """The registry may be down; the log, the route and the acts are not."""
    page = _when(site, "nobody answers")
    assert "The reasons are not here" in page.text
    assert "Company size" in page.text
    assert "Route 1 came in force" in page.text


def test_the_reasons_are_those_of_the_version_that_gave_the_score(
    tmp_path: Path, database: str, workshop: Home
) -> None:
    """The same as the version itself says, beside that it gives the logged values the logged score again."""
    scored = _bundle(workshop, tmp_path, "1")
    values = dict(zip([f.name for f in scored.card.lead.used], scored.card.example, strict=True))
    given = scored.scorer.score(scored.card.example)
    own: dict[str, Any] = {"features": msgspec.json.encode(values), "score": given}
    log(database, [prediction(1, NOW, lead="L-1", **own), prediction(2, NOW, lead="L-2", **{**own, "score": 0.123})])
    with connect(database) as connection:
        add_route(connection, replace(ROUTE, champion_digest=scored.card.model_digest))
    with shown(tmp_path, database, NOW) as site:
        page = _when(_away(site), "What moves this one", lead="L-1")
        changed = page_of(site, "L-2")
    expected = reasons_of(scored, values)
    assert expected.reasons
    for reason in (*expected.raising(), *expected.lowering()):
        assert reason.sentence in page.text
    assert "the same score again" in page.text
    assert "the row or the version has been changed" in changed.text


def test_another_model_under_the_same_number_explains_nothing(tmp_path: Path, database: str, workshop: Home) -> None:
    """Its reasons would be those of another score: the route says which model answered."""
    _bundle(workshop, tmp_path, "1")
    with connect(database) as connection:
        add_route(connection, ROUTE)
    log(database, [prediction(1, NOW)])
    with shown(tmp_path, database, NOW) as site:
        object.__setattr__(site.sources, "fetch", lambda _: None)
        page = _when(site, "another model now")
    assert "What moves this one" not in page.text


def test_an_auditor_sees_who_approved_the_model(tmp_path: Path, database: str) -> None:
    """The rollout that brought it, its evidence, its sign-offs before the score, and the route in force; none after."""
    at = NOW - timedelta(days=9)
    with connect(database) as connection:
        add_route(connection, ROUTE)
        add_route(connection, AB_TEST)
        number = add_rollout(connection, _rollout())
        for n, (act, stage, when) in enumerate(
            (("start", "shadow", at - timedelta(days=20)), ("finish", "full", at + timedelta(days=3))), start=1
        ):
            add_step(connection, _step(number, n, act, stage, when))
        for name, when in (("Sam", at - timedelta(days=12)), ("Eve", at + timedelta(days=1))):
            given = SignOff(stage="shadow", stage_since=at, approved_by=name, approved_at=when, comment=f"by {name}")
            add_sign_off(connection, number, replace(given, stage="shadow" if name == "Sam" else "ab_test"))
    challenger: dict[str, Any] = {"model_version": "2", "variant": "challenger", "route_epoch": 2}
    log(database, [prediction(1, at, lead="L-1", **challenger)])
    with shown(tmp_path, database, NOW) as site:
        page = page_of(_away(site), "L-1")
    assert "Stage shadow of rollout 1 was signed off. by Sam" in page.text
    assert "Eve" not in page.text
    assert "Rollout 1: start, stage shadow." in page.text
    assert "finish" not in page.text
    assert "Route 2 came in force: stage A/B test, champion 1, challenger 2, 50 % to the challenger." in page.text
    assert "b" * 64 in page.text
    assert "signed this version off" not in page.text


def test_a_version_that_no_rollout_brought_says_so(site: Shown) -> None:
    """And by which route it answers, set by whom, and why."""
    page = page_of(site)
    assert "No rollout brought this version" in page.text
    assert "Route 1 came in force: stage full, champion 1. by ana" in page.text


@pytest.mark.parametrize("lead", ("L-1", "L-2", "L-3", "L-4"))
def test_the_page_names_the_arm_that_routing_gives_the_lead(lead: str) -> None:
    """The same bucket as the service computes."""
    arm = "challenger, version 2" if bucket("salt", lead) < 5_000 else "champion, version 1"
    assert f"assigned to the {arm} (A/B test, 50 %" in assignment_of(AB_TEST, lead)


def test_who_answers_where_nobody_is_assigned() -> None:
    """Without a route, with a champion alone, and with a shadow."""
    assert assignment_of(None, "L-1") == "No version answers yet: there is no route."
    assert assignment_of(ROUTE, "L-1") == "Version 1 answers every lead."
    shadow = assignment_of(replace(AB_TEST, stage="shadow", share=0), "L-1")
    assert shadow.startswith("Version 1 answers every lead; version 2 is scored beside it")


@pytest.mark.parametrize(
    ("days", "said"),
    (
        (1.5, "It converted, 1.5 days after its first score."),
        (8.0, "It converted, 8.0 days after its first score: later than the 7 days in which an outcome counts."),
        (
            -1.0,
            "It converted, before it was first scored: the score cannot have foreseen it, so it is left out.",
        ),
    ),
)
def test_an_outcome_counts_within_its_window(days: float, said: str) -> None:
    """As matching has it: from the first score on, within the window, both ends included."""
    outcome = replace(OUTCOME, outcome_at=SCORE.scored_at + timedelta(days=days))
    assert outcome_of([outcome], SCORE.scored_at, OutcomeRules(window_days=7)) == said


def test_silence_means_what_the_project_says_it_means() -> None:
    """Left out, or not converted; and when that is known."""
    lost = OutcomeRules(window_days=7, silence_means="not_converted")
    assert "ends 2026-06-30" in outcome_of([], SCORE.scored_at, lost)
    assert "counts as not converted" in outcome_of([], SCORE.scored_at, lost)
    assert "is left out" in outcome_of([], SCORE.scored_at, OutcomeRules(window_days=7))
    assert outcome_of([], None, lost) == "Nothing was reported of it."
    assert outcome_of([OUTCOME], None, lost) == "It converted."


def test_scores_are_drawn_from_the_second_on_oldest_first() -> None:
    """One score is no line; a shadow is drawn where there was one."""
    assert chart_of([SCORE]) is None
    older = replace(SCORE, scored_at=SCORE.scored_at - timedelta(days=1), predicted_score=0.75, shadow_score=0.5)
    chart = chart_of([SCORE, older])
    assert chart is not None
    assert [list(series.y) for series in chart.series] == [[0.75, 0.25], [0.5, None]]
    assert list(chart.series[0].x) == sorted(chart.series[0].x)


@pytest.mark.parametrize("lead", ("L-1", "it's; rm -rf /", "--all", "$(x)"))
def test_the_command_names_the_lead_whatever_its_id_is(lead: str) -> None:
    """It can be pasted into a shell; an older score is asked for up to the second after it."""
    assert shlex.split(command_of(lead, SCORE, last=True))[-1] == lead
    assert ("--" in shlex.split(command_of(lead, SCORE, last=True))) == lead.startswith("-")
    assert "--at 2026-06-23T12:00:01" in command_of(lead, SCORE, last=False)


@pytest.mark.parametrize(
    ("value", "text"), ((None, "not known"), (True, "yes"), (False, "no"), ("a", "a"), (1200, "1,200"), (0.5, "0.5"))
)
def test_values_are_read_as_people_write_them(value: bool | float | str | None, text: str) -> None:
    """A missing value is not an empty one."""
    assert value_text(value) == text


def _when(site: Shown, sentence: str, *, lead: str = LEAD) -> Page:
    """The page, once what it waited for is there: versions are loaded beside it."""
    until = time.monotonic() + 60
    page = page_of(site, lead)
    while sentence not in page.text and time.monotonic() < until:
        time.sleep(0.1)
        page = page_of(site, lead)
    assert sentence in page.text
    return page


def _bundle(workshop: Home, folder: Path, version: str) -> Scored:
    """A version of the workshop on the machine of another project."""
    bundles = folder / ".leadgate" / "bundles"
    fetch(workshop.registry, version, bundles)
    scored = load_bundle(bundles, "lead-scoring", version)
    assert scored is not None
    return scored


def _rollout() -> NewRollout:
    return NewRollout(
        model_name="lead-scoring",
        champion="1",
        champion_digest="a" * 64,
        challenger="2",
        challenger_digest="b" * 64,
        challenger_author="Ada",
        salt="salt",
        rules={},
        design=None,
        started_at=NOW - timedelta(days=29),
        started_by="Ada",
    )


def _step(rollout: int, number: int, act: str, stage: str, at: datetime) -> Step:
    return Step(
        rollout_id=rollout,
        step=number,
        act=act,
        stage=stage,
        paused_at=None,
        stage_since=at,
        extra_days=0.0,
        paused_days=0.0,
        extensions=0,
        finished=act == "finish",
        acted_at=at,
        acted_by="Ada",
        comment="try it",
        evidence_id=None,
        route_epoch=None,
    )
