"""The reasons of a score in words that a salesperson reads in seconds (quiet)."""

import re
from dataclasses import dataclass
from math import isfinite, log
from typing import Literal

from leadgate.leads.schema import FeatureValue

Direction = Literal["raises", "lowers"]

_A_LOT, _SOME = log(2), log(1.2)
"""Of log-odds: the odds are doubled or halved; they change by a fifth."""
_SLIGHT = 0.001
"""Of probability: a tenth of a point."""
_CERTAIN = 1e-9
"""A calibration can answer 0 or 1, whose odds are no numbers."""
_LONGEST_VALUE = 60
"""Characters of a category that are shown."""
_WHOLE = 1e15
"""From here on a number is written with an exponent."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What one feature does to one score."""

    feature: str
    value: FeatureValue
    median: float | None
    """Of the training leads that have a value; None for what is no number, and where it is not known."""
    is_new: bool
    """Whether it is a category that training did not see."""
    direction: Direction
    score: float
    without: float
    """The score if this feature counted as at the average training lead."""


def sentence_of(moved: Moved) -> str:
    """What it is, what it does and how much.

    Such as ``Company size (120, above the median of 85): raises the score a lot (0.62 with it, 0.48 at the average)``.
    """
    return f"{name_of(moved.feature)} ({_value(moved)}): {moved.direction} the score{_much(moved)} ({_scores(moved)})."


def is_slight(moved: Moved) -> bool:
    """Whether it is too little to be told: less than a tenth of a point, and less than a fifth of the odds."""
    return abs(moved.score - moved.without) < _SLIGHT and _change(moved) < _SOME


def name_of(feature: str) -> str:
    """A column's name for people: ``webinar_attended`` and ``webinarAttended`` become ``Webinar attended``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", feature)
    words = re.sub(r"[\s_.\-]+", " ", parted).split()
    said = " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)
    return f"{said[:1].upper()}{said[1:]}" or feature


def number_text(value: float) -> str:
    """A number as people write it: ``1,200``, ``3.75``, ``0.0012``."""
    if not isfinite(value) or abs(value) >= _WHOLE:
        return f"{value:.3g}"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004  # more digits say no more


def _value(moved: Moved) -> str:
    match moved.value:
        case None:
            return "not known"
        case bool():
            return "yes" if moved.value else "no"
        case str():
            short = moved.value if len(moved.value) <= _LONGEST_VALUE else f"{moved.value[:_LONGEST_VALUE]}…"
            return f"{short}, not seen in training" if moved.is_new else short
        case _:
            return f"{number_text(moved.value)}{_against_median(moved.value, moved.median)}"


def _against_median(value: float, median: float | None) -> str:
    if median is None:
        return ""
    usual = number_text(median)
    if usual == number_text(value):
        return ", the median"
    return f", {'above' if value > median else 'below'} the median of {usual}"


def _much(moved: Moved) -> str:
    """How much the odds change, for 2 points are much where hardly anybody converts."""
    change = _change(moved)
    return " a lot" if change >= _A_LOT else "" if change >= _SOME else " a little"


def _change(moved: Moved) -> float:
    return abs(_log_odds(moved.score) - _log_odds(moved.without))


def _log_odds(score: float) -> float:
    held = min(1 - _CERTAIN, max(_CERTAIN, score))
    return log(held / (1 - held))


def _scores(moved: Moved) -> str:
    for digits in range(2, 7):
        score, without = f"{moved.score:.{digits}f}", f"{moved.without:.{digits}f}"
        if score != without:
            return f"{score} with it, {without} at the average"
    return f"{moved.score:.2f} either way"
