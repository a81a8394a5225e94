"""`leadgate init` sees what a file holds, and flags the columns that know the outcome."""

from collections.abc import Callable, Sequence
from math import floor, log10
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from sklearn.metrics import roc_auc_score

from leadgate.errors import BadFileError
from leadgate.leads.files import read_table
from leadgate.leads.inspection import Column, Inspection, Role, inspect
from leadgate.leads.leakage import missing_pattern, placeholder_of, rank_alone, rank_counts, telling_name
from leadgate.leads.naming import words_of
from leadgate.leads.schema import FeatureType
from leadgate.stats.auc import auc_interval

BANK = Path(__file__).parents[2].parent / "shared" / "data" / "bank_marketing.csv"
Rng = np.random.Generator

LEAKS = {
    *("Tags", "Lead Quality", "Lead Profile", "Last Activity", "Last Notable Activity"),
    *("Asymmetrique Activity Index", "Asymmetrique Activity Score"),
    *("Asymmetrique Profile Index", "Asymmetrique Profile Score"),
}
"""Columns of the look-alike that are made from the outcome; all others are made before it."""


def choose(rng: Rng, words: list[str], shares: np.ndarray) -> list[str]:
    """One word a row, by that row's shares."""
    return [words[i] for i in (rng.random((len(shares), 1)) > shares.cumsum(axis=1)).sum(axis=1)]


def blank(rng: Rng, values: list[str], share: float | np.ndarray, word: str | None = None) -> list[str | None]:
    """The values with some taken away, or replaced by a form's word for nothing."""
    gone = rng.random(len(values)) < share
    return [word if g else v for v, g in zip(values, gone, strict=True)]


