"""The stage machine: what can happen, and above all what cannot."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.rollout.stages import ANSWERING, MOVES, OVER, Act, IllegalMoveError, Stage, State, acts_of, diagram, move

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs" / "rollout.md"

stages = st.sampled_from(get_args(Stage))
acts = st.sampled_from(get_args(Act))


@given(stages, acts, st.booleans())
def test_what_the_table_does_not_have_raises_and_says_what_is_possible(stage: Stage, act: Act, paused: bool) -> None:
    """An illegal move changes nothing and names the legal ones."""
    state = State(stage=stage, since=NOW, paused_at=NOW if paused else None)
    if act in acts_of(state):
        assert move(state, act, NOW).stage == MOVES[stage, act]
        return
    with pytest.raises(IllegalMoveError) as caught:
        move(state, act, NOW)
    assert "cannot" in str(caught.value)


@given(st.lists(acts, max_size=30))
def test_the_only_way_to_full_is_through_every_stage(walk: list[Act]) -> None:
    """Shadow, canary and A/B test, each left by an advance; no other act leads forward."""
    state, left = State(stage="draft", since=NOW), []
    for act in walk:
        if act in acts_of(state):
            after = move(state, act, NOW)
            if act == "advance":
                left.append(state.stage)
            if act == "step_back":
                left.clear()
            state = after
    if state.stage in ("full", "rolling_back"):
        assert left == ["shadow", "canary", "ab_test"]


@pytest.mark.parametrize("stage", sorted({stage for stage, _ in MOVES} - OVER - {"draft"}))
@pytest.mark.parametrize("paused", (False, True))
def test_every_live_stage_can_be_rolled_back_also_while_paused(stage: Stage, paused: bool) -> None:
    """There is no stage in which a bad model is stuck."""
    state = State(stage=stage, since=NOW, paused_at=NOW if paused else None)
    assert move(state, "roll_back", NOW).stage == "rolled_back"


@pytest.mark.parametrize("stage", sorted(OVER))
def test_what_is_over_stays_over(stage: Stage) -> None:
    """A rollout that ended is never taken up again."""
    assert acts_of(State(stage=stage, since=NOW)) == ()
    assert acts_of(State(stage="full", since=NOW, finished=True)) == ()


def test_days_leave_pauses_out() -> None:
    """Two days, a pause of five, three more: the stage has lasted five days."""
    state = State(stage="shadow", since=NOW)
    state = move(state, "pause", NOW + timedelta(days=2))
    assert state.days(NOW + timedelta(days=6)) == pytest.approx(2)
    state = move(state, "resume", NOW + timedelta(days=7))
    assert state.days(NOW + timedelta(days=10)) == pytest.approx(5)


def test_an_extension_adds_days_and_keeps_the_stage() -> None:
    """A week more, twice, is two weeks more; those that people give are not counted against the controller's."""
    state = State(stage="ab_test", since=NOW)
    for by_itself in (True, False):
        state = move(state, "extend", NOW, days=7, by_itself=by_itself)
    assert (state.stage, state.extra_days, state.extensions) == ("ab_test", 14, 1)


def test_a_new_stage_begins_anew() -> None:
    """Extensions, pauses and sign-offs of a stage do not carry over into the next."""
    state = State(stage="shadow", since=NOW, extra_days=7, extensions=1, paused_days=3)
    assert move(state, "advance", NOW + timedelta(days=9)) == State(stage="canary", since=NOW + timedelta(days=9))


def test_a_challenger_that_answers_cannot_be_rejected_without_a_new_route() -> None:
    """Where leads have its scores, a no is a rollback."""
    for stage in ANSWERING & {"canary", "ab_test"}:
        assert MOVES[stage, "reject"] == "rolled_back"


def test_the_diagram_of_the_docs_is_drawn_from_the_table() -> None:
    """Who changes the table changes the picture."""
    assert diagram() in DOCS.read_text()
