"""The contributions to a score are the right ones: by definition, by LightGBM's own account, and by hand."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import combinations
from math import factorial, log
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_parity import CALIBRATIONS, KINDS, SCHEMA, Made, Row, made, rows_of_leads, training_rows

from leadgate.compiled.background import with_background
from leadgate.compiled.compiler import compile_pipeline
from leadgate.compiled.contributions import CannotExplainError, Explainer
from leadgate.compiled.native import model_text, used_features
from leadgate.compiled.program import (
    CategoryCodes,
    Linear,
    LinearCategory,
    LinearNumber,
    Program,
    Sigmoid,
    Tree,
    Trees,
    digest,
    from_json,
    to_json,
)
from leadgate.compiled.scorer import Scorer
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.pipeline import build_pipeline, frame_of

TREES: tuple[ModelKind, ...] = ("hist_gradient_boosting", "lightgbm")
CLOSE = 1e-9

SIZE, SOURCE, BUDGET, VISITS = range(4)
CODES = CategoryCodes(feature=SOURCE, codes={"web": 0, "fair": 1, "call": 2}, missing=3, unknown=-1)


def program_of(model: Linear | Trees, **changes: Any) -> Program:
    """A model of four features."""
    fields: dict[str, Any] = {"calibration": None, "calibrates": "sum", "format": 2}
    return Program(features=("size", "source", "budget", "visits"), model=model, **{**fields, **changes})


@cache
def explained(kind: ModelKind, calibration: str = "none") -> tuple[Made, Explainer]:
    """A fitted model and what takes its scores apart."""
    model = made(kind, calibration)
    return model, Explainer(with_background(model.program, SCHEMA, model.rows))


# By definition --------------------------------------------------------------------------------------------------------


def expectation(tree: Tree, lead: Mapping[int, Any], known: frozenset[int], node: int = 0) -> float:
    """A tree's value where only some features are known: both sides of any other test count, weighted by covers."""
    feature = tree.feature[node]
    if feature < 0:
        return tree.number[node]
    assert tree.cover is not None
    left, right = tree.left[node], tree.right[node]
    if feature not in known:
        weights = [tree.cover[child] / (tree.cover[left] + tree.cover[right]) for child in (left, right)]
        return sum(w * expectation(tree, lead, known, c) for w, c in zip(weights, (left, right), strict=True))
    value = lead[feature]
    if feature == SOURCE:
        goes_left = value != tree.code[node]
    else:
        goes_left = tree.missing_left[node] if value is None else value <= tree.number[node]
    return expectation(tree, lead, known, left if goes_left else right)


def shapley(worth: Callable[[frozenset[int]], float], players: Sequence[int]) -> list[float]:
    """Shapley's values by his formula (1953), over all subsets."""
    count, found = len(players), []
    for player in players:
        others = [other for other in players if other != player]
        total = 0.0
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                total += weight * (worth(frozenset({*chosen, player})) - worth(frozenset(chosen)))
        found.append(total)
    return found


@st.composite
def trees(draw: st.DrawFn, deepest: int = 4) -> Tree:
    """Small trees, as unequal as can be, that test the same feature more than once on a way."""
    nodes: list[list[Any]] = []

    def grow(depth: int, cover: int) -> int:
        place = len(nodes)
        nodes.append([-1, -1, draw(st.floats(-3, 3)), False, -1, -1, cover])
        if depth < deepest and cover > 1 and draw(st.integers(0, 4)):
            feature = draw(st.sampled_from((SIZE, SIZE, SOURCE, SOURCE, BUDGET, VISITS)))
            code = draw(st.integers(0, 3)) if feature == SOURCE else -1
            number = 0.0 if feature == SOURCE else draw(st.floats(-2, 2))
            first = draw(st.integers(1, cover - 1))
            nodes[place] = [feature, code, number, draw(st.booleans()), 0, 0, cover]
            nodes[place][4] = grow(depth + 1, first)
            nodes[place][5] = grow(depth + 1, cover - first)
        return place

    grow(0, draw(st.integers(1, 1_000)))
    feature, code, number, missing_left, left, right, cover = (tuple(part) for part in zip(*nodes, strict=True))
    return Tree(
        feature=feature, code=code, number=number, missing_left=missing_left, left=left, right=right, cover=cover
    )


numbers = st.none() | st.floats(-3, 3)
small_leads = st.tuples(
    numbers, st.sampled_from((None, "web", "fair", "call", "post")), st.none() | st.booleans(), numbers
)