def crm_export(rows: int = 9_000, seed: int = 20) -> pl.DataFrame:
    """A CRM's export of 37 columns like a well-known one, made so that it is known which of them leak.

    What the company knows first (origin, source, time on the site, occupation) drives the conversion; what the sales
    team fills in later (tags, quality, activity, scores) is driven by it.
    """
    rng = np.random.default_rng(seed)
    minutes = rng.gamma(1.2, 8, rows)
    form = rng.random(rows) < 0.2
    working = rng.random(rows) < 0.15
    referred = rng.random(rows) < 0.08
    logit = -1.6 + 0.06 * minutes + 1.3 * form + 1.2 * working + 1.5 * referred + rng.normal(0, 0.7, rows)
    won = rng.random(rows) < 1 / (1 + np.exp(-logit))
    column = won[:, None]

    def follows(words: list[str], if_won: list[float], if_lost: list[float]) -> list[str]:
        return choose(rng, words, np.where(column, if_won, if_lost))

    def yes(share: float) -> list[str]:
        return ["Yes" if x else "No" for x in rng.random(rows) < share]

    levels = ["01.High", "02.Medium", "03.Low"]
    gone = 0.45  # as many rows have no index, whatever their outcome
    profile = follows(["Potential Lead", "Other Leads", "Student"], [0.8, 0.18, 0.02], [0.4, 0.5, 0.1])
    index_1 = blank(rng, follows(levels, [0.6, 0.35, 0.05], [0.1, 0.55, 0.35]), gone)
    index_2 = blank(rng, follows(levels, [0.65, 0.3, 0.05], [0.1, 0.5, 0.4]), gone)
    score = {"01.High": 17, "02.Medium": 14, "03.Low": 10}
    quality = follows(["High", "Might be", "Not Sure", "Worst"], [0.5, 0.4, 0.09, 0.01], [0.05, 0.2, 0.45, 0.3])
    tags = follows(
        ["Will revert", "Ringing", "Interested in other", "Closed"], [0.75, 0.05, 0.05, 0.15], [0.1, 0.5, 0.38, 0.02]
    )
    cities = ["Mumbai", "Thane", "Other Cities", "Select"]
    student = rng.random(rows) < 0.5
    occupation = np.where(working, "Working Professional", np.where(student, "Student", "Unemployed")).tolist()
    abroad = np.tile([0.94, 0.02, 0.02, 0.02], (rows, 1))
    flat = np.tile([0.5, 0.1, 0.25, 0.15], (rows, 1))
    activity = ["Email Opened", "SMS Sent", "Page Visited", "Bounced"]
    never = ["No"] * rows
    return pl.DataFrame(
        {
            "Prospect ID": [f"{rng.integers(16**8):08x}-{i:04x}-4b1e" for i in range(rows)],
            "Lead Number": [str(660_000 - i * 7) for i in range(rows)],
            "Lead Origin": ["Lead Add Form" if f else ("API", "Landing Page")[i % 2] for i, f in enumerate(form)],
            "Lead Source": ["Reference" if r else ("Google", "Direct", "Chat")[i % 3] for i, r in enumerate(referred)],
            "Do Not Email": yes(0.08),
            "Do Not Call": yes(0.002),
            "Converted": [str(int(w)) for w in won],
            "TotalVisits": blank(rng, [str(x) for x in rng.poisson(3, rows)], 0.015),
            "Total Time Spent on Website": [f"{60 * m:.0f}" for m in minutes],
            "Page Views Per Visit": [f"{x:.2f}" for x in rng.gamma(2, 1.2, rows)],
            "Last Activity": follows(activity, [0.2, 0.65, 0.14, 0.01], [0.45, 0.18, 0.22, 0.15]),
            "Country": blank(rng, choose(rng, ["India", "Oman", "Qatar", "Peru"], abroad), 0.26),
            "Specialization": blank(rng, choose(rng, ["Finance", "HR", "Marketing", "IT"], flat), 0.2, "Select"),
            "How you heard about X": blank(rng, choose(rng, ["Search", "Word of mouth", "Ads", "Select"], flat), 0.2),
            "What is your current occupation": occupation,
            "What matters most to you in choosing a course": ["Better Career Prospects"] * rows,
            "Search": yes(0.002),
            "Magazine": never,
            "Newspaper Article": yes(0.001),
            "X Forums": never,
            "Newspaper": yes(0.001),
            "Digital Advertisement": yes(0.001),
            "Through Recommendations": yes(0.002),
            "Receive More Updates": never,
            "Tags": blank(rng, tags, 0.3),
            "Lead Quality": blank(rng, quality, 0.4),
            "Update me on Supply Chain": never,
            "Get updates on DM": never,
            "Lead Profile": blank(rng, profile, np.where(won, 0.2, 0.6), "Select"),
            "City": choose(rng, cities, flat),
            "Asymmetrique Activity Index": index_1,
            "Asymmetrique Profile Index": index_2,
            "Asymmetrique Activity Score": [None if x is None else str(score[x]) for x in index_1],
            "Asymmetrique Profile Score": [None if x is None else str(score[x] + 2) for x in index_2],
            "Agree to pay by cheque": never,
            "A free copy of the handbook": yes(0.3),
            "Last Notable Activity": follows(activity, [0.25, 0.55, 0.19, 0.01], [0.4, 0.2, 0.25, 0.15]),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def export() -> pl.DataFrame:
    """The look-alike."""
    return crm_export()


@pytest.fixture(scope="module")
def seen(export: pl.DataFrame) -> Inspection:
    """What is made of it."""
    return inspect(export, "export.csv")


def leads(**columns: Sequence[str | None]) -> pl.DataFrame:
    """A plain file: an id, a time, a number that tells nothing, a target; other columns replace or join these.

    A third of the leads converted, in no order; 134 of 400.
    """
    rows = len(next(iter(columns.values()), range(400)))
    order = np.random.default_rng(rows).permutation(rows)
    own: dict[str, Sequence[str | None]] = {
        "lead_id": [f"L-{i}" for i in range(rows)],
        "created_at": [f"2026-01-{1 + i % 28:02}T10:00:00Z" for i in range(rows)],
        "size": [str(i * 37 % 101) for i in range(rows)],
        "converted": [str(int(3 * i < rows)) for i in order],
    }
    return pl.DataFrame({**own, **columns})


def column(inspection: Inspection, name: str) -> Column:
    """One column of the findings."""
    return next(found for found in inspection.columns if found.name == name)


def refusal(frame: pl.DataFrame, **options: str) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(BadFileError) as caught:
        inspect(frame, "leads.csv", **options)
    said = str(caught.value)
    assert said.startswith("leads.csv")
    assert "\n" not in said
    return said


# the look-alike and the bank


def test_a_crm_export_has_its_leaks_flagged_and_nothing_else(seen: Inspection) -> None:
    """All columns made from the outcome, none of those that were made before it."""
    assert len(seen.columns) == 37
    assert {c.name for c in seen.columns if c.role is Role.SUSPECT} == LEAKS
    used = {c.name for c in seen.columns if c.role is Role.FEATURE}
    assert {
        "Lead Origin",
        "Lead Source",
        "Total Time Spent on Website",
        "What is your current occupation",
        "City",
    } <= used


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_verdict_does_not_hang_on_one_draw(seed: int) -> None:
    """Other leads of the same world, and fewer of them, have the same leaks."""
    found = inspect(crm_export(4_000, seed), "export.csv")
    assert {c.name for c in found.columns if c.role is Role.SUSPECT} == LEAKS


def test_a_crm_export_has_its_roles_guessed(seen: Inspection, export: pl.DataFrame) -> None:
    """The prospect's id, not the running number; the target; no time, which is fine."""
    assert (seen.id, seen.timestamp, seen.target, seen.converted_when) == ("Prospect ID", None, "Converted", None)
    assert seen.converted == export["Converted"].cast(pl.Int64).sum()
    assert (seen.rows, seen.labelled) == (9_000, 9_000)
    assert seen.segments == ("Lead Origin", "Lead Source", "Country")


def test_a_crm_export_has_its_dead_columns_left_out(seen: Inspection) -> None:
    """Constants and the second id, each with its reason."""
    out = {c.name: c.reasons[0] for c in seen.columns if c.role is Role.LEFT_OUT}
    assert set(out) == {
        *("Lead Number", "What matters most to you in choosing a course", "Magazine", "X Forums"),
        *("Receive More Updates", "Update me on Supply Chain", "Get updates on DM", "Agree to pay by cheque"),
    }
    assert "id-like" in out["Lead Number"]
    assert "'No'" in out["Magazine"]


def test_flags_come_with_figures(seen: Inspection) -> None:
    """Name, AUC, and how missing values follow the outcome; a form's `Select` counts as missing."""
    reasons = "; ".join(column(seen, "Lead Profile").reasons)
    assert "lead profile" in reasons
    assert "AUC 0." in reasons
    assert "convert without it" in reasons
    assert "'Select'" in "; ".join(column(seen, "City").reasons)


@pytest.mark.skipif(not BANK.exists(), reason="bank_marketing.csv is not beside the repository")
def test_the_bank_has_one_leak() -> None:
    """`duration` is known only after the call (AUC 0.81); the next best, 0.77, is honest."""
    found = inspect(read_table(BANK).frame, BANK.name)
    assert [c.name for c in found.columns if c.role is not Role.FEATURE] == [
        *("lead_id", "created_at", "duration", "converted"),
    ]
    assert column(found, "duration").role is Role.SUSPECT
    assert column(found, "duration").auc == pytest.approx(0.81, abs=0.015)
    best = max(c.auc for c in found.columns if c.auc is not None and c.name != "duration")
    assert best == pytest.approx(0.77, abs=0.015)
    assert found.segments == ("job", "contact")


# id, target and time


def test_a_plain_file_is_understood() -> None:
    """By the names that people give."""
    found = inspect(leads(), "leads.csv")
    assert (found.id, found.timestamp, found.target) == ("lead_id", "created_at", "converted")
    assert [c.name for c in found.columns if c.role is Role.FEATURE] == ["size"]


@pytest.mark.parametrize(
    ("won", "lost", "expected"),
    (
        ("1", "0", None),
        ("Yes", "no", None),
        ("Won", "Lost", "Won"),
        ("lost", "open", "lost"),
        ("Customer", "Prospect", "Customer"),
        ("gekauft", "offen", "gekauft"),
    ),
)
def test_which_value_means_converted(won: str, lost: str, expected: str | None) -> None:
    """Words for true need no mention; else a word of success, or the rarer value (a third of the leads here)."""
    frame = leads(target=[won if i % 3 == 0 else lost for i in range(400)]).drop("converted")
    found = inspect(frame, "leads.csv")
    assert found.converted_when == expected
    assert found.converted == 134


def test_a_common_value_that_means_success_is_still_the_success() -> None:
    """Where most leads convert, the rarer value is the loss."""
    frame = leads(converted=["Won" if i % 3 else "Lost" for i in range(400)])
    assert inspect(frame, "leads.csv").converted_when == "Won"
    frame = leads(converted=["bound" if i % 3 else "rejected" for i in range(400)])
    assert inspect(frame, "leads.csv").converted_when == "bound"


def test_a_missing_target_is_an_unknown_outcome() -> None:
    """It is no second class, and is not counted."""
    found = inspect(leads(converted=[("1", "0", None)[i % 3] for i in range(399)] + ["0"]), "leads.csv")
    assert (found.labelled, found.converted) == (267, 133)


def test_a_target_needs_two_values() -> None:
    """One class, three values or none: the sentence names them and the option."""
    three = refusal(leads(converted=[("won", "lost", "open")[i % 3] for i in range(400)]))
    assert all(word in three for word in ("'converted'", "3 values", "'won'", "'lost'", "'open'", "--target"))
    one = refusal(leads(converted=["0"] * 400))
    assert "one value only ('0')" in one
    assert "no value" in refusal(leads(converted=[None] * 400))


def test_what_cannot_be_guessed_is_asked_for() -> None:
    """With the candidates that were seen, and the option to give."""
    frame = leads(hot=["yes", "no"] * 200).drop("converted")
    said = refusal(frame)
    assert "--target" in said
    assert "hot" in said
    said = refusal(leads(lead_id=[f"L-{i // 2}" for i in range(400)], size=[str(i % 9) for i in range(400)]))
    assert "--id" in said
    assert "'lead_id' repeats" in said


def test_options_overrule_guesses() -> None:
    """And the columns that were guessed before become what they look like."""
    frame = leads(hot=["yes", "no"] * 200, ref=[f"R{i:05}" for i in range(400)])
    found = inspect(frame, "leads.csv", target="hot", id_column="ref")
    assert (found.id, found.target) == ("ref", "hot")
    assert column(found, "lead_id").role is Role.LEFT_OUT


def test_options_that_do_not_fit_are_refused() -> None:
    """The nearest name is given; no column has two roles; a time is a time."""
    assert "did you mean 'converted'?" in refusal(leads(), target="convertd")
    with pytest.raises(BadFileError, match="--id and --target both name"):
        inspect(leads(), "leads.csv", target="converted", id_column="converted")
    assert "does not hold dates" in refusal(leads(), timestamp="size")


@pytest.mark.parametrize(
    "names",
    (
        ["created", "updated"],
        ["last_modified_date", "Created Date"],
        ["closed_at", "inquiry_date"],
        ["birth_date", "day"],
    ),
)
def test_creation_comes_before_change(names: list[str]) -> None:
    """The time of a lead is that of its creation; what comes later is left out as a date."""
    times = [f"2026-01-{1 + i % 28:02}" for i in range(400)]
    found = inspect(leads(**{names[0]: list(times), names[1]: list(times)}).drop("created_at"), "leads.csv")
    words = {"created", "inquiry", "day"}
    expected = next(name for name in names if words & set(words_of(name)))
    assert found.timestamp == expected
    other = next(name for name in names if name != expected)
    assert "date or time" in column(found, other).reasons[0]


def test_only_times_of_change_are_no_time_of_creation() -> None:
    """Rather none than a time that knows the future."""
    frame = leads().rename({"created_at": "last_modified"})
    assert inspect(frame, "leads.csv").timestamp is None


def test_an_id_that_repeats_a_little_is_taken_with_a_warning() -> None:
    """Real exports hold a few rows twice; the import sorts them out."""
    ids = [f"L-{i}" for i in range(398)] + ["L-1", "L-2"]
    found = inspect(leads(lead_id=list(ids)), "leads.csv")
    assert found.id == "lead_id"
    assert "2 rows repeat" in column(found, "lead_id").reasons[0]


# types


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    (
        ("flag", lambda i: str(i % 2), FeatureType.BOOLEAN),
        ("flag", lambda i: ("TRUE", "no", None)[i % 3], FeatureType.BOOLEAN),
        ("visits", lambda i: str(i % 3), FeatureType.NUMERIC),
        ("visits", lambda i: "n/a" if i % 2 else f"{i / 8}", FeatureType.NUMERIC),
        ("grade", lambda i: f"0{i % 7}", FeatureType.CATEGORICAL),
        ("zip", lambda i: str(10_115 + i % 40), FeatureType.CATEGORICAL),
        ("campaign_id", lambda i: str(i % 12), FeatureType.CATEGORICAL),
        ("source", lambda i: ("web", "fair", "3")[i % 3], FeatureType.CATEGORICAL),
    ),
)
def test_types_of_features(name: str, make: Callable[[int], str | None], expected: FeatureType) -> None:
    """Words for true and false are a boolean; numbers a number, unless they are codes; the rest is a category."""
    found = column(inspect(leads(**{name: [make(i) for i in range(400)]}), "leads.csv"), name)
    assert (found.role, found.type) == (Role.FEATURE, expected)


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    (
        ("email", lambda i: f"p{i}@example.com", "id-like"),
        ("Phone", lambda i: str(491_700_000_000 + i * 7919), "id-like"),
        ("first_name", lambda i: f"Ann{i % 90}", "personal"),
        ("row", lambda i: str(i + 1), "id-like"),
        ("ticket_no", lambda i: str(i * 13 + 5), "id-like"),
        ("note", lambda i: f"called {i % 250} times", "too many categories"),
        ("story", lambda i: f"{i % 30} " + "long words " * 8, "free text"),
        ("gone", lambda _: "N/A", "no value"),
        ("same", lambda _: "x", "constant"),
        ("renewal_date", lambda i: f"2027-01-{1 + i % 28:02}", "date"),
    ),
)
def test_columns_without_use_are_left_out(name: str, make: Callable[[int], str], reason: str) -> None:
    """With the reason in words."""
    found = column(inspect(leads(**{name: [make(i) for i in range(400)]}), "leads.csv"), name)
    assert found.role is Role.LEFT_OUT
    assert reason in found.reasons[0]


