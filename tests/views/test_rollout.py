"""The rollout's page: what stops it, what it is worth, what may be done; and nothing that was not evaluated."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from known import NOW, good, trial
from leadgate.leads.rollout_rules import ExperimentRules, RolloutRules
from leadgate.records import Interval, Route
from leadgate.rollout.evidence import Evidence, Revenue, Side, encode
from leadgate.rollout.gates import judge
from leadgate.rollout.history import History, history_of
from leadgate.rollout.stages import Stage
from leadgate.rollout.verdicts import Verdict
from leadgate.storage.postgres.connection import Connection, connect
from leadgate.storage.postgres.rollouts import (
    NewRollout,
    Rollout,
    SignOff,
    Step,
    add_judgement,
    add_rollout,
    add_sign_off,
    add_step,
    end_rollout,
    looks_between,
    open_post_mortem,
)
from leadgate.storage.postgres.routes import add_route
from leadgate.views.access import ProxyRules
from leadgate.views.rollout_acts import offers_of
from leadgate.views.rollout_course import answerers_of, boxes_of, due_of, span_of
from leadgate.views.rollout_gates import rows_of
from leadgate.views.rollout_worth import Contest, Worth, worth_of
from shown import Shown, shown

ATTACK = "<script>alert(1)</script>"
BEGAN = NOW - timedelta(days=60)
ROUTE = Route(
    model_name="lead-scoring",
    epoch=1,
    stage="full",
    champion="1",
    champion_digest="a" * 64,
    challenger=None,
    challenger_digest=None,
    share=0,
    salt="",
    changed_at=BEGAN,
    changed_by="Ada",
    reason="first",
)
NEW = NewRollout(
    model_name="lead-scoring",
    champion="1",
    champion_digest="a" * 64,
    challenger="2",
    challenger_digest="b" * 64,
    challenger_author="Ada",
    salt="salt",
    rules=RolloutRules().model_dump(mode="json"),
    design={"leads_per_arm": 24_000, "days": 20.0, "baseline": {"leads_per_day": 100.0}},
    started_at=BEGAN,
    started_by="Ada",
)


def day(number: float) -> datetime:
    """So many days after the rollout began."""
    return BEGAN + timedelta(days=number)


def step(number: int, act: str, stage: Stage, at: float, since: float, **changes: Any) -> Step:
    """An act, in days after the beginning."""
    made = Step(
        rollout_id=1,
        step=number,
        act=act,
        stage=stage,
        paused_at=None,
        stage_since=day(since),
        extra_days=0.0,
        paused_days=0.0,
        extensions=0,
        finished=False,
        acted_at=day(at),
        acted_by="controller",
        comment="every gate passes",
        evidence_id=None,
        route_epoch=None,
    )
    return replace(made, **changes)


STEPS = (
    step(1, "start", "shadow", 0, 0),
    step(2, "advance", "canary", 8, 8),
    step(3, "advance", "ab_test", 16, 16),
    step(4, "advance", "full", 40, 40),
)


def told(*steps: Step, sign_offs: tuple[SignOff, ...] = ()) -> History:
    """A rollout with these acts."""
    rollout = Rollout(**vars(NEW), rollout_id=1, ended_at=None)
    return history_of(rollout, steps, sign_offs)


# ---- who answers, and where it is


@pytest.mark.parametrize(
    ("route", "expected"),
    (
        (ROUTE, [("1", 1.0)]),
        (replace(ROUTE, stage="shadow", challenger="2"), [("1", 1.0), ("2", 0.0)]),
        (replace(ROUTE, stage="canary", challenger="2", share=1_000), [("1", 0.9), ("2", 0.1)]),
    ),
)
def test_the_shares_are_those_of_the_route(route: Route, expected: list[tuple[str, float]]) -> None:
    """1,000 of 10,000 buckets are 10 % of the leads; a shadow answers nobody."""
    assert [(each.version, each.share) for each in answerers_of(route)] == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    (
        (STEPS[:1], ["now", "ahead", "ahead", "ahead"]),
        (STEPS[:3], ["over", "over", "now", "ahead"]),
        (STEPS, ["over", "over", "over", "now"]),
        ((*STEPS, step(5, "finish", "full", 58, 40, finished=True)), ["over"] * 4),
        ((*STEPS[:2], step(3, "roll_back", "rolled_back", 9, 9)), ["over", "left", "never", "never"]),
        ((*STEPS, step(5, "roll_back_gradually", "rolling_back", 41, 41)), ["over", "over", "over", "left"]),
        ((*STEPS[:1], step(2, "reject", "rejected", 1, 1)), ["left", "never", "never", "never"]),
        ((*STEPS[:2], step(3, "step_back", "shadow", 9, 9)), ["now", "ahead", "ahead", "ahead"]),
    ),
)
def test_the_stages_say_where_the_challenger_is_and_where_it_came_back(
    steps: tuple[Step, ...], expected: list[str]
) -> None:
    """A viewer sees at a glance which stage it is in, or in which it was rolled back."""
    assert [box.where for box in boxes_of(told(*steps))] == expected


def test_a_stage_tells_its_plan_its_dates_and_what_made_it_longer() -> None:
    """Seven days each for shadow and canary by default; the A/B test takes the 20 days of its plan."""
    paused = step(4, "resume", "ab_test", 20, 16, paused_days=2.0, extra_days=7.0)
    shadow, canary, test, full = boxes_of(told(*STEPS[:3], paused))
    assert (shadow.planned_from, shadow.planned_until) == (day(0), day(7))
    assert (test.planned_from, test.planned_until) == (day(14), day(34))
    assert full.planned_from == day(34)
    assert (canary.began, canary.ended) == (day(8), day(16))
    assert (test.began, test.ended) == (day(16), None)
    assert "extended by 7.0 days" in test.notes
    assert "paused for 2.0 days" in test.notes


def test_a_stage_is_due_after_its_pauses_and_extensions_and_not_in_a_pause() -> None:
    """The A/B test began on day 16: 14 to 28 days, 2 of pauses and 7 more that people gave it."""
    due = due_of(told(*STEPS[:3], step(4, "resume", "ab_test", 20, 16, paused_days=2.0, extra_days=7.0)))
    assert due is not None
    assert (due.earliest, due.overdue) == (day(32), day(53))
    assert due_of(told(*STEPS[:3], step(4, "pause", "ab_test", 20, 16, paused_at=day(20)))) is None


def test_a_stage_that_began_anew_has_the_looks_of_its_last_visit_only() -> None:
    """Evidence of a canary that was left is not mixed with that of the next one."""
    again = (*STEPS[:2], step(3, "step_back", "shadow", 9, 9), step(4, "advance", "canary", 12, 12))
    assert span_of(told(*again), "canary", day(20)) == (day(12), day(20))
    assert span_of(told(*again), "ab_test", day(20)) is None


# ---- gates


def test_what_stops_the_promotion_comes_first() -> None:
    """Red before failed before unclear before waiting; what passes is last."""
    answers = (("a", "pass"), ("b", "wait"), ("c", "inconclusive"), ("d", "fail"))
    verdicts = [Verdict(gate=gate, answer=answer, sentence="") for gate, answer in answers]  # type: ignore[arg-type]
    red = Verdict(gate="e", answer="fail", sentence="", red=True)
    rows = rows_of([*verdicts, red])
    assert [row.gate for row in rows] == ["e", "d", "c", "b", "a"]
    assert rows[0].word == "fails, back at once"


# ---- worth


def worth(**changes: Any) -> Worth:
    """Of a test that was won, changed in these parts."""
    rules = ExperimentRules()
    found = Contest(
        rollout_id=1,
        challenger="2",
        champion="1",
        design=NEW.design,
        rules=rules,
        trial=trial(**changes),
        evidence_id=7,
    )
    return worth_of(found)


MONEY = {
    "control_revenue": Revenue(mean=100.0, variance=90_000.0),
    "treatment_revenue": Revenue(mean=112.0, variance=100_000.0),
}


def test_the_worth_after_the_test_is_its_lift_its_conversions_and_its_revenue() -> None:
    """By hand: 290 more of 24,000 leads are 12.08 per 1,000; 12 +- 1.96 sqrt(90,000/25,000 + 100,000/25,000) a lead."""
    gains = {gain.name: gain for gain in worth(**MONEY).gains}
    assert gains["lift of the conversion rate"].value == "+12.0%"
    assert gains["lift of the conversion rate"].interval == "+6.0% to +18.0%"
    assert gains["more conversions per 1,000 leads"].value == "+12.1"
    assert gains["more conversions in 30 days"].value == f"{290 / 24_000 * 3_000:+,.0f}"
    assert gains["more revenue per lead"].value == "+12.00"
    assert gains["more revenue per lead"].interval == "+6.60 to +17.40"


def test_before_the_planned_size_the_interval_is_the_one_that_may_be_looked_at() -> None:
    """Daily looks at a fixed interval would find what is not there; no lift is said before its size is there."""
    early = worth(test=None, **MONEY)
    gains = {gain.name: gain for gain in early.gains}
    assert "lift of the conversion rate" not in gains
    assert gains["more conversions per 1,000 leads"].interval == "+2.0 to +22.0"
    fixed = {gain.name: gain for gain in worth(**MONEY).gains}["more revenue per lead"].interval
    width = [
        float(b) - float(a)
        for a, b in (text.split(" to ") for text in (gains["more revenue per lead"].interval, fixed))
    ]
    assert width[0] > width[1]


UNTOLD: dict[str, Any] = {"test": None, "sequence": None, "difference": None}
FEW = Side(exposed=100, matured=90, conversions=9, silent=0, high=10, contacted=50)


@pytest.mark.parametrize(
    ("changes", "says"),
    (
        ({**UNTOLD, "control": FEW, "treatment": FEW}, "18 leads converted, and it takes 40 at least"),
        (UNTOLD, "one side has hardly any conversions"),  # thousands, but no interval for them
        ({"ratio_p": 1e-6}, "one side lacks leads or outcomes"),
        ({"silent_p": 1e-6}, "one side lacks leads or outcomes"),
    ),
)
def test_where_it_cannot_be_said_there_is_a_sentence_and_no_number(changes: dict[str, Any], says: str) -> None:
    """Too early, or sides that are not comparable."""
    found = worth(**changes, **MONEY)
    assert says in found.headline
    assert not found.gains


def test_every_figure_of_worth_has_its_interval_and_0_in_it_is_said() -> None:
    """A manager who reads one line is not misled by a lucky mean."""
    unsure = worth(test=None, difference=0.001, sequence=Interval(low=-0.01, high=0.012), **MONEY)
    assert "has not been shown" in unsure.headline
    assert all(" to " in gain.interval for gain in unsure.gains)


def test_without_deal_sizes_nothing_is_said_in_money() -> None:
    """Evidence of an earlier release, or of a team that reports none."""
    found = worth()
    assert not [gain for gain in found.gains if "revenue" in gain.name]
    assert any("no deal sizes" in note for note in found.notes)


# ---- acts


@pytest.mark.parametrize(
    ("steps", "expected"),
    (
        (STEPS[:1], {"evaluate", "approve", "advance", "extend", "pause", "reject", "rollback"}),
        (STEPS[:2], {"evaluate", "advance", "extend", "pause", "stepback", "reject", "rollback"}),
        (
            (*STEPS[:1], step(2, "pause", "shadow", 1, 0, paused_at=day(1))),
            {"evaluate", "approve", "resume", "reject", "rollback"},
        ),
        (STEPS, {"evaluate", "extend", "rollback", "windback"}),
        ((*STEPS, step(5, "finish", "full", 58, 40, finished=True)), set()),
        ((*STEPS[:2], step(3, "roll_back", "rolled_back", 9, 9)), set()),
    ),
)
def test_only_what_the_state_allows_is_offered(steps: tuple[Step, ...], expected: set[str]) -> None:
    """As docs/rollout.md draws it; a sign-off only in the stages that ask for one (shadow and A/B test)."""
    assert {offer.name for offer in offers_of(told(*steps)).acts} == expected


# ---- the page


def judged(connection: Connection, rollout_id: int, evidence: Evidence, act: str = "hold") -> int:
    """Write an evaluation down."""
    verdicts = judge(evidence, RolloutRules())
    return add_judgement(
        connection,
        rollout_id=rollout_id,
        at=evidence.as_of,
        evidence=encode(evidence),
        verdicts=msgspec.json.encode(verdicts).decode(),
        act=act,
        reason=f"sign-off: nobody {ATTACK}",
    )


def in_test(connection: Connection) -> int:
    """A rollout in its A/B test that waits for a person, with ten looks; gives its last evidence."""
    add_route(connection, replace(ROUTE, reason=ATTACK, changed_by=ATTACK))
    add_route(
        connection,
        replace(
            ROUTE, epoch=2, stage="ab_test", challenger="2", challenger_digest="b" * 64, share=5_000, reason=ATTACK
        ),
    )
    rollout_id = add_rollout(connection, replace(NEW, challenger_author=ATTACK, started_by=ATTACK))
    for each in STEPS[:3]:
        add_step(connection, replace(each, rollout_id=rollout_id, acted_by=ATTACK, comment=ATTACK))
    add_sign_off(
        connection,
        rollout_id,
        SignOff(stage="shadow", stage_since=day(0), approved_by=ATTACK, approved_at=day(7), comment=ATTACK),
    )
    evidence = good("ab_test")
    state = replace(evidence.state, since=day(16))
    canary = replace(good("canary"), as_of=day(16), state=replace(evidence.state, stage="canary", since=day(8)))
    judged(connection, rollout_id, canary, "advance")
    numbers = [
        judged(
            connection,
            rollout_id,
            replace(evidence, as_of=day(17 + 4 * i), state=state, approvals=(), experiment=trial(**MONEY)),
        )
        for i in range(10)
    ]
    connection.commit()
    return numbers[-1]


@pytest.fixture
def empty(tmp_path: Path, database: str) -> Iterator[Shown]:
    """A dashboard of a project in which nothing has happened."""
    with shown(tmp_path, database, NOW) as site:
        yield site


def test_without_a_route_the_page_says_what_to_do_first(empty: Shown) -> None:
    """No version, no rollout: no empty tables and no act that could not work."""
    page = empty.page("/ui/rollout")
    assert "No version is in force" in page.text
    assert not page.attributes("form")
    assert "No version is in force" in empty.page("/").text


def test_without_a_rollout_the_page_says_how_to_start_one(empty: Shown, database: str) -> None:
    """And the form does."""
    with connect(database) as connection:
        add_route(connection, ROUTE)
        connection.commit()
    page = empty.page("/ui/rollout")
    assert "leadgate rollout plan" in page.text
    assert [form["action"] for form in page.attributes("form")] == ["/ui/act/start"]
    sent = {"csrf": empty.csrf(), "by": "Ada", "reason": "new features", "version": "2"}
    empty.client.post("/ui/act/start", data=sent, follow_redirects=False)
    assert empty.desk.asked == [("rollout", "start", "--comment=new features", "--", "2", "by=Ada")]


def test_the_page_answers_who_answers_what_stops_it_and_what_it_is_worth(empty: Shown, database: str) -> None:
    """All from rows that were written down before: the desk, which could evaluate, is not asked."""
    with connect(database) as connection:
        number = in_test(connection)
    page = empty.page("/ui/rollout")
    assert "Version 2 answers 50 % of the leads, the A/B test" in page.text
    assert "1 of 19 gates does not pass: sign-off." in page.text
    assert f"leadgate rollout history --rollout=1 --evidence={number}" in page.text
    assert "more revenue per lead" in page.text
    assert {f["action"] for f in page.attributes("form")} >= {"/ui/act/approve", "/ui/act/reject", "/ui/act/rollback"}
    first = empty.page("/")
    assert "What stops the promotion: 1 of 19 gates does not pass: sign-off." in first.text
    assert "lift of the conversion rate" in first.text
    assert not empty.desk.asked


def test_what_people_typed_stays_text(empty: Shown, database: str) -> None:
    """Names, reasons, comments, findings: a script tag in any of them is shown, never run."""
    with connect(database) as connection:
        number = in_test(connection)
        add_step(connection, step(4, "roll_back", "rolled_back", 58, 58, acted_by=ATTACK, comment=ATTACK))
        end_rollout(connection, 1, day(58))
        open_post_mortem(connection, rollout_id=1, step=4, at=day(58), cause=ATTACK, evidence_id=number)
        connection.commit()
    for path in ("/ui/rollout", f"/ui/rollout?evidence={number}", "/"):
        page = empty.page(path)
        assert ATTACK not in page.html
        assert ATTACK in page.text


def test_a_post_mortem_is_closed_from_the_page(empty: Shown, database: str) -> None:
    """The one of the rollout that is shown, whichever was the last."""
    with connect(database) as connection:
        in_test(connection)
        open_post_mortem(connection, rollout_id=1, step=3, at=day(58), cause="harm", evidence_id=None)
        connection.commit()
    assert "/ui/act/postmortem" in {f["action"] for f in empty.page("/ui/rollout?rollout=1").attributes("form")}
    sent = {"csrf": empty.csrf(), "by": "Ada", "reason": "a broken field", "rollout": "1"}
    empty.client.post("/ui/act/postmortem", data=sent, follow_redirects=False)
    assert empty.desk.asked == [("rollout", "postmortem", "--findings=a broken field", "--rollout=1", "by=Ada")]


def test_an_auditor_sees_one_evaluation_whole(empty: Shown, database: str) -> None:
    """With every gate and the evidence as it was written down; one that is not there is said so."""
    with connect(database) as connection:
        number = in_test(connection)
    page = empty.page(f"/ui/rollout?evidence={number}")
    assert '"planned": 24000' in page.text
    assert f"Evidence {number}" in page.text
    assert "There is no evidence 99" in empty.page("/ui/rollout?evidence=99", 404).text
    assert "There is no rollout 99" in empty.page("/ui/rollout?rollout=99", 404).text


def test_a_judgement_that_is_too_old_is_said_to_be(empty: Shown, database: str) -> None:
    """The last one is of day 53, seven days ago, and one is due every quarter of an hour."""
    with connect(database) as connection:
        in_test(connection)
    assert "No evaluation has run for a while" in empty.page("/ui/rollout").text


def test_who_may_only_look_is_offered_nothing(tmp_path: Path, database: str) -> None:
    """Neither an act nor the start of one; the page says what their login lacks."""
    with connect(database) as connection:
        in_test(connection)
    rules = ProxyRules(header="x-user", scopes={"leo": ("read",)}, trusted=("127.0.0.1",))
    with shown(tmp_path, database, NOW, proxy=rules) as site:
        site.client.headers["x-user"] = "leo"
        page = site.page("/ui/rollout")
    assert not [form for form in page.attributes("form") if str(form["action"]).startswith("/ui/act/")]
    assert "Your login does not allow: Evaluate now (scope operate), Approve (scope approve)" in page.text


def test_looks_are_thinned_out_to_the_last_of_each_part_of_their_span(database: str) -> None:
    """Of ten looks four or so are read, the last among them; the canary's own last one is none of the test's."""
    with connect(database) as connection:
        last = in_test(connection)
        every = looks_between(connection, 1, since=day(16), until=day(60), most=100)
        some = looks_between(connection, 1, since=day(16), until=day(60), most=4)
    assert [look.gathered_at for look in every] == [day(17 + 4 * i) for i in range(10)]
    assert 3 <= len(some) <= 5
    assert some[-1].evidence_id == last
    assert {(look.control_matured, look.low) for look in some} == {(25_000, 0.002)}
