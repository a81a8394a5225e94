"""What a benchmark measured against its bars: a table, two files and an exit code."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure and the least (or most) it has to be."""

    what: str
    measured: float
    unit: str
    bar: float | None = None
    """None for a figure that is only told."""
    at_most: bool = False
    """True when the figure must not exceed the bar, False when it must reach it."""

    @property
    def holds(self) -> bool:
        """Whether the figure meets its bar; one that is only told does, one that is not a number does not."""
        if self.bar is None:
            return True
        return self.measured <= self.bar if self.at_most else self.measured >= self.bar


def is_quick() -> bool:
    """Whether QUICK=1 asks for the short form."""
    return os.environ.get("QUICK", "0") not in {"", "0"}


def report(name: str, title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> int:
    """Print the table; the full form also writes it to docs/benchmarks as NAME.json and NAME.md.

    Gives the exit code: 1 when a bar falls short, or when there is nothing to judge.
    """
    table = _table(rows)
    print("\n".join([title, "", *table, "", *notes]))
    if is_quick():
        print("\nQUICK=1: the files in docs/benchmarks are left as they are.")
    else:
        _write(name, title, rows, notes, table)
    return 0 if rows and all(row.holds for row in rows) else 1


def _write(name: str, title: str, rows: Sequence[Row], notes: Sequence[str], table: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    facts = {
        "name": name,
        "title": title,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "rows": [{**asdict(row), "holds": row.holds} for row in rows],
        "notes": list(notes),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")
    text = [f"# {title}", "", f"`make bench-{name}`", "", *table, "", *map(_line, notes)]
    (FOLDER / f"{name}.md").write_text("\n".join(text).rstrip() + "\n")


def _line(note: str) -> str:
    """A note as a line of a list; lines of a table and pictures are none."""
    return note if not note.strip() or note.lstrip().startswith(("|", "![")) else f"- {note}"


def _table(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table that reads well in a terminal too."""
    cells = [("what", "measured", "bar", "holds"), *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(c, widths, strict=True)) + " |" for c in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _cells(row: Row) -> tuple[str, str, str, str]:
    measured = f"{_short(row.measured)} {row.unit}".strip()
    if row.bar is None:
        return row.what, measured, "", ""
    bar = f"{'≤' if row.at_most else '≥'} {_short(row.bar)} {row.unit}".strip()
    return row.what, measured, bar, "yes" if row.holds else "NO"


def _short(number: float) -> str:
    """Three digits that mean something."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
