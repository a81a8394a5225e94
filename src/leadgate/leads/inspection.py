"""Looks at a file of leads and says what each column is (quiet)."""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor, log10

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.leakage import Signs, signs_of
from leadgate.leads.schema import FeatureType
from leadgate.leads.split import hash_holdout
from leadgate.leads.values import parse_feature, parse_target, parse_time

_MOST_CATEGORIES = 1_000
_JUDGED_SHARE = 0.3
"""Share of the leads on which a column's ranking is judged; its rates come from the others."""

_TARGET_NAMES = (
    *("converted", "conversion", "is_converted", "lead_converted", "target", "label", "won", "is_won", "deal_won"),
    *("is_customer", "customer", "y", "outcome", "purchased", "subscribed"),
)
_WON_WORDS = frozenset(
    {
        "won",
        "converted",
        "customer",
        "success",
        "successful",
        "subscribed",
        "accepted",
        "paid",
        "sold",
        "closed_won",
        "yes",
    }
)
_CREATED_WORDS = frozenset(
    {
        "created",
        "date",
        "time",
        "timestamp",
        "received",
        "inquiry",
        "submitted",
        "entered",
        "registered",
        "signup",
        "day",
    }
)
_CHANGED_WORDS = frozenset(
    {"last", "updated", "modified", "closed", "close", "converted", "ended", "end", "due", "next", "won", "lost"}
)
_ID_WORDS = frozenset({"id", "uuid", "guid", "key", "number", "no", "nr", "num", "identifier"})
_SEGMENT_WORDS = (
    "source",
    "industry",
    "region",
    "country",
    "channel",
    "segment",
    "sector",
    "origin",
    "market",
    "job",
    "contact",
)


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
    auc: float | None
    """Of this column alone; None for what is no feature."""
    reasons: tuple[str, ...]
    """Why it is left out, or suspect, or worth a look."""
    range: tuple[float, float] | None = None
    """Plausible values of a number: wider than those of the file."""
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file of leads holds."""

    rows: int
    converted: int
    labelled: int
    id: str
    timestamp: str | None
    target: str
    converted_when: str | None
    """The target's value that means "converted", when it is not one of true/yes/1."""
    columns: tuple[Column, ...]
    segments: tuple[str, ...]


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
    for option, name in (("--id", id_column), ("--target", target), ("--timestamp", timestamp)):
        _require(frame, file, option, name)
    target = target or _guess_target(frame, file, {id_column, timestamp})
    converted_when = _converted_when(frame[target], file, target)
    label = parse_target(frame[target], converted_when).values
    timestamp = timestamp or _guess_timestamp(frame, {target, id_column})
    id_column = id_column or _guess_id(frame, file, {target, timestamp})
    held = hash_holdout(frame[id_column].cast(pl.String).fill_null(""), [None] * frame.height, _JUDGED_SHARE)
    roles = {id_column: Role.ID, target: Role.TARGET}
    if timestamp:
        roles[timestamp] = Role.TIMESTAMP
    known = label.is_not_null().to_numpy()
    columns = tuple(
        _plain(frame[name], roles[name]) if name in roles else _feature(frame[name], label, known, held)
        for name in frame.columns
    )
    if not any(column.role is Role.FEATURE for column in columns):
        raise BadFileError(
            f"{file}: no column is left to learn from; see leadgate's reasons with other --id or --target."
        )
    return Inspection(
        rows=frame.height,
        converted=int(label.sum()),
        labelled=int(known.sum()),
        id=id_column,
        timestamp=timestamp,
        target=target,
        converted_when=converted_when,
        columns=columns,
        segments=tuple(_segments(columns)),
    )


