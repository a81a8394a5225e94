"""Figures as people read them (quiet)."""

from math import isinf, isnan

NONE = "\N{EN DASH}"
"""Where there is no figure."""


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A figure with so many significant digits: 0.8731 as 0.873, 1234567 as 1,234,567; an en dash for none."""
    if value is None or isnan(value):
        return NONE
    if isinf(value):
        return f"{'-' if value < 0 else ''}\N{INFINITY}{unit}"
    if abs(value) >= 10**digits - 0.5:  # 999.6 is 1,000 in three digits
        text = f"{value:,.0f}"
    else:
        text = f"{value:#.{digits}g}".rstrip(".") if value else "0"
        if "e" in text:
            text = f"{value:.1e}"
    return f"{text}{unit}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share of one in per cent; an en dash for none."""
    return NONE if value is None else f"{100 * value:,.{digits}f} %"


def share(value: float | None) -> str:
    """A share that somebody set, in per cent and with all its digits: 5 %, 0.5 %, 99.5 %; an en dash for none."""
    return NONE if value is None else f"{100 * value:g} %"


def count(value: float | None, noun: str = "") -> str:
    """A whole number with its noun: 1 lead, 2,000 leads."""
    if value is None:
        return NONE
    said = f"{value:,.0f}"
    return f"{said} {noun if round(value) == 1 else f'{noun}s'}" if noun else said


def plain(name: str) -> str:
    """A name of the code as words: ab_test as A/B test, feature_drift as feature drift."""
    return {"ab_test": "A/B test"}.get(name, name.replace("_", " "))
