"""Profiles add up to what the rows say, and give the distances that the rows give."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from leadgate.leads.adding import total_of
from leadgate.leads.layout import BINS, SCORE_EDGES, Layout, cut, layout_of
from leadgate.leads.profile_bytes import (
    counts_from_bytes,
    counts_to_bytes,
    layout_from_tree,
    layout_to_tree,
    profile_from_bytes,
    profile_to_bytes,
)
from leadgate.leads.profiles import (
    Categorical,
    Numeric,
    add_categorical,
    add_profiles,
    kept_categories,
    moments_of,
    numeric_of,
    total,
)
from leadgate.leads.schema import Feature, FeatureType
from leadgate.leads.summing import counted, profile_predictions, summed
from leadgate.records import Prediction
from leadgate.stats.distances import ks_statistic

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
FEATURES = (
    Feature(name="size", type=FeatureType.NUMERIC),
    Feature(name="source", type=FeatureType.CATEGORICAL),
    Feature(name="demo", type=FeatureType.BOOLEAN),
)
LAYOUT = layout_of(
    FEATURES,
    {"size": [1.0, 2.0, 5.0, None], "source": ["web", "fair", None, "web"], "demo": [True, False, None, True]},
    ["source"],
)

VALUES = st.one_of(
    st.lists(st.integers(-100_000, 100_000).map(lambda i: i / 64), min_size=1, max_size=200),
    st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0]), min_size=1, max_size=200),
)


def prediction(features: object, *, score: float = 0.5, at: datetime = NOW, number: int = 0) -> Prediction:
    """A logged prediction."""
    return Prediction(
        prediction_id=f"019e0000-0000-7000-8000-{number:012d}",
        lead_id=f"L{number}",
        scored_at=at,
        model_name="lead-scoring",
        model_version="1",
        variant="champion",
        predicted_score=score,
        priority="high" if score > 0.7 else "low",
        features=msgspec.json.encode(features),
        latency_ms=0.3,
        batch_size=1,
        request_id="r",
        route_epoch=1,
    )


@given(baseline=VALUES, current=VALUES)
@settings(deadline=None)
def test_ks_is_exact_where_each_training_value_is_an_edge(baseline: list[float], current: list[float]) -> None:
    """Up to 12,500 distinct values nothing is lost, whatever comes later."""
    a, b = np.array(baseline), np.array(current)
    edges = cut(a)
    found = ks_statistic(numeric_of(a, edges).counts, numeric_of(b, edges).counts)
    assert found == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)


@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from(["normal", "lognormal", "cauchy", "spiked", "two towers"]),
    n=st.sampled_from([30, 500, 20_000]),
    trained=st.sampled_from([13_000, 25_000, 60_000]),
    shift=st.floats(-3, 3),
    scale=st.floats(0.01, 3),
)
@settings(max_examples=60, deadline=None)
def test_ks_is_within_a_ten_thousandth_of_the_rows(  # noqa: PLR0917
    seed: int, shape: str, n: int, trained: int, shift: float, scale: float
) -> None:
    """The worst that the bins can do: skewed, heavy-tailed and spiked values, and currents that crowd in one bin."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(trained)
    if shape == "lognormal":
        a = np.exp(2 * a)
    elif shape == "cauchy":
        a = rng.standard_cauchy(trained)
    elif shape == "spiked":
        a[: trained // 2] = 0.25
    elif shape == "two towers":
        a = np.where(rng.random(trained) < 0.5, a * 1e-6, 1 + a * 1e-6)
    b = rng.choice(a, n) * scale + shift
    edges = cut(a)
    assert len(edges) <= 2 * BINS
    found = ks_statistic(numeric_of(a, edges).counts, numeric_of(b, edges).counts)
    assert found == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-4 + 1e-9)