def words_of(name: str) -> list[str]:
    """The words of a column's name, in small letters: ``LeadSource_id`` gives lead, source, id."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _require(frame: pl.DataFrame, file: str, option: str, name: str | None) -> None:
    if name is not None and name not in frame.columns:
        near = difflib.get_close_matches(name, frame.columns, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(frame.columns)}."
        raise BadFileError(f"{file} has no column {name!r} ({option}); {hint}")


# id, target, time


def _two_valued(frame: pl.DataFrame, taken: set[str | None]) -> list[str]:
    free = [name for name in frame.columns if name not in taken]
    return [name for name in free if _text(frame[name]).drop_nulls().n_unique() == 2]  # noqa: PLR2004


def _guess_target(frame: pl.DataFrame, file: str, taken: set[str | None]) -> str:
    for known in _TARGET_NAMES:
        for name in frame.columns:
            if "_".join(words_of(name)) == known and name not in taken:
                return name
    candidates = _two_valued(frame, taken)
    named = [name for name in candidates if set(words_of(name)) & set(_TARGET_NAMES)]
    if len(named) == 1:
        return named[0]
    some = f"columns with two values are {', '.join(candidates[:10])}" if candidates else "no column has two values"
    raise BadFileError(f"{file}: cannot tell which column says who converted ({some}); name it with --target COLUMN.")


def _converted_when(raw: pl.Series, file: str, target: str) -> str | None:
    """Which value means converted; None when the words for true and false do. Raises BadFileError."""
    text = _text(raw).drop_nulls()
    counts = text.value_counts(sort=True)
    values = [str(value) for value in counts[raw.name]]
    if len(values) != 2:  # noqa: PLR2004
        what = "no value" if not values else f"{len(values):,} values ({', '.join(map(repr, values[:5]))})"
        what = f"one value only ({values[0]!r})" if len(values) == 1 else what
        raise BadFileError(
            f"{file}: the target {target!r} has {what}; it must have two, converted or not. "
            "Mend the export, or name another column with --target COLUMN."
        )
    if not parse_target(raw, None).bad.any():
        return None
    positive = [value for value in values if "_".join(words_of(value)) in _WON_WORDS]
    return positive[0] if len(positive) == 1 else values[-1]


def _guess_timestamp(frame: pl.DataFrame, taken: set[str | None]) -> str | None:
    """The column of times whose name speaks of creation; the first one otherwise, unless its name speaks of change."""
    times = [name for name in frame.columns if name not in taken and _is_time(frame[name])]
    created = [
        name for name in times if set(words_of(name)) & _CREATED_WORDS and not set(words_of(name)) & _CHANGED_WORDS
    ]
    neutral = [name for name in times if not set(words_of(name)) & _CHANGED_WORDS]
    return next(iter([name for name in created if "created" in words_of(name)] + created + neutral), None)


def _is_time(raw: pl.Series) -> bool:
    if raw.dtype.is_temporal():
        return True
    if raw.dtype != pl.String:
        return False
    sample = raw.drop_nulls().head(200)
    if sample.is_empty() or not parse_feature(sample, FeatureType.NUMERIC).bad.all():
        return False
    parsed = parse_time(raw)
    known = raw.len() - int(_text(raw).null_count())
    return known > 0 and int(parsed.bad.sum()) <= 0.01 * known


def _guess_id(frame: pl.DataFrame, file: str, taken: set[str | None]) -> str:
    unique = [
        name
        for name in frame.columns
        if name not in taken and frame[name].null_count() == 0 and frame[name].n_unique() == frame.height
    ]
    named = [name for name in unique if set(words_of(name)) & _ID_WORDS]
    texts = [name for name in unique if frame[name].dtype == pl.String and _numeric_share(frame[name]) == 0]
    best = sorted(named, key=lambda name: (words_of(name)[-1] != "id", frame.columns.index(name))) + texts
    if best:
        return best[0]
    some = f"columns without repetition are {', '.join(unique[:10])}" if unique else "no column is without repetition"
    like = [name for name in frame.columns if set(words_of(name)) & _ID_WORDS]
    seen = f"; {like[0]!r} repeats or misses values" if like else ""
    raise BadFileError(f"{file}: cannot tell which column names a lead ({some}{seen}); name it with --id COLUMN.")


# features


def _plain(raw: pl.Series, role: Role) -> Column:
    return _column(raw, role)


def _column(raw: pl.Series, role: Role, *reasons: str) -> Column:
    text = _text(raw)
    return Column(
        name=raw.name,
        role=role,
        type=None,
        missing=text.null_count() / max(1, len(text)),
        distinct=text.drop_nulls().n_unique(),
        auc=None,
        reasons=reasons,
    )


def _feature(raw: pl.Series, label: pl.Series, known: npt.NDArray[np.bool_], held: npt.NDArray[np.bool_]) -> Column:
    why = _why_left_out(raw)
    if why:
        return _column(raw, Role.LEFT_OUT, why)
    kind = _kind(raw)
    values = parse_feature(raw, kind).values
    if kind is FeatureType.CATEGORICAL and values.drop_nulls().n_unique() > min(_MOST_CATEGORIES, len(values) // 2):
        return _column(raw, Role.LEFT_OUT, f"free text, or too many categories ({values.n_unique():,})")
    labels = label.filter(pl.Series(known)).to_numpy().astype(np.bool_)
    signs = signs_of(raw.name, values.filter(pl.Series(known)), kind, labels, held[known])
    return _judged(raw.name, values, kind, signs)


def _judged(name: str, values: pl.Series, kind: FeatureType, signs: Signs) -> Column:
    texts = values.drop_nulls()
    return Column(
        name=name,
        role=Role.SUSPECT if signs.leaves_out else Role.FEATURE,
        type=kind,
        missing=values.null_count() / max(1, len(values)),
        distinct=texts.n_unique(),
        auc=signs.auc,
        reasons=signs.reasons,
        range=_wide_range(texts) if kind is FeatureType.NUMERIC else None,
        categories=tuple(texts.unique().sort()) if kind is FeatureType.CATEGORICAL else None,
    )


def _why_left_out(raw: pl.Series) -> str:
    text = _text(raw)
    known = text.drop_nulls()
    if known.is_empty():
        return "has no value in any row"
    if known.n_unique() == 1 and not text.null_count():
        return f"constant (always {str(known[0])[:40]!r})"
    if _is_time(raw):
        return "a date or time; make a feature of it (an age in days, say) to use it"
    nearly_unique = known.n_unique() > 0.9 * len(known) and len(known) >= 20  # noqa: PLR2004  # fewer rows say nothing
    numeric = _numeric_share(raw) > 0.99  # noqa: PLR2004
    if nearly_unique and (not numeric or _is_serial(raw)):
        return f"id-like ({known.n_unique():,} different values in {len(known):,} rows)"
    return ""


def _is_serial(raw: pl.Series) -> bool:
    """Whether numbers look handed out one by one: whole, and named like an id or without gaps."""
    numbers = parse_feature(raw, FeatureType.NUMERIC).values.drop_nulls()
    if numbers.is_empty() or bool((numbers % 1 != 0).any()) or numbers.n_unique() != len(numbers):
        return False
    low, high = (float(str(edge)) for edge in (numbers.min(), numbers.max()))
    return bool(set(words_of(raw.name)) & _ID_WORDS) or high - low + 1 <= 1.1 * len(numbers)


def _kind(raw: pl.Series) -> FeatureType:
    text = _text(raw).drop_nulls()
    if raw.dtype == pl.Boolean or not parse_feature(raw, FeatureType.BOOLEAN).bad.any():
        return FeatureType.BOOLEAN
    codes = raw.dtype == pl.String and bool(text.str.contains(r"^0\d").any())  # 007 is a code, not a number
    if _numeric_share(raw) >= 0.99 and not codes:  # noqa: PLR2004
        return FeatureType.NUMERIC
    return FeatureType.CATEGORICAL


def _numeric_share(raw: pl.Series) -> float:
    known = len(raw) - int(_text(raw).null_count())
    parsed = parse_feature(raw, FeatureType.NUMERIC)
    return 1 - int(parsed.bad.sum()) / known if known else 0.0


def _text(raw: pl.Series) -> pl.Series:
    return parse_feature(raw, FeatureType.CATEGORICAL).values


def _wide_range(numbers: pl.Series) -> tuple[float, float]:
    """A range with room: a value somewhat beyond the file's is no mistake; rounded outwards to two digits."""
    low, high = (float(str(edge)) for edge in (numbers.min(), numbers.max()))
    span = high - low or abs(high) or 1.0
    # One negative value in a thousand is a slip, not a sign that the quantity can be negative.
    never_negative = bool((numbers < 0).sum() <= 0.001 * len(numbers))
    return (0.0 if never_negative else _outwards(low - span, floor)), _outwards(high + span, ceil)


def _outwards(value: float, rounding: Callable[[float], int]) -> float:
    if value == 0:
        return 0.0
    step = 10.0 ** (floor(log10(abs(value))) - 1)
    rounded = float(rounding(value / step)) * step
    return float(f"{rounded:.12g}")


def _segments(columns: tuple[Column, ...]) -> Iterator[str]:
    """Up to three categorical features that people speak of, in the order of the list above."""
    fit = [
        c
        for c in columns
        if c.role is Role.FEATURE and c.type is FeatureType.CATEGORICAL and 2 <= c.distinct <= 12  # noqa: PLR2004
    ]
    ranks = {c.name: [i for i, word in enumerate(_SEGMENT_WORDS) if word in words_of(c.name)] for c in fit}
    yield from sorted((name for name, rank in ranks.items() if rank), key=lambda name: ranks[name][0])[:3]