@given(grown=st.lists(trees(), min_size=1, max_size=3), lead=small_leads)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_trees_give_shapleys_values_over_all_subsets(grown: list[Tree], lead: Row) -> None:
    """A feature's contribution is Shapley's value of what the trees expect with and without it; nothing approximate.

    A category is one player: all its tests are known together, or none of them.
    """
    found = Explainer(program_of(Trees(baseline=0.5, categories=(CODES,), trees=tuple(grown)))).contributions(lead)
    source = lead[SOURCE]
    code = CODES.missing if source is None else CODES.codes.get(str(source), CODES.unknown)
    coded: dict[int, Any] = {**dict(enumerate(lead)), SOURCE: code}

    def worth(known: frozenset[int]) -> float:
        return sum(expectation(tree, coded, known) for tree in grown)

    assert found.of == pytest.approx(shapley(worth, range(4)), abs=1e-12)
    assert found.base == pytest.approx(0.5 + worth(frozenset()), abs=1e-12)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("kind", KINDS)
@given(rows=rows_of_leads)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_base_and_contributions_add_up_to_the_score(kind: ModelKind, calibration: str, rows: list[Row]) -> None:
    """Whatever the lead: nothing of its score is left unsaid, and nothing is said that is not in it."""
    model, explainer = explained(kind, calibration)
    for row in rows[:3]:
        assert explainer.probability(explainer.contributions(row).total) == pytest.approx(
            model.scorer.score(row), abs=CLOSE
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_the_librarys_own_log_odds(kind: ModelKind) -> None:
    """Not only the probability, in which large log-odds would hide a mistake."""
    model, explainer = explained(kind)
    rows = model.rows[:50]
    library = model.pipeline.predict_proba(frame_of(SCHEMA, rows))[:, 1]
    expected = [log(p / (1 - p)) for p in library]
    assert [explainer.contributions(row).total for row in rows] == pytest.approx(expected, abs=CLOSE)


# By LightGBM's own account --------------------------------------------------------------------------------------------


def test_numbers_contribute_what_lightgbm_says() -> None:
    """The same figures as ``pred_contrib=True``, missing values among them, to 1e-9."""
    rows, won = training_rows(leads=1_000)
    schema = LeadSchema(id="i", target="t", features=SCHEMA.features[:3])
    numeric: list[Row] = [row[:3] for row in rows]
    pipeline = build_pipeline(schema, ModelRules(kind="lightgbm")).fit(frame_of(schema, numeric), won)
    explainer = Explainer(compile_pipeline(pipeline, schema))
    asked = numeric[:100]
    table = np.array([[np.nan if v is None else v for v in row] for row in asked])
    theirs: Any = pipeline.named_steps["model"].booster_.predict(table, pred_contrib=True)
    ours = [explainer.contributions(row) for row in asked]
    assert np.abs(np.array([c.of for c in ours]) - theirs[:, :3]).max() < CLOSE
    assert {round(c.base - their, 9) for c, their in zip(ours, theirs[:, 3], strict=True)} == {0.0}


@pytest.mark.parametrize("kind", TREES)
def test_categories_contribute_what_lightgbm_says(kind: ModelKind) -> None:
    """The program's trees, read by LightGBM with each category as one column: its own TreeSHAP gives the same."""
    model, explainer = explained(kind)
    assert isinstance(model.program.model, Trees)
    columns = used_features(model.program.model)
    booster = lightgbm.Booster(model_str=_with_counts(model.program.model))
    asked = model.rows[:60]
    theirs: Any = booster.predict(
        np.array([_coded(model.program.model, row, columns) for row in asked]), pred_contrib=True
    )
    ours = np.array([explainer.contributions(row).of for row in asked])
    assert np.abs(ours[:, columns] - theirs[:, :-1]).max() < CLOSE


def _with_counts(model: Trees) -> str:
    """The text of a LightGBM model, with the training counts that scoring does without."""
    parts = model_text(model).split("Tree=")
    for i, tree in enumerate(model.trees, 1):
        assert tree.cover is not None
        leaves = " ".join(str(c) for f, c in zip(tree.feature, tree.cover, strict=True) if f < 0)
        inner = " ".join(str(c) for f, c in zip(tree.feature, tree.cover, strict=True) if f >= 0)
        lines = [
            f"leaf_count={leaves}"
            if line.startswith("leaf_count=")
            else f"internal_count={inner}"
            if line.startswith("internal_count=")
            else line
            for line in parts[i].split("\n")
        ]
        parts[i] = "\n".join(lines)
    text = "Tree=".join(parts)
    return "\n".join(line for line in text.split("\n") if not line.startswith("tree_sizes="))


def _coded(model: Trees, row: Row, columns: list[int]) -> list[float]:
    codes = {c.feature: c for c in model.categories}
    found = []
    for i in columns:
        value = row[i]
        if i in codes:
            code = codes[i].missing if value is None else codes[i].codes.get(str(value), codes[i].unknown)
            found.append(float(code))
        else:
            found.append(np.nan if value is None else float(value))
    return found


# Linear ---------------------------------------------------------------------------------------------------------------


def by_hand(calibration: Sigmoid | None = None) -> Program:
    """``size`` counts 0.02 a unit up to 50, ``source`` by a table; of four training leads with the shares below."""
    size = LinearNumber(feature=SIZE, scale=0.02, offset=0.0, weight=1.0, missing=0.3)
    source = LinearCategory(feature=SOURCE, weights={"web": 0.8, "fair": -0.4}, missing=0.1, unknown=0.0)
    schema = LeadSchema(
        id="i",
        target="t",
        features=(
            Feature(name="size", type=FeatureType.NUMERIC),
            Feature(name="source", type=FeatureType.CATEGORICAL),
            Feature(name="budget", type=FeatureType.BOOLEAN),
            Feature(name="visits", type=FeatureType.NUMERIC),
        ),
    )
    rows: list[Row] = [
        (10.0, "web", True, 1.0),
        (20.0, "web", None, 4.0),
        (None, "fair", False, None),
        (90.0, None, True, 2.0),
    ]
    plain = program_of(Linear(intercept=-1.0, numbers=(size,), categories=(source,)), calibration=calibration)
    return with_background(plain, schema, rows)


def test_a_linear_contribution_is_the_distance_from_the_training_mean() -> None:
    """By hand: shares of size 0.2, 0.4, 0.3, 1.0 have the mean 0.475; of source 0.8, 0.8, -0.4, 0.1 the mean 0.325."""
    explainer = Explainer(by_hand())
    found = explainer.contributions((40.0, "fair", None, None))
    assert found.base == pytest.approx(-1.0 + 0.475 + 0.325)
    assert found.of == pytest.approx((0.8 - 0.475, -0.4 - 0.325, 0.0, 0.0))
    assert explainer.contributions((None, "never seen", None, None)).of[:2] == pytest.approx((0.3 - 0.475, -0.325))


def test_medians_are_those_of_leads_that_have_a_value() -> None:
    """10, 20 and 90 have the median 20; a category and a yes or no have none."""
    assert Explainer(by_hand()).medians == (20.0, None, None, 2.0)


def test_the_base_is_the_mean_log_odds_of_the_training_leads() -> None:
    """As scikit-learn's own decision function has it, and each feature's contributions average to nothing."""
    model, explainer = explained("logistic_regression")
    found = [explainer.contributions(row) for row in model.rows]
    assert found[0].base == pytest.approx(
        model.pipeline.decision_function(frame_of(SCHEMA, model.rows)).mean(), abs=CLOSE
    )
    assert np.abs(np.mean([c.of for c in found], axis=0)).max() < CLOSE


def test_a_calibration_that_turns_the_model_round_is_seen() -> None:
    """With a positive slope more of the sum is less of a score, and "raises" would be the wrong word."""
    assert Explainer(by_hand()).rises
    assert Explainer(by_hand(Sigmoid(slope=-1.5, intercept=0.1))).rises
    assert not Explainer(by_hand(Sigmoid(slope=1.5, intercept=0.1))).rises


# Versions of an earlier Leadgate --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_of_format_1_scores_and_says_why_it_gives_no_reasons(kind: ModelKind) -> None:
    """What was trained before covers were kept is served as before; its file is the same to the byte."""
    model = made(kind)
    old = _stripped(with_background(model.program, SCHEMA, model.rows))
    text = to_json(old)
    assert b"cover" not in text
    assert b"mean" not in text
    assert b"null" not in text.partition(b'"model"')[2].replace(b'"calibration":null', b"")
    assert to_json(from_json(text)) == text
    assert Scorer(from_json(text)).score(model.rows[0]) == model.scorer.score(model.rows[0])
    with pytest.raises(CannotExplainError, match="train it again"):
        Explainer(from_json(text))


def _stripped(program: Program) -> Program:
    model = program.model
    bare: Linear | Trees
    if isinstance(model, Trees):
        bare = replace(model, trees=tuple(replace(tree, cover=None) for tree in model.trees))
    else:
        bare = replace(
            model,
            numbers=tuple(replace(n, mean=None) for n in model.numbers),
            categories=tuple(replace(c, mean=None) for c in model.categories),
        )
    return replace(program, format=1, model=bare, medians=None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_for_reasons_is_no_part_of_the_models_digest(kind: ModelKind) -> None:
    """A model that is trained again, by a Leadgate that keeps more, is known to be the same."""
    model = made(kind)
    whole = with_background(model.program, SCHEMA, model.rows)
    assert digest(whole) == digest(model.program) == digest(_stripped(whole))
    assert to_json(whole) != to_json(_stripped(whole))


def test_the_order_of_the_training_leads_does_not_show() -> None:
    """The same snapshot gives the same file."""
    model = made("logistic_regression")
    assert with_background(model.program, SCHEMA, model.rows) == with_background(
        model.program, SCHEMA, model.rows[::-1]
    )
