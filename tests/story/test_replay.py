"""The bank's leads, replayed through the real path: the checks tell what moved in the month in which it moves."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def replay() -> Any:
    """The benchmark as a module."""
    sys.path.append(str(BENCHMARKS))
    found = importlib.util.spec_from_file_location("replay", BENCHMARKS / "replay.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["replay"] = module
    found.loader.exec_module(module)
    return module


def test_the_month_of_the_move_is_told(replay: Any, bank_file: Path, tmp_path: Path, database: str) -> None:
    """Conversion goes from 5 to 45 % in March 2009; until then conversion and calibration stay quiet."""
    months = {month.name: month for month in replay.replay(bank_file, tmp_path, database, "2009-03")}
    for name in ("2008-08", "2008-11"):
        quiet = [months[name].finding("conversion", ""), months[name].finding("calibration")]
        assert {finding.severity for finding in quiet} == {"green"}
    assert months["2009-03"].finding("conversion", "").severity == "red"
    assert months["2009-03"].finding("calibration").severity == "red"
    assert set(replay.MACRO) <= set(months["2008-11"].alarmed("feature drift"))
    assert months["2008-12"].finding("calibration").severity == "unknown"  # ten leads
    assert all(not month.missed and len(month.false) <= 1 for month in months.values())
