"""A function of features.py that does not come to its end: its name, its line and the lead are said."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from leadgate.errors import BadConfigError, RefusedError
from leadgate.leads import endless
from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.made import made_columns
from leadgate.leads.schema import Feature, FeatureType, LeadSchema

PLAIN = LeadSchema(id="id", target="won", features=(Feature(name="size", type=FeatureType.CATEGORICAL),))
LEADS = pl.DataFrame({"id": ["L1", "L2", "L3"], "won": [True, False, True], "size": ["a", "b", "c"]})
LOOP = """
def turns(size: str | None) -> float:
    while size == "b":
        try:
            pass
        except Exception:
            pass
    return 1.0
"""
PATTERN = """
import re
def turns(size: str | None) -> bool:
    return re.match("(a+)+$", "a" * 60 + "!") is None if size == "b" else True
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "LONGEST_S", 0.2)


def made(code: str) -> str:
    """What a training says."""
    schema = PLAIN.model_copy(update={"code": parse_features(code, PLAIN)})
    with pytest.raises(RefusedError) as caught:
        made_columns(LEADS, schema)
    return str(caught.value)


@pytest.mark.parametrize(("code", "lines"), ((LOOP, "3456"), (PATTERN, "4")))
def test_a_command_says_which_function_has_no_end_and_for_which_lead(code: str, lines: str) -> None:
    """Also where it is in one call of ``re``, in which Python does nothing; the signal is given back as it was."""
    before = signal.getsignal(signal.SIGALRM)
    said = made(code)
    assert pytest.approx(signal.getitimer(signal.ITIMER_REAL)) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before
    assert re.match(rf"features\.py, line [{lines}]: 'turns' has not come to its end .* for lead 'L2'\.", said), said


def test_a_job_of_a_worker_says_it_too() -> None:
    """It runs in a thread, which gets no signals; the thread lives on and makes features again."""
    with ThreadPoolExecutor(1) as pool:
        assert "'turns' has not come to its end" in pool.submit(made, LOOP).result()
        fine = PLAIN.model_copy(update={"code": parse_features(LOOP.replace('"b"', '"z"'), PLAIN)})
        assert pool.submit(made_columns, LEADS, fine).result() == {"turns": [1.0, 1.0, 1.0]}


def test_many_leads_may_take_longer_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is of one call: a training of a hundred thousand leads takes its time, here some 1.5 limits."""
    monkeypatch.setattr(endless, "LONGEST_S", 1.0)
    slow = "def f(size: str | None) -> float:\n    return sum(range(300_000)) * 1.0\n"
    schema = PLAIN.model_copy(update={"code": parse_features(slow, PLAIN)})
    many = pl.concat([LEADS] * 80)
    assert len(made_columns(many, schema)["f"]) == many.height


def test_a_constant_without_an_end_is_a_fault_of_the_file() -> None:
    """Each command reads the file, the way back too."""
    code = (
        "from itertools import count\n_N = sum(n for n in count())\ndef f(size: str | None) -> float:\n    return _N\n"
    )
    with pytest.raises(BadConfigError, match=r"features\.py, line 2: this does not come to its end"):
        parse_features(code, PLAIN)
