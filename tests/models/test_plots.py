"""The pictures of a version: what they show, and that they can be drawn at the edges."""

import io
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import precision_recall_fscore_support

from leadgate.models.evaluation import evaluate
from leadgate.models.plots import calibration_plot, roc_plot, score_plot

Leads = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]


@pytest.fixture
def leads() -> Leads:
    """800 leads with honest scores."""
    rng = np.random.default_rng(8)
    score = rng.beta(1, 2, 800)
    return rng.random(800) < score, score


def test_pictures_are_titled_labelled_and_say_their_figures(leads: Leads) -> None:
    """Who sees one alone knows what it is."""
    evaluation = evaluate(*leads, 0.5, {})
    texts = {}
    for name, figure in {
        "roc": roc_plot(*leads, evaluation),
        "calibration": calibration_plot(evaluation),
        "scores": score_plot(*leads),
    }.items():
        (axes,) = figure.axes
        assert "800 held-out leads" in axes.get_title(loc="left")
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        legend = axes.get_legend()
        assert legend is not None
        texts[name] = [text.get_text() for text in legend.get_texts()]
    assert f"AUC {evaluation.overall.auc:.3f}" in " ".join(texts["roc"])
    assert f"calibration error {evaluation.overall.calibration_error:.3f}" in " ".join(texts["calibration"])
    assert f"converted ({leads[0].sum():,})" in texts["scores"]
    assert [name for name, text in texts.items() if "base rate" in " ".join(text)] == ["calibration", "scores"]


def test_the_threshold_stands_on_the_curve_at_its_recall(leads: Leads) -> None:
    """Its height is the recall of the leads above it."""
    converted, score = leads
    (axes,) = roc_plot(converted, score, evaluate(converted, score, 0.4, {})).axes
    (point,) = [line for line in axes.lines if line.get_label() == "threshold 0.4"]
    _, recall, _, _ = precision_recall_fscore_support(converted, score > 0.4)
    assert np.asarray(point.get_ydata()) == pytest.approx([recall[1]])
    assert np.asarray(point.get_xdata()) == pytest.approx([1 - recall[0]])


@pytest.mark.parametrize("kind", ("one class", "one score", "one lead"))
def test_pictures_can_be_drawn_at_the_edges(kind: str) -> None:
    """A small or strange hold-out does not stop a training."""
    converted = {"one class": np.zeros(30, dtype=np.bool_), "one lead": np.array([True])}.get(kind, np.arange(30) < 9)
    score = np.linspace(0.1, 0.9, len(converted)) if kind != "one score" else np.full(30, 0.3)
    evaluation = evaluate(converted, score, 0.5, {})
    for figure in (roc_plot(converted, score, evaluation), calibration_plot(evaluation), score_plot(converted, score)):
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        assert picture.getvalue().startswith(b"\x89PNG")


def test_pictures_need_no_screen_and_keep_no_state() -> None:
    """The object API: pyplot, which keeps every figure and may want a display, is not brought in."""
    code = (
        "import sys, io, numpy as np\n"
        "from leadgate.models.plots import score_plot\n"
        "score_plot(np.array([True, False]), np.array([.1, .2])).savefig(io.BytesIO())\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
