"""Looks at a file of leads and says what each column is (quiet)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from math import ceil, isfinite

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.leakage import placeholder_of, signs_of
from leadgate.leads.naming import names_a_code, names_a_person, names_an_id, segment_rank
from leadgate.leads.reading import Reading, read_column
from leadgate.leads.roles import (
    Guess,
    choose_converted,
    guess_id,
    guess_target,
    guess_timestamp,
    require_columns,
    require_times,
)
from leadgate.leads.schema import FeatureType
from leadgate.leads.split import hash_holdout
from leadgate.leads.values import is_opaque, parse_feature, parse_target

_MOST_CATEGORIES = 1_000
_JUDGED_SHARE = 0.3
"""Share of the leads on which a column's ranking is judged; its rates come from the others."""
_NUMERIC_SHARE = 0.99
_UNIQUE_SHARE = 0.9
_FEWEST = 20
"""Values that all differ say nothing about a column with fewer rows than this."""
_LONG_TEXT = 50
_SLIPS = 0.001
"""One negative value in a thousand is a slip, not a sign that the quantity can be negative."""
_SEGMENTS = 3
_SEGMENT_SIZE = range(2, 13)


class Role(StrEnum):
    """What a column is for."""

    ID = "id"
    TIMESTAMP = "timestamp"
    TARGET = "target"
    FEATURE = "feature"
    SUSPECT = "leakage suspect"
    LEFT_OUT = "left out"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the file, and what is made of it."""

    name: str
    role: Role
    type: FeatureType | None
    """Of a feature or a suspect."""
    missing: float
    """Share of the rows without a value."""
    distinct: int
    """Different values."""
    auc: float | None
    """Of this column alone; None for what is no feature."""
    reasons: tuple[str, ...]
    """Why it has this role, is left out, is suspect, or is worth a look."""
    range: tuple[float, float] | None = None
    """Plausible values of a number: wider than those of the file."""
    categories: tuple[str, ...] | None = None
    allowed_missing: float | None = None
    """Largest share of an import that may lack the value: above that of the file. None for what is no feature."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file of leads holds."""

    rows: int
    converted: int
    """Leads that did."""
    labelled: int
    """Leads whose outcome is known."""
    id: str
    timestamp: str | None
    target: str
    converted_when: str | None
    """The target's value that means "converted", when it is not one of true/yes/1."""
    columns: tuple[Column, ...]
    """In the order of the file."""
    segments: tuple[str, ...]
    """Features by which figures are broken down."""


def inspect(
    frame: pl.DataFrame,
    file: str,
    *,
    id_column: str | None = None,
    target: str | None = None,
    timestamp: str | None = None,
) -> Inspection:
    """Guess id, target, time and the type of each column, and flag leaks.

    ``file`` names the file in messages; the other arguments overrule a guess. Raises BadFileError when no id or target
    can be found, when the target does not have two values, or when nothing is left to learn from.
    """
    columns = [read_column(series) for series in frame.iter_columns()]
    require_columns(columns, file, {"--id": id_column, "--target": target, "--timestamp": timestamp})
    roles = _roles(columns, file, id_column, target, timestamp)
    by_role = {role: next((c for c in columns if c.name == guess.name), None) for role, guess in roles.items()}
    id_, goal = by_role[Role.ID], by_role[Role.TARGET]
    assert id_ is not None
    assert goal is not None
    converted_when = choose_converted(goal, file)
    label = parse_target(goal.raw, converted_when).values
    held = hash_holdout(id_.text.fill_null(""), [None] * frame.height, _JUDGED_SHARE)
    named = {guess.name: (role, guess.reason) for role, guess in roles.items()}
    found = tuple(
        _plain(column, *named[column.name]) if column.name in named else _feature(column, label, held)
        for column in columns
    )
    _require_features(found, file)
    return Inspection(
        rows=frame.height,
        converted=int(label.sum()),
        labelled=len(label) - label.null_count(),
        id=id_.name,
        timestamp=roles[Role.TIMESTAMP].name if Role.TIMESTAMP in roles else None,
        target=goal.name,
        converted_when=converted_when,
        columns=found,
        segments=_segments(found),
    )


