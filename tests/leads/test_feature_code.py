"""features.py as people write it: what is a feature, and a sentence for what is none."""

import re
from pathlib import Path

import pytest
import yaml

from leadgate.errors import BadConfigError, LeadgateError
from leadgate.leads.events import Events
from leadgate.leads.feature_code import FeatureCode, make_values
from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.project import parse_project
from leadgate.leads.schema import Feature, FeatureType, LeadSchema

YAML = """
lead:
  id: lead_id
  timestamp: created
  target: converted
  features:
    Company Size: {type: numeric}
    visits: {type: numeric, use: false}
    source: {type: categorical}
    has.budget: {type: boolean, use: false}
"""
SCHEMA = parse_project(YAML, "leadgate.yaml").lead
GOOD = '''
def size_band(company_size: float | None) -> str | None:
    """Small or large."""
    return None if company_size is None else "large" if company_size > 100 else "small"
'''
_VISITS = "def often(visits: float | None) -> {}:\n    return {}\n"


def code_of(text: str, schema: LeadSchema = SCHEMA) -> FeatureCode:
    """A features.py, read."""
    return parse_features(text, schema)


def test_every_public_function_is_a_feature_with_the_type_that_it_gives() -> None:
    """Helpers, constants and classes are none; int counts as a number; the order of functions means nothing."""
    code = code_of(
        "from dataclasses import dataclass\n"
        "from functools import lru_cache\n"
        "from typing import Optional\n"
        "_MANY = 3\n"
        "@lru_cache(100)\n"
        "def _twice(value: float) -> float:\n    return 2 * value\n"
        "@dataclass\nclass Point:\n    x: float = 0\n"
        "def _half(value: float) -> float:\n    return value / 2\n"
        "def often(visits: Optional[float]) -> bool | None:\n    return None if visits is None else visits > _MANY\n"
        "def half(visits: float | None) -> 'int | None':\n    return visits and _half(visits)\n" + GOOD
    )
    assert [(f.name, f.type.value, f.inputs) for f in code.features] == [
        ("half", "numeric", ("visits",)),
        ("often", "boolean", ("visits",)),
        ("size_band", "categorical", ("Company Size",)),
    ]
    assert make_values(code, {"visits": 7.0, "Company Size": 12.0}, Events(), None).values == (3.5, True, "small")
    assert make_values(code, {}, Events(), None) == ((None, None, None), ())


def test_a_column_may_be_called_as_a_function_of_python_is() -> None:
    """`id` or `input` is refused as the built-in function, not as the name of a value."""
    schema = LeadSchema(id="key", target="won", features=(Feature(name="input", type=FeatureType.NUMERIC),))
    code = code_of("def twice(input: float | None) -> float | None:\n    return input and 2 * input\n", schema)
    assert make_values(code, {"input": 2.0}, Events(), None).values == (4.0,)


