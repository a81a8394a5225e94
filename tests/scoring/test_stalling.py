"""A worker that answers nobody any more makes way for one that does."""

import subprocess
import sys

import pytest

_WORKER = """
import asyncio
from leadgate.leads.events import Events
from leadgate.leads.feature_code import FeatureCode, MadeFeature, make_values
from leadgate.scoring.stalling import end_if_stalled

feature = MadeFeature(name="f", type="numeric", inputs=("text",), digest="")

async def main():
    beside = asyncio.create_task(end_if_stalled(2.0))
    await asyncio.sleep(2.5)  # a loop that comes round is left alone
    print("answers", flush=True)
    make_values(FeatureCode(source={source!r}, features=(feature,)), {{"text": "a" * 60}}, Events(), None)
    beside.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("code", "told"),
    (
        (
            "    return float(re.match('(a+)+b', text) is None)\n",
            '"features.py", line 3 in f',
        ),  # for years, with the lock
        ("    return 1.0\n", ""),
    ),
)
def test_a_feature_without_an_end_does_not_hold_a_worker(code: str, told: str) -> None:
    """The process ends by itself, and the line is told; one whose features end, ends as it would have."""
    source = f"import re\ndef f(text: str | None) -> float:\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", _WORKER.format(source=source)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout == "answers\n"
    assert (done.returncode == 0) == (told == ""), done.stderr
    assert told in done.stderr