def _roles(
    columns: Sequence[Reading], file: str, id_column: str | None, target: str | None, timestamp: str | None
) -> dict[Role, Guess]:
    """Which column is id, target and time: as asked for, else guessed among the others."""
    given = {Role.ID: id_column, Role.TARGET: target, Role.TIMESTAMP: timestamp}
    roles = {role: Guess(name=name, reason=f"as --{role.value} says") for role, name in given.items() if name}

    def free() -> list[Reading]:
        return [column for column in columns if column.name not in {guess.name for guess in roles.values()}]

    if timestamp:
        require_times(next(column for column in columns if column.name == timestamp), file)
    if not target:
        roles[Role.TARGET] = guess_target(free(), file)
    time = guess_timestamp(free())
    if not timestamp and time:
        roles[Role.TIMESTAMP] = time
    if not id_column:
        roles[Role.ID] = guess_id(free(), file)
    return roles


def _require_features(columns: Sequence[Column], file: str) -> None:
    if any(column.role is Role.FEATURE for column in columns):
        return
    why = [f"{c.name!r}: {'; '.join(c.reasons)}" for c in columns if c.role in (Role.SUSPECT, Role.LEFT_OUT)]
    raise BadFileError(
        f"{file}: no column is left to learn from ({', '.join(why[:5]) or 'there are only id, target and time'}); "
        "add columns that are known when a lead is scored, or name others with --id, --target or --timestamp."
    )


def _plain(column: Reading, role: Role, *reasons: str) -> Column:
    return Column(
        name=column.name,
        role=role,
        type=None,
        missing=column.missing,
        distinct=column.distinct,
        auc=None,
        reasons=reasons,
    )


def _feature(column: Reading, label: pl.Series, held: npt.NDArray[np.bool_]) -> Column:
    kind = _kind(column)
    why = next(_why_left_out(column, kind), "")
    if why:
        return _plain(column, Role.LEFT_OUT, why)
    values = parse_feature(column.raw, kind).values
    known = label.is_not_null()
    converted = label.filter(known).to_numpy().astype(np.bool_)
    signs = signs_of(column.name, values.filter(known), kind, converted, held[known.to_numpy()])
    return replace(
        _plain(column, Role.SUSPECT if signs.leaves_out else Role.FEATURE, *signs.reasons, *_remarks(column, kind)),
        type=kind,
        auc=signs.auc,
        range=_wide_range(values.drop_nulls()) if kind is FeatureType.NUMERIC else None,
        categories=tuple(values.drop_nulls().unique().sort()) if kind is FeatureType.CATEGORICAL else None,
        allowed_missing=_allowed_missing(values.null_count() / len(values)),
    )


def _kind(column: Reading) -> FeatureType:
    if column.is_boolean:
        return FeatureType.BOOLEAN
    # 007 is a code and no number, and so are postcodes and the ids of other things, however they are written.
    coded = column.raw.dtype == pl.String and bool(column.text.str.contains(r"^0\d+$").any())
    coded |= names_a_code(column.name) and column.is_whole
    return FeatureType.NUMERIC if column.numeric_share >= _NUMERIC_SHARE and not coded else FeatureType.CATEGORICAL


def _why_left_out(column: Reading, kind: FeatureType) -> Iterator[str]:
    """Why a column is no feature, the plainest reason first; nothing when it is one."""
    if not column.known:
        yield "lists, records or bytes" if is_opaque(column.raw) else "has no value in any row"
    if column.distinct == 1 and not column.missing:
        yield f"constant (always {str(column.text[0])[:40]!r})"
    if column.times is not None:
        yield "a date or time; to use it, make a number of it, such as an age in days"
    if kind is FeatureType.BOOLEAN:
        return
    how_many = f"{column.distinct:,} different values in {column.known:,} rows"
    unique = column.known >= _FEWEST and column.distinct > _UNIQUE_SHARE * column.known
    if unique and (kind is FeatureType.CATEGORICAL or _is_assigned(column)):
        yield f"id-like ({how_many})"
    if names_a_person(column.name) and column.distinct > _FEWEST:
        yield f"personal or contact data by its name ({how_many})"
    if kind is FeatureType.CATEGORICAL:
        yield from _why_too_many(column, how_many)


