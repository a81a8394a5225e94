"""The drift of a million rows by Leadgate, by a scipy loop and by Evidently: in turns, each in a process of its own.

All get the same two data frames, one processor thread and the same files; reading and importing are not counted.
"""

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from report import Row, is_quick

PEERS = Path(__file__).parent / "peers"
EVIDENTLY = "0.7.23"
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "POLARS_MAX")}


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one of them said."""

    took: float
    """Seconds, from the frames in memory to the values."""
    found: dict[str, dict[str, float]]
    """By feature: ``ks``, its ``p``, and ``js``, the root of the divergence."""


def evidently_python() -> str | None:
    """A Python that has Evidently: that of ``EVIDENTLY_PYTHON``, or one in an environment that is made for it.

    None where neither works, what was wrong is printed; the short form makes none.
    """
    if "EVIDENTLY_PYTHON" in os.environ:
        return os.environ["EVIDENTLY_PYTHON"]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "leadgate" / f"evidently-{EVIDENTLY}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        if is_quick():
            return None
        print(f"Installing Evidently {EVIDENTLY} into {folder}, for comparison only ...")
        venv.create(folder, with_pip=True, clear=True)
        # It names no upper bound, and does not start with pandas 3.
        install = [str(python), "-m", "pip", "install", "--quiet", f"evidently=={EVIDENTLY}", "pandas<3"]
        if (ran := subprocess.run(install, capture_output=True, text=True, check=False)).returncode:
            print(ran.stderr[-1_000:])
            return None
        (folder / "complete").touch()
    return str(python)


def write(frames: tuple[pd.DataFrame, pd.DataFrame], folder: Path) -> list[str]:
    """Both frames as files that an older pandas can read too: text as plain objects."""
    files = [str(folder / name) for name in ("then.pkl", "now.pkl")]
    for frame, file in zip(frames, files, strict=True):
        plain = frame.astype({name: object for name in frame if str(name).startswith("c")})
        plain.set_axis(pd.Index(list(frame), dtype=object), axis=1).to_pickle(file)
    return files


def turn(python: str, script: str, *arguments: str) -> Turn:
    """Let one of them do it. Raises SystemExit with its last words."""
    command = [python, str(PEERS / script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **_ONE_THREAD})
    if ran.returncode:
        raise SystemExit(f"{script}: {ran.stderr[-2_000:]}")
    said: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return Turn(took=said["took"], found=said["found"])


def from_rows(frames: tuple[pd.DataFrame, pd.DataFrame], folder: Path, *, turns: int, judged: bool) -> list[Row]:
    """Rows of the report; ratios are the median of those of the turns, which are judged where ``judged``."""
    files, python = write(frames, folder), evidently_python()
    ours, wide, loop, theirs = [], [], [], []
    for _ in range(turns):
        ours.append(turn(sys.executable, "leadgate_drift.py", *files))
        loop.append(turn(sys.executable, "scipy_drift.py", *files))
        if python is not None:
            theirs.append(turn(python, "evidently_drift.py", *files))
        wide.append(turn(sys.executable, "leadgate_drift.py", *files, str(os.cpu_count() or 1)))
    n = f"{len(frames[0]):,}"
    rows = [
        Row(what=f"KS and JS of {n} against {n} rows, 12 features: Leadgate", measured=_time(ours), unit="s"),
        Row(what=f"the same on {os.cpu_count()} processors", measured=_time(wide), unit="s"),
        Row(what="the same by a scipy loop", measured=_time(loop), unit="s"),
        Row(what="Leadgate against the scipy loop", measured=_ratio(loop, ours), unit="x", bar=3 if judged else None),
    ]
    if theirs:
        rows.append(Row(what=f"the same by Evidently {EVIDENTLY}'s DataDriftPreset", measured=_time(theirs), unit="s"))
    measured = _ratio(theirs, ours) if theirs else float("nan")
    rows.append(Row(what="Leadgate against Evidently", measured=measured, unit="x", bar=15 if judged else None))
    return [*rows, *_agreement(ours[0], loop[0], theirs[0] if theirs else None)]


def _agreement(ours: Turn, loop: Turn, theirs: Turn | None) -> list[Row]:
    rows = [
        Row(
            what="largest difference of KS from scipy's",
            measured=_apart(ours, loop, "ks"),
            unit="",
            bar=1e-9,
            at_most=True,
        ),
        Row(what="largest difference of its p-value from scipy's", measured=_apart(ours, loop, "p"), unit=""),
    ]
    if theirs is not None:
        told = "largest difference of JS of categories from Evidently's"
        rows.append(Row(what=told, measured=_apart(ours, theirs, "js"), unit="", bar=1e-9, at_most=True))
    return rows


def _apart(ours: Turn, other: Turn, value: str) -> float:
    """Over the features for which both have the value."""
    return max(
        abs(told[value] - ours.found[name][value])
        for name, told in other.found.items()
        if value in told and value in ours.found[name]
    )


def _time(turns: list[Turn]) -> float:
    return median(each.took for each in turns)


def _ratio(theirs: list[Turn], ours: list[Turn]) -> float:
    return median(a.took / b.took for a, b in zip(theirs, ours, strict=True))
