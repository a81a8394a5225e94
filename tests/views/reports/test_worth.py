"""What a version is worth: against another version in money, against a simple rule in ranking."""

from datetime import UTC, datetime
from math import isclose

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.views.reports.facts import RolloutFacts
from leadgate.views.reports.money import Paid, increment
from leadgate.views.reports.postmortem import PostMortemFacts, lost
from leadgate.views.reports.report import Known, Source
from leadgate.views.reports.rule import contest, learn
from leadgate.views.reports.worth import incremental

SCHEMA = LeadSchema(
    id="lead_id",
    target="converted",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="budget", type=FeatureType.BOOLEAN),
    ),
)
ROWS = Source(origin="sql", title="rows", sql="SELECT 1")


def paid_by(amounts: list[float]) -> Paid:
    """A side whose leads paid these amounts."""
    return Paid(leads=len(amounts), mean=float(np.mean(amounts)), variance=float(np.var(amounts, ddof=1)))


def test_the_increment_is_that_of_hand_calculation() -> None:
    """Two leads a side: 0 and 100 against 100 and 300.

    Means 50 and 200; variances 5,000 and 20,000; error sqrt(2,500 + 10,000) = 111.803; degrees of freedom
    12,500 ** 2 / (2,500 ** 2 + 10,000 ** 2) = 1.470588; t of 0.975 there 6.1877 (scipy).
    """
    found = increment(paid_by([0.0, 100.0]), paid_by([100.0, 300.0]))
    assert found is not None
    assert found.value == 150.0
    half = float(stats.t.ppf(0.975, 1.4705882352941178)) * 111.80339887498948
    assert isclose(found.high - found.value, half, rel_tol=1e-9)
    assert found.times(10) == (1500.0, 10 * found.low, 10 * found.high)


AMOUNTS = st.lists(st.floats(0, 1e6), min_size=3, max_size=40)


@settings(max_examples=40)
@given(AMOUNTS, AMOUNTS)
def test_the_increment_is_that_of_welch(a: list[float], b: list[float]) -> None:
    """What scipy gives for Welch's test on the amounts themselves."""
    found, sides = increment(paid_by(a), paid_by(b)), (np.array(b), np.array(a))
    assert found is not None
    if min(np.ptp(side) for side in sides) < 1e-3:
        return  # scipy has no interval without variance
    expected = stats.ttest_ind(*sides, equal_var=False).confidence_interval(0.95)
    scale = max(1.0, *np.abs(a), *np.abs(b))
    assert isclose(found.low, expected.low, rel_tol=1e-6, abs_tol=1e-9 * scale)
    assert isclose(found.high, expected.high, rel_tol=1e-6, abs_tol=1e-9 * scale)


def test_one_lead_a_side_is_worth_nothing_yet() -> None:
    """Never a number without an interval."""
    assert increment(Paid(leads=1, mean=100.0, variance=0.0), paid_by([1.0, 2.0])) is None


def test_the_sides_of_the_test_alone_say_what_it_is_worth() -> None:
    """Leads of the shadow and of the full rollout are of other weeks."""
    sides = _sides(
        ("shadow", "1", 100, 10, 9e9),
        ("ab_test", "1", 400, 40, 10.0),
        ("ab_test", "2", 300, 45, 16.0),
        ("full", "2", 500, 50, 9e9),
    )
    found = incremental(sides, _rollout())
    assert found is not None
    assert found[0].value == pytest.approx(6.0)
    assert found[1].leads == 300


def test_lost_conversions_are_counted_against_the_side_of_the_same_weeks() -> None:
    """Canary: (0.20 - 0.10) * 50 = 5; A/B test: (0.10 - 0.12) * 100 = -2; together 3.

    Variance: 50 ** 2 * (0.16 / 500 + 0.09 / 50) + 100 ** 2 * (0.09 / 200 + 0.1056 / 100) = 20.36; half 8.8438.
    """
    sides = _sides(
        ("canary", "1", 500, 100, 0.0),
        ("canary", "2", 50, 5, 0.0),
        ("ab_test", "1", 200, 20, 0.0),
        ("ab_test", "2", 100, 12, 0.0),
        ("full", "2", 900, 0, 0.0),
    )
    found = lost(_back(sides))
    assert found is not None
    assert found == pytest.approx((3.0, 3.0 - 8.84377, 3.0 + 8.84377), abs=1e-4)


