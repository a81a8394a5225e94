"""Trees summed in C give what Python gives, and what the library gives, on whatever rows."""

import threading
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from test_parity import CALIBRATIONS, SCHEMA, TOLERANCE, Made, Row, made, rows_of_leads

from leadgate.compiled import native
from leadgate.compiled.compiler import compile_pipeline
from leadgate.compiled.native import model_text, native_sum
from leadgate.compiled.program import FORMAT, CategoryCodes, Program, Tree, Trees
from leadgate.compiled.proof import edge_rows
from leadgate.compiled.scorer import Scorer
from leadgate.leads.project import ModelKind, ModelRules
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.pipeline import build_pipeline, frame_of, predict

TREES: tuple[ModelKind, ...] = ("hist_gradient_boosting", "lightgbm")


def in_c(model: Made) -> Made:
    """The same model, its trees summed in C."""
    raw = native_sum(model.program)
    assert raw is not None
    return Made(model.pipeline, model.program, Scorer(model.program, raw), model.rows)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("kind", TREES)
@given(rows=rows_of_leads)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_row_scores_as_in_the_library(kind: ModelKind, calibration: str, rows: list[Row]) -> None:
    """Missing, unseen, huge, tiny, NaN, negative zero, unicode: never a difference of 1e-9."""
    assert in_c(made(kind, calibration)).difference(rows) < TOLERANCE


@pytest.mark.parametrize("kind", TREES)
def test_rows_at_every_threshold_score_as_in_the_library(kind: ModelKind) -> None:
    """Thresholds and leaf values survive the way through text."""
    model = in_c(made(kind))
    assert model.difference(edge_rows(SCHEMA, model.program, model.rows)) < TOLERANCE


@pytest.mark.parametrize("kind", TREES)
def test_the_whole_bank_file_scores_as_in_the_library(kind: ModelKind, bank_file: Any) -> None:
    """41,188 real leads."""
    frame = pl.read_csv(bank_file).drop("lead_id", "created_at", "duration")
    won = frame["converted"].to_numpy().astype(np.bool_)
    frame = frame.drop("converted").with_columns(pl.col(pl.Int64).cast(pl.Float64))
    types = {
        name: FeatureType.CATEGORICAL if t == pl.String else FeatureType.NUMERIC for name, t in frame.schema.items()
    }
    schema = LeadSchema(id="i", target="t", features=tuple(Feature(name=n, type=t) for n, t in types.items()))
    rows = frame.rows()
    pipeline = build_pipeline(schema, ModelRules(kind=kind)).fit(frame_of(schema, rows), won)
    program = compile_pipeline(pipeline, schema)
    scored = np.array(Scorer(program, native_sum(program)).score_many(rows))
    assert np.abs(scored - predict(pipeline, frame_of(schema, rows))).max() < TOLERANCE


def leaf(value: float) -> Tree:
    """A tree without a split."""
    return Tree(feature=(-1,), code=(-1,), number=(value,), missing_left=(False,), left=(0,), right=(0,))


def split(feature: int, low: float, high: float, *, at: float = 0.0, code: int = -1, missing: bool = False) -> Tree:
    """A tree of one split: ``low`` on its left, ``high`` on its right."""
    return Tree(
        feature=(feature, -1, -1),
        code=(code, -1, -1),
        number=(at, low, high),
        missing_left=(missing, False, False),
        left=(1, 0, 0),
        right=(2, 0, 0),
    )


def program(*trees: Tree) -> Program:
    """A number and a category of 70 values."""
    codes = CategoryCodes(feature=1, codes={f"c{i}": i for i in range(70)}, missing=70, unknown=71)
    return Program(
        format=FORMAT,
        features=("number", "category"),
        model=Trees(baseline=0.25, categories=(codes,), trees=trees),
        calibration=None,
        calibrates="sum",
    )


@pytest.mark.parametrize(
    "row", ((0.0, "c0"), (-0.0, "c33"), (0.1, "c64"), (None, None), (float("nan"), "?"), (1e308, "c69"), (-5.0, "c32"))
)
def test_hand_made_trees_sum_alike(row: Row) -> None:
    """Leaves alone, both sides for missing values, and categories beyond the first word of a set."""
    model = program(
        leaf(0.5),
        split(0, 1.0, 2.0, at=0.05, missing=True),
        split(0, 4.0, 8.0, at=-1.0, missing=False),
        *(split(1, 0.01 * i, -0.01 * i, code=c) for i, c in enumerate((0, 31, 32, 33, 64, 69, 70, 71), 1)),
    )
    raw = native_sum(model)
    assert raw is not None
    assert Scorer(model, raw).score(row) == pytest.approx(Scorer(model).score(row), abs=1e-15)


def test_two_threads_do_not_mix_their_leads() -> None:
    """A version is warmed in one thread while it answers in another."""
    model = program(split(0, -3.0, 3.0))
    scorer = Scorer(model, native_sum(model))
    low, high = scorer.score((-1.0, None)), scorer.score((1.0, None))
    wrong: list[float] = []

    def ask(value: float, expected: float) -> None:
        wrong.extend(s for s in (scorer.score((value, None)) for _ in range(20_000)) if s != expected)

    threads = [threading.Thread(target=ask, args=pair) for pair in ((-1.0, low), (1.0, high))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert low < high


def test_without_the_library_or_trees_python_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, so that the caller keeps the scorer that needs nothing."""
    assert native_sum(made("logistic_regression").program) is None
    assert native_sum(program(leaf(1.0))) is None
    monkeypatch.setattr(native, "_library", lambda: None)
    assert native_sum(made("lightgbm").program) is None


def test_the_text_is_a_model_that_lightgbm_reads() -> None:
    """Its own package loads it and predicts the same raw scores."""
    import lightgbm  # noqa: PLC0415

    model = program(split(0, 1.0, 2.0, at=0.05), split(1, 5.0, 7.0, code=40))
    assert isinstance(model.model, Trees)
    booster = lightgbm.Booster(model_str=model_text(model.model))
    raw: Any = booster.predict(np.array([[0.0, 40.0], [1.0, 3.0]]), raw_score=True)
    assert raw.tolist() == [1.0 + 7.0, 2.0 + 5.0]
