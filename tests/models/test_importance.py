"""What a feature matters is what the hold-out loses without it."""

import numpy as np
import pandas as pd
import pytest

from leadgate.models.importance import permutation_importance


def test_only_the_feature_that_decides_matters() -> None:
    """A perfect score of one column falls to a coin's when that column is shuffled; the others do not matter."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"decides": rng.standard_normal(4_000), "noise": rng.standard_normal(4_000)})
    converted = frame["decides"].to_numpy() > 0.5
    found = permutation_importance(lambda f: f["decides"].to_numpy(), frame, converted, rng)
    assert found["decides"] == pytest.approx(0.5, abs=0.03)
    assert found["noise"] == 0.0


def test_a_larger_hold_out_is_sampled() -> None:
    """Importance stays cheap: no more than 5,000 leads are scored at a time."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.standard_normal(20_000)})
    scored = []

    def score(rows: pd.DataFrame) -> np.ndarray:
        scored.append(len(rows))
        return rows["x"].to_numpy()

    permutation_importance(score, frame, frame["x"].to_numpy() > 0, rng)
    assert set(scored) == {5_000}
