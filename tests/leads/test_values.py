"""Raw columns become numbers, text, booleans and times, and what cannot be read is marked, never guessed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from math import inf, isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.errors import BadFileError
from leadgate.leads.event_files import read_events
from leadgate.leads.files import read_table
from leadgate.leads.schema import FALSE_WORDS, MISSING_WORDS, TRUE_WORDS, Feature, FeatureType, LeadSchema
from leadgate.leads.text import clean_text
from leadgate.leads.validation import validate
from leadgate.leads.values import parse_feature, parse_target, parse_time, require_one_reading
from leadgate.outcomes.contacts import import_contacts
from leadgate.outcomes.delivery import read_outcomes

if TYPE_CHECKING:
    from leadgate.storage.postgres.connection import Connection


def at(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize("kind", FeatureType)
@pytest.mark.parametrize("word", sorted(MISSING_WORDS))
def test_the_words_for_no_value_are_missing_in_every_type(kind: FeatureType, word: str) -> None:
    """Whatever their case and the blanks around them; a missing value is not a bad one."""
    parsed = parse_feature(pl.Series([word, word.upper(), f"  {word.title()} ", None]), kind)
    assert parsed.values.null_count() == 4
    assert not parsed.bad.any()


@given(st.lists(st.floats(), max_size=20))
def test_what_python_prints_as_a_number_is_that_number(numbers: list[float]) -> None:
    """Every finite float survives being text; infinities are bad, NaN is missing."""
    parsed = parse_feature(pl.Series([repr(x) for x in numbers], dtype=pl.String), FeatureType.NUMERIC)
    assert parsed.values.to_list() == [x if isfinite(x) else None for x in numbers]
    assert parsed.bad.to_list() == [x in (inf, -inf) for x in numbers]


@pytest.mark.parametrize("text", ("1,5", "1,000", "1_000", "0x10", "12 %", "€ 5", "1e400", "-inf", "two", "--5"))
def test_what_could_mean_two_things_is_no_number(text: str) -> None:
    """1,500 is fifteen hundred here and one and a half there; the row is refused instead."""
    parsed = parse_feature(pl.Series(["1", text]), FeatureType.NUMERIC)
    assert (parsed.values.to_list(), parsed.bad.to_list()) == ([1.0, None], [False, True])


@pytest.mark.parametrize(
    ("raw", "expected", "bad"),
    (
        (pl.Series([1, None, 3]), [1.0, None, 3.0], [False, False, False]),
        (pl.Series([0.5, nan, inf]), [0.5, None, None], [False, False, True]),
        (pl.Series([True, False]), [1.0, 0.0], [False, False]),
        (pl.Series([Decimal("1.25")]), [1.25], [False]),
        (pl.Series([[1], None]), [None, None], [True, False]),
        (pl.Series([date(2026, 1, 1)]), [None], [True]),
    ),
)
def test_typed_columns_become_numbers(raw: pl.Series, expected: list[float | None], bad: list[bool]) -> None:
    """Types of Parquet and JSON are taken as they are."""
    parsed = parse_feature(raw, FeatureType.NUMERIC)
    assert (parsed.values.to_list(), parsed.bad.to_list()) == (expected, bad)
    assert parsed.values.dtype == pl.Float64


@pytest.mark.parametrize(
    ("raw", "expected"),
    (
        (pl.Series([3.0, None, 12.0]), ["3", None, "12"]),
        (pl.Series([3.5, 3.0]), ["3.5", "3.0"]),
        (pl.Series([3, 4]), ["3", "4"]),
        (pl.Series([nan, 2.0]), [None, "2"]),
        (pl.Series([1e300]), [repr(1e300)]),
        (pl.Series([Decimal("2.00"), Decimal("3.00")]), ["2", "3"]),
        (pl.Series([True, None]), ["true", None]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"]),
        (pl.Series([" x  y ", "3.0"]), ["x  y", "3.0"]),
    ),
)
def test_typed_columns_become_the_text_of_a_csv(raw: pl.Series, expected: list[str | None]) -> None:
    """The category of a whole number is "3", though a column with gaps holds floats."""
    parsed = parse_feature(raw, FeatureType.CATEGORICAL)
    assert parsed.values.to_list() == expected
    assert not parsed.bad.any()


def test_lists_records_and_bytes_are_no_values() -> None:
    """They are bad in every type, not missing, and raise nothing."""
    for raw in (pl.Series([[1]]), pl.Series([{"a": 1}]), pl.Series([b"\xff"])):
        for kind in FeatureType:
            assert parse_feature(raw, kind).bad.to_list() == [True]
        assert parse_time(raw).bad.to_list() == [True]


@given(st.lists(st.text(max_size=6) | st.sampled_from(sorted(MISSING_WORDS)), max_size=20))
def test_a_file_and_a_request_read_text_alike(texts: list[str]) -> None:
    """Else a model would be served other categories than it was trained on."""
    parsed = parse_feature(pl.Series(texts, dtype=pl.String), FeatureType.CATEGORICAL)
    assert parsed.values.to_list() == [clean_text(text) for text in texts]


def test_every_blank_of_python_is_a_blank() -> None:
    """All of Unicode's spaces, and the four separators that only Python strips."""
    blanks = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    parsed = parse_feature(pl.Series([f"{blank}a{blank}" for blank in blanks]), FeatureType.CATEGORICAL)
    assert parsed.values.unique().to_list() == ["a"]


