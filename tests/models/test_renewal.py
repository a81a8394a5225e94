"""What a version that was trained anew has to reach, and on which leads it learns."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from leadgate.leads.frames import as_snapshot, columns_of, empty_leads, merge
from leadgate.leads.project import ModelRules
from leadgate.leads.retraining_rules import RenewalGates
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.evaluation import Comparison, compare
from leadgate.models.renewal import (
    Choice,
    Gate,
    Locked,
    all_instead,
    choose,
    comparable,
    fate_of,
    has_turned,
    judge,
    relabelled,
)

GATES = RenewalGates()
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = LeadSchema(
    id="lead",
    timestamp="created",
    target="won",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="call", type=FeatureType.NUMERIC, use=False),
    ),
)


def compared(gain: float) -> Comparison:
    """Two models on the same leads, the second better by about so much."""
    rng = np.random.default_rng(3)
    won = rng.random(4_000) < 0.3
    first = won + rng.normal(0, 1, 4_000)
    found = compare(won, 1 / (1 + np.exp(-first)), 1 / (1 + np.exp(-(first + gain * won))), 0.5)
    assert np.sign(found.auc.difference) == np.sign(gain)
    return found


def locked(candidate: float = 0.88, best: float = 0.88, relabelled: int = 0, leads: int = 1_000) -> Locked:
    """A thousand leads whose outcomes were locked, of which the new version did not learn so many."""
    return Locked(leads=leads, candidate=candidate, best=best, best_version="4", labels=1_000, relabelled=relabelled)


@pytest.mark.parametrize(
    ("auc", "recent", "slice_", "fate", "gate"),
    (
        (0.88, compared(0.1), locked(), "challenger", None),
        (0.87, compared(0.1), locked(), "challenger", None),
        (0.869, compared(0.1), locked(), "registered", "hold-out AUC, challenger"),
        (0.849, compared(0.1), locked(), "stopped", "hold-out AUC, alert"),
        (0.88, compared(-0.3), locked(), "stopped", "champion"),
        (0.88, compared(0.1), locked(candidate=0.849), "stopped", "best champion"),
        (0.88, compared(0.1), locked(candidate=0.851), "challenger", None),
        (0.88, compared(0.1), locked(relabelled=21), "stopped", "locked outcomes"),
        (0.88, compared(0.1), locked(relabelled=20), "challenger", None),
        (0.88, compared(0.1), locked(relabelled=20, leads=100), "challenger", None),
        (0.88, compared(0.1), None, "registered", "locked outcomes"),
        (0.84, compared(0.1), None, "stopped", "hold-out AUC, alert"),
    ),
)
def test_each_gate_keeps_back_what_it_is_for(
    auc: float, recent: Comparison, slice_: Locked | None, fate: str, gate: str | None
) -> None:
    """The plan's 0.87 and 0.85, the champion, the best so far, locked outcomes; what is not judged is not passed."""
    got, by = fate_of(judge(GATES, holdout_auc=auc, leads=600, recent=recent, champion_auc=0.76, locked=slice_))
    assert (got, by.name if by else None) == (fate, gate)


@pytest.mark.parametrize(
    ("gain", "before", "fate"), ((0.6, 0.95, "challenger"), (0.6, 0.7, "stopped"), (-0.005, 0.95, "stopped"))
)
def test_old_leads_do_not_bind_where_the_world_has_turned(gain: float, before: float, fate: str) -> None:
    """The champion has surely lost and the new version surely gains; one of both alone is no world that turned."""
    gates = judge(
        GATES,
        holdout_auc=0.9,
        leads=600,
        recent=compared(gain),
        champion_auc=before,
        locked=locked(candidate=0.7),
    )
    assert fate_of(gates)[0] == fate
    assert has_turned(gates) == (fate == "challenger")


