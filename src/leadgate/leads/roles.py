"""Guesses which columns are the lead's id, its target and its time (quiet)."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from leadgate.errors import BadFileError
from leadgate.leads.naming import (
    LOST_WORDS,
    WON_WORDS,
    hints_at_target,
    id_rank,
    names_a_person,
    names_an_id,
    names_creation,
    target_rank,
    words_of,
)
from leadgate.leads.reading import Reading
from leadgate.leads.values import parse_target

_CLASSES = 2
_NEARLY_ALL = 0.98
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A column chosen for a role."""

    name: str
    reason: str


def require_columns(columns: Sequence[Reading], file: str, asked: dict[str, str | None]) -> None:
    """Refuse options that name no column of the file, or one column for two roles; ``asked`` is column by option."""
    names = [column.name for column in columns]
    given = {option: name for option, name in asked.items() if name is not None}
    for option, name in given.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}."
            raise BadFileError(f"{file} has no column {name!r} ({option}); {hint}")
    for option, name in given.items():
        other = next((o for o, n in given.items() if n == name and o != option), None)
        if other:
            raise BadFileError(f"{option} and {other} both name the column {name!r}; give each its own.")


def guess_target(columns: Sequence[Reading], file: str) -> Guess:
    """The column that says who converted, by its name; one with two values is preferred. Raises BadFileError."""
    two = [column for column in columns if _classes(column) == _CLASSES]
    named = [column for column in columns if target_rank(column.name) is not None]
    named.sort(key=lambda column: (column not in two, target_rank(column.name)))
    hinted = [column for column in two if hints_at_target(column.name)]
    if named:
        return Guess(name=named[0].name, reason="its name says so")
    if len(hinted) == 1:
        return Guess(name=hinted[0].name, reason="it has two values, and its name speaks of the outcome")
    some = f"columns with two values are {_list(two)}" if two else "no column has two values"
    raise BadFileError(f"{file}: cannot tell which column says who converted ({some}); name it with --target COLUMN.")


def choose_converted(column: Reading, file: str) -> str | None:
    """The target's value that means converted; None when the words for true and false do.

    Of two other values, the one that speaks of success; else the rarer one. Raises BadFileError unless there are two.
    """
    lower = column.text.str.to_lowercase().drop_nulls().alias("value")
    counted = lower.value_counts().sort("count", "value", descending=[True, False])
    values = [str(value) for value in counted["value"]]
    if column.is_boolean:
        values = [] if lower.is_empty() else parse_target(column.raw, None).values.drop_nulls().unique().to_list()
    if len(values) == _CLASSES:
        return None if column.is_boolean else _original(column, _won(values))
    what = "has no value" if not values else f"has {len(values):,} values ({_quoted(counted['value'].to_list())})"
    if len(values) == 1:
        what = (
            f"has one value only ({_original(column, str(counted['value'][0]))!r}), so there is nothing to tell apart"
        )
    raise BadFileError(
        f"{file}: the target {column.name!r} {what}; it must have two, converted or not. "
        "Mend the export, or name another column with --target COLUMN."
    )


def guess_timestamp(columns: Sequence[Reading]) -> Guess | None:
    """The column with the time of creation: times in at least 99 % of the rows, by name, then by position."""
    ranks = {c.name: names_creation(c.name) for c in columns if c.times is not None and _is_full(c)}
    fit = sorted((rank, i, name) for i, (name, rank) in enumerate(ranks.items()) if rank is not None)
    if not fit:
        return None
    rank, _, name = fit[0]
    why = ("its name speaks of creation", "its name speaks of a time", "it holds times")[rank]
    return Guess(name=name, reason=f"{why}, and it has one in every row" if ranks else why)


def require_times(column: Reading, file: str) -> None:
    """Refuse a column as the time of a lead when it holds something else, or too little."""
    if column.times is None:
        seen = next(iter(column.text.drop_nulls()), None)
        raise BadFileError(
            f"{file}: the column {column.name!r} (--timestamp) does not hold dates or times"
            f"{'' if seen is None else f' (such as {seen[:40]!r})'}; name another, or leave the option out."
        )


def guess_id(columns: Sequence[Reading], file: str) -> Guess:
    """The column that names a lead: a value of its own in every row, by name, then by position.

    A named column that repeats a few leads is taken when none is without repetition. Raises BadFileError.
    """
    unique = [column for column in columns if column.is_unique]
    named = sorted((c for c in unique if names_an_id(c.name)), key=lambda c: id_rank(c.name))
    if named:
        return Guess(name=named[0].name, reason="without repetition, and its name says so")
    nearly = [c for c in columns if names_an_id(c.name) and c.distinct >= _NEARLY_ALL * len(c.raw)]
    if nearly:
        best = min(nearly, key=lambda c: id_rank(c.name))
        rest = len(best.raw) - best.distinct
        return Guess(name=best.name, reason=f"its name says so; check: {rest:,} rows repeat an id or have none")
    handles = [column for column in unique if _looks_like_handles(column)]
    if handles:
        return Guess(name=handles[0].name, reason="the first column without repetition")
    some = f"columns without repetition are {_list(unique)}" if unique else "no column is without repetition"
    like = [column.name for column in columns if names_an_id(column.name)]
    seen = f"; {like[0]!r} repeats or misses values" if like else ""
    raise BadFileError(f"{file}: cannot tell which column names a lead ({some}{seen}); name it with --id COLUMN.")


def _classes(column: Reading) -> int:
    return column.distinct if column.distinct <= 1 else int(column.text.str.to_lowercase().drop_nulls().n_unique())


def _won(values: list[str]) -> str:
    """Of two values, the commoner first, the one that means success."""
    won = [value for value in values if "_".join(words_of(value)) in WON_WORDS]
    lost = [value for value in values if "_".join(words_of(value)) in LOST_WORDS]
    if len(won) == 1:
        return won[0]
    return next(value for value in reversed(values) if len(lost) != 1 or value not in lost)


def _original(column: Reading, lower: str) -> str:
    """A value as the file writes it most often."""
    same = column.text.filter(column.text.str.to_lowercase() == lower).alias("value")
    return str(same.value_counts().sort("count", "value", descending=[True, False])["value"][0])


def _is_full(column: Reading) -> bool:
    read = len(column.raw) - (column.times.values.null_count() if column.times else len(column.raw))
    return read >= 0.99 * len(column.raw)  # a row without a time is quarantined


def _looks_like_handles(column: Reading) -> bool:
    """Codes without blanks, or numbers counted up; no names, addresses, links, times or measurements."""
    if names_a_person(column.name) or column.times is not None:
        return False
    if column.numeric_share > 0:
        span = float(column.numbers.values.max() or 0) - float(column.numbers.values.min() or 0)  # type: ignore[arg-type]
        return column.is_whole and span + 1 <= 1.1 * len(column.raw)
    return not column.text.str.contains(r"[\s@]|://").any()


def _list(columns: Sequence[Reading]) -> str:
    return _shown([column.name for column in columns])


def _quoted(values: list[str]) -> str:
    return _shown([repr(value) for value in values])


def _shown(words: list[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN:,} more" if len(words) > _SHOWN else "")