def _why_too_many(column: Reading, how_many: str) -> Iterator[str]:
    if 1 / 2 < column.numeric_share < 1 and column.distinct > _MOST_CATEGORIES:
        words = column.text.filter(column.numbers.bad)
        share, seen = 1 - column.numeric_share, str(words.mode().sort()[0])[:40]
        yield f"numbers with words among them ({share:.1%} are not numbers, such as {seen!r}); clean it to use it"
    if column.distinct > _MOST_CATEGORIES or (column.known >= _FEWEST and column.distinct > column.known / 2):
        yield f"free text, or too many categories ({how_many})"
    lengths = column.text.str.len_chars().drop_nulls()
    if column.distinct > _FEWEST and float(lengths.quantile(0.5) or 0) > _LONG_TEXT:
        yield f"free text ({how_many})"


def _is_assigned(column: Reading) -> bool:
    """Whether numbers look handed out: whole, and named like an id, or without gaps, or as long as phone numbers."""
    if not column.is_whole:
        return False
    numbers = column.numbers.values.drop_nulls()
    low, high = (float(edge) for edge in (numbers.min(), numbers.max()))  # type: ignore[arg-type]
    gapless = high - low + 1 <= 1.1 * len(numbers)
    return gapless or names_an_id(column.name) or names_a_person(column.name) or low >= 1e8  # noqa: PLR2004


def _remarks(column: Reading, kind: FeatureType) -> Iterator[str]:
    """What is worth a look, whatever the outcome."""
    if kind is FeatureType.NUMERIC and column.numbers.bad.any():
        seen = str(column.text.filter(column.numbers.bad).mode().sort()[0])[:40]
        yield f"{int(column.numbers.bad.sum()):,} values are no numbers, such as {seen!r}; an import refuses those rows"
    placeholder = placeholder_of(column.text) if kind is FeatureType.CATEGORICAL else None
    if placeholder is not None:
        yield f"{placeholder!r} seems to mean that nobody chose; it is taken as a category"


def _allowed_missing(observed: float) -> float:
    """Half as much again as the file lacks, and two in a hundred more; rounded up to whole percent, at most all."""
    percent = Decimal(repr(observed)) * 150 + 2
    return min(100, ceil(percent)) / 100


def _wide_range(numbers: pl.Series) -> tuple[float, float] | None:
    """A range with room: a value somewhat beyond the file's is no mistake; rounded outwards to two digits."""
    low, high = (float(edge) for edge in (numbers.min(), numbers.max()))  # type: ignore[arg-type]
    span = (high - low) or abs(high) or 1.0
    never_negative = int((numbers < 0).sum()) <= _SLIPS * len(numbers)
    wide = 0.0 if never_negative else _outwards(low - span, ROUND_FLOOR), _outwards(high + span, ROUND_CEILING)
    return wide if all(map(isfinite, wide)) else None


def _outwards(value: float, rounding: str) -> float:
    exact = Decimal(repr(value))
    if not exact or not exact.is_finite():
        return value
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 1), rounding))


def _segments(columns: Sequence[Column]) -> tuple[str, ...]:
    """Up to three features of few categories that people break figures down by; without such names, the first ones."""
    fit = [
        column.name
        for column in columns
        if column.role is Role.FEATURE and column.type is FeatureType.CATEGORICAL and column.distinct in _SEGMENT_SIZE
    ]
    ranked = {name: rank for name in fit if (rank := segment_rank(name)) is not None}
    return tuple((sorted(ranked, key=lambda name: ranked[name]) or fit)[:_SEGMENTS])
