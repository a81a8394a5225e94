"""Numbers and times as people read them (quiet)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain, repeat

from leadgate.views.reports.report import Cited, Known, Mark, Part, Step, Table, Text

SHARE, SIGNED_SHARE, FIGURE, SIGNED_FIGURE, COUNT = "{:.1%}", "{:+.1%}", "{:.3f}", "{:+.3f}", "{:,}"
MONEY, SIGNED_MONEY, DAYS, EXACT = "{:,.0f}", "{:+,.0f}", "{:.1f}", "{:.4g}"
DAY, MOMENT = "{:%Y-%m-%d}", "{:%Y-%m-%d %H:%M}"


def with_interval(known: Known, value: Sequence[Step], interval: Sequence[Step], form: str) -> Text:
    """A figure and its interval, such as ``0.843 (0.812 to 0.870)``; a dash where it is not known.

    ``value`` is the way to the figure, ``interval`` the way to what has its ``low`` and ``high``.
    """
    middle = known.number(*value, form=form)
    ends = [known.number(*interval, end, form=form) for end in ("low", "high")]
    if isinstance(middle, str) or any(isinstance(end, str) for end in ends):
        return (middle,)
    return middle, " (", ends[0], " to ", ends[1], ")"


def in_interval(known: Known, *at: Step, form: str) -> Text:
    """A figure that has keys ``value`` and ``interval``, as those of evidence have."""
    return with_interval(known, (*at, "value"), (*at, "interval"), form)


def computed_interval(known: Known, found: tuple[float, float, float] | None, how: str, form: str) -> Text:
    """Value, low end and high end, computed from a source."""
    if found is None:
        return ("-",)
    middle, low, high = (known.computed(number, how, form) for number in found)
    return middle, " (", low, " to ", high, ")"


def joined(texts: Iterable[Text], by: str = ", ") -> Text:
    """Texts one after the other."""
    pieces = [text for pair in zip(texts, repeat((by,))) for text in pair]  # the second has no end
    return tuple(chain.from_iterable(pieces[:-1]))


def said(*parts: Part | Text) -> Text:
    """A sentence of parts and texts."""
    return tuple(chain.from_iterable(part if isinstance(part, tuple) else (part,) for part in parts))


Row = tuple[Part | Text, ...]
"""Cells of a table on their way."""


def table(title: str, columns: str, rows: Iterable[Row], numeric: str = "") -> Table:
    """A table; columns are separated by ``|``, and ``numeric`` has an r for each one that is aligned right."""
    names = tuple(columns.split("|"))
    cells = tuple(tuple(cell if isinstance(cell, tuple) else (cell,) for cell in row) for row in rows)
    right = tuple(numeric[i : i + 1] == "r" for i in range(len(names)))
    return Table(title=title, columns=names, rows=cells, numeric=right)


def day(value: datetime | None) -> str:
    """A day in UTC."""
    return "-" if value is None else f"{value:%Y-%m-%d}"


def moment(value: datetime | None) -> str:
    """A time to the minute, in UTC."""
    return "-" if value is None else f"{value:%Y-%m-%d %H:%M}"


def words(name: str) -> str:
    """A name of the code as people say it."""
    named = {"ab_test": "A/B test", "full": "full rollout"}
    return named.get(name, name.replace("_", " "))


def severity(name: str) -> Mark:
    """The colour of a finding."""
    tones = {"green": "good", "yellow": "warn", "red": "bad"}
    texts = {"green": "good", "yellow": "look within 2 days", "red": "look now", "unknown": "not enough data"}
    return Mark(text=texts.get(name, name), tone=tones.get(name, "unknown"))  # type: ignore[arg-type]  # as above


def answer(name: str) -> Mark:
    """What a gate said."""
    tones = {"pass": "good", "fail": "bad", "wait": "unknown", "inconclusive": "warn"}
    return Mark(text=name, tone=tones.get(name, "unknown"))  # type: ignore[arg-type]  # as above


def plain(text: Text) -> str:
    """A text without marks and links."""
    return "".join(part if isinstance(part, str) else part.text for part in text)


def is_known(part: Part) -> bool:
    """Whether it is a number, not the dash of one that is missing."""
    return isinstance(part, Cited)
