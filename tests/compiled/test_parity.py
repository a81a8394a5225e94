"""The compiled scorer gives what the library gives, on whatever rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadgate.compiled.compiler import CannotCompileError, compile_pipeline
from leadgate.compiled.program import BadProgramError, Program, Tree, Trees, digest, from_json, to_json
from leadgate.compiled.proof import edge_rows, prove
from leadgate.compiled.scorer import Scorer
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import Feature, FeatureType, FeatureValue, LeadSchema
from leadgate.models.pipeline import build_pipeline, frame_of, predict

KINDS: tuple[ModelKind, ...] = ("logistic_regression", "hist_gradient_boosting", "lightgbm")
CALIBRATIONS = ("none", "sigmoid", "isotonic")
TOLERANCE = 1e-9

SCHEMA = LeadSchema(
    id="id",
    target="won",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="score", type=FeatureType.NUMERIC),
        Feature(name="never missing", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="industry", type=FeatureType.CATEGORICAL),
        Feature(name="budget", type=FeatureType.BOOLEAN),
    ),
)

Row = Sequence[FeatureValue]


@dataclass(frozen=True)
class Made:
    """A fitted pipeline and what was compiled of it."""

    pipeline: Any
    program: Program
    scorer: Scorer
    rows: list[Row]

    def difference(self, rows: list[Row]) -> float:
        """Largest difference of the two on some rows."""
        with np.errstate(all="ignore"):
            library = predict(self.pipeline, frame_of(SCHEMA, rows))
        return float(np.abs(np.array(self.scorer.score_many(rows)) - library).max())


def training_rows(seed: int = 0, leads: int = 2_000) -> tuple[list[Row], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Leads with missing values, rare categories and an interaction."""
    rng = np.random.default_rng(seed)
    rows: list[Any] = []
    for _ in range(leads):
        size, score, always = float(np.exp(rng.normal(4, 1.5))), float(rng.uniform(0, 100)), float(rng.normal())
        source = ("web", "fair", "call", "Empfehlung ü", "rare1", "rare2")[min(5, int(rng.exponential(1.2)))]
        industry = None if rng.random() < 0.2 else ("IT", "bank", "farm")[int(rng.integers(3))]
        rows.append(
            (
                None if rng.random() < 0.1 else size,
                None if rng.random() < 0.3 else score,
                always,
                source,
                industry,
                None if rng.random() < 0.1 else bool(rng.random() < 0.5),
            )
        )
    won = [(r[0] or 30) * 0.01 + (r[1] or 20) * 0.02 * (r[3] == "web") + rng.normal() > 1.2 for r in rows]
    return rows, np.array(won, dtype=np.bool_)


@cache
def made(kind: ModelKind, calibration: str = "none") -> Made:
    """A fitted and compiled pipeline, made once a run."""
    rows, won = training_rows()
    pipeline = build_pipeline(SCHEMA, ModelRules.model_validate({"kind": kind, "calibration": calibration}))
    pipeline.fit(frame_of(SCHEMA, rows), won)
    program = compile_pipeline(pipeline, SCHEMA)
    return Made(pipeline, program, Scorer(program), rows)