def test_the_words_for_true_and_false() -> None:
    """Whatever their case; anything else is bad."""
    yes, no = sorted(TRUE_WORDS), sorted(FALSE_WORDS)
    parsed = parse_feature(pl.Series([*yes, *no, " YES ", "maybe", "", "2"]), FeatureType.BOOLEAN)
    assert parsed.values.to_list() == [True] * len(yes) + [False] * len(no) + [True, None, None, None]
    assert parsed.bad.to_list()[-4:] == [False, True, False, True]


def test_typed_zero_and_one_are_false_and_true() -> None:
    """Whole or not, as integers or floats."""
    for raw in (pl.Series([0, 1, None]), pl.Series([0.0, 1.0, None]), pl.Series([False, True, None])):
        assert parse_feature(raw, FeatureType.BOOLEAN).values.to_list() == [False, True, None]


def test_a_target_has_a_value_that_means_converted() -> None:
    """Any other value is a lead that was lost; no value is an outcome that is not known yet."""
    raw = pl.Series(["Won", "won ", "Lost", "open", "", None])
    parsed = parse_target(raw, " WON")
    assert parsed.values.to_list() == [True, True, False, False, None, None]
    assert not parsed.bad.any()
    assert parse_target(pl.Series([2, 1, None]), "2").values.to_list() == [True, False, None]


def test_a_target_of_yes_and_no_needs_no_such_value() -> None:
    """Another word is bad then, not false."""
    parsed = parse_target(pl.Series(["yes", "0", "maybe", None]), None)
    assert (parsed.values.to_list(), parsed.bad.to_list()) == ([True, False, None, None], [False, False, True, False])


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        ("2026-01-31", at(2026, 1, 31)),
        ("2026-01-31 09:30", at(2026, 1, 31, 9, 30)),
        ("2026-01-31 09:30:15", at(2026, 1, 31, 9, 30, 15)),
        ("2026-01-31T09:30:15.5", at(2026, 1, 31, 9, 30, 15, 500_000)),
        ("2026-01-31T09:30:15Z", at(2026, 1, 31, 9, 30, 15)),
        ("2026-01-31T09:30:15.123456789Z", at(2026, 1, 31, 9, 30, 15, 123_456)),
        ("2026-01-31T09:30:15.000+0000", at(2026, 1, 31, 9, 30, 15)),  # Salesforce
        ("2026-01-31 09:30:15+02", at(2026, 1, 31, 7, 30, 15)),  # PostgreSQL
        ("2026-01-31 09:30:15 UTC", at(2026, 1, 31, 9, 30, 15)),  # BigQuery
        ("2026-01-31T09:30-05:30", at(2026, 1, 31, 15, 0)),
        ("20260131", at(2026, 1, 31)),
        ("2026/1/31", at(2026, 1, 31)),
        ("31.01.2026", at(2026, 1, 31)),
        ("31.1.2026 9:30", at(2026, 1, 31, 9, 30)),
        ("1/31/2026 12:05 AM", at(2026, 1, 31, 0, 5)),
        ("1/31/2026, 3:45:10 pm", at(2026, 1, 31, 15, 45, 10)),
        ("31/01/2026", at(2026, 1, 31)),
        ("  2026-02-28 ", at(2026, 2, 28)),
    ),
)
def test_forms_of_dates_and_times(text: str, expected: datetime) -> None:
    """As CRMs, databases and spreadsheets write them; without a zone they are UTC."""
    assert parse_time(pl.Series([text])).values.to_list() == [expected]


@pytest.mark.parametrize(
    "text",
    (
        *("soon", "2026-02-29", "2026-13-01", "31/02/2026", "2026-01-01 25:00", "12", "1767225600", "09:30"),
        *("13/13/2026", "2026-01-01T10:00+99:99", "0000-01-01", "1/1/2026 13:00 PM", "2026-01-01 and more"),
    ),
)
def test_what_is_no_time_is_bad(text: str) -> None:
    """A day that the calendar lacks is a mistake of the row, not a missing value."""
    parsed = parse_time(pl.Series([text, "", None]))
    assert parsed.values.null_count() == 3
    assert parsed.bad.to_list() == [True, False, False]


OFFSETS: Any = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))) | st.none()