def test_measurements_that_all_differ_are_numbers() -> None:
    """Only numbers that were handed out are ids."""
    rng = np.random.default_rng(1)
    spend, turnover = [f"{x:.4f}" for x in rng.gamma(2, 100, 400)], [str(x) for x in rng.integers(10**6, size=400)]
    found = inspect(leads(spend=spend, turnover=turnover), "leads.csv")
    assert {column(found, name).type for name in ("spend", "turnover")} == {FeatureType.NUMERIC}


def test_numbers_with_a_few_words_say_so() -> None:
    """At most one in a hundred; more make it no number."""
    found = column(inspect(leads(size=["?" if i in (7, 8) else str(i % 50) for i in range(400)]), "leads.csv"), "size")
    assert found.type is FeatureType.NUMERIC
    assert "2 values are no numbers, such as '?'" in found.reasons[0]


def test_typed_and_nested_columns_are_looked_at() -> None:
    """Parquet and JSON hold more than text; lists are left out, not stumbled over."""
    frame = leads().with_columns(
        pl.col("size").cast(pl.Int64),
        pl.col("converted") == "1",
        pl.col("created_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ"),
        parts=pl.concat_list("size"),
    )
    found = inspect(frame, "leads.parquet")
    assert (found.timestamp, found.converted) == ("created_at", 134)
    assert column(found, "size").type is FeatureType.NUMERIC
    assert "lists" in column(found, "parts").reasons[0]