numbers = (
    st.none()
    | st.floats(allow_nan=True, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, 1e-300, 50.0, 54.59815003314423])
)
texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["web", "rare1", "IT", "bank"])
rows_of_leads = st.lists(
    st.tuples(numbers, numbers, numbers, texts, texts, st.none() | st.booleans()), min_size=1, max_size=60
)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("kind", KINDS)
@given(rows=rows_of_leads)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_row_scores_as_in_the_library(kind: ModelKind, calibration: str, rows: list[Row]) -> None:
    """Missing, unseen, huge, tiny, NaN, negative zero, unicode: never a difference of 1e-9."""
    assert made(kind, calibration).difference(rows) < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_rows_at_every_threshold_score_as_in_the_library(kind: ModelKind) -> None:
    """A float on a tree's threshold, and its two neighbours, go the same way: no float32 anywhere."""
    model = made(kind)
    edges = edge_rows(SCHEMA, model.program, model.rows)
    assert model.difference(edges) < TOLERANCE
    assert len(edges) > (500 if kind != "logistic_regression" else 50)


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_bank_file_scores_as_in_the_library(kind: ModelKind, bank_file: Any) -> None:
    """41,188 real leads, all features but the leak; every second age is taken away."""
    frame = pl.read_csv(bank_file).drop("lead_id", "created_at", "duration")
    frame = frame.with_columns(age=pl.when(pl.int_range(pl.len()) % 2 == 0).then("age"))
    won = frame["converted"].to_numpy().astype(np.bool_)
    frame = frame.drop("converted").with_columns(pl.col(pl.Int64).cast(pl.Float64))
    types = {
        name: FeatureType.CATEGORICAL if t == pl.String else FeatureType.NUMERIC for name, t in frame.schema.items()
    }
    schema = LeadSchema(id="i", target="t", features=tuple(Feature(name=n, type=t) for n, t in types.items()))
    rows = frame.rows()
    pipeline = build_pipeline(schema, ModelRules(kind=kind)).fit(frame_of(schema, rows), won)
    scored = np.array(Scorer(compile_pipeline(pipeline, schema)).score_many(rows))
    assert len(scored) == 41_188
    assert np.abs(scored - predict(pipeline, frame_of(schema, rows))).max() < TOLERANCE


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_program_scores_to_the_bit(kind: ModelKind, calibration: str) -> None:
    """Through JSON and back: the same program, the same bytes, the same scores."""
    model = made(kind, calibration)
    restored = from_json(to_json(model.program))
    assert (restored, to_json(restored)) == (model.program, to_json(model.program))
    assert Scorer(restored).score_many(model.rows[:300]) == model.scorer.score_many(model.rows[:300])


def test_one_by_one_is_the_same_as_many() -> None:
    """A batch gives each lead the very score it gets alone."""
    model = made("hist_gradient_boosting")
    assert [model.scorer.score(row) for row in model.rows[:200]] == model.scorer.score_many(model.rows[:200])


def test_the_digest_is_that_of_the_learned_parameters() -> None:
    """Fitted twice on the same leads, one digest; on other leads, another."""
    rules = ModelRules(kind="lightgbm")
    rows, won = training_rows()
    others, other_won = training_rows(seed=1)
    fitted = [
        build_pipeline(SCHEMA, rules).fit(frame_of(SCHEMA, r), w)
        for r, w in ((rows, won), (rows, won), (others, other_won))
    ]
    first, again, other = (digest(compile_pipeline(pipeline, SCHEMA)) for pipeline in fitted)
    assert first == again != other


def test_a_wrong_program_fails_its_proof() -> None:
    """One changed leaf among thousands is found, and the worst row is named."""
    model = made("hist_gradient_boosting")
    assert isinstance(model.program.model, Trees)
    tree = model.program.model.trees[0]
    leaf = tree.feature.index(-1)
    number = (*tree.number[:leaf], tree.number[leaf] + 1e-6, *tree.number[leaf + 1 :])
    fields = {name: getattr(tree, name) for name in Tree.__struct_fields__}
    changed = Tree(**{**fields, "number": number})
    trees = Trees(
        baseline=model.program.model.baseline,
        categories=model.program.model.categories,
        trees=(changed, *model.program.model.trees[1:]),
    )
    wrong = Program(
        format=1, features=model.program.features, model=trees, calibration=None, calibrates=model.program.calibrates
    )
    proof = prove(wrong, lambda rows: predict(model.pipeline, frame_of(SCHEMA, rows)), model.rows, [])
    assert not proof.holds
    assert 1e-9 < proof.max_difference < 1e-6
    assert proof.worst in model.rows


def test_a_difference_that_is_no_number_never_holds() -> None:
    """NaN compares false with everything; a proof must not take that for equal."""
    model = made("logistic_regression")
    nan_library = lambda rows: np.full(len(rows), np.nan)  # noqa: E731
    assert not prove(model.program, nan_library, model.rows[:5], []).holds


