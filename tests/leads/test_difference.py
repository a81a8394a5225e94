"""What is not the same in two snapshots."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

from leadgate.leads.difference import Difference, LabelChange, difference
from leadgate.leads.events import Event, Events, history_to_json
from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.frames import HISTORY, columns_of
from leadgate.leads.schema import Feature, FeatureType, LeadSchema

SCHEMA = LeadSchema(
    id="id",
    timestamp="at",
    target="won",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="budget", type=FeatureType.BOOLEAN),
    ),
)
DAY = datetime(2026, 6, 1, tzinfo=UTC)


def leads(*rows: tuple[object, ...]) -> pl.DataFrame:
    """A snapshot of rows (id, won, size, source, budget)."""
    whole = [(row[0], DAY, *row[1:]) for row in rows]
    return pl.DataFrame(whole, schema=columns_of(SCHEMA), orient="row")


A = ("a", None, 1.0, "web", True)
B = ("b", True, 2.0, "fair", None)
C = ("c", False, None, "web", False)
D = ("d", True, 4.0, None, False)


def test_each_lead_is_added_removed_changed_or_unchanged() -> None:
    """By hand: a gets its outcome and a size, b's outcome is taken back, c stays as it was, d comes and e goes."""
    before = leads(A, B, C, ("e", False, 1.0, "web", True))
    after = leads(D, C, ("b", False, 2.0, "fair", None), ("a", True, 3.0, "web", True))
    found = difference(before, after, SCHEMA)
    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 1, 2, 1)
    assert found.columns == {"won": 2, "size": 1}
    assert set(found.labels) == {
        LabelChange(before=None, after=True, leads=1),
        LabelChange(before=True, after=False, leads=1),
    }
    assert [change.is_new_outcome for change in sorted(found.labels, key=lambda c: str(c.before))] == [True, False]
    assert found.added_labels == {"converted": 1, "not converted": 0, "not known": 0}
    assert found.removed_labels == {"converted": 0, "not converted": 1, "not known": 0}


def test_changed_leads_are_shown_with_both_values_and_labels_first() -> None:
    """A label that changed is what somebody must explain; the number of leads shown is what was asked for."""
    before = leads(A, B, C)
    after = leads(("a", None, 9.0, "web", None), B, ("c", True, None, "web", False))
    shown = difference(before, after, SCHEMA, 2).examples
    assert [(v.lead_id, v.column, v.before, v.after) for v in shown] == [
        ("c", "won", False, True),
        ("a", "size", 1.0, 9.0),
        ("a", "budget", True, None),
    ]
    assert {v.lead_id for v in difference(before, after, SCHEMA, 1).examples} == {"c"}
    assert difference(before, after, SCHEMA, 0).examples == ()


def test_histories_are_shown_by_their_number_of_events() -> None:
    """People read how many events came, not the JSON that holds them; every lead with another history is counted."""
    code = parse_features(
        "from leadgate import Events\ndef seen(events: Events) -> int:\n    return len(events)\n", SCHEMA
    )
    schema = SCHEMA.model_copy(update={"code": code})
    event = Event("visit", DAY - timedelta(days=1), None)
    sides = [
        leads(A, B).with_columns(pl.Series(HISTORY, [history_to_json(DAY, Events([event] * n)) for n in counts]))
        for counts in ((0, 1), (2, 1))
    ]
    found = difference(sides[0], sides[1], schema)
    assert found.columns == {HISTORY: 1}
    (shown,) = found.examples
    assert (shown.lead_id, shown.before, shown.after) == (
        "a",
        "0 events before 2026-06-01 00:00:00 UTC",
        "2 events before 2026-06-01 00:00:00 UTC",
    )


def test_features_are_as_far_apart_as_scipy_says() -> None:
    """KS and its p-value of numbers with ties; chi-square and Jensen-Shannon of categories, some missing."""
    rng = np.random.default_rng(4)

    def made(count: int, shift: float, chances: list[float]) -> pl.DataFrame:
        size = np.round(rng.normal(shift, 1, count), 1)
        source = rng.choice(["web", "fair", "call"], count, p=chances)
        rows = [(str(i), True, *pair, None) for i, pair in enumerate(zip(size.tolist(), source.tolist(), strict=True))]
        return leads(*rows).with_columns(pl.when(pl.int_range(pl.len()) % 9 != 0).then("source").alias("source"))

    before, after = made(800, 0, [0.5, 0.3, 0.2]), made(1_100, 0.2, [0.4, 0.3, 0.3])
    shifts = {shift.feature: shift for shift in difference(before, after, SCHEMA).shifts}
    # Its own way to the statistic, and the limit for large samples, which these are not yet.
    theirs = ks_2samp(before["size"].to_numpy(), after["size"].to_numpy(), method="asymp")
    assert shifts["size"].ks == pytest.approx(theirs.statistic, abs=1e-12)
    assert shifts["size"].p_value == pytest.approx(theirs.pvalue, rel=1e-6)
    counts = np.array(
        [
            [(side["source"].fill_null("-") == name).sum() for name in ("web", "fair", "call", "-")]
            for side in (before, after)
        ]
    )
    assert shifts["source"].js == pytest.approx(jensenshannon(counts[0], counts[1]) ** 2, abs=1e-12)
    assert shifts["source"].p_value == pytest.approx(chi2_contingency(counts, correction=False).pvalue, rel=1e-9)
    assert shifts["source"].missing_before == pytest.approx(89 / 800)


def test_a_feature_that_lost_all_its_values_is_as_far_as_can_be() -> None:
    """The logarithm of 2, the most that the divergence can be, and no KS, which needs values on both sides."""
    gone = difference(leads(A, B), leads(("a", None, None, "web", True), ("b", True, None, "fair", None)), SCHEMA)
    shift = gone.shifts[0]
    assert (shift.feature, shift.ks, shift.missing_before, shift.missing_after) == ("size", None, 0, 1)
    assert shift.js == pytest.approx(np.log(2))


rows = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(
        st.none() | st.booleans(),
        st.none() | st.floats(0, 3),
        st.none() | st.sampled_from("xy"),
        st.none() | st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=40)
@given(rows, rows)
def test_the_way_back_is_the_mirror_and_counts_add_up(
    a: dict[str, tuple[object, ...]], b: dict[str, tuple[object, ...]]
) -> None:
    """Whatever the snapshots: a lead is counted once; the other way, added is removed and labels turn around."""
    before, after = (leads(*((name, *row) for name, row in side.items())) for side in (a, b))
    there, back = difference(before, after, SCHEMA), difference(after, before, SCHEMA)
    assert there.added == len(b.keys() - a.keys())
    assert there.changed == sum(a[name] != b[name] for name in a.keys() & b.keys())
    assert there.before == there.removed + there.changed + there.unchanged == len(a)
    assert mirrored(there) == (back.added, back.removed, back.columns, set(back.labels))


def mirrored(found: Difference) -> tuple[object, ...]:
    """What the same two snapshots must give the other way round."""
    turned = {replace(change, before=change.after, after=change.before) for change in found.labels}
    return found.removed, found.added, found.columns, turned
