"""What every form of a report has in common (quiet)."""

import unicodedata
from collections.abc import Sequence

from leadgate.views.reports.report import Cited, Source

CHANGED, ACTIONS = "What changed", "What to do"

MARK_SIGNS = {"good": "✓", "warn": "!", "bad": "✗", "unknown": "?"}
"""Beside the colour, for those who do not see it."""

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Categories of characters that are no text: controls, and marks that turn the direction of what follows."""


def clean(text: str) -> str:
    """Text on one line, without characters that hide or turn others."""
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if unicodedata.category(c) not in _HIDDEN)


def spaced(text: str) -> str:
    """The same, of a part of a sentence: a space at an end stays."""
    inner = clean(text)
    if not inner:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{inner}{' ' if text[-1].isspace() else ''}"


def numbered(sources: Sequence[Source]) -> dict[Source, int]:
    """The number of each source, from 1 on."""
    return {source: number for number, source in enumerate(sources, start=1)}


def shown_of(source: Source) -> list[tuple[str, str]]:
    """How to see a source: language and text of the command and of the statement; hidden characters are left out."""
    both = (("sh", source.command), ("sql", source.sql))
    return [(language, _visible(text)) for language, text in both if text]


def place_of(cited: Cited) -> str:
    """Where in its source something is, in words."""
    if cited.how:
        return f"computed: {cited.how}"
    first, *rest = cited.at
    if isinstance(first, int):
        return f"row {first + 1}: {'.'.join(str(step) for step in rest)}"
    return ".".join(str(step) for step in cited.at)


def _visible(text: str) -> str:
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _HIDDEN)