@given(
    st.lists(
        st.datetimes(
            min_value=datetime(1000, 1, 2),  # noqa: DTZ001
            max_value=datetime(9999, 12, 30),  # noqa: DTZ001
            timezones=OFFSETS,
        ),
        max_size=10,
    )
)
def test_what_python_prints_as_iso_is_that_moment(moments: list[datetime]) -> None:
    """With any offset, and none."""
    parsed = parse_time(pl.Series([moment.isoformat() for moment in moments], dtype=pl.String))
    assert parsed.values.to_list() == [m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments]
    assert parsed.values.dtype == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("texts", "expected"),
    (
        (["01/02/2026", "03/04/2026"], [at(2026, 1, 2), at(2026, 3, 4)]),
        (["01/02/2026", "13/04/2026"], [at(2026, 2, 1), at(2026, 4, 13)]),
        (["01/02/2026", "04/13/2026"], [at(2026, 1, 2), at(2026, 4, 13)]),
        (
            ["01/02/2026", "13/04/2026", "14/04/2026", "04/13/2026"],
            [at(2026, 2, 1), at(2026, 4, 13), at(2026, 4, 14), None],
        ),
    ),
)
def test_slashes_are_read_alike_in_the_whole_column(texts: list[str], expected: list[datetime | None]) -> None:
    """A number above 12 is a day and settles it, and the minority is bad; what is undecided, the files refuse."""
    assert parse_time(pl.Series(texts)).values.to_list() == expected


LEADS = LeadSchema(
    id="lead_id", timestamp="at", target="converted", features=(Feature(name="deal_size", type=FeatureType.NUMERIC),)
)
READERS: dict[str, Callable[[Path], object]] = {
    "events": lambda file: list(read_events(read_table(file), file.name, at(2026, 6, 1))),
    "outcomes": lambda file: list(read_outcomes(read_table(file), file.name, at(2026, 6, 1))),
    "contacts": lambda file: import_contacts(cast("Connection", None), file, at(2026, 6, 1)),
    "leads": lambda file: validate(LEADS, read_table(file), file.name, at(2026, 6, 1)),
}


@pytest.mark.parametrize("what", READERS)
def test_dates_of_two_readings_refuse_a_file(tmp_path: Path, what: str) -> None:
    """A daily export would mean April today and March tomorrow; the sentence has both, the row and the way out."""
    file = tmp_path / "day.csv"
    file.write_text(
        "lead_id,kind,at,contacted_at,outcome_at,converted,deal_size\n"
        "A,visit,04/04/2026,04/04/2026,04/04/2026,yes,1\n"  # alike in both
        "A,visit,03/04/2026 10:00,03/04/2026 10:00,03/04/2026 10:00,yes,1\n"
    )
    with pytest.raises(BadFileError) as refused:
        READERS[what](file)
    assert "row 3, '03/04/2026 10:00', is 3 April 2026 or 4 March 2026" in str(refused.value)
    assert "write dates as 2026-04-03" in str(refused.value)


@pytest.mark.parametrize(
    "texts",
    (
        ("03/04/2026", "13/04/2026"),
        ("03/04/2026", "04/13/2026"),
        ("04/04/2026",),
        ("03.04.2026", "2026/04/03", "2026-04-03", None),
    ),
)
def test_a_date_that_decides_lets_a_column_in(texts: tuple[str | None, ...]) -> None:
    """And so do dates that read the same both ways, and forms that have one reading."""
    require_one_reading([pl.Series(texts)], "day.csv", 2)


@pytest.mark.parametrize("text", ("31/31/2026", "45/04/2026", "13/13/2026"))
def test_what_is_no_date_decides_nothing(text: str) -> None:
    """A day that no month has says nothing of which number is the day."""
    with pytest.raises(BadFileError, match="two ways"):
        require_one_reading([pl.Series([text, "03/04/2026"])], "day.csv", 2)


def test_typed_times_keep_their_moment() -> None:
    """Whatever their precision and zone; a date is its midnight."""
    naive = pl.Series([datetime(2026, 1, 1, 12)])  # noqa: DTZ001
    noon = [at(2026, 1, 1, 12)]
    for raw in (naive, naive.cast(pl.Datetime("ns")), naive.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")):
        parsed = parse_time(raw)
        assert (parsed.values.to_list(), parsed.values.dtype) == (noon, pl.Datetime("us", "UTC"))
    berlin = naive.dt.replace_time_zone("Europe/Berlin")
    assert parse_time(berlin).values.to_list() == [at(2026, 1, 1, 11)]
    assert parse_time(pl.Series([date(2026, 1, 1), None])).values.to_list() == [at(2026, 1, 1), None]


@pytest.mark.parametrize("raw", (pl.Series("n", [], dtype=pl.String), pl.Series("n", [None, None])))
def test_columns_without_values_raise_nothing(raw: pl.Series) -> None:
    """As many values as there were cells, all missing, under the name of the column."""
    results = [parse_time(raw), parse_target(raw, None), parse_target(raw, "x")]
    for parsed in [*results, *(parse_feature(raw, kind) for kind in FeatureType)]:
        assert (len(parsed.values), parsed.values.null_count(), len(parsed.bad)) == (len(raw), len(raw), len(raw))
        assert not parsed.bad.any()
        assert parsed.values.name == "n"
