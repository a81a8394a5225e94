"""Reasons in words: a salesperson knows in seconds what it is, which way it pulls, and how much."""

from typing import Any

import pytest

from leadgate.models.wording import Moved, is_slight, name_of, number_text, sentence_of


def moved(feature: str, value: Any, score: float, without: float, **facts: Any) -> str:
    """A sentence."""
    direction = "raises" if score >= without else "lowers"
    given: dict[str, Any] = {"median": None, "is_new": False, "direction": direction, **facts}
    return sentence_of(Moved(feature=feature, value=value, score=score, without=without, **given))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    (
        (
            moved("webinar_attended", True, 0.66, 0.48),
            "Webinar attended (yes): raises the score a lot (0.66 with it, 0.48 at the average).",
        ),
        (
            moved("has_budget", False, 0.30, 0.35),
            "Has budget (no): lowers the score (0.30 with it, 0.35 at the average).",
        ),
        (
            moved("teamSize", 1200.0, 0.51, 0.50, median=85.0),
            "Team size (1,200, above the median of 85): raises the score a little (0.51 with it, 0.50 at the average).",
        ),
        (
            moved("visits", 0.0, 0.5, 0.6, median=3.5),
            "Visits (0, below the median of 3.5): lowers the score (0.50 with it, 0.60 at the average).",
        ),
        (
            moved("visits", 3.0, 0.5, 0.6, median=3.0),
            "Visits (3, the median): lowers the score (0.50 with it, 0.60 at the average).",
        ),
        (
            moved("industry", None, 0.40, 0.44),
            "Industry (not known): lowers the score a little (0.40 with it, 0.44 at the average).",
        ),
        (
            moved("industry", "Widgets", 0.40, 0.50, is_new=True),
            "Industry (Widgets, not seen in training): lowers the score (0.40 with it, 0.50 at the average).",
        ),
    ),
)
def test_a_sentence_says_what_which_way_and_how_much(sentence: str, expected: str) -> None:
    """Each kind of value, each direction, each size."""
    assert sentence == expected


def test_the_size_is_one_of_odds() -> None:
    """From 1 in 100 to 2.5 in 100 is much for a salesperson, and from 0.50 to 0.515 is not: both are 1.5 points."""
    assert "a lot" in moved("x", 1.0, 0.025, 0.01)
    assert "a little" in moved("x", 1.0, 0.515, 0.50)


def test_small_differences_get_more_digits_and_none_is_made_up() -> None:
    """To say "0.01 with it, 0.01 at the average" would look like a mistake; a calibration's flat step is told."""
    assert "(0.012 with it, 0.009 at the average)" in moved("x", 1.0, 0.012, 0.009)
    assert "(0.00004 with it, 0.00002 at the average)" in moved("x", 1.0, 0.00004, 0.00002)
    assert "(0.25 either way)" in moved("x", 1.0, 0.25, 0.25)


@pytest.mark.parametrize(
    ("score", "without", "slight"),
    ((0.84, 0.8405, True), (0.84, 0.842, False), (0.25, 0.25, True), (0.0006, 0.0003, False), (0.0006, 0.00055, True)),
)
def test_what_hardly_moves_a_score_is_slight(score: float, without: float, slight: bool) -> None:
    """Less than a tenth of a point, unless that is much where hardly anybody converts."""
    moved = Moved(feature="x", value=1.0, median=None, is_new=False, direction="raises", score=score, without=without)
    assert is_slight(moved) == slight


@pytest.mark.parametrize("score", (0.0, 1.0))
def test_certainty_has_words_too(score: float) -> None:
    """An isotonic calibration answers 0 and 1, whose odds are no numbers."""
    assert "a lot" in moved("x", 1.0, score, 0.5)


@pytest.mark.parametrize(
    ("column", "name"),
    (
        ("company_size", "Company size"),
        ("companySize", "Company size"),
        ("CRMScore", "CRM score"),
        ("utm.source", "Utm source"),
        ("Lead Source", "Lead source"),
        ("days-since-visit", "Days since visit"),
        ("größe_2", "Größe 2"),
        ("__", "__"),
    ),
)
def test_columns_have_names_for_people(column: str, name: str) -> None:
    """However a CRM writes them."""
    assert name_of(column) == name


@pytest.mark.parametrize(
    ("value", "text"),
    ((1200.0, "1,200"), (12345.6, "12,346"), (3.14159, "3.14"), (0.00123, "0.00123"), (-7.0, "-7"), (1e308, "1e+308")),
)
def test_numbers_are_written_as_people_do(value: float, text: str) -> None:
    """Without the digits that say nothing."""
    assert number_text(value) == text


def test_a_long_category_is_cut() -> None:
    """A free text in a category must not bury the sentence."""
    said = moved("note", "x" * 500, 0.5, 0.4)
    assert len(said) < 200
    assert "…" in said
