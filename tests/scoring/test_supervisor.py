"""The supervisor never ends of itself, and a child that dies leaves its reason in the log."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leadgate.scoring.parent import tell_ready
from leadgate.scoring.plan import DATABASE_URL
from leadgate.scoring.supervisor import _pause


def test_pauses_grow_and_end_growing() -> None:
    """At once after the first death, half a minute after many: after weeks of it too."""
    pauses = [_pause(failures) for failures in range(1, 20_000)]
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[1] <= 2
    assert set(pauses[10:]) == {30.0}


def worker_plan(folder: Path, ready: int) -> dict[str, Any]:
    """As `leadgate serve` makes it, for a model that has no route."""
    return {
        "project": str(folder),
        "clock_shift_days": 0,
        "ready": ready,
        "spool": str(folder),
        "worker": {
            "start": "test",
            "slot": 0,
            "workers": 1,
            "listener": 0,
            "model_name": "nobody",
            "bundles": str(folder),
            "declared": [],
            "run": str(folder),
            "durability": "process",
            "disk_share": 1.0,
            "with_keys": False,
            "limits": {},
            "traces": False,
        },
    }


@pytest.mark.parametrize("heard", (True, False), ids=("first start", "started anew"))
def test_a_child_that_cannot_begin_says_why(database: str, tmp_path: Path, heard: bool) -> None:
    """At the first start to the supervisor, which tells it; later, when nobody waits for it, to the log."""
    listen, tell = os.pipe()
    if not heard:
        os.close(listen)
    child = subprocess.Popen(
        [sys.executable, "-m", "leadgate.app.children", json.dumps(worker_plan(tmp_path, tell))],
        env={**os.environ, DATABASE_URL: database},
        stdin=subprocess.PIPE,  # open to the end: a child ends with its parent
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(tell,),
    )
    os.close(tell)
    assert child.stderr is not None
    told = child.stderr.read()
    assert child.wait(60) == 2
    if heard:
        assert "'nobody' has no route" in os.read(listen, 4_096).decode()
        os.close(listen)
        assert told == ""
    else:
        line = json.loads(told)
        assert (line["level"], line["process"]) == ("error", "worker 0")
        assert "'nobody' has no route" in line["reason"]


def test_a_word_is_said_once(tmp_path: Path) -> None:
    """The number of a pipe that was closed is soon that of another file, which must not be written to."""
    listen, tell = os.pipe()
    assert tell_ready(tell)
    assert os.read(listen, 100) == b"ready"
    file = os.open(tmp_path / "spool", os.O_WRONLY | os.O_CREAT)
    if file != tell:
        os.dup2(file, tell)
        os.close(file)
    assert not tell_ready(tell, "it failed later")
    os.close(tell)
    os.close(listen)
    assert (tmp_path / "spool").read_bytes() == b""
