"""What a report is: sentences, tables and charts, each number with where it comes from (quiet)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Step = str | int
Path = tuple[Step, ...]
"""The way to a number in what its source gives: a row, a column, a key."""

Origin = Literal["sql", "registry", "settings"]
"""sql: rows of a statement. registry: what a command prints as JSON. settings: leadgate.yaml."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where numbers come from, and how to see for oneself."""

    origin: Origin
    title: str
    """Names it among the sources of a report."""
    command: str = ""
    """A command that shows it; empty where there is only the statement."""
    sql: str = ""
    """A statement that gives it, with its parameters written out; empty for another origin."""


@dataclass(frozen=True, kw_only=True)
class Cited:
    """A number, a time or somebody's words, and where it comes from."""

    text: str
    """As people read it."""
    value: float | str
    """What the source has: a number, or what it is as text."""
    source: Source
    at: Path
    """Where it is in what the source gives; empty for one that is computed."""
    how: str = ""
    """How it was computed from what the source gives; empty for one that is read there."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """Something to type: a command, the name of a setting."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How something stands, as a word and a colour."""

    text: str
    tone: Literal["good", "warn", "bad", "unknown"]


Part = str | Cited | Code | Mark
Text = tuple[Part, ...]
"""A sentence, or what stands in a cell. What is a str is text, whatever characters it has."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under names of columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    numeric: tuple[bool, ...] = ()
    """By column, whether it is aligned right; empty: none is."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points that belong together; all sequences are equally long."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    """Lower ends of the intervals; empty without."""
    high: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of figures that its table has too."""

    title: str
    alt: str
    """What the picture shows, for those who do not see it."""
    kind: Literal["band", "line", "calibration", "bars"]
    """band: a line with its interval, against zero; calibration: points with intervals, against the diagonal; bars: one
    for each label, from the first series."""
    x: str
    y: str
    series: tuple[Series, ...]
    labels: tuple[str, ...] = ()
    """Of the places on the x axis, or of the bars; empty: numbers."""
    percent: bool = False
    """Whether the y axis is in percent."""
    table: Table


Block = Text | Table | Chart


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole report."""

    kind: str
    """deployment, weekly..."""
    title: str
    model_name: str
    period: str
    """What time it is about."""
    versions: tuple[str, ...]
    """What it is about."""
    made_at: datetime
    """UTC."""
    changed: tuple[Text, ...]
    """What changed, a sentence each."""
    actions: tuple[Text, ...]
    """What to do, a sentence each."""
    sections: tuple[Section, ...]
    reads: tuple[str, ...] = field(default=())
    """How to read it: what holds for all of it, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a source gives: rows by column, or a tree."""

    source: Source
    content: Sequence[Mapping[str, Any]] | Mapping[str, Any]

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of a statement."""
        assert not isinstance(self.content, Mapping)
        return self.content

    def get(self, *at: Step) -> Any:
        """What is at a place; None where nothing is."""
        return found_at(self.content, at)

    def number(self, *at: Step, form: str = "{:,}") -> Cited | str:
        """The number at a place, in a form of ``str.format``; a dash where none is."""
        value = self.get(*at)
        if value is None:
            return "-"
        return Cited(text=form.format(value), value=float(value), source=self.source, at=at)

    def computed(self, value: float | None, how: str, form: str = "{:,}") -> Cited | str:
        """A number that was computed from the source; a dash for None."""
        if value is None:
            return "-"
        return Cited(text=form.format(value), value=float(value), source=self.source, at=(), how=how)

    def quote(self, *at: Step, form: str = "{}") -> Cited | str:
        """The words or the time at a place; a dash where nothing is."""
        value = self.get(*at)
        if value in (None, ""):
            return "-"
        return Cited(text=form.format(value), value=str(value), source=self.source, at=at)


def found_at(content: Any, at: Path) -> Any:
    """Follow a path; None where it leads nowhere."""
    for step in at:
        try:
            content = content[step]
        except (KeyError, IndexError, TypeError):
            return None
    return content


def texts_of(report: Report) -> Iterator[Text]:
    """Every text of a report in reading order."""
    yield from report.changed
    yield from report.actions
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, tuple):
                yield block
            else:
                yield from _cells(block.table if isinstance(block, Chart) else block)


def cited_in(report: Report) -> list[Cited]:
    """Every number and quotation of a report in reading order."""
    return [part for text in texts_of(report) for part in text if isinstance(part, Cited)]


def sources_of(report: Report) -> tuple[Source, ...]:
    """Every source of a report once, in the order in which they are first cited."""
    return tuple(dict.fromkeys(part.source for part in cited_in(report)))


def _cells(table: Table) -> Iterator[Text]:
    for row in table.rows:
        yield from row