@pytest.mark.parametrize(("gain", "told"), ((3.0, True), (0.1, False)))
def test_a_model_that_old_leads_alone_speak_against_says_so(gain: float, told: bool) -> None:
    """Each week's training would be stopped, and nobody would know that it is the leads of before the turn."""
    found = judge(GATES, holdout_auc=0.8, leads=600, recent=compared(gain), champion_auc=0.95, locked=locked())
    stopped = next(gate for gate in found if gate.name == "hold-out AUC, alert")
    assert (stopped.passed, "lower retraining.gates.alert_auc" in stopped.sentence) == (False, told)


def test_six_steps_of_a_little_worse_do_not_add_up() -> None:
    """95 % of the last one would let 0.88 fall to 0.65; the best champion so far does not move down."""
    auc, passed = 0.88, []
    for _ in range(6):
        auc *= 0.98
        gates = judge(
            GATES,
            holdout_auc=0.9,
            leads=600,
            recent=compared(0.1),
            champion_auc=0.76,
            locked=locked(candidate=auc, best=0.88),
        )
        passed.append(fate_of(gates)[0] == "challenger")
    assert passed == [True, False, False, False, False, False]


@pytest.mark.parametrize(("flipped", "learnt", "fate"), ((0.0, 0.0, True), (0.2, 0.0, False), (0.2, 0.6, True)))
def test_labels_that_nobody_can_learn_keep_a_version_back(flipped: float, learnt: float, fate: bool) -> None:
    """A fifth of the recent outcomes turned over: the champion loses on them, and so does a model that learnt them.

    Where the world has turned, the champion loses too, and the new version does not.
    """
    rng = np.random.default_rng(5)
    won = rng.random(2_000) < 0.25
    score = won + rng.normal(0, 0.85, 2_000)
    at_holdout = roc_auc_score(won, score)
    heard = won ^ (rng.random(2_000) < flipped)
    recent = compare(heard, expit(score), expit(score + learnt * heard), 0.5)
    gates = judge(GATES, holdout_auc=0.9, leads=600, recent=recent, champion_auc=at_holdout, locked=locked())
    assert {gate.name: gate.passed for gate in gates}["recent outcomes"] == fate
    assert fate_of(gates)[0] == ("challenger" if fate else "registered")


def test_gates_can_be_switched_off() -> None:
    """For leads that nobody ranks with 0.87; those against the champion stay."""
    off = RenewalGates(challenger_auc=None, alert_auc=None, relabelled=None, unexplained_loss=None)
    gates = judge(off, holdout_auc=0.6, leads=600, recent=compared(0.1), champion_auc=0.76, locked=locked())
    assert [gate.name for gate in gates] == ["champion", "best champion"]
    assert fate_of(gates) == ("challenger", None)
    with pytest.raises(ValueError, match="swap them"):
        RenewalGates(alert_auc=0.9)


def leads_of(n: int, *, turned: bool, seed: int = 1) -> pl.DataFrame:
    """Leads of a year, a tenth of a year apart in two halves; size helps, and where ``turned`` it harms of late."""
    rng = np.random.default_rng(seed)
    size = rng.normal(0, 1, n)
    days = np.sort(rng.uniform(0, 360, n))
    sign = np.where(turned & (days > 180), -1.0, 1.0)
    won = rng.random(n) < 1 / (1 + np.exp(-2 * sign * size))
    times = [BEGAN + timedelta(days=float(day)) for day in days]
    return pl.DataFrame(
        {"lead": [f"L{i:05}" for i in range(n)], "created": times, "won": won, "size": size, "call": np.zeros(n)},
        schema=columns_of(SCHEMA),
    )


@pytest.mark.parametrize("turned", (False, True))
def test_old_leads_are_left_out_where_they_mislead(turned: bool) -> None:
    """Where the world turned half a year ago the window is better; where it did not, all leads are."""
    now = BEGAN + timedelta(days=360)
    choice = choose(leads_of(3_000, turned=turned), SCHEMA, ModelRules(), window_days=170, now=now)
    assert choice.since == (now - timedelta(days=170) if turned else None)
    assert choice.auc_all is not None
    assert choice.auc_recent is not None
    assert (choice.auc_recent > choice.auc_all + 0.1) == turned


