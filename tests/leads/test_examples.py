"""The first features of a team's own, over the columns of its file."""

import ast
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from leadgate.leads.examples import choose_examples, least_auc
from leadgate.leads.inspection import Column, Inspection, Role
from leadgate.leads.schema import FeatureType


def _number(name: str, auc: float = 0.5, low: float = 0, **more: object) -> Column:
    made = Column(
        name=name,
        role=Role.FEATURE,
        type=FeatureType.NUMERIC,
        missing=0.1,
        distinct=50,
        auc=auc,
        reasons=(),
        range=(low, 100),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def _text(name: str, *categories: str) -> Column:
    return _number(name, type=FeatureType.CATEGORICAL, range=None, categories=categories)


def _findings(*columns: Column, converted: int = 100, labelled: int = 1_000) -> Inspection:
    return Inspection(
        rows=labelled,
        converted=converted,
        labelled=labelled,
        id="lead_id",
        timestamp=None,
        target="won",
        converted_when=None,
        columns=columns,
        segments=(),
    )


def test_a_ratio_is_of_the_two_numbers_that_tell_most() -> None:
    """Of those that are never negative and that a function can take by name."""
    columns = [_number("a", 0.6), _number("visits", 0.7), _number("score", 0.8), _number("debt", 0.9, low=-5)]
    ratio = choose_examples(_findings(*columns, _number("emp.rate", 0.95), _number("class", 0.95))).ratio
    assert ratio is not None
    assert (ratio.name, ratio.of, ratio.per) == ("score_per_visits", "score", "visits")


def test_a_leakage_suspect_is_no_example() -> None:
    """It would bring back what was left out."""
    told = choose_examples(_findings(_number("a"), _number("b"), _number("call_duration", 0.95, role=Role.SUSPECT)))
    assert not [name for name in told.names if "call_duration" in name]


def test_a_flag_is_of_a_category_that_a_name_can_say() -> None:
    """Letters and digits of it; a name that is a column already is another one."""
    told = choose_examples(_findings(_text("job", "??", "self-employed"), _number("job_is_self_employed")))
    assert told.flag is not None
    assert (told.flag.name, told.flag.value) == ("job_is_self_employed_made", "self-employed")


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=6, unique=True), st.text(max_size=30))
def test_any_names_give_functions_that_python_takes(names: list[str], category: str) -> None:
    """Or none."""
    columns = [_number(name) if i % 2 else _text(name, category) for i, name in enumerate(names)]
    told = choose_examples(_findings(*columns))
    for name in told.names:
        ast.parse(f"def {name}({told.flag.column if told.flag else 'x'}): pass")
        assert len(name) <= 110
        assert name not in names


def test_the_least_auc_is_what_one_column_does_surely() -> None:
    """By hand: 0.8 alone, 20 winners held out: error sqrt(0.8 * 0.2 / 20) = 0.0894, so 0.8 - 0.1789 = 0.62."""
    assert least_auc(_findings(_number("a", 0.8), _number("b", 0.6)), 0.2) == 0.62


def test_the_least_auc_lies_between_chance_and_the_plans() -> None:
    """Whatever the columns do."""
    assert least_auc(_findings(_number("a", 0.51)), 0.2) == 0.5
    assert least_auc(_findings(_number("a", 0.99), converted=50_000, labelled=100_000), 0.2) == 0.85
