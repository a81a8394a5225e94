"""Versions made again elsewhere: a new environment from requirements.lock, other folder, user, hash seed, threads.

``python benchmarks/reproduce.py`` (or ``make reproduce-elsewhere``) trains a version of each kind in this environment,
makes a virtual environment with what requirements.lock pins, and reproduces each version there. QUICK=1 keeps to this
environment and changes the rest.
"""

import json
import os
import platform
import pwd
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import polars as pl

from leadgate.app.wire import Home, open_home
from leadgate.simulator.leads import simulate_leads
from project import leadgate, workplace
from report import Row, is_quick, report

ROOT = Path(__file__).parents[1]
KINDS = ("logistic_regression", "hist_gradient_boosting", "lightgbm")
LEADS = 6_000
NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how a version is made again."""

    name: str
    python: str
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """Another user of the machine; None for the present one."""


def make_versions(folder: Path) -> Home:
    """A project with a version of each kind, trained by the command line in this environment."""
    frame = simulate_leads(LEADS, np.random.default_rng(7), datetime(2026, 1, 1, tzinfo=UTC), 100).frame
    file = folder / "leads.csv"
    frame.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(file)
    leadgate(folder, "init", ".", "--from", str(file))
    leadgate(folder, "data", "import", str(file))
    for kind in KINDS:
        leadgate(folder, "train", "--model", kind)
    return open_home(folder)


def make_environment(folder: Path) -> str:
    """A new virtual environment with what requirements.lock pins, and Leadgate itself; gives its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    # Built by this environment, for the new one has nothing to build with.
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*wheel, str(ROOT)], check=True)
    (built,) = folder.glob("leadgate-*.whl")
    subprocess.run([*pip, "--no-deps", str(built)], check=True)
    return python


def places(python: str) -> list[Place]:
    """All that is tried; the second user only where this one may become another."""
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "POLARS_MAX_THREADS": "2"}
    single = dict.fromkeys(threads, "1")
    tried = [
        Place(name="1 thread, hash seed 0", python=python, env={**single, "PYTHONHASHSEED": "0"}),
        Place(name="2 threads, hash seed 4711", python=python, env={**threads, "PYTHONHASHSEED": "4711"}),
    ]
    if os.geteuid() == 0 and which("setpriv"):
        tried.append(
            Place(name=f"user {NOBODY}, hash seed 99", python=python, env={"PYTHONHASHSEED": "99"}, user=NOBODY)
        )
    return tried


def reproduce(home: Home, place: Place, folder: Path, version: str) -> dict[str, Any]:
    """The command's answer, run there in a folder that has leadgate.yaml and nothing else of the project."""
    folder.mkdir()
    (folder / "leadgate.yaml").write_bytes((home.folder / "leadgate.yaml").read_bytes())
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LEADGATE_DATABASE_URL": home.database_url,
        "LEADGATE_SNAPSHOTS_URI": home.snapshots_uri,
        "LEADGATE_AUTHOR": place.user or "bench",
        **place.env,
    }
    command = [place.python, "-m", "leadgate", "models", "reproduce", version, "--json"]
    done = subprocess.run(
        [*_as(place.user, folder), *command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1, 3}:
        raise SystemExit(f"{place.name}: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _as(user: str | None, folder: Path) -> list[str]:
    """What makes a command another user's, who owns the folder it runs in."""
    if user is None:
        return []
    entry = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    # Reading and writing past permissions stay: the interpreter may lie in a folder that is closed to others.
    capabilities = [f"--{kind}-caps=+dac_override" for kind in ("inh", "ambient")]
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *capabilities]


def rows_of(kind: str, place: Place, answer: dict[str, Any]) -> list[Row]:
    """How many of the compared things are the same, and how far the hold-out scores are apart."""
    results = answer["results"]
    if answer["verdict"] != "identical":
        print(f"{kind}, {place.name}: {answer['sentence']}")
    same = 100 * sum(result["same"] is True for result in results) / max(1, len(results))
    apart = answer["largest_difference"]
    name = f"{kind.replace('_', ' ')}: {place.name}"
    return [
        Row(what=f"{name}: digests and figures that are the same", measured=same, unit="%", bar=100),
        Row(
            what=f"{name}: largest difference of a score",
            measured=float("nan") if apart is None else apart,
            unit="",
            bar=0,
            at_most=True,
        ),
    ]


def other_kernel(home: Home, python: str, folder: Path) -> list[Row]:
    """The limit: what the sums of another processor do. Told without a bar."""
    if platform.machine() != "x86_64":
        return []
    place = Place(name="BLAS as on an older processor", python=python, env={"OPENBLAS_CORETYPE": "Nehalem"})
    rows = []
    for number, kind in enumerate(KINDS, start=1):
        apart = reproduce(home, place, folder / f"kernel-{number}", str(number))["largest_difference"]
        name = f"{kind.replace('_', ' ')}: {place.name}"
        rows.append(Row(what=f"{name}: largest difference of a score", measured=apart, unit=""))
    return rows


def notes_of(answers: Sequence[dict[str, Any]]) -> list[str]:
    """What the reader has to know."""
    packages = next(entry["sentence"] for entry in answers[0]["inputs"] if entry["what"] == "packages")
    where = "this environment" if is_quick() else "a new one from requirements.lock, with Leadgate from its wheel"
    return [
        f"{LEADS:,} generated leads; trained in the development environment, made again in {where}.",
        "Each time by `leadgate models reproduce` in a process of its own, in a folder that has leadgate.yaml only.",
        "The other user may read past permissions (CAP_DAC_OVERRIDE): an interpreter may lie in a closed folder.",
        f"What it said of the packages: {packages}",
        "Compared: digests of snapshot, feature set, model and program.json; the hold-out's leads, scores and AUC.",
        "The last rows have no bar: OpenBLAS sums as on an older processor (OPENBLAS_CORETYPE=Nehalem).",
        "Where that moves a bit, `reproduce` says which kernel it was, and ends with 1.",
    ]


def main() -> int:
    """Measure; gives the exit code."""
    with workplace() as folder:
        folder.chmod(0o755)
        (folder / "project").mkdir()
        home = make_versions(folder / "project")
        python = sys.executable if is_quick() else make_environment(folder / "venv")
        rows, answers = [], []
        for number, kind in enumerate(KINDS, start=1):
            for at, place in enumerate(places(python)):
                answers.append(reproduce(home, place, folder / f"elsewhere-{number}-{at}", str(number)))
                rows += rows_of(kind, place, answers[-1])
        rows += other_kernel(home, python, folder)
    return report("reproduce", "Versions made again elsewhere, to the last bit", rows, notes_of(answers))


if __name__ == "__main__":
    sys.exit(main())