def test_where_the_window_s_model_is_stopped_one_of_all_leads_is_tried() -> None:
    """Not where outcomes have changed: that is no fault of the window."""
    choice = Choice(since=BEGAN, auc_all=0.7, auc_recent=0.8, sentence="the last 180 days")

    def gates(**slice_: float) -> tuple[Gate, ...]:
        found = {"holdout_auc": 0.9, "leads": 600, "recent": compared(0.1), "champion_auc": 0.76}
        return judge(GATES, **found, locked=locked(**slice_))  # type: ignore[arg-type]

    other = all_instead(choice, gates(candidate=0.7))
    assert other is not None
    assert other.since is None
    assert "best champion: AUC 0.700" in other.sentence
    assert all_instead(choice, gates(candidate=0.88)) is None
    assert all_instead(choice, gates(candidate=0.7, relabelled=200)) is None
    assert all_instead(other, gates(candidate=0.7)) is None


def test_a_window_that_cannot_be_tried_is_not() -> None:
    """No window asked for, all leads in it, hardly any in it."""
    leads, now = leads_of(1_000, turned=True), BEGAN + timedelta(days=360)
    for days in (None, 400.0, 2.0):
        choice = choose(leads, SCHEMA, ModelRules(), window_days=days, now=now)
        assert (choice.since, choice.auc_recent) == (None, None)
        assert "all leads" in choice.sentence


def test_the_champion_is_met_on_recent_leads_where_there_are_enough() -> None:
    """Else on the whole hold-out."""
    leads = leads_of(1_000, turned=False)
    recent = comparable(leads, SCHEMA, since=BEGAN + timedelta(days=270))
    assert 0 < recent.height < 400
    assert recent["created"].min() >= BEGAN + timedelta(days=270)  # type: ignore[operator]
    assert comparable(leads, SCHEMA, since=BEGAN + timedelta(days=359)).height == 1_000


def test_locked_outcomes_that_became_others_are_counted() -> None:
    """Turned and vanished ones; leads that are gone from the snapshot are not said to be other."""
    leads = leads_of(100, turned=False)
    then = leads.select(pl.col("lead").alias("id"), pl.col("won").alias("converted"))
    assert relabelled(then, leads, SCHEMA) == 0
    number = pl.int_range(pl.len())
    now = leads.with_columns(won=pl.when(number < 7).then(~pl.col("won")).when(number < 10).then(None).otherwise("won"))
    assert relabelled(then, now, SCHEMA) == 10
    assert relabelled(then, now.tail(92), SCHEMA) == 2


def test_a_lead_that_is_there_keeps_its_time_and_what_no_model_saw() -> None:
    """Its time decides whether it is held out; what the model saw and the outcome are the new ones."""
    there = leads_of(3, turned=False).with_columns(call=pl.lit(5.0), won=pl.lit(None, dtype=pl.Boolean))
    later = BEGAN + timedelta(days=500)
    seen = pl.DataFrame(
        {"lead": ["L00001", "N"], "created": [later, later], "won": [True, False], "size": [9.0, 8.0]},
        schema={name: kind for name, kind in columns_of(SCHEMA).items() if name != "call"},
    )
    merged = merge(there, as_snapshot(there, seen, SCHEMA), "lead")
    rows = {row["lead"]: row for row in merged.leads.iter_rows(named=True)}
    assert (merged.new.height, merged.changed, len(rows)) == (1, 1, 4)
    assert rows["L00001"] == {"lead": "L00001", "created": there["created"][1], "won": True, "size": 9.0, "call": 5.0}
    assert rows["N"] == {"lead": "N", "created": later, "won": False, "size": 8.0, "call": None}
    first = as_snapshot(empty_leads(SCHEMA), seen, SCHEMA)
    assert first.schema == merged.leads.schema
