"""How commands print: tables and sentences for people, JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from leadgate.records import Interval

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

_NAMED = 10
"""Columns that are named."""


def print_json(thing: Any) -> None:
    """Any record as JSON; figures that are not numbers become null."""
    from pydantic_core import to_jsonable_python  # noqa: PLC0415

    print(json.dumps(_finite(to_jsonable_python(thing, inf_nan_mode="constants")), indent=2))  # noqa: T201


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: str = "") -> None:
    """A table; ``numbers`` has an ``r`` at the position of each column that is aligned right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers[i : i + 1] == "r" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 event, 2,000 events."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def print_ignored(columns: Sequence[str]) -> None:
    """Name the columns of a file that were not read, where there are any."""
    if columns:
        some = ", ".join(columns[:_NAMED]) + (", …" if len(columns) > _NAMED else "")
        console.print(f"{counted(len(columns), 'column')} of the file not read: {some}.", markup=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Any]:
    """Shows which step of a long command runs, and for how long; gives the function that names the step."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what: bar.update(task, description=what)


def with_interval(value: float | None, interval: Interval | None) -> str:
    """A figure and its interval, such as ``0.791 (0.777 to 0.805)``."""
    if value is None:
        return "-"
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "-" if value is None else f"{value:.1%}"


def moment(value: datetime | None) -> str:
    """A time to the minute, in UTC."""
    return "-" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _finite(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_finite(value) for value in tree]
    if isinstance(tree, float) and (tree != tree or tree in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    return tree