def test_nothing_is_lost_where_nothing_can_be_compared() -> None:
    """A challenger that never left the shadow."""
    assert lost(_back(_sides(("shadow", "1", 500, 100, 0.0)))) is None


def test_the_rule_is_learned_from_training_leads() -> None:
    """A number by the better side of its median, a category that converts above the average; by hand.

    size: median 3; above it 0 of 2 converted, at most it 2 of 3. source: fair 2 of 2, list 0 of 2, one missing;
    average of the known ones 0.5. budget: true 1 of 3, false 1 of 2; average 0.4.
    """
    leads = pl.DataFrame(
        {
            "size": [1.0, 2.0, 3.0, 4.0, 5.0],
            "source": ["fair", "fair", None, "list", "list"],
            "budget": [True, False, True, True, False],
            "converted": [True, True, False, False, False],
        }
    )
    size, source, budget = learn(leads, SCHEMA, ["size", "source", "budget"])
    assert (size.median, size.above) == (3.0, False)
    assert source.categories == {"fair"}
    assert budget.categories == {"false"}
    assert size.says() == "size is at most 3"
    assert [size.holds(value) for value in ("3", "3.5", None)] == [True, False, False]
    assert [source.holds(value) for value in ("fair", "list", "new", None)] == [True, False, False, False]


def test_model_and_rule_are_compared_on_the_same_leads() -> None:
    """AUC by scikit-learn; the first tenths by hand, leads of equal points with their mean."""
    rng = np.random.default_rng(3)
    values = [
        [str(size), source, None]
        for size, source in zip(rng.normal(3, 1, 200), rng.choice(["a", "b"], 200), strict=True)
    ]
    leads = pl.DataFrame(
        {"size": [1.0, 5.0], "source": ["a", "b"], "budget": [True, False], "converted": [False, True]}
    )
    signs = learn(leads, SCHEMA, ["size", "source", "budget"])
    points = np.array([(float(v[0]) > 3) + (v[1] == "b") for v in values], dtype=float)
    won = rng.random(200) < 0.1 + 0.2 * points
    score = points + rng.normal(0, 0.5, 200)
    found = contest(signs, values, won, score)
    assert found.model_auc == pytest.approx(roc_auc_score(won, score))
    assert found.rule_auc == pytest.approx(roc_auc_score(won, points))
    assert found.difference.difference == pytest.approx(found.model_auc - found.rule_auc)
    assert found.model_top[0] == pytest.approx(won[np.argsort(-score)][:20].mean())
    assert (points == 2).sum() > 40  # so the first fifth is of leads with two points alone
    assert found.rule_top == pytest.approx((won[points == 2].mean(),) * 2)


def _sides(*rows: tuple[str, str, int, int, float]) -> Known:
    """Rows of stage, version, matured leads, conversions and revenue a lead."""
    return Known(
        source=ROWS,
        content=[
            {
                "stage": stage,
                "model_version": version,
                "matured": matured,
                "conversions": won,
                "rate": won / matured,
                "revenue_per_lead": each,
                "variance": 1.0,
            }
            for stage, version, matured, won, each in rows
        ],
    )


def _rollout() -> RolloutFacts:
    """Version 2 against version 1."""
    empty = Known(source=ROWS, content=[])
    return RolloutFacts(
        listed=Known(source=ROWS, content=[{"rollout_id": 1, "champion": "1", "challenger": "2"}]),
        place=0,
        steps=empty,
        approvals=empty,
        post_mortems=empty,
        evidence=(),
        compared=None,
        tested=None,
    )


def _back(sides: Known) -> PostMortemFacts:
    empty = Known(source=ROWS, content=[])
    return PostMortemFacts(
        model_name="m",
        now=datetime(2026, 6, 1, tzinfo=UTC),
        rollout=_rollout(),
        at_end=None,
        sides=sides,
        alerts=empty,
        acts=empty,
    )