def test_nothing_left_to_learn_from_is_said() -> None:
    """With the reasons."""
    assert "'size': constant" in refusal(leads(size=["5"] * 400))


# ranges, limits, segments


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=30).filter(lambda x: len(set(x)) > 1 and {*x} != {0.0, 1.0})
)
def test_ranges_have_room_and_two_digits(numbers: list[float]) -> None:
    """Every value lies inside, with the span of the file above; zero is the floor of what is never negative."""
    values = [repr(numbers[i % len(numbers)]) for i in range(400)]
    found = column(inspect(leads(size=values, other=[str(i * 37 % 101) for i in range(400)]), "leads.csv"), "size")
    assert found.range is not None
    low, high = found.range
    span = max(numbers) - min(numbers)
    assert high >= max(numbers) + span
    assert low <= min(numbers)
    assert (low == 0) == (min(numbers) >= 0)
    for edge in (low, high):
        digits = abs(edge) / 10 ** (floor(log10(abs(edge))) - 1) if abs(edge) > 1e-290 else 0
        assert digits == pytest.approx(round(digits), rel=1e-9)


def test_a_slip_does_not_open_the_range() -> None:
    """One negative age in a thousand rows is an error to catch, not a sign that ages can be negative."""
    ages = ["-5"] + [str(20 + i % 60) for i in range(1_999)]
    assert column(inspect(leads(age=list(ages)), "leads.csv"), "age").range == (0, 170)