def test_deep_trees_are_scored_too() -> None:
    """A tree deeper than Python's parser can nest is walked, to the same result as its definition."""
    depth = 300
    feature = tuple([0, -1] * depth + [-1])
    chain = Tree(
        feature=feature,
        code=(-1,) * len(feature),
        number=(*tuple(x for i in range(depth) for x in (float(i), float(i))), float(depth)),
        missing_left=(False,) * len(feature),
        left=(*tuple(x for i in range(depth) for x in (2 * i + 1, -1)), -1),
        right=(*tuple(x for i in range(depth) for x in (2 * i + 2, -1)), -1),
    )
    model = Trees(baseline=0.0, categories=(), trees=(chain,))
    program = Program(format=1, features=("x",), model=model, calibration=None, calibrates="sum")
    scores = Scorer(program).score_many([(0.5,), (100.0,), (1e9,), (None,)])
    assert scores == pytest.approx([1 / (1 + np.exp(-v)) for v in (1.0, 100.0, 300.0, 300.0)])


@pytest.mark.parametrize(
    ("rules", "reason"),
    (
        ({"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}, "averaged"),
        ({"objective": "cross_entropy"}, "objective"),
    ),
)
def test_what_is_not_understood_is_not_compiled(rules: dict[str, Any], reason: str) -> None:
    """The reason is said; the library scores such a version."""
    rows, won = training_rows(leads=300)
    pipeline = build_pipeline(SCHEMA, ModelRules(kind="lightgbm", hyperparameters=rules))
    pipeline.fit(frame_of(SCHEMA, rows), won)
    with pytest.raises(CannotCompileError, match=reason):
        compile_pipeline(pipeline, SCHEMA)


def test_foreign_models_and_files_are_refused() -> None:
    """Another estimator, another pipeline, another file: a sentence, not a wrong score."""
    from sklearn.pipeline import Pipeline  # noqa: PLC0415
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415

    rows, won = training_rows(leads=300)
    pipeline = build_pipeline(SCHEMA, ModelRules())
    foreign = Pipeline([("prepare", pipeline.named_steps["prepare"]), ("model", DecisionTreeClassifier())])
    foreign.fit(frame_of(SCHEMA, rows), won)
    with pytest.raises(CannotCompileError, match="DecisionTreeClassifier"):
        compile_pipeline(foreign, SCHEMA)
    with pytest.raises(CannotCompileError, match="prepare and model"):
        compile_pipeline(DecisionTreeClassifier(), SCHEMA)
    for text in (b"", b"{}", b'{"format": 2}', to_json(made("lightgbm").program).replace(b'"format":2', b'"format":9')):
        with pytest.raises(BadProgramError, match="train the version again"):
            from_json(text)


def test_no_text_of_a_category_reaches_the_generated_source() -> None:
    """A category that looks like code is a key like any other."""
    schema = LeadSchema(id="i", target="t", features=(Feature(name="c", type=FeatureType.CATEGORICAL),))
    nasty = "x'); raise SystemExit('ran'); ('"
    rows: list[Row] = [(nasty,), ("b",)] * 40
    won = np.array([True, False] * 40)
    for kind in KINDS:
        pipeline = build_pipeline(schema, ModelRules(kind=kind)).fit(frame_of(schema, rows), won)
        scorer = Scorer(compile_pipeline(pipeline, schema))
        library = predict(pipeline, frame_of(schema, [(nasty,), ("b",), (None,)]))
        assert scorer.score_many([(nasty,), ("b",), (None,)]) == pytest.approx(library.tolist(), abs=TOLERANCE)


@pytest.mark.parametrize("only", (FeatureType.NUMERIC, FeatureType.CATEGORICAL, FeatureType.BOOLEAN))
@pytest.mark.parametrize("kind", KINDS)
def test_features_of_one_type_alone_compile(kind: ModelKind, only: FeatureType) -> None:
    """A preparation without its numeric or its categorical half is whole."""
    positions = [i for i, feature in enumerate(SCHEMA.features) if feature.type is only]
    schema = LeadSchema(id="i", target="t", features=tuple(SCHEMA.features[i] for i in positions))
    rows, won = training_rows(leads=600)
    part: list[Row] = [tuple(row[i] for i in positions) for row in rows]
    pipeline = build_pipeline(schema, ModelRules(kind=kind)).fit(frame_of(schema, part), won)
    scored = np.array(Scorer(compile_pipeline(pipeline, schema)).score_many(part))
    assert np.abs(scored - predict(pipeline, frame_of(schema, part))).max() < TOLERANCE
