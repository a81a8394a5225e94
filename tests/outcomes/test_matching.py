"""Which outcome counts for which score. Each case is worked out by hand from the rule it names."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.leads.project import OutcomeRules
from leadgate.outcomes.matching import Matched, match

SCORED = datetime(2026, 1, 1, tzinfo=UTC)
RULES = OutcomeRules(window_days=60)
MATURE = SCORED + timedelta(days=60)


def predictions(*rows: tuple[str, float, str, float]) -> pl.DataFrame:
    """Rows of lead, days after SCORED, version, score."""
    return pl.DataFrame(
        [(lead, SCORED + timedelta(days=day), version, score, None) for lead, day, version, score in rows],
        schema={
            "lead_id": pl.String,
            "scored_at": pl.Datetime("us", "UTC"),
            "model_version": pl.String,
            "predicted_score": pl.Float64,
            "segment": pl.String,
        },
        orient="row",
    )


def outcomes(*rows: tuple[str, bool, float]) -> pl.DataFrame:
    """Rows of lead, converted, days after SCORED; each won deal is 100 and took 5 days."""
    return pl.DataFrame(
        [(lead, won, 100.0, 5.0, SCORED + timedelta(days=day)) for lead, won, day in rows],
        schema={
            "lead_id": pl.String,
            "converted": pl.Boolean,
            "deal_size": pl.Float64,
            "days_to_close": pl.Float64,
            "outcome_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def one(day: float, *, converted: bool = True, now: datetime = MATURE) -> Matched:
    """One lead, scored at SCORED, with one outcome some days later."""
    return match(predictions(("a", 0, "1", 0.9)), outcomes(("a", converted, day)), RULES, now)


@pytest.mark.parametrize(
    ("day", "counts", "converted"),
    (
        (-0.001, False, None),
        (0, True, True),
        (60, True, True),
        (60.001, True, False),
    ),
)
def test_the_window_is_0_to_60_days_both_ends_inside(day: float, counts: bool, converted: bool | None) -> None:
    """Before the score it cannot count; after the window the lead had not converted when the window closed."""
    leads = one(day).leads
    assert leads["converted"].to_list() == ([converted] if counts else [])


def test_an_early_conversion_waits_for_the_window() -> None:
    """Known wins are not counted before losses can be known, else every report is flattered."""
    matched = one(3, now=MATURE - timedelta(seconds=1))
    assert (matched.leads.height, matched.immature) == (0, 1)
    assert one(3, now=MATURE).leads.height == 1


def test_deal_and_days_belong_to_conversions_within_the_window() -> None:
    """A late deal is no deal of this score's window."""
    assert one(5).leads["deal_size"].to_list() == [100.0]
    late = one(70)
    assert late.leads["deal_size"].to_list() == [None]
    assert late.late == 1


def test_a_lead_counts_once_by_its_first_score() -> None:
    """Scored three times, a lead weighs no more than one scored once."""
    scored = predictions(("a", 2, "2", 0.2), ("a", 0, "1", 0.9), ("a", 1, "1", 0.5))
    matched = match(scored, outcomes(("a", True, 10)), RULES, MATURE + timedelta(days=9))
    assert matched.leads["predicted_score"].to_list() == [0.9]
    assert (matched.predictions, matched.scored) == (3, 1)


def test_versions_kept_apart_count_a_lead_once_each() -> None:
    """Two versions that scored the same lead are both judged on it."""
    scored = predictions(("a", 0, "1", 0.9), ("a", 1, "2", 0.4), ("a", 2, "2", 0.3))
    matched = match(scored, outcomes(("a", True, 10)), RULES, MATURE + timedelta(days=9), by_version=True)
    assert sorted(matched.leads.select("model_version", "predicted_score").rows()) == [("1", 0.9), ("2", 0.4)]


def test_silence_is_left_out_unless_it_means_lost() -> None:
    """A CRM that reports only wins says so in leadgate.yaml; else silence is ignorance."""
    scored = predictions(("a", 0, "1", 0.9), ("b", 0, "1", 0.1))
    unknown = match(scored, outcomes(("a", True, 1)), RULES, MATURE)
    lost = match(scored, outcomes(("a", True, 1)), OutcomeRules(silence_means="not_converted"), MATURE)
    assert (unknown.leads["lead_id"].to_list(), unknown.silent) == (["a"], 1)
    assert sorted(lost.leads.select("lead_id", "converted").rows()) == [("a", True), ("b", False)]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.floats(0, 100), st.sampled_from("12"), st.floats(0, 1)), max_size=20
    ),
    st.dictionaries(st.sampled_from("abcde"), st.tuples(st.booleans(), st.floats(-20, 200)), max_size=5),
    st.floats(0, 200),
)
def test_every_scored_lead_is_somewhere_once(
    scored: list[tuple[str, float, str, float]], known: dict[str, tuple[bool, float]], day: float
) -> None:
    """No lead is lost between the counts: counted, immature, silent or decided before; never two of these."""
    ends = outcomes(*((lead, won, at) for lead, (won, at) in known.items()))
    matched = match(predictions(*scored), ends, RULES, SCORED + timedelta(days=day))
    parts = (matched.leads.height, matched.immature, matched.silent, matched.decided_before)
    assert sum(parts) == matched.scored == len({lead for lead, *_ in scored})
    assert matched.leads["lead_id"].is_unique().all()