@pytest.mark.parametrize(("gaps", "allowed"), ((0, 0.02), (40, 0.17), (200, 0.77), (300, 1.0)))
def test_allowed_missing_has_room(gaps: int, allowed: float) -> None:
    """1.5 times the share of the file plus 0.02, to whole percent, at most all: of 400 rows, by hand."""
    sizes = [None if i < gaps else str(i % 50) for i in np.random.default_rng(3).permutation(400)]
    assert column(inspect(leads(size=list(sizes)), "leads.csv"), "size").allowed_missing == allowed


def test_segments_are_what_people_speak_of() -> None:
    """At most three, by name; without such names, the first features of few categories."""
    words = ["a", "b", "c", "d"]
    names = ("Country", "Industry", "job", "LeadSource", "colour")
    named = {name: [words[(i + i // (k + 2)) % 4] for i in range(400)] for k, name in enumerate(names)}
    assert inspect(leads(**{k: list(v) for k, v in named.items()}), "leads.csv").segments == (
        "LeadSource",
        "Industry",
        "Country",
    )
    assert inspect(leads(colour=list(named["colour"])), "leads.csv").segments == ("colour",)


# leakage


@pytest.mark.parametrize(
    ("name", "words", "mild"),
    (
        ("Lead Quality", "quality", False),
        ("LastActivityType", "last activity", False),
        ("last_visit", "last visit", False),
        ("Call Duration (s)", "duration", False),
        ("closedWonReason", "closed", False),
        ("amount_paid", "paid", False),
        ("Lead Profile", "lead profile", False),
        ("employment_status", "status", True),
        ("Marital Status", "status", True),
        ("annual_revenue", "revenue", True),
    ),
)
def test_names_that_tell_of_the_outcome(name: str, words: str, mild: bool) -> None:
    """Word by word, however they are glued; the status of a marriage is only a mild note."""
    telling = telling_name(name)
    assert telling is not None
    assert (telling.words, telling.is_mild) == (words, mild)


@pytest.mark.parametrize("name", ("last_name", "stagecoach", "statusquo", "wonderful", "company_size", "previous"))
def test_words_are_whole_words(name: str) -> None:
    """A part of a word tells nothing, nor does a person's last name."""
    assert telling_name(name) is None


def test_a_name_alone_is_only_worth_a_look() -> None:
    """The column stays in use, with a remark."""
    rng = np.random.default_rng(5)
    found = column(inspect(leads(status=list(rng.choice(["a", "b", "c"], 2_000))), "leads.csv"), "status")
    assert found.role is Role.FEATURE
    assert found.reasons == ("its name tells of the outcome (status)",)


def test_missing_values_that_follow_the_outcome_are_only_worth_a_look_alone() -> None:
    """Lost leads lack a budget more often (AUC 0.6 to 0.65); an innocent name and no ranking: it stays."""
    rng = np.random.default_rng(6)
    won = rng.random(6_000) < 1 / 3
    budget = [None if rng.random() < (0.15 if w else 0.4) else str(rng.integers(100)) for w in won]
    found = column(inspect(leads(converted=[str(int(w)) for w in won], budget=budget), "leads.csv"), "budget")
    assert found.role is Role.FEATURE
    assert "whether it is missing follows the outcome" in found.reasons[0]


def test_chance_in_a_small_file_is_no_leak() -> None:
    """Of 200 columns of noise in a file of 60 leads, hardly one may be flagged."""
    rng = np.random.default_rng(7)
    noise = {f"n{i}": [f"{x:.3f}" for x in rng.normal(size=60)] for i in range(200)}
    found = inspect(leads(**{name: list(values) for name, values in noise.items()}), "leads.csv")
    assert sum(c.role is Role.SUSPECT for c in found.columns) <= 2


def test_one_auc_on_numbers_and_categories_is_that_of_scikit_learn() -> None:
    """Rates by level from 70 %, ranked on 30 %: the same figure as plain target encoding and roc_auc_score."""
    rng = np.random.default_rng(8)
    values = pl.Series(rng.choice([*"abcdef", None], 5_000))
    won = (
        rng.random(5_000) < values.replace_strict([*"abcdef"], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], default=0.35).to_numpy()
    )
    held = rng.random(5_000) < 0.3
    ranking = rank_alone(values, FeatureType.CATEGORICAL, won, held)
    frame = pl.DataFrame({"v": values.fill_null("?"), "won": won, "held": held})
    rates = frame.filter(~pl.col("held")).group_by("v").agg(pl.col("won").sum().alias("s"), pl.len().alias("n"))
    base = won[~held].mean()
    scores = (
        frame.filter(pl.col("held")).join(rates, on="v").select("won", r=(pl.col("s") + 20 * base) / (pl.col("n") + 20))
    )
    assert ranking is not None
    assert ranking.auc == pytest.approx(roc_auc_score(scores["won"], scores["r"]), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_ranking_by_counts_is_delong_on_the_rows(levels: list[tuple[int, int, int]]) -> None:
    """The counts of each level give the AUC and variance that the rows give (stats.auc; a tie counts half)."""
    rates, won, lost = (np.array(part, float) for part in zip(*levels, strict=True))
    ranking = rank_counts(rates, won, lost)
    if not won.sum() or not lost.sum():
        assert ranking is None
        return
    scores = np.concatenate([np.repeat(rates, won.astype(int)), np.repeat(rates, lost.astype(int))])
    flags = np.arange(len(scores)) < won.sum()
    assert ranking is not None
    assert ranking.auc == pytest.approx(roc_auc_score(flags, scores), abs=1e-12)
    if min(won.sum(), lost.sum()) > 1:
        estimate = auc_interval(flags, scores)
        assert ranking.low == pytest.approx(estimate.value - 1.959963984540054 * estimate.variance**0.5, abs=1e-9)


@pytest.mark.parametrize("lift", (0.0, 0.05, 0.08, 0.3))
def test_the_missing_pattern_agrees_with_scipy(lift: float) -> None:
    """Chi-square without correction at 1e-6, and a factor of two or an AUC of 0.6."""
    rng = np.random.default_rng(9)
    missing = rng.random(20_000) < 0.1
    won = rng.random(20_000) < 0.08 + lift * missing
    everyone = np.ones(20_000, dtype=bool)
    counts = [[(m & w).sum() for w in (won, ~won)] for m in (missing, ~missing)]
    p_value = chi2_contingency(counts, correction=False).pvalue
    factor = won[missing].mean() / won[~missing].mean()
    expected = p_value < 1e-6 and (max(factor, 1 / factor) >= 2 or roc_auc_score(won, missing) >= 0.6)
    assert bool(missing_pattern(missing, won, everyone)) == expected


def test_a_form_that_nobody_filled_in_is_recognised() -> None:
    """`Select`, whatever its case; a real category is none."""
    assert placeholder_of(pl.Series(["SELECT", "a", None, "SELECT"])) == "SELECT"
    assert placeholder_of(pl.Series(["selected", "unknown"])) is None


@pytest.mark.parametrize(
    ("name", "words"),
    (
        ("LeadSource_id2", ["lead", "source", "id", "2"]),
        ("What is your current occupation?", ["what", "is", "your", "current", "occupation"]),
        ("URLPath", ["url", "path"]),
        ("Größe-der Firma", ["größe", "der", "firma"]),
        ("nr.employed", ["nr", "employed"]),
        ("", []),
    ),
)
def test_names_are_taken_apart(name: str, words: list[str]) -> None:
    """At blanks, signs, capitals and digits, in any alphabet."""
    assert words_of(name) == words