@pytest.mark.parametrize(
    ("code", "said"),
    (
        ("def f(:\n", "line 1: this is not Python"),
        ("", "there is no feature"),
        ("def _f() -> float:\n    return 1.0\n", "there is no feature"),
        ("import os\n" + GOOD, "line 1: features may not import 'os'"),
        ("import random\n" + GOOD, "features may not import 'random'"),
        ("import time\n" + GOOD, "features may not import 'time'"),
        ("import maths\n" + GOOD, "did you mean 'math'?"),
        ("from .ours import helper\n" + GOOD, "features.py stands alone"),
        ("from leadgate.leads.snapshots import delta\n" + GOOD, "from leadgate import Events"),
        ("from statistics import random\n" + GOOD, "module 'random', which features may not import"),
        ("from math import *\n" + GOOD, "name what is imported"),
        (
            "from datetime import datetime\n" + _VISITS.format("float", "datetime.now().hour"),
            "line 3: .now() is a clock, and a feature has none",
        ),
        ("from datetime import date\n" + _VISITS.format("float", "date.today().day"), "take the score's time"),
        (
            "from datetime import datetime\n" + _VISITS.format("float", "datetime.fromtimestamp(visits).hour"),
            "the machine's local time",
        ),
        (_VISITS.format("float", "float(open('x').read())"), "line 2: open is not for features"),
        (_VISITS.format("float", "hash('x')"), "hashlib does not"),
        (_VISITS.format("float", "visits.__class__(1)"), ".__class__ is not for features"),
        ("def stop(visits: float | None) -> float:\n    raise SystemExit\n", "line 2: SystemExit is not for features"),
        ("_seen = []\n_seen.append(1)\n" + GOOD, "line 2: only imports, constants, functions and classes"),
        ("_ALL = {}\n_ALL['x'] = 1\n" + GOOD, "a constant is given its value once"),
        (
            "_SEEN = set()\n" + _VISITS.format("float", "_SEEN.add(visits) or len(_SEEN)"),
            "line 3: this changes '_SEEN'",
        ),
        ("_N = {}\ndef f(visits: float | None) -> float:\n    _N[visits] = 1\n    return 1\n", "this changes '_N'"),
        ("from functools import cache\n@cache\ndef _f(x: str) -> str:\n    return x\n" + GOOD, "line 1: this keeps"),
        (
            "import functools\n@functools.lru_cache(maxsize=None)\ndef _f(x: str) -> str:\n    return x\n" + GOOD,
            "write @lru_cache(1000)",
        ),
        ("_n = 0\ndef f(visits: float | None) -> float:\n    global _n\n    return _n\n", "changes no global name"),
        ("_X = 1 / 0\n" + GOOD, "line 1 raised ZeroDivisionError"),
        ("def f(visit: float | None) -> float:\n    return 1.0\n", "did you mean 'visits'?"),
        (
            "def f(converted: bool | None) -> float:\n    return 1.0\n",
            "'converted' of 'f' is the target, which is known only",
        ),
        ("def f(lead_id: str | None) -> float:\n    return 1.0\n", "'lead_id' of 'f' is the lead's id"),
        (
            "from datetime import datetime\ndef f(created: datetime) -> float:\n    return 1.0\n",
            "line 2: parameter 'created' of 'f' is lead.timestamp, which is no feature; take the score's time",
        ),
        (
            "from datetime import datetime\ndef f(visits: datetime) -> float:\n    return 1.0\n",
            "annotated as the score's time; for the column write `visits: float | None`",
        ),
        (
            "from leadgate import Events\ndef f(company_size: Events) -> float:\n    return 1.0\n",
            "'company_size' of 'f' is a column of leadgate.yaml and annotated as the lead's events",
        ),
        ("def f(visits) -> float:\n    return 1.0\n", "write `visits: float | None`"),
        ("def f(visits: float) -> float:\n    return 1.0\n", "is a numeric column; write `visits: float | None`"),
        ("def f(source: float | None) -> float:\n    return 1.0\n", "is a categorical column"),
        ("def f(visits: float | None):\n    return 1.0\n", "does not say what it gives"),
        (_VISITS.format("list[float]", "[1.0]"), "gives what no feature can be"),
        (_VISITS.format("Number", "1.0"), "cannot be loaded: line 1 raised NameError"),
        (_VISITS.format("'Number'", "1.0"), "the annotations of 'often' cannot be read"),
        ("def f(visits: float | None = 1.0) -> float:\n    return 1.0\n", "plain parameters only"),
        ("def f(*visits: float) -> float:\n    return 1.0\n", "plain parameters only"),
        ("def f() -> float:\n    return 1.0\n", "takes nothing, so it is the same for every lead"),
        ("async def f(visits: float | None) -> float:\n    return 1.0\n", "is async"),
        ("def source(visits: float | None) -> float:\n    return 1.0\n", "is a column of leadgate.yaml already"),
        (GOOD + GOOD, "is defined in line 2 already"),
    ),
)
def test_a_file_that_is_none_gives_a_sentence(code: str, said: str) -> None:
    """What, where and what to do; never a traceback."""
    with pytest.raises(BadConfigError) as caught:
        code_of(code)
    assert said in str(caught.value)
    assert str(caught.value).startswith("features.py")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gives", "value", "why"),
    (
        ("float", "1 / 0", "line 2 raised ZeroDivisionError: division by zero"),
        ("float", "'seven'", "gave 'seven' (str), not a number"),
        ("float", "True", "gave True (bool), not a number"),
        ("float", "float('inf')", "gave an infinite number"),
        ("float", "10 ** 400", "raised OverflowError"),
        ("str", "7", "gave 7 (int), not text"),
        ("str", "'a\\0b'", "gave text with a NUL character"),
        ("str", "'\\ud800'", "raised UnicodeEncodeError"),
        ("str", "'x' * 10_001", "gave text of 10,001 characters"),
        ("float", "float('9' * 1000 + 'x')", "line 2 raised ValueError: could not convert"),
        ("bool", "1", "gave 1 (int), neither True nor False"),
        ("float", "[x for x in visits]", "line 2 raised TypeError"),
    ),
)
def test_a_value_that_no_feature_may_have_is_missing_and_says_why(gives: str, value: str, why: str) -> None:
    """One lead must not stop an answer, nor give a score on nonsense; other features of the lead stay."""
    made = make_values(
        code_of(_VISITS.format(gives, value) + GOOD), {"visits": 3.0, "Company Size": 1.0}, Events(), None
    )
    assert made.values == (None, "small")
    ((feature, said),) = made.failures
    assert feature == "often"
    assert why in said
    assert len(said) < 400  # of what a lead is, no more than a line of a log


