"""A program file is read whole and sound, or not at all."""

import json
from math import pi
from typing import Any

import pytest

from leadgate.compiled.program import BadProgramError, digest, from_json, to_json
from leadgate.compiled.scorer import Scorer

AWKWARD = (0.1, 1 / 3, pi, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -0.0, 1e-35, 123456789.12345679)


def stump(**changes: Any) -> dict[str, Any]:
    """One test with two leaves, as the file says it."""
    tree = {
        "feature": [0, -1, -1],
        "code": [-1, -1, -1],
        "number": [0.5, 1.0, 2.0],
        "missing_left": [False, False, False],
        "left": [1, -1, -1],
        "right": [2, -1, -1],
    }
    return {**tree, **changes}


def program(model: dict[str, Any], **changes: Any) -> bytes:
    """The bytes of a program of one feature."""
    fields = {"format": 1, "features": ["size"], "model": model, "calibration": None, "calibrates": "sum"}
    return json.dumps({**fields, **changes}).encode()


def trees(*made: dict[str, Any], categories: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A model of trees."""
    return {"type": "trees", "baseline": 0.0, "categories": list(categories), "trees": list(made)}


def linear(*features: int) -> dict[str, Any]:
    """A linear model of some numbers."""
    shares = [{"feature": f, "scale": 1.0, "offset": 0.0, "weight": 1.0, "missing": 0.0} for f in features]
    return {"type": "linear", "intercept": 0.0, "numbers": shares, "categories": []}


def test_a_sound_file_scores() -> None:
    """By hand: 0.2 goes left to 1, and 1 / (1 + e^-1) is 0.7310585786300049."""
    assert Scorer(from_json(program(trees(stump())))).score((0.2,)) == pytest.approx(0.7310585786300049, abs=1e-15)


@pytest.mark.parametrize("number", AWKWARD)
def test_every_float_survives_to_the_bit(number: float) -> None:
    """Subnormal, largest, negative zero and thirds come back as the same 64 bits."""
    read = from_json(to_json(from_json(program(trees(stump(number=[0.5, number, 2.0]))))))
    assert read.model.trees[0].number[1].hex() == number.hex()  # type: ignore[union-attr]  # it is of trees


def test_the_digest_is_of_the_canonical_form() -> None:
    """Blanks and the order of keys in a file do not change a digest; the last bit of a leaf does."""
    text = program(trees(stump()))
    spaced = json.dumps(dict(reversed(json.loads(text).items())), indent=2).encode()
    nudged = program(trees(stump(number=[0.5, 1.0000000000000002, 2.0])))
    assert digest(from_json(text)) == digest(from_json(spaced)) != digest(from_json(nudged))


@pytest.mark.parametrize(
    ("tree", "reason"),
    (
        (stump(left=[0, -1, -1]), "turns back"),
        (stump(left=[-2, -1, -1]), "turns back"),
        (stump(left=[9, -1, -1]), "missing, shared or never reached"),
        (stump(left=[2, -1, -1]), "missing, shared or never reached"),
        (stump(code=[-1]), "differ in length"),
        ({name: [] for name in stump()}, "differ in length"),
        (stump(feature=[7, -1, -1]), "does not have"),
        (stump(feature=[-2, -1, -1]), "does not have"),
        (stump(code=[3, -1, -1]), "number for a category"),
        (stump(cover=[10, 4]), "no training lead"),
        (stump(cover=[10, 0, 10]), "no training lead"),
    ),
)
def test_a_damaged_tree_is_refused(tree: dict[str, Any], reason: str) -> None:
    """Left to itself, such a file would hang the service, crash it, or score from the wrong leaf."""
    with pytest.raises(BadProgramError, match=reason):
        from_json(program(trees(tree)))


@pytest.mark.parametrize(
    ("text", "reason"),
    (
        (program(linear(1)), "does not have"),
        (program(linear(0, 0)), "twice"),
        (program(linear(), features=[]), "no features"),
        (program(linear(0), medians=[1.0, 2.0]), "one median"),
        (program(linear(0), calibration={"type": "isotonic", "x": [], "y": []}), "no points"),
        (program(linear(0), calibration={"type": "isotonic", "x": [0.0, 0.0], "y": [0.1, 0.2]}), "do not ascend"),
        (program(linear(0)).replace(b"1.0", b"1e999"), "cannot be read"),
        (program(linear(0)).replace(b"1.0", b"NaN"), "cannot be read"),
        (program(linear(0)).replace(b"1.0", b'"__import__"'), "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ),
)
def test_a_damaged_model_is_refused(text: bytes, reason: str) -> None:
    """The sentence says what is wrong, and what to do."""
    with pytest.raises(BadProgramError, match=reason) as caught:
        from_json(text)
    assert "train the version again" in str(caught.value)


def test_a_later_format_is_named_as_such() -> None:
    """Even when its fields are others: "format 3" helps its reader, "unknown field" does not."""
    with pytest.raises(BadProgramError, match="has format 3, this Leadgate reads 1 and 2"):
        from_json(b'{"format": 3, "something": "new"}')