@given(values=VALUES, edges=VALUES)
@settings(deadline=None)
def test_counting_agrees_with_pandas(values: list[float], edges: list[float]) -> None:
    """Bins are open below and closed above, whether few values are counted or many."""
    import pandas as pd  # noqa: PLC0415

    unique = np.unique(edges)
    bins = [-np.inf, *unique, np.inf]
    expected = pd.cut(pd.Series(values), bins).value_counts(sort=False).to_numpy()
    for times in (1, 20_000 // len(values) + 1):
        found = numeric_of(np.array(values * times), unique).counts
        assert found.tolist() == (expected * times).tolist()


rows = st.fixed_dictionaries(
    {
        "size": st.none() | st.floats(-10, 10),
        "source": st.none() | st.sampled_from(["web", "fair", "list", "é"]),
        "demo": st.none() | st.booleans(),
    }
)


@given(data=st.lists(st.tuples(rows, st.floats(0, 1)), min_size=2, max_size=40), at=st.integers(1, 39))
def test_the_sum_of_parts_is_the_profile_of_the_whole(data: list[tuple[dict[str, object], float]], at: int) -> None:
    """Hours add up to a day, in either order, also after they were stored."""
    made = [
        prediction(row, score=score, number=i, at=NOW + timedelta(seconds=i)) for i, (row, score) in enumerate(data)
    ]
    at = min(at, len(made) - 1)
    parts = [
        profile_from_bytes(profile_to_bytes(profile_predictions(LAYOUT, part)), LAYOUT)
        for part in (made[:at], made[at:])
    ]
    whole = profile_predictions(LAYOUT, made)
    for first, second in (parts, parts[::-1]):
        found = add_profiles(LAYOUT, first, second)
        assert (found.predictions, found.first_at, found.last_at) == (len(made), NOW, made[-1].scored_at)
        assert found.bands == whole.bands
        assert found.categorical == whole.categorical
        assert found.scores.counts.tolist() == whole.scores.counts.tolist()
        assert found.segments.keys() == whole.segments.keys()
        sizes = [row["size"] for row, _ in data if row["size"] is not None]
        _same(found.numeric["size"], np.array(sizes, dtype=float), missing=len(data) - len(sizes))
        for value, moments in found.segments["source"].items():
            # "list" and "é" were not in the training leads.
            mine = [s for row, s in data if _segment(row["source"]) == value]
            assert moments.count == len(mine)
            assert moments.mean == pytest.approx(np.mean(mine))


@given(data=st.lists(st.lists(st.tuples(rows, st.floats(0, 1)), min_size=1, max_size=12), min_size=1, max_size=8))
@settings(deadline=None)
def test_many_stored_profiles_add_up_as_one_by_one(data: list[list[tuple[dict[str, object], float]]]) -> None:
    """What merges an hour's rows in place says what adding them pair by pair says."""
    parts = [
        profile_predictions(
            LAYOUT, [prediction(row, score=score, at=NOW + timedelta(seconds=i)) for row, score in part]
        )
        for i, part in enumerate(data)
    ]
    expected = total(LAYOUT, parts)
    found = total_of(LAYOUT, map(profile_to_bytes, parts))
    assert found is not None
    assert expected is not None
    assert (found.predictions, found.first_at, found.last_at) == (
        expected.predictions,
        expected.first_at,
        expected.last_at,
    )
    assert (found.bands, found.categorical) == (expected.bands, expected.categorical)
    _alike(found.scores, expected.scores)
    _alike(found.latency, expected.latency)
    _alike(found.numeric["size"], expected.numeric["size"])
    assert found.segments["source"].keys() == expected.segments["source"].keys()
    for value, moments in found.segments["source"].items():
        mine = expected.segments["source"][value]
        assert moments.count == mine.count
        assert (moments.mean, moments.m2) == pytest.approx((mine.mean, mine.m2), abs=1e-9)


def _alike(found: Numeric, expected: Numeric) -> None:
    assert (found.missing, found.low, found.high) == (expected.missing, expected.low, expected.high)
    assert found.counts.tolist() == expected.counts.tolist()
    a, b = found.moments, expected.moments
    assert a.count == b.count
    assert (a.mean, a.m2) == pytest.approx((b.mean, b.m2), abs=1e-9)


def test_categories_beyond_the_cap_add_up_alike() -> None:
    """Rows of an hour that has a flood of categories keep the same ones as adding them pair by pair."""
    made = [[prediction({"source": f"id{i % 1_700}"}) for i in range(k * 700, (k + 1) * 700)] for k in range(4)]
    parts = [profile_predictions(LAYOUT, part) for part in made]
    found = total_of(LAYOUT, map(profile_to_bytes, parts))
    expected = total(LAYOUT, parts)
    assert found is not None
    assert expected is not None
    assert found.categorical == expected.categorical
    assert found.categorical["source"].other > 0


def _segment(value: object) -> str:
    return "(missing)" if value is None else str(value) if value in ("web", "fair") else "(other)"


def _same(found: Numeric, values: np.ndarray, *, missing: int) -> None:
    assert (found.missing, found.count) == (missing, len(values))
    if len(values):
        assert (found.low, found.high) == (values.min(), values.max())
        assert found.moments.mean == pytest.approx(values.mean(), abs=1e-9)
        assert found.moments.variance == pytest.approx(values.var(ddof=1) if len(values) > 1 else 0.0, abs=1e-9)


@given(
    parts=st.lists(st.lists(st.integers(0, 60), max_size=60), min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
)
def test_a_capped_count_of_categories_does_not_depend_on_the_order(parts: list[list[int]], order: object) -> None:
    """What stays is decided by the categories alone; the known ones always stay; no value is lost."""
    known = frozenset({"c0", "c1"})
    profiles = [
        kept_categories(Categorical(missing=0, counts=Counter(f"c{v}" for v in part)), known, most=10) for part in parts
    ]
    everything = Counter(f"c{v}" for part in parts for v in part)
    expected = kept_categories(Categorical(missing=0, counts=everything), known, most=10)
    order.shuffle(profiles)  # type: ignore[attr-defined]
    found = Categorical(missing=0, counts={})
    for profile in profiles:
        together = add_categorical(found, profile, known)
        found = kept_categories(together, known, most=10)
    assert dict(found.counts) == dict(expected.counts)
    assert found.count == sum(everything.values())
    assert {"c0", "c1"} & everything.keys() <= found.counts.keys()


def test_a_flood_of_categories_stays_small() -> None:
    """A feature that turns into an id cannot fill the database."""
    found = counted([f"id{i}" for i in range(50_000)] + ["web"], frozenset({"web"}))
    assert len(found.counts) == 1_001
    assert (found.counts["web"], found.count) == (1, 50_001)


def test_values_of_the_wrong_type_count_as_missing() -> None:
    """A feature that was numeric in training may be anything in an old log."""
    found = summed([1.0, "abc", None, True, float("inf")], np.array([1.0, 2.0]))
    assert (found.missing, found.count) == (3, 2)


def test_a_profile_of_ten_million_is_as_large_as_one_of_a_million() -> None:
    """What is kept depends on the bins, not on the rows."""
    rng = np.random.default_rng(3)
    edges = cut(rng.standard_normal(50_000))
    few, many = (numeric_of(rng.standard_normal(n), edges) for n in (100_000, 1_000_000))
    assert few.counts.nbytes == many.counts.nbytes
    sizes = [sum(map(len, counts_to_bytes(found.counts)[:2])) for found in (few, many)]
    assert sizes[1] <= 2 * sizes[0]


@given(counts=st.lists(st.sampled_from([0, 0, 0, 0, 1, 255, 256, 70_000, 2**40]), min_size=1, max_size=300))
def test_counts_survive_their_bytes(counts: list[int]) -> None:
    """Sparse or dense, small or large."""
    given_counts = np.array(counts, dtype=np.int64)
    assert counts_from_bytes(*counts_to_bytes(given_counts), len(counts)).tolist() == counts


def test_a_layout_survives_its_bytes() -> None:
    """The digest says whether two profiles may be added; it must not change on the way to the registry and back."""
    back = layout_from_tree(msgspec.msgpack.decode(msgspec.msgpack.encode(layout_to_tree(LAYOUT))))
    assert back.digest == LAYOUT.digest
    other = Layout(edges={"size": np.array([1.0, 2.0])}, known=LAYOUT.known, segments=LAYOUT.segments)
    assert other.digest != LAYOUT.digest


def test_scores_lie_in_the_bin_below_their_edge() -> None:
    """A threshold of 0.7 parts the scores exactly: 0.7 itself is not above it."""
    found = numeric_of(np.array([0.7, 0.70001, 0.0, 1.0]), SCORE_EDGES).counts
    assert found[: np.searchsorted(SCORE_EDGES, 0.7) + 1].sum() == 2
    assert found[-1] == 0


def test_nothing_has_no_total() -> None:
    """An hour without a prediction has no profile, rather than one of zeros."""
    assert total(LAYOUT, []) is total_of(LAYOUT, []) is None
    assert moments_of(np.array([])).count == 0