def test_not_a_number_is_missing() -> None:
    """As everywhere in Leadgate."""
    made = make_values(code_of("import math\n" + _VISITS.format("float", "math.nan")), {}, Events(), None)
    assert made == ((None,), ())


def test_events_need_a_time() -> None:
    """Without a timestamp nothing says which events came before the lead."""
    timeless = SCHEMA.model_copy(update={"timestamp": None})
    with pytest.raises(BadConfigError, match=r"lead\.timestamp"):
        code_of("from leadgate import Events\ndef f(events: Events) -> int:\n    return len(events)\n", timeless)


def test_leadgate_yaml_sets_what_a_made_feature_may_be() -> None:
    """Its range, and whether models use it; columns that are only an input are taken and not used."""
    text = YAML + "  made:\n    often: {range: [0, 100], missing: 0.5}\n    size_band: {use: false}\n"
    lead = parse_project(text, "leadgate.yaml", _VISITS.format("float", "visits") + GOOD).lead
    assert [feature.name for feature in lead.used] == ["Company Size", "source", "often"]
    assert [feature.name for feature in lead.taken] == ["Company Size", "visits", "source"]
    assert lead.feature("often") == Feature(name="often", type=FeatureType.NUMERIC, range=(0, 100), missing=0.5)


@pytest.mark.parametrize(
    ("made", "said"),
    (
        ("oftn: {use: false}", "lead.made.oftn: features.py has no function of this name; did you mean 'often'?"),
        ("often: {rnge: [0, 1]}", "did you mean 'range'?"),
        ("size_band: {range: [0, 1]}", "only a numeric feature has a range; it is categorical"),
        ("often: {categories: [a]}", "only a categorical feature has categories"),
    ),
)
def test_a_setting_that_fits_no_made_feature_gives_a_sentence(made: str, said: str) -> None:
    """A misspelt name would otherwise be a setting that nobody follows."""
    with pytest.raises(BadConfigError) as caught:  # those that need a look at features.py where its features are asked
        _ = parse_project(
            f"{YAML}  made:\n    {made}\n", "leadgate.yaml", _VISITS.format("float", "visits") + GOOD
        ).lead.used
    assert said in str(caught.value)


def test_code_is_not_written_in_leadgate_yaml() -> None:
    """It stands in a file of its own, which linters and tests can read."""
    with pytest.raises(LeadgateError, match=r"features\.py"):
        parse_project(YAML + "  code: x\n", "leadgate.yaml")


def test_a_schema_without_features_py_is_written_as_before_there_was_one() -> None:
    """Cards of versions are digested as they are written; with one it comes back whole."""
    assert set(SCHEMA.model_dump()) == {"id", "timestamp", "target", "converted_when", "features", "segments"}
    own = SCHEMA.model_copy(update={"code": code_of(GOOD)})
    assert LeadSchema.model_validate_json(own.model_dump_json()) == own


def test_the_example_of_the_documentation_is_a_features_py() -> None:
    """What people copy works, with the settings beside it."""
    text = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    code, settings = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "yaml"))
    assert code is not None
    assert settings is not None
    columns = ("company_size", "page_views", "visits")
    lead = {
        "id": "id",
        "timestamp": "at",
        "target": "won",
        "features": {name: {"type": "numeric"} for name in columns},
        **yaml.safe_load(settings[1])["lead"],
    }
    made = parse_project(yaml.safe_dump({"lead": lead}), "leadgate.yaml", code[1]).lead
    assert [feature.name for feature in made.made_features] == ["pages_per_visit", "size_band"]
    assert made.code is not None
    values = {"company_size": 60.0, "page_views": 8.0, "visits": 2.0}
    assert make_values(made.code, values, Events(), None).values == (4.0, "middle")
